// What an exit costs without JavaScript: the guest calls getpid in a loop at CPL 3; each call leaves
// through the stub behind LSTAR, and the answer goes back through kvm_run's sync registers.
//
//   stdin    one line per round: how many round trips
//   stdout   one line per round: nanoseconds they took

#include "machine.h"

static const uint8_t CODE[] = {
  0xb8, 39, 0, 0, 0,  // mov eax, 39 (getpid)
  0x0f, 0x05,         // syscall
  0xeb, 0xf7,         // jmp to the beginning
};

int main(void) {
  static struct machine m;
  make_machine(&m, CODE, sizeof CODE);
  char line[32];
  while (fgets(line, sizeof line, stdin) != NULL) {
    unsigned long count = strtoul(line, NULL, 10);
    uint64_t start = now_ns();
    for (unsigned long i = 0; i < count; i++) step(&m);
    printf("%llu\n", (unsigned long long)(now_ns() - start));
    fflush(stdout);
  }
  return 0;
}
