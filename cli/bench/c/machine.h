// The machine that vmm/machine makes, in C, for programs that measure what KVM costs without
// JavaScript: the same ioctls, the same copies of registers, the same stub.
//
//   gpa 0       table window, 16 MiB     page 0-2 PDPT, PD, PT of the kernel half
//                                        page 3 GDT, 4 TSS, 5 stub, 6 IDT, 7 ring-0 stack
//                                        page 16-19 PML4, PDPT, PD, PT of the guest
//   gpa 4 GiB   bank, 64 MiB             page 1 code at gva 0x400000, page 2 data behind it
#ifndef MACHINE_H
#define MACHINE_H

#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>

enum { PAGE = 4096, TABLE_BYTES = 4096 * PAGE, BANK_BYTES = 64 << 20, CPUID_MAX = 256 };
enum { GDT = 3, TSS = 4, STUB = 5, IDT = 6, STACK = 7, ROOT = 16 };
enum { SYSCALL_PORT = 0x10, EXCEPTION_PORT = 0x20, VECTORS = 32, SLICE_SIGNAL = 39 };

static const uint64_t BANK_GPA = 0x100000000, CODE_GVA = 0x400000, KERNEL_GVA = 0xffffffff80000000;
static const uint64_t TABLE_FLAGS = 0x67, DATA_FLAGS = 0x63, STUB_FLAGS = 0x25;
static const uint64_t NO_EXECUTE = 1ull << 63;
static const uint64_t USER_FLAGS = 0x244dd5, FIXED_FLAGS = 0x202;

struct machine {
  int kvm, vm, vcpu;
  struct kvm_run *run;
  size_t run_bytes;
  uint8_t *tables, *bank;
  struct kvm_segment user_code, user_data;
  struct kvm_regs regs;  // of the guest's thread, as the kernel keeps them in its record
};

static void fail(const char *what) {
  fprintf(stderr, "%s: %s\n", what, strerror(errno));
  exit(1);
}

static int must(int result, const char *what) {
  if (result < 0) fail(what);
  return result;
}

static void *map(size_t bytes) {
  void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (at == MAP_FAILED) fail("mmap");
  return at;
}

static void put(uint8_t *tables, int page, int index, uint64_t entry) {
  memcpy(tables + page * PAGE + index * 8, &entry, 8);
}

static void put_exit(uint8_t *stub, int port) {
  stub[0] = 0xe7;  // out port, eax
  stub[1] = (uint8_t)port;
  stub[2] = 0xf4;  // hlt
}

// The kernel half: 0xffffffff80000000 + 4096 i is GDT, TSS, stub, IDT, stack.
static void write_kernel_half(uint8_t *tables) {
  put(tables, 0, 510, 1 * PAGE | TABLE_FLAGS);
  put(tables, 1, 0, 2 * PAGE | TABLE_FLAGS);
  for (int slot = 0; slot < 5; slot++) {
    uint64_t flags = GDT + slot == STUB ? STUB_FLAGS : DATA_FLAGS | NO_EXECUTE;
    put(tables, 2, slot, (uint64_t)(GDT + slot) * PAGE | flags);
  }
  uint64_t tss = KERNEL_GVA + PAGE, limit = 0x68 + 4;
  uint64_t gdt[] = {
    0, 0x00af9b000000ffff, 0x00cf93000000ffff, 0x00cff3000000ffff, 0x00affb000000ffff,
    limit | (tss & 0xffffff) << 16 | 0x89ull << 40 | (tss >> 24 & 0xff) << 56, tss >> 32,
  };
  memcpy(tables + GDT * PAGE, gdt, sizeof gdt);
  uint64_t stack_top = KERNEL_GVA + 5 * PAGE;
  memcpy(tables + TSS * PAGE + 4, &stack_top, 8);
  memcpy(tables + TSS * PAGE + 0x66, (uint8_t[]){0x68, 0, 0xff, 0xff, 0xf0, 0xff, 0xff}, 7);
  put_exit(tables + STUB * PAGE, SYSCALL_PORT);
  for (int vector = 0; vector < VECTORS; vector++) {
    uint64_t handler = KERNEL_GVA + 2 * PAGE + 0x100 + vector * 16;
    put_exit(tables + STUB * PAGE + 0x100 + vector * 16, EXCEPTION_PORT + vector);
    put(tables, IDT, vector * 2, (handler & 0xffff) | 8 << 16 | 0x8e00ull << 32 |
      (handler >> 16 & 0xffff) << 48);
    put(tables, IDT, vector * 2 + 1, handler >> 32);
  }
}

// One leaf table: entry 0 is the code, entry 1 a data page.
static void write_guest(struct machine *m, const uint8_t *code, size_t bytes) {
  memcpy(m->bank + PAGE, code, bytes);
  put(m->tables, ROOT, 511, TABLE_FLAGS);
  put(m->tables, ROOT, 0, (ROOT + 1) * PAGE | TABLE_FLAGS);
  put(m->tables, ROOT + 1, 0, (ROOT + 2) * PAGE | TABLE_FLAGS);
  put(m->tables, ROOT + 2, 2, (ROOT + 3) * PAGE | TABLE_FLAGS);
  put(m->tables, ROOT + 3, 0, (BANK_GPA + PAGE) | 5);
  put(m->tables, ROOT + 3, 1, (BANK_GPA + 2 * PAGE) | 7 | NO_EXECUTE);
  m->regs.rip = CODE_GVA;
  m->regs.rsp = CODE_GVA + PAGE + 0xff0;
}

static void set_region(int vm, int slot, uint64_t gpa, uint64_t bytes, void *at) {
  struct kvm_userspace_memory_region region = {
    .slot = slot, .guest_phys_addr = gpa, .memory_size = bytes, .userspace_addr = (uintptr_t)at,
  };
  must(ioctl(vm, KVM_SET_USER_MEMORY_REGION, &region), "KVM_SET_USER_MEMORY_REGION");
}

static uint64_t set_cpuid(struct machine *m) {
  struct kvm_cpuid2 *table = calloc(1, sizeof *table + CPUID_MAX * sizeof table->entries[0]);
  table->nent = CPUID_MAX;
  must(ioctl(m->kvm, KVM_GET_SUPPORTED_CPUID, table), "KVM_GET_SUPPORTED_CPUID");
  must(ioctl(m->vcpu, KVM_SET_CPUID2, table), "KVM_SET_CPUID2");
  uint64_t xcr0 = 3;
  for (uint32_t i = 0; i < table->nent; i++) {
    const struct kvm_cpuid_entry2 *entry = &table->entries[i];
    if (entry->function == 0xd && entry->index == 0) xcr0 = (entry->eax & 0xe7) | 3;
  }
  free(table);
  return xcr0;
}

static void set_registers(struct machine *m) {
  struct kvm_xcrs xcrs = { .nr_xcrs = 1, .xcrs[0].value = set_cpuid(m) };
  must(ioctl(m->vcpu, KVM_SET_XCRS, &xcrs), "KVM_SET_XCRS");
  struct { struct kvm_msrs head; struct kvm_msr_entry list[3]; } msrs = {
    .head.nmsrs = 3,
    .list = {
      { .index = 0xc0000081, .data = 0x13ull << 48 | 8ull << 32 },
      { .index = 0xc0000082, .data = KERNEL_GVA + 2 * PAGE },
      { .index = 0xc0000084, .data = 0x47700 },
    },
  };
  if (ioctl(m->vcpu, KVM_SET_MSRS, &msrs) != 3) fail("KVM_SET_MSRS");
  m->user_code = (struct kvm_segment){
    .limit = ~0u, .selector = 0x23, .type = 11, .present = 1, .dpl = 3, .s = 1, .l = 1, .g = 1,
  };
  m->user_data = (struct kvm_segment){
    .limit = ~0u, .selector = 0x1b, .type = 3, .present = 1, .dpl = 3, .db = 1, .s = 1, .g = 1,
  };
  struct kvm_sregs *s = &m->run->s.regs.sregs;
  must(ioctl(m->vcpu, KVM_GET_SREGS, s), "KVM_GET_SREGS");
  s->cs = m->user_code;
  s->ds = s->es = s->fs = s->gs = s->ss = m->user_data;
  s->tr = (struct kvm_segment){
    .base = KERNEL_GVA + PAGE, .limit = 0x68 + 4, .selector = 0x28, .type = 11, .present = 1,
  };
  s->gdt = (struct kvm_dtable){ .base = KERNEL_GVA, .limit = 7 * 8 - 1 };
  s->idt = (struct kvm_dtable){ .base = KERNEL_GVA + 3 * PAGE, .limit = VECTORS * 16 - 1 };
  s->cr0 = 0x80050033;
  s->cr3 = ROOT * PAGE;
  s->cr4 = 0x50620;
  s->efer = 0xd01;
  must(ioctl(m->vcpu, KVM_SET_SREGS, s), "KVM_SET_SREGS");
}

// As vmm/host/slice-timer.ts: KVM_RUN runs with the thread's mask, without the slice signal.
static void set_signal_mask(int vcpu) {
  sigset_t slice, old;
  sigemptyset(&slice);
  sigaddset(&slice, SLICE_SIGNAL);
  pthread_sigmask(SIG_BLOCK, &slice, &old);
  struct { uint32_t bytes; uint8_t set[8]; } __attribute__((packed)) mask = { .bytes = 8 };
  memcpy(mask.set, &old, 8);
  must(ioctl(vcpu, KVM_SET_SIGNAL_MASK, &mask), "KVM_SET_SIGNAL_MASK");
}

static void make_machine(struct machine *m, const uint8_t *code, size_t bytes) {
  m->kvm = must(open("/dev/kvm", O_RDWR | O_CLOEXEC), "/dev/kvm");
  m->tables = map(TABLE_BYTES);
  m->bank = map(BANK_BYTES);
  write_kernel_half(m->tables);
  write_guest(m, code, bytes);
  m->vm = must(ioctl(m->kvm, KVM_CREATE_VM, 0), "KVM_CREATE_VM");
  set_region(m->vm, 0, 0, TABLE_BYTES, m->tables);
  set_region(m->vm, 1, BANK_GPA, BANK_BYTES, m->bank);
  m->vcpu = must(ioctl(m->vm, KVM_CREATE_VCPU, 0), "KVM_CREATE_VCPU");
  m->run_bytes = must(ioctl(m->kvm, KVM_GET_VCPU_MMAP_SIZE, 0), "KVM_GET_VCPU_MMAP_SIZE");
  m->run = mmap(NULL, m->run_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, m->vcpu, 0);
  if (m->run == MAP_FAILED) fail("mmap of the vCPU");
  set_registers(m);
  set_signal_mask(m->vcpu);
  m->run->kvm_valid_regs = KVM_SYNC_X86_REGS | KVM_SYNC_X86_SREGS;
}

// One round trip: load, enter, check that it was a system call, store, go on behind it.
static void step(struct machine *m) {
  struct kvm_run *run = m->run;
  struct kvm_regs *regs = &run->s.regs.regs;
  struct kvm_sregs *sregs = &run->s.regs.sregs;
  *regs = m->regs;
  regs->rflags = (m->regs.rflags & USER_FLAGS) | FIXED_FLAGS;
  sregs->cs = m->user_code;
  sregs->ss = m->user_data;
  sregs->cr3 = ROOT * PAGE;
  run->kvm_dirty_regs = KVM_SYNC_X86_REGS | KVM_SYNC_X86_SREGS;
  must(ioctl(m->vcpu, KVM_RUN, 0), "KVM_RUN");
  uint64_t stub = KERNEL_GVA + 2 * PAGE;
  int is_call = run->exit_reason == KVM_EXIT_IO && run->io.port == SYSCALL_PORT &&
    (regs->rip == stub || regs->rip == stub + 2);
  if (!is_call) {
    fprintf(stderr, "exit reason %u, port 0x%x, rip 0x%llx\n", run->exit_reason, run->io.port,
      (unsigned long long)regs->rip);
    exit(1);
  }
  m->regs = *regs;
  m->regs.rip = regs->rcx;
  m->regs.rflags = regs->r11;
  m->regs.rax = 1;
}

static uint64_t now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000000000ull + now.tv_nsec;
}

#endif
