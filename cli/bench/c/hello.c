// The smallest program with a func-entry point: prints its answer to one line from stdin. Linked
// statically, it is what natively starts in the least time.

#include <stdio.h>

int main(void) {
  char name[64];
  if (fgets(name, sizeof name, stdin) == NULL) return 1;
  printf("hello, %s", name);
  return fflush(stdout) == 0 ? 0 : 1;
}
