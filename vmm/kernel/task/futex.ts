// Futexes: waiting and waking by address. (Signatures; the body follows.)
import type { Kernel } from '../kernel.ts';
import type { Task } from '../records/task.ts';

/** Wakes up to `count` waiters of the futex at `gva` that wait for any of `bitset`, oldest first. */
export function wakeFutex(
  _k: Kernel,
  _task: Task,
  _gva: number,
  _isShared: boolean,
  _count: number,
  _bitset: number,
): number {
  return 0;
}

/** Takes a thread's waiter, if any, out of the list and frees it. */
export function dropFutexWaiter(_k: Kernel, _task: Task): void {}

/** Walks the robust list of a thread that ends (FUTEX_OWNER_DIED). */
export function releaseRobustList(_k: Kernel, _task: Task): void {}
