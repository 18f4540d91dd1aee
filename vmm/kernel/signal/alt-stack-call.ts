// Setting the alternate stack: sigaltstack(2), and the one that rt_sigreturn brings back.
import { EINVAL, ENOMEM, EPERM } from '../../abi/errno.ts';
import {
  MINSIGSTKSZ, SS_AUTODISARM, SS_DISABLE, SS_ONSTACK,
} from '../../abi/signal.ts';
import { StackT } from '../../abi/struct-signal.ts';
import type { Task } from '../records/task.ts';
import { getReg, REG } from '../syscalls/args.ts';
import { isOnAltStack, setAltStack } from './alt-stack.ts';

/**
 * Takes over the stack_t at `at` (Linux: do_sigaltstack).
 * @param rsp the thread's stack pointer: a stack in use cannot be changed
 * @returns 0, -EPERM, -EINVAL, -ENOMEM
 */
export function applyAltStack(task: Task, rsp: number, view: DataView, at: number): number {
  const gva = StackT.ss_sp.get(view, at);
  const flags = StackT.ss_flags.get(view, at) >>> 0;
  const bytes = StackT.ss_size.get(view, at);
  if (isOnAltStack(task, rsp)) return -EPERM;
  const mode = (flags & ~SS_AUTODISARM) >>> 0;
  if (mode !== SS_DISABLE && mode !== SS_ONSTACK && mode !== 0) return -EINVAL;
  // Linux: what changes nothing is right, even a stack without bytes.
  const isSame = task.altStack === gva && task.altStackBytes === bytes &&
    task.altStackFlags === flags;
  if (isSame) return 0;
  if (mode === SS_DISABLE) {
    setAltStack(task, 0, 0, flags);
    return 0;
  }
  if (bytes < MINSIGSTKSZ) return -ENOMEM;
  setAltStack(task, gva, bytes, flags);
  return 0;
}

/** Linux: restore_altstack() ignores every error. Order: after the registers are back. */
export function restoreAltStack(task: Task, view: DataView, at: number): void {
  applyAltStack(task, getReg(task, REG.rsp), view, at);
}
