// What a guest may have in its registers. Whatever comes from its memory or past its stub is
// checked here before the vCPU sees it.
import type { Task } from '../records/task.ts';
import { getRegBig, REG, setRegBig } from '../syscalls/args.ts';

/** CF PF AF ZF SF TF DF OF AC: what rt_sigreturn restores (Linux: FIX_EFLAGS). */
export const SIGRETURN_FLAGS = 0x4_0dd5n;
/** The flags above and ID: what user code can change itself. */
const USER_FLAGS = SIGRETURN_FLAGS | 0x20_0000n;
/** IF, and bit 1, which is always set. */
const FIXED_FLAGS = 0x202n;
const USER_CEILING = 0x8000_0000_0000n;

/** Leaves only flags that user code may have; IF is always on. */
export function sanitizeFlags(task: Task): void {
  const flags = getRegBig(task, REG.rflags);
  setRegBig(task, REG.rflags, (flags & USER_FLAGS) | FIXED_FLAGS);
}

/**
 * Makes the registers safe to load.
 * @returns whether rip is a user address; when it is not, the thread must not enter the guest
 */
export function sanitizeUserRegs(task: Task): boolean {
  sanitizeFlags(task);
  return getRegBig(task, REG.rip) < USER_CEILING;
}
