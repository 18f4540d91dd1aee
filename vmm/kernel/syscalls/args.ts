// A system call's six arguments as the handler wants them, read from the task's saved registers.
// Register order in `struct kvm_regs`: rax rbx rcx rdx rsi rdi rsp rbp r8…r15 rip rflags.
import { view } from '../state/memory.ts';
import { Task } from '../records/task.ts';

const REGS = Task.offset('regs');
/** Byte offsets in the register block of rdi, rsi, rdx, r10, r8, r9. */
const ARGUMENT_OFFSETS = [40, 32, 24, 80, 64, 72] as const;
const TWO_32 = 0x1_0000_0000;

/** Offsets of registers in the block (bytes). */
export const REG = {
  rax: 0, rbx: 8, rcx: 16, rdx: 24, rsi: 32, rdi: 40, rsp: 48, rbp: 56,
  r8: 64, r9: 72, r10: 80, r11: 88, r12: 96, r13: 104, r14: 112, r15: 120, rip: 128, rflags: 136,
} as const;

export interface Args {
  /** Unsigned 64-bit as a number; exact below 2^53, above only good for "too large". */
  u64(index: number): number;
  /** Signed 64-bit as a number (exact within ±2^53). */
  i64(index: number): number;
  u32(index: number): number;
  i32(index: number): number;
  big(index: number): bigint;
}

class TaskArgs implements Args {
  base: number = 0;
  u64(index: number): number {
    const at = this.base + (ARGUMENT_OFFSETS[index] as number);
    return view.getUint32(at, true) + view.getUint32(at + 4, true) * TWO_32;
  }
  i64(index: number): number {
    const at = this.base + (ARGUMENT_OFFSETS[index] as number);
    return view.getUint32(at, true) + view.getInt32(at + 4, true) * TWO_32;
  }
  u32(index: number): number {
    return view.getUint32(this.base + (ARGUMENT_OFFSETS[index] as number), true);
  }
  i32(index: number): number {
    return view.getInt32(this.base + (ARGUMENT_OFFSETS[index] as number), true);
  }
  big(index: number): bigint {
    return view.getBigUint64(this.base + (ARGUMENT_OFFSETS[index] as number), true);
  }
}

const shared: TaskArgs = new TaskArgs();

/**
 * The arguments of `task`'s current call. Ownership: one object, valid until the next call of this.
 */
export function argsOf(task: Task): Args {
  shared.base = task.address + REGS;
  return shared;
}

/** Reads a saved register as a number (exact below 2^53). */
export function getReg(task: Task, offset: number): number {
  const at = task.address + REGS + offset;
  return view.getUint32(at, true) + view.getUint32(at + 4, true) * TWO_32;
}

export function getRegBig(task: Task, offset: number): bigint {
  return view.getBigUint64(task.address + REGS + offset, true);
}

/** Writes a saved register; negative numbers become two's complement. */
export function setReg(task: Task, offset: number, value: number): void {
  const at = task.address + REGS + offset;
  const high = Math.floor(value / TWO_32);
  view.setUint32(at, value - high * TWO_32, true);
  view.setInt32(at + 4, high | 0, true);
}

export function setRegBig(task: Task, offset: number, value: bigint): void {
  view.setBigUint64(task.address + REGS + offset, value, true);
}
