// `struct kvm_run`: the page that a vCPU shares with the VMM. KVM_RUN tells there why it came back;
// with KVM_CAP_SYNC_REGS the registers travel there too. Source: <linux/kvm.h>.
//
//   0 in: request_interrupt_window, immediate_exit    8 out: exit_reason …
//   32 union by exit_reason, 256 bytes                288 kvm_valid_regs, kvm_dirty_regs
//   304 s.regs: kvm_regs (144) | kvm_sregs (312) | kvm_vcpu_events (64), in 2048 bytes
import { blob, type Layout, pad, struct, u16, u32, u64, u8, usize } from './layout.ts';

/** The union is declared as `io`, the exit that a system call takes. */
export const KvmRun: Layout<
  | 'request_interrupt_window' | 'immediate_exit' | 'exit_reason' | 'ready_for_interrupt_injection'
  | 'if_flag' | 'flags' | 'io_direction' | 'io_size' | 'io_port' | 'io_count' | 'io_data_offset'
  | 'regs' | 'sregs' | 'events',
  'cr8' | 'apic_base' | 'kvm_valid_regs' | 'kvm_dirty_regs'
> = struct('kvm_run', 2352, {
  request_interrupt_window: u8,
  immediate_exit: u8,
  _pad1: pad(6),
  exit_reason: u32,
  ready_for_interrupt_injection: u8,
  if_flag: u8,
  flags: u16,
  cr8: u64,
  apic_base: u64,
  io_direction: u8,
  io_size: u8,
  io_port: u16,
  io_count: u32,
  io_data_offset: usize,
  _pad2: pad(240),
  kvm_valid_regs: u64,
  kvm_dirty_regs: u64,
  regs: blob(144, 8),
  sregs: blob(312, 8),
  events: blob(64, 8),
  _pad3: pad(1528),
});

/** Where the union begins; the layouts below are relative to it. */
export const KVM_RUN_UNION_OFFSET: number = KvmRun.io_direction.offset;

/** KVM_EXIT_UNKNOWN and KVM_EXIT_FAIL_ENTRY: the reason that the hardware gave. */
export const KvmExitFailEntry: Layout<'cpu', 'hardware_entry_failure_reason'> =
  struct('kvm_run.fail_entry', 16, { hardware_entry_failure_reason: u64, cpu: u32, _pad: u32 });

/** KVM_EXIT_EXCEPTION */
export const KvmExitException: Layout<'exception' | 'error_code'> =
  struct('kvm_run.ex', 8, { exception: u32, error_code: u32 });

/** KVM_EXIT_MMIO: an access to guest-physical memory that no slot covers. */
export const KvmExitMmio: Layout<'data' | 'len' | 'is_write', 'phys_addr'> =
  struct('kvm_run.mmio', 24, {
    phys_addr: u64,
    data: blob(8),
    len: u32,
    is_write: u8,
    _pad: pad(3),
  });

/** KVM_EXIT_INTERNAL_ERROR: `ndata` u64 at `data`. */
export const KvmExitInternal: Layout<'suberror' | 'ndata' | 'data'> =
  struct('kvm_run.internal', 136, { suberror: u32, ndata: u32, data: blob(128, 8) });

/** KVM_INTERNAL_ERROR_EMULATION, when flags bit 0 is set: the instruction that failed. */
export const KvmExitEmulationFailure: Layout<
  'suberror' | 'ndata' | 'insn_size' | 'insn_bytes',
  'flags'
> = struct('kvm_run.emulation_failure', 32, {
  suberror: u32,
  ndata: u32,
  flags: u64,
  insn_size: u8,
  insn_bytes: blob(15),
});
