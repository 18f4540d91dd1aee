// Offsets in struct kvm_run that every exit uses, as plain constants (abi/kvm-run.ts declares
// them).
import { KvmRun } from '../abi/kvm-run.ts';

export const RUN_EXIT_REASON_OFFSET: number = KvmRun.exit_reason.offset;
export const RUN_IO_PORT_OFFSET: number = KvmRun.io_port.offset;
export const RUN_VALID_OFFSET: number = KvmRun.kvm_valid_regs.offset;
export const RUN_DIRTY_OFFSET: number = KvmRun.kvm_dirty_regs.offset;
export const RUN_REGS_OFFSET: number = KvmRun.regs.offset;
export const RUN_SREGS_OFFSET: number = KvmRun.sregs.offset;
