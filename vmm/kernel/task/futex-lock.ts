// Locks in a futex word that the kernel hands over: FUTEX_LOCK_PI and its relatives. Priorities
// have no effect here (one vCPU, round robin), what remains is who owns the lock.
//
//   word = tid of the owner | FUTEX_WAITERS when somebody waits | FUTEX_OWNER_DIED
import { EAGAIN, EDEADLK, EFAULT, EPERM, ESRCH } from '../../abi/errno.ts';
import {
  FUTEX_BITSET_MATCH_ANY, FUTEX_OWNER_DIED, FUTEX_TID_MASK, FUTEX_WAITERS,
} from '../../abi/futex.ts';
import type { Kernel } from '../kernel.ts';
import { readU32, writeU32 } from '../mm/user-memory.ts';
import { type FutexWaiter, TASK_DEAD, type Task } from '../records/task.ts';
import { ERESTARTSYS } from '../syscalls/define.ts';
import { findThread } from './family.ts';
import {
  addFutexWaiter, continueFutexWait, firstWaiter, futexKey, type FutexKey, keyOf, wakeWaiter,
} from './futex.ts';
import { findTask } from './make-process.ts';

/**
 * FUTEX_LOCK_PI, FUTEX_TRYLOCK_PI.
 * @returns 0 with the lock, BLOCKED, -EDEADLK, -EAGAIN (try only), -ESRCH, -EFAULT, -ETIMEDOUT
 */
export function lockFutex(
  k: Kernel,
  task: Task,
  gva: number,
  key: FutexKey,
  isTry: boolean,
): number {
  const value = readU32(k, gva);
  if (value < 0) return -EFAULT;
  const owner = value & FUTEX_TID_MASK;
  if (owner === task.tid) return -EDEADLK;
  const waiting = firstLockWaiter(k, key);
  if (owner === 0 && waiting === null) {
    return writeU32(k, gva, (value & FUTEX_OWNER_DIED) | task.tid) ? 0 : -EFAULT;
  }
  if (isTry) return -EAGAIN;
  if (owner !== 0 && !isAlive(k, task, owner)) return -ESRCH;
  if (!writeU32(k, gva, value | FUTEX_WAITERS)) return -EFAULT;
  addFutexWaiter(k, task, key, FUTEX_BITSET_MATCH_ANY).isLock = true;
  return continueFutexWait(k, task, ERESTARTSYS);
}

/** Whether a thread of that number runs, in whatever process: shared memory has locks too. */
function isAlive(k: Kernel, task: Task, tid: number): boolean {
  const owner = findTask(task.process, tid) ?? findThread(k, tid);
  return owner !== null && owner.state !== TASK_DEAD;
}

/** FUTEX_UNLOCK_PI: hands the lock to the one who waits longest. 0, -EPERM, -EFAULT. */
export function unlockFutex(k: Kernel, task: Task, gva: number): number {
  const value = readU32(k, gva);
  if (value < 0) return -EFAULT;
  if ((value & FUTEX_TID_MASK) !== task.tid) return -EPERM;
  if (handOverLock(k, task, gva, 0)) return 0;
  return writeU32(k, gva, 0) ? 0 : -EFAULT;
}

/**
 * Makes the oldest waiter of the lock at `gva` its owner, with `flags` in the word.
 * False when nobody waits. `task` tells the address space.
 */
export function handOverLock(k: Kernel, task: Task, gva: number, flags: number): boolean {
  const waiter = lockWaiterAt(k, task, gva);
  if (waiter === null) return false;
  const key = keyOf(waiter);
  wakeWaiter(k, waiter);
  const more = firstLockWaiter(k, key) === null ? 0 : FUTEX_WAITERS;
  return writeU32(k, gva, waiter.task.tid | more | flags);
}

function lockWaiterAt(k: Kernel, task: Task, gva: number): FutexWaiter | null {
  for (const isShared of [false, true]) {
    const key = futexKey(task, gva, isShared);
    const waiter = typeof key === 'number' ? null : firstLockWaiter(k, key);
    if (waiter !== null) return waiter;
  }
  return null;
}

function firstLockWaiter(k: Kernel, key: FutexKey): FutexWaiter | null {
  const waiter = firstWaiter(k, key);
  return waiter !== null && waiter.isLock ? waiter : null;
}
