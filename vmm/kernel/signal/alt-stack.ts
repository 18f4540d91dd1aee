// The alternate signal stack of a thread, sigaltstack(2). No bytes = disabled. Task.altStackFlags
// are the flags as they were given (Linux: sas_ss_flags), which frames and the next call see again.
import { SS_AUTODISARM, SS_DISABLE, SS_ONSTACK } from '../../abi/signal.ts';
import { StackT } from '../../abi/struct-signal.ts';
import type { Task } from '../records/task.ts';

/** Whether `rsp` lies in the area, whatever SS_AUTODISARM says. */
export function isWithinAltStack(task: Task, rsp: number): boolean {
  return rsp > task.altStack && rsp - task.altStack <= task.altStackBytes;
}

/** Whether a thread with this stack pointer is on its alternate stack (Linux: on_sig_stack). */
export function isOnAltStack(task: Task, rsp: number): boolean {
  if ((task.altStackFlags & SS_AUTODISARM) !== 0) return false;
  return isWithinAltStack(task, rsp);
}

/** SS_DISABLE, SS_ONSTACK or 0 (Linux: sas_ss_flags). */
export function altStackState(task: Task, rsp: number): number {
  if (task.altStackBytes === 0) return SS_DISABLE;
  return isOnAltStack(task, rsp) ? SS_ONSTACK : 0;
}

/**
 * Writes the thread's stack_t at `at`.
 * @param flags what it shows: sigaltstack(2) tells the state, a signal frame the flags as given
 */
export function encodeAltStack(task: Task, flags: number, view: DataView, at: number): void {
  StackT.ss_sp.set(view, at, task.altStack);
  StackT.ss_flags.set(view, at, flags | 0);
  StackT.ss_size.set(view, at, task.altStackBytes);
}

/** ss_flags as sigaltstack(2) tells them. */
export function shownFlags(task: Task, rsp: number): number {
  return altStackState(task, rsp) | task.altStackFlags & SS_AUTODISARM;
}

export function setAltStack(task: Task, gva: number, bytes: number, flags: number): void {
  task.altStack = gva;
  task.altStackBytes = bytes;
  task.altStackFlags = flags >>> 0;
}

/** Linux: sas_ss_reset(). */
export function disableAltStack(task: Task): void {
  setAltStack(task, 0, 0, SS_DISABLE);
}
