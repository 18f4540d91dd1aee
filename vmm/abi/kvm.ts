// KVM: request numbers, capabilities, exit reasons, MSRs, and the structs its ioctls take. What
// KVM_RUN shares is in kvm-run.ts. Source: <linux/kvm.h>, <asm/kvm.h> and the kernel's
// Documentation/virt/kvm/api.rst.
import {
  blob, type Codec, type Layout, pad, struct, u16, u32, u64, u8, usize,
} from './layout.ts';

// What KVM_GET_API_VERSION answers
export const KVM_API_VERSION = 12;

// Requests of /dev/kvm
export const KVM_GET_API_VERSION = 0xae00;
export const KVM_CREATE_VM = 0xae01;
export const KVM_GET_MSR_INDEX_LIST = 0xc004ae02;
export const KVM_CHECK_EXTENSION = 0xae03;
export const KVM_GET_VCPU_MMAP_SIZE = 0xae04;
export const KVM_GET_SUPPORTED_CPUID = 0xc008ae05;
export const KVM_GET_MSR_FEATURE_INDEX_LIST = 0xc004ae0a;

// Requests of a VM
export const KVM_CREATE_VCPU = 0xae41;
export const KVM_GET_DIRTY_LOG = 0x4010ae42;
export const KVM_SET_NR_MMU_PAGES = 0xae44;
export const KVM_SET_USER_MEMORY_REGION = 0x4020ae46;
export const KVM_SET_TSS_ADDR = 0xae47;
export const KVM_SET_IDENTITY_MAP_ADDR = 0x4008ae48;
export const KVM_CREATE_IRQCHIP = 0xae60;
export const KVM_IOEVENTFD = 0x4040ae79;
export const KVM_IRQFD = 0x4020ae76;
export const KVM_ENABLE_CAP = 0x4068aea3;
export const KVM_SET_CLOCK = 0x4030ae7b;
export const KVM_GET_CLOCK = 0x8030ae7c;
export const KVM_SET_TSC_KHZ = 0xaea2;
export const KVM_GET_TSC_KHZ = 0xaea3;

// Requests of a vCPU
export const KVM_RUN = 0xae80;
export const KVM_GET_REGS = 0x8090ae81;
export const KVM_SET_REGS = 0x4090ae82;
export const KVM_GET_SREGS = 0x8138ae83;
export const KVM_SET_SREGS = 0x4138ae84;
export const KVM_GET_SREGS2 = 0x8140aecc;
export const KVM_SET_SREGS2 = 0x4140aecd;
export const KVM_TRANSLATE = 0xc018ae85;
export const KVM_INTERRUPT = 0x4004ae86;
export const KVM_GET_MSRS = 0xc008ae88;
export const KVM_SET_MSRS = 0x4008ae89;
export const KVM_SET_SIGNAL_MASK = 0x4004ae8b;
export const KVM_GET_FPU = 0x81a0ae8c;
export const KVM_SET_FPU = 0x41a0ae8d;
export const KVM_SET_CPUID2 = 0x4008ae90;
export const KVM_GET_CPUID2 = 0xc008ae91;
export const KVM_GET_VCPU_EVENTS = 0x8040ae9f;
export const KVM_SET_VCPU_EVENTS = 0x4040aea0;
export const KVM_GET_DEBUGREGS = 0x8080aea1;
export const KVM_SET_DEBUGREGS = 0x4080aea2;
export const KVM_GET_XSAVE = 0x9000aea4;
export const KVM_SET_XSAVE = 0x5000aea5;
export const KVM_GET_XSAVE2 = 0x9000aecf;
export const KVM_GET_XCRS = 0x8188aea6;
export const KVM_SET_XCRS = 0x4188aea7;
export const KVM_SET_GUEST_DEBUG = 0x4048ae9b;
export const KVM_KVMCLOCK_CTRL = 0xaead;
export const KVM_GET_MP_STATE = 0x8004ae98;
export const KVM_SET_MP_STATE = 0x4004ae99;

// Capabilities (KVM_CHECK_EXTENSION)
export const KVM_CAP_USER_MEMORY = 3;
export const KVM_CAP_EXT_CPUID = 7;
export const KVM_CAP_NR_VCPUS = 9;
export const KVM_CAP_NR_MEMSLOTS = 10;
export const KVM_CAP_SYNC_MMU = 16;
export const KVM_CAP_DESTROY_MEMORY_REGION_WORKS = 21;
export const KVM_CAP_JOIN_MEMORY_REGIONS_WORKS = 30;
export const KVM_CAP_INTERNAL_ERROR_DATA = 40;
export const KVM_CAP_VCPU_EVENTS = 41;
export const KVM_CAP_DEBUGREGS = 50;
export const KVM_CAP_XSAVE = 55;
export const KVM_CAP_XCRS = 56;
export const KVM_CAP_TSC_CONTROL = 60;
export const KVM_CAP_GET_TSC_KHZ = 61;
export const KVM_CAP_MAX_VCPUS = 66;
export const KVM_CAP_TSC_DEADLINE_TIMER = 72;
export const KVM_CAP_SYNC_REGS = 74;
export const KVM_CAP_READONLY_MEM = 81;
export const KVM_CAP_EXT_EMUL_CPUID = 95;
export const KVM_CAP_IMMEDIATE_EXIT = 136;
export const KVM_CAP_EXCEPTION_PAYLOAD = 164;
export const KVM_CAP_MULTI_ADDRESS_SPACE = 118;
export const KVM_CAP_MAX_VCPU_ID = 128;
export const KVM_CAP_XSAVE2 = 208;
export const KVM_CAP_SYS_ATTRIBUTES = 209;
export const KVM_CAP_VM_TSC_CONTROL = 214;
export const KVM_CAP_X86_DISABLE_EXITS = 143;
export const KVM_CAP_SET_GUEST_DEBUG = 23;
export const KVM_CAP_HALT_POLL = 182;
export const KVM_CAP_DIRTY_LOG_RING = 192;
export const KVM_CAP_X86_USER_SPACE_MSR = 188;
export const KVM_CAP_USER_MEMORY2 = 231;
export const KVM_CAP_GUEST_MEMFD = 234;

// Bits of KVM_CAP_SYNC_REGS, kvm_valid_regs and kvm_dirty_regs
export const KVM_SYNC_X86_REGS = 0x1;
export const KVM_SYNC_X86_SREGS = 0x2;
export const KVM_SYNC_X86_EVENTS = 0x4;

// Slot flags
export const KVM_MEM_LOG_DIRTY_PAGES = 0x1;
export const KVM_MEM_READONLY = 0x2;
export const KVM_MEM_GUEST_MEMFD = 0x4;

// Why KVM_RUN came back (kvm_run.exit_reason)
export const KVM_EXIT_UNKNOWN = 0;
export const KVM_EXIT_EXCEPTION = 1;
export const KVM_EXIT_IO = 2;
export const KVM_EXIT_HYPERCALL = 3;
export const KVM_EXIT_DEBUG = 4;
export const KVM_EXIT_HLT = 5;
export const KVM_EXIT_MMIO = 6;
export const KVM_EXIT_IRQ_WINDOW_OPEN = 7;
export const KVM_EXIT_SHUTDOWN = 8;
export const KVM_EXIT_FAIL_ENTRY = 9;
export const KVM_EXIT_INTR = 10;
export const KVM_EXIT_SET_TPR = 11;
export const KVM_EXIT_TPR_ACCESS = 12;
export const KVM_EXIT_NMI = 16;
export const KVM_EXIT_INTERNAL_ERROR = 17;
export const KVM_EXIT_SYSTEM_EVENT = 24;
export const KVM_EXIT_X86_RDMSR = 29;
export const KVM_EXIT_X86_WRMSR = 30;
export const KVM_EXIT_NOTIFY = 37;
export const KVM_EXIT_MEMORY_FAULT = 39;

// kvm_run.io.direction
export const KVM_EXIT_IO_IN = 0;
export const KVM_EXIT_IO_OUT = 1;

// kvm_run.internal.suberror
export const KVM_INTERNAL_ERROR_EMULATION = 1;
export const KVM_INTERNAL_ERROR_SIMUL_EX = 2;
export const KVM_INTERNAL_ERROR_DELIVERY_EV = 3;
export const KVM_INTERNAL_ERROR_UNEXPECTED_EXIT_REASON = 4;

// kvm_cpuid_entry2.flags
export const KVM_CPUID_FLAG_SIGNIFCANT_INDEX = 1;
export const KVM_CPUID_FLAG_STATEFUL_FUNC = 2;
export const KVM_CPUID_FLAG_STATE_READ_NEXT = 4;

// kvm_vcpu_events.flags
export const KVM_VCPUEVENT_VALID_NMI_PENDING = 0x1;
export const KVM_VCPUEVENT_VALID_SIPI_VECTOR = 0x2;
export const KVM_VCPUEVENT_VALID_SHADOW = 0x4;
export const KVM_VCPUEVENT_VALID_SMM = 0x8;
export const KVM_VCPUEVENT_VALID_PAYLOAD = 0x10;
export const KVM_VCPUEVENT_VALID_TRIPLE_FAULT = 0x20;

// Model-specific registers (Intel SDM volume 4)
export const MSR_IA32_TSC = 0x10;
export const MSR_IA32_TSC_ADJUST = 0x3b;
export const MSR_IA32_SYSENTER_CS = 0x174;
export const MSR_IA32_SYSENTER_ESP = 0x175;
export const MSR_IA32_SYSENTER_EIP = 0x176;
export const MSR_IA32_MISC_ENABLE = 0x1a0;
export const MSR_IA32_CR_PAT = 0x277;
export const MSR_IA32_TSC_DEADLINE = 0x6e0;
export const MSR_IA32_XSS = 0xda0;
export const MSR_EFER = 0xc0000080;
export const MSR_STAR = 0xc0000081;
export const MSR_LSTAR = 0xc0000082;
export const MSR_CSTAR = 0xc0000083;
export const MSR_SYSCALL_MASK = 0xc0000084;
export const MSR_FS_BASE = 0xc0000100;
export const MSR_GS_BASE = 0xc0000101;
export const MSR_KERNEL_GS_BASE = 0xc0000102;
export const MSR_TSC_AUX = 0xc0000103;
export const MSR_KVM_WALL_CLOCK_NEW = 0x4b564d00;
export const MSR_KVM_SYSTEM_TIME_NEW = 0x4b564d01;

/** `struct kvm_userspace_memory_region`: one slot of guest-physical memory. */
export const KvmUserspaceMemoryRegion: Layout<
  'slot' | 'flags' | 'guest_phys_addr' | 'memory_size' | 'userspace_addr'
> = struct('kvm_userspace_memory_region', 32, {
  slot: u32,
  flags: u32,
  guest_phys_addr: usize,
  memory_size: usize,
  userspace_addr: usize,
});

/** `struct kvm_regs`: the general registers, in the order that the whole kernel uses. */
export const KvmRegs: Layout<
  never,
  | 'rax' | 'rbx' | 'rcx' | 'rdx' | 'rsi' | 'rdi' | 'rsp' | 'rbp'
  | 'r8' | 'r9' | 'r10' | 'r11' | 'r12' | 'r13' | 'r14' | 'r15' | 'rip' | 'rflags'
> = struct('kvm_regs', 144, {
  rax: u64, rbx: u64, rcx: u64, rdx: u64,
  rsi: u64, rdi: u64, rsp: u64, rbp: u64,
  r8: u64, r9: u64, r10: u64, r11: u64,
  r12: u64, r13: u64, r14: u64, r15: u64,
  rip: u64, rflags: u64,
});

/** `struct kvm_segment` */
export const KvmSegment: Layout<
  | 'limit' | 'selector' | 'type' | 'present' | 'dpl' | 'db' | 's' | 'l' | 'g' | 'avl' | 'unusable',
  'base'
> = struct('kvm_segment', 24, {
  base: u64,
  limit: u32,
  selector: u16,
  type: u8,
  present: u8,
  dpl: u8,
  db: u8,
  s: u8,
  l: u8,
  g: u8,
  avl: u8,
  unusable: u8,
  _pad: u8,
});

/** `struct kvm_dtable` */
export const KvmDtable: Layout<'limit', 'base'> =
  struct('kvm_dtable', 16, { base: u64, limit: u16, _pad: pad(6) });

const segment: Codec<number> = blob(24, 8);
const table: Codec<number> = blob(16, 8);

/** `struct kvm_sregs`: segments are KvmSegment and tables KvmDtable at their offsets. */
export const KvmSregs: Layout<
  | 'cs' | 'ds' | 'es' | 'fs' | 'gs' | 'ss' | 'tr' | 'ldt' | 'gdt' | 'idt' | 'interrupt_bitmap',
  'cr0' | 'cr2' | 'cr3' | 'cr4' | 'cr8' | 'efer' | 'apic_base'
> = struct('kvm_sregs', 312, {
  cs: segment, ds: segment, es: segment, fs: segment, gs: segment, ss: segment,
  tr: segment, ldt: segment,
  gdt: table, idt: table,
  cr0: u64, cr2: u64, cr3: u64, cr4: u64, cr8: u64,
  efer: u64,
  apic_base: u64,
  interrupt_bitmap: blob(32, 8),
});

/** `struct kvm_cpuid_entry2`; the table is a header { u32 nent; u32 padding } and entries. */
export const KvmCpuidEntry2: Layout<
  'function' | 'index' | 'flags' | 'eax' | 'ebx' | 'ecx' | 'edx'
> = struct('kvm_cpuid_entry2', 40, {
  function: u32, index: u32, flags: u32,
  eax: u32, ebx: u32, ecx: u32, edx: u32,
  _pad: pad(12, 4),
});

/** `struct kvm_cpuid2`: followed by `nent` entries. */
export const KvmCpuid2: Layout<'nent' | 'padding'> =
  struct('kvm_cpuid2', 8, { nent: u32, padding: u32 });

/** `struct kvm_msrs`: followed by `nmsrs` entries. */
export const KvmMsrs: Layout<'nmsrs' | 'pad'> = struct('kvm_msrs', 8, { nmsrs: u32, pad: u32 });

/** `struct kvm_msr_entry` */
export const KvmMsrEntry: Layout<'index' | 'reserved', 'data'> =
  struct('kvm_msr_entry', 16, { index: u32, reserved: u32, data: u64 });

/** `struct kvm_xcr` */
export const KvmXcr: Layout<'xcr' | 'reserved', 'value'> =
  struct('kvm_xcr', 16, { xcr: u32, reserved: u32, value: u64 });

/** `struct kvm_xcrs`: up to 16 KvmXcr at `xcrs`. */
export const KvmXcrs: Layout<'nr_xcrs' | 'flags' | 'xcrs'> = struct('kvm_xcrs', 392, {
  nr_xcrs: u32,
  flags: u32,
  xcrs: blob(256, 8),
  _pad: pad(128, 8),
});

/** `struct kvm_signal_mask`: `len` (8 on x86-64) bytes of sigset follow at once, unaligned. */
export const KvmSignalMask: Layout<'len'> = struct('kvm_signal_mask', 4, { len: u32 });

/** `struct kvm_vcpu_events` */
export const KvmVcpuEvents: Layout<
  | 'exception_injected' | 'exception_nr' | 'exception_has_error_code' | 'exception_pending'
  | 'exception_error_code' | 'interrupt_injected' | 'interrupt_nr' | 'interrupt_soft'
  | 'interrupt_shadow' | 'nmi_injected' | 'nmi_pending' | 'nmi_masked' | 'sipi_vector' | 'flags'
  | 'smi_smm' | 'smi_pending' | 'smi_smm_inside_nmi' | 'smi_latched_init'
  | 'triple_fault_pending' | 'exception_has_payload',
  'exception_payload'
> = struct('kvm_vcpu_events', 64, {
  exception_injected: u8,
  exception_nr: u8,
  exception_has_error_code: u8,
  exception_pending: u8,
  exception_error_code: u32,
  interrupt_injected: u8,
  interrupt_nr: u8,
  interrupt_soft: u8,
  interrupt_shadow: u8,
  nmi_injected: u8,
  nmi_pending: u8,
  nmi_masked: u8,
  _pad: u8,
  sipi_vector: u32,
  flags: u32,
  smi_smm: u8,
  smi_pending: u8,
  smi_smm_inside_nmi: u8,
  smi_latched_init: u8,
  triple_fault_pending: u8,
  _reserved: pad(26),
  exception_has_payload: u8,
  exception_payload: u64,
});

/** `struct kvm_debugregs`: db is four u64. */
export const KvmDebugregs: Layout<'db', 'dr6' | 'dr7' | 'flags'> = struct('kvm_debugregs', 128, {
  db: blob(32, 8),
  dr6: u64,
  dr7: u64,
  flags: u64,
  _reserved: pad(72, 8),
});

/** Bytes of `struct kvm_xsave` (KVM_GET_XSAVE); KVM_CAP_XSAVE2 tells what KVM_GET_XSAVE2 needs. */
export const KVM_XSAVE_BYTES = 4096;
