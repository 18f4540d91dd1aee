// What a program costs natively, from the call that starts it to its first output: vfork, exec,
// and a read from its stdout. In C, because a JavaScript runtime takes longer to start a process
// than the process takes.
//
//   arguments  file that is the program's stdin, program, its arguments
//   stdin      one line per round
//   stdout     one line per round: nanoseconds until the first byte; the process is waited for after

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void fail(const char *what) {
  fprintf(stderr, "%s: %s\n", what, strerror(errno));
  exit(1);
}

static uint64_t now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000000000ull + now.tv_nsec;
}

static uint64_t measure(const char *input, char **command, char **environment) {
  int output[2], in = open(input, O_RDONLY | O_CLOEXEC);
  if (in < 0) fail(input);
  if (pipe2(output, O_CLOEXEC) != 0) fail("pipe2");
  uint64_t start = now_ns();
  pid_t child = vfork();
  if (child == 0) {
    dup2(in, 0);
    dup2(output[1], 1);
    execve(command[0], command, environment);
    _exit(127);
  }
  if (child < 0) fail("vfork");
  close(output[1]);
  char byte;
  ssize_t count = read(output[0], &byte, 1);
  uint64_t end = now_ns();
  if (count != 1) fail("no output");
  char rest[4096];
  while (read(output[0], rest, sizeof rest) > 0) continue;
  close(output[0]);
  close(in);
  int status;
  if (waitpid(child, &status, 0) != child || status != 0) fail("the program failed");
  return end - start;
}

int main(int count, char **arguments) {
  static char *environment[] = {"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME=/root", NULL};
  char line[32];
  if (count < 3) return 2;
  while (fgets(line, sizeof line, stdin) != NULL) {
    printf("%llu\n", (unsigned long long)measure(arguments[1], arguments + 2, environment));
    fflush(stdout);
  }
  return 0;
}
