// Timeouts of calls that are executed again while they wait: the deadline is set once and kept in
// the task, so that a later execution neither reads the guest's timeout again nor starts it anew.
//
// Task.waitState has WAIT_STARTED after the first execution; calls may use the other bits.
import { EAGAIN, EFAULT, EINTR, EINVAL } from '../../abi/errno.ts';
import { readI64 } from '../../abi/layout.ts';
import { NSEC_PER_SEC } from '../../abi/time.ts';
import type { Kernel } from '../kernel.ts';
import { readStruct } from '../mm/user-memory.ts';
import type { Task, WaitQueue } from '../records/task.ts';
import { ERESTARTSYS } from '../syscalls/define.ts';
import { block } from '../task/block.ts';
import { FOREVER_NS, nowNs, toNs } from '../time/clock.ts';

/** Bit of Task.waitState: the deadline is set. */
export const WAIT_STARTED = 0x8000_0000;

/** Sets the deadline on the first execution of a call. `timeoutNs` Infinity: it waits for ever. */
export function startWait(k: Kernel, task: Task, timeoutNs: number): void {
  if (hasStarted(task)) return;
  task.waitState = (task.waitState | WAIT_STARTED) >>> 0;
  if (timeoutNs === Infinity || timeoutNs === 0) return;
  // A restarted call gets the deadline of its first life back from block().
  task.waitDeadlineNs = Math.min(nowNs(k) + timeoutNs, FOREVER_NS);
}

/** Whether this is a later execution of the call. */
export function hasStarted(task: Task): boolean {
  return (task.waitState & WAIT_STARTED) !== 0;
}

/** Whether the deadline has passed. */
export function hasTimedOut(k: Kernel, task: Task): boolean {
  return task.waitDeadlineNs !== 0 && nowNs(k) >= task.waitDeadlineNs;
}

/**
 * Waits in `queue` for at most `timeoutNs` (Infinity: for ever), counted from the first execution.
 * @returns BLOCKED, -EAGAIN when the time is over, or the code of an interruption
 */
export function waitInQueue(k: Kernel, task: Task, queue: WaitQueue, timeoutNs: number): number {
  if (timeoutNs === 0) return -EAGAIN;
  startWait(k, task, timeoutNs);
  if (hasTimedOut(k, task)) return -EAGAIN;
  // Linux: sock_intr_errno, a call with a timeout is not restarted.
  return block(k, task, [queue], timeoutNs === Infinity ? ERESTARTSYS : EINTR);
}

/** Time left until the deadline, at least 0. Preconditions: there is a deadline. */
export function timeLeftNs(k: Kernel, task: Task): number {
  return Math.max(0, task.waitDeadlineNs - nowNs(k));
}

/**
 * Reads a relative `struct timespec` as nanoseconds; a null pointer is Infinity. On later
 * executions of a call the guest's memory counts no more: the answer is then Infinity, the deadline
 * is in the task.
 * @returns the timeout, -EFAULT or -EINVAL
 */
export function readTimeout(k: Kernel, task: Task, gva: number): number {
  if (gva === 0 || hasStarted(task)) return Infinity;
  const view = readStruct(k, gva, 16);
  if (view === null) return -EFAULT;
  return toTimeout(readI64(view, 0), readI64(view, 8));
}

/**
 * Checks and joins seconds and nanoseconds as timespec64_valid() does; -EINVAL when they are bad.
 */
export function toTimeout(sec: number, nsec: number): number {
  if (sec < 0 || nsec < 0 || nsec >= NSEC_PER_SEC) return -EINVAL;
  return toNs(sec, nsec);
}
