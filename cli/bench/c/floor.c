// What KVM alone costs for a fork: a machine that is ready and was entered once gets an image mapped
// over its base window, some of its pages copied to its bank, and registers; the guest writes to
// each of those pages and leaves. Making and closing the machine is not in it.
//
//   arguments  a file of at least 512 pages, how many pages
//   stdin      one line per round
//   stdout     one line per round: nanoseconds from the mapping to the exit

#include "machine.h"
#include <unistd.h>

enum { BASE_SLOT = 2, BASE_BYTES = 64 << 20, PAGES_MOST = 500, FIRST_FRAME = 16 };

static const uint64_t BASE_GPA = 0x1000000000;
// rdi = the first page, rsi = the end.
static const uint8_t CODE[] = {
  0x48, 0x39, 0xf7,                          // cmp rdi, rsi
  0x73, 0x0c,                                // jae over the loop
  0xc6, 0x07, 0x01,                          // mov byte [rdi], 1
  0x48, 0x81, 0xc7, 0x00, 0x10, 0x00, 0x00,  // add rdi, 4096
  0xeb, 0xef,                                // jmp to the beginning
  0x0f, 0x05,                                // syscall
};

static void set_base(struct machine *m, void *base) {
  struct kvm_userspace_memory_region region = {
    .slot = BASE_SLOT, .flags = KVM_MEM_READONLY, .guest_phys_addr = BASE_GPA,
    .memory_size = BASE_BYTES, .userspace_addr = (uintptr_t)base,
  };
  must(ioctl(m->vm, KVM_SET_USER_MEMORY_REGION, &region), "KVM_SET_USER_MEMORY_REGION");
}

static uint64_t measure(int image, int pages) {
  struct machine m = {0};
  make_machine(&m, CODE, sizeof CODE);
  uint8_t *base = map(BASE_BYTES);
  set_base(&m, base);
  for (int i = 0; i < pages; i++) {
    uint64_t frame = BANK_GPA + (uint64_t)(FIRST_FRAME + i) * PAGE;
    put(m.tables, ROOT + 3, 2 + i, frame | 0x67 | NO_EXECUTE);
  }
  // In memory and entered once, as a machine in the pool is.
  memset(m.bank + FIRST_FRAME * PAGE, 0, (size_t)pages * PAGE);
  step(&m);
  uint64_t start = now_ns();
  if (mmap(base, BASE_BYTES, PROT_READ, MAP_SHARED | MAP_FIXED, image, 0) == MAP_FAILED) {
    fail("mmap of the image");
  }
  size_t bytes = (size_t)pages * PAGE;
  if (pread(image, m.bank + FIRST_FRAME * PAGE, bytes, 0) != (ssize_t)bytes) fail("pread");
  m.regs.rip = CODE_GVA;
  m.regs.rdi = CODE_GVA + 2 * PAGE;
  m.regs.rsi = m.regs.rdi + bytes;
  step(&m);
  uint64_t end = now_ns();
  munmap(m.run, m.run_bytes);
  close(m.vcpu);
  close(m.vm);
  close(m.kvm);
  munmap(m.tables, TABLE_BYTES);
  munmap(m.bank, BANK_BYTES);
  munmap(base, BASE_BYTES);
  return end - start;
}

int main(int count, char **arguments) {
  if (count != 3) return 2;
  int image = must(open(arguments[1], O_RDONLY | O_CLOEXEC), arguments[1]);
  int pages = atoi(arguments[2]);
  if (pages < 0 || pages > PAGES_MOST) return 2;
  char line[32];
  while (fgets(line, sizeof line, stdin) != NULL) {
    printf("%llu\n", (unsigned long long)measure(image, pages));
    fflush(stdout);
  }
  return 0;
}
