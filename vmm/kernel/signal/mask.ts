// Signal sets: bit n-1 of a bigint stands for signal n. The mask of a thread and its temporary
// replacement during sigsuspend, ppoll, pselect6 and epoll_pwait.
//
//   beginTemporaryMask ─► handler blocks, is executed again … ─► deliverSignals puts the mask back:
//                                     a signal frame saves the old mask, or the call is over
import { EFAULT, EINVAL } from '../../abi/errno.ts';
import { SIGKILL, SIGSTOP } from '../../abi/signal.ts';
import type { Kernel } from '../kernel.ts';
import { TASK_BLOCKED, type Task } from '../records/task.ts';
import { readStruct } from '../mm/user-memory.ts';
import { wakeTask } from '../task/block.ts';
import { hasDeliverableSignal } from './pending.ts';
import { SIGNAL_BITS, signalBit } from './set.ts';

/** SIGKILL and SIGSTOP: no mask ever has them. */
export const UNBLOCKABLE: bigint = signalBit(SIGKILL) | signalBit(SIGSTOP);
/** sizeof(sigset_t) in the kernel's ABI. */
export const SIGSET_BYTES = 8;

/** Sets a thread's mask; SIGKILL and SIGSTOP are left out of it. */
export function setMask(k: Kernel, task: Task, mask: bigint): void {
  const wanted = mask & ~UNBLOCKABLE & SIGNAL_BITS;
  const newlyBlocked = wanted & ~task.mask;
  task.mask = wanted;
  if (newlyBlocked !== 0n && task.process.pending !== null) offerPending(k, task);
}

/**
 * Signals of the process that `task` does not take any more may be somebody else's (Linux:
 * retarget_shared_pending): wakes the blocked threads that can take one.
 */
export function offerPending(k: Kernel, task: Task): void {
  const { tasks } = task.process;
  for (let i = 0; i < tasks.length; i++) {
    const other = tasks.get(i);
    if (other === null || other === task || other.state !== TASK_BLOCKED) continue;
    if (hasDeliverableSignal(other)) wakeTask(k, other);
  }
}

/** Reads a sigset_t of the guest; null is EFAULT. */
export function readSignalSet(k: Kernel, gva: number): bigint | null {
  return readStruct(k, gva, SIGSET_BYTES)?.getBigUint64(0, true) ?? null;
}

/**
 * First step of ppoll, pselect6, epoll_pwait: replaces the mask for the call, once. A null pointer
 * (gva 0) changes nothing. When the call ends, deliverSignals() puts the old mask back.
 * @returns 0, -EINVAL for a wrong size, -EFAULT
 */
export function beginTemporaryMask(k: Kernel, task: Task, gva: number, bytes: number): number {
  if (gva === 0 || task.hasSavedMask) return 0;
  if (bytes !== SIGSET_BYTES) return -EINVAL;
  const wanted = readSignalSet(k, gva);
  if (wanted === null) return -EFAULT;
  replaceMask(k, task, wanted);
  return 0;
}

/** Sets a mask that lasts until the call ends (sigsuspend). */
export function replaceMask(k: Kernel, task: Task, mask: bigint): void {
  task.savedMask = task.mask;
  task.hasSavedMask = true;
  setMask(k, task, mask);
}

/** Puts the mask back that a temporary one replaced. */
export function restoreMask(k: Kernel, task: Task): void {
  if (!task.hasSavedMask) return;
  task.hasSavedMask = false;
  setMask(k, task, task.savedMask);
  task.savedMask = 0n;
}
