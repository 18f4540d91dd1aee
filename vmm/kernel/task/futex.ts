// Futexes: waiting and waking by the address of a 32-bit word.
//
// All waiters of the sandbox are in one list, oldest first (Sandbox.futexes); a wake-up walks it.
// There are at most as many waiters as threads, so an index by key would not pay for its upkeep.
//
//   keySerial   key                       the word is in
//   0           guest address             (FUTEX_PRIVATE_FLAG)           of one address space
//   ANONYMOUS   guest address             private memory, waited for without that flag, likewise
//   n           byte offset in inode n    a shared mapping
//
// Invariant: a waiter is in the list if and only if it is not `woken`; Task.futex holds it until
// the waiting call has been executed again, so a wake-up is never lost to a spurious one.
import { EAGAIN, EFAULT, EINVAL, ETIMEDOUT } from '../../abi/errno.ts';
import { MAP_SHARED } from '../../abi/mman.ts';
import type { Kernel } from '../kernel.ts';
import { readU32, USER_END } from '../mm/user-memory.ts';
import { findVma } from '../mm/vma.ts';
import type { Mm } from '../records/mm.ts';
import { FutexWaiter, type Task } from '../records/task.ts';
import { BLOCKED } from '../syscalls/define.ts';
import { nowNs } from '../time/clock.ts';
import { block, wakeTask } from './block.ts';

/** What identifies a futex. */
export interface FutexKey {
  key: number;
  serial: number;
  /** Of words in private memory: whose; null for those of shared mappings. */
  mm: Mm | null;
}

const PRIVATE = 0;
const ANONYMOUS = 0xffff_ffff;

/** The key of the word at `gva`, or -EINVAL (not aligned), -EFAULT. */
export function futexKey(task: Task, gva: number, isShared: boolean): FutexKey | number {
  if (gva % 4 !== 0) return -EINVAL;
  if (!(gva < USER_END)) return -EFAULT;
  const { mm } = task.process;
  if (!isShared) return { key: gva, serial: PRIVATE, mm };
  const vma = mm === null ? null : findVma(mm, gva);
  if (vma === null) return -EFAULT;
  if (vma.inode === null || (vma.flags & MAP_SHARED) === 0) {
    return { key: gva, serial: ANONYMOUS, mm };
  }
  return { key: vma.fileOffset + gva - vma.start, serial: vma.inode.serial, mm: null };
}

/** What a waiter waits for. */
export function keyOf({ key, keySerial, task }: FutexWaiter): FutexKey {
  const isPrivate = keySerial === PRIVATE || keySerial === ANONYMOUS;
  return { key, serial: keySerial, mm: isPrivate ? task.process.mm : null };
}

/** Makes a waiter for `task` at the end of the list. */
export function addFutexWaiter(k: Kernel, task: Task, key: FutexKey, bitset: number): FutexWaiter {
  const waiter = k.arena.make(FutexWaiter);
  waiter.task = task;
  waiter.key = key.key;
  waiter.keySerial = key.serial;
  waiter.bitset = bitset;
  task.futex = waiter;
  linkLast(k, waiter);
  return waiter;
}

/**
 * First execution of a wait: the word must still hold `expected`.
 * Preconditions: task.futex is null; task.waitDeadlineNs is set.
 * @returns BLOCKED, -EAGAIN, -EFAULT, -ETIMEDOUT, or -interruption when a signal is pending
 */
export function startFutexWait(
  k: Kernel,
  task: Task,
  gva: number,
  key: FutexKey,
  expected: number,
  bitset: number,
  interruption: number,
): number {
  const value = readU32(k, gva);
  if (value < 0) return -EFAULT;
  if (value !== expected) return -EAGAIN;
  addFutexWaiter(k, task, key, bitset);
  return continueFutexWait(k, task, interruption);
}

/**
 * Any execution of a wait that is in the list.
 * @returns 0 when it was woken, else as startFutexWait
 */
export function continueFutexWait(k: Kernel, task: Task, interruption: number): number {
  if (task.futex?.woken === true) return leave(k, task, 0);
  if (task.waitDeadlineNs !== 0 && nowNs(k) >= task.waitDeadlineNs) {
    return leave(k, task, -ETIMEDOUT);
  }
  try {
    const result = block(k, task, [], interruption);
    return result === BLOCKED ? BLOCKED : leave(k, task, result);
  } catch (error) {
    dropFutexWaiter(k, task);
    throw error;
  }
}

function leave(k: Kernel, task: Task, result: number): number {
  dropFutexWaiter(k, task);
  return result;
}

/**
 * Wakes waiters of a key that wait for any bit of `bitset`, oldest first.
 * @param count most to wake; Linux wakes one even for 0
 * @returns how many, or -EINVAL when one of them waits for a priority-inheritance lock
 */
export function wakeByKey(k: Kernel, key: FutexKey, count: number, bitset: number): number {
  let woken = 0;
  let waiter = k.root.futexes;
  while (waiter !== null) {
    const { next }: FutexWaiter = waiter;
    if (matches(waiter, key)) {
      if (waiter.isLock) return -EINVAL;
      if ((waiter.bitset & bitset) !== 0) {
        wakeWaiter(k, waiter);
        if (++woken >= count) break;
      }
    }
    waiter = next;
  }
  return woken;
}

/** wakeByKey for the word at `gva` as `task` sees it. */
export function wakeFutex(
  k: Kernel,
  task: Task,
  gva: number,
  isShared: boolean,
  count: number,
  bitset: number,
): number {
  const key = futexKey(task, gva, isShared);
  return typeof key === 'number' ? key : wakeByKey(k, key, count, bitset);
}

/**
 * Wakes `wakeCount` waiters of `from` and makes up to `moveCount` others wait for `to`, behind
 * those who wait for it already.
 * @returns how many were woken or moved
 */
export function requeueFutex(
  k: Kernel,
  from: FutexKey,
  to: FutexKey,
  wakeCount: number,
  moveCount: number,
): number {
  let done = 0;
  let waiter = k.root.futexes;
  // Moved waiters come to the end of the list, where they do not match `from` unless it is `to`.
  const last = k.root.futexesTail;
  while (waiter !== null && done - wakeCount < moveCount) {
    const { next }: FutexWaiter = waiter;
    const isLast = waiter === last;
    if (matches(waiter, from)) {
      if (waiter.isLock) return -EINVAL;
      if (++done <= wakeCount) wakeWaiter(k, waiter);
      else moveWaiter(k, waiter, to);
    }
    if (isLast) break;
    waiter = next;
  }
  return done;
}

/** The oldest waiter of a key, or null. */
export function firstWaiter(k: Kernel, key: FutexKey): FutexWaiter | null {
  for (let waiter = k.root.futexes; waiter !== null; waiter = waiter.next) {
    if (matches(waiter, key)) return waiter;
  }
  return null;
}

/** Takes one waiter out of the list and makes its thread run. */
export function wakeWaiter(k: Kernel, waiter: FutexWaiter): void {
  unlink(k, waiter);
  waiter.woken = true;
  wakeTask(k, waiter.task);
}

/** Takes a thread's waiter, if any, out of the list and frees it. */
export function dropFutexWaiter(k: Kernel, task: Task): void {
  const waiter = task.futex;
  if (waiter === null) return;
  task.futex = null;
  if (!waiter.woken) unlink(k, waiter);
  k.arena.free(waiter);
}

function moveWaiter(k: Kernel, waiter: FutexWaiter, to: FutexKey): void {
  unlink(k, waiter);
  waiter.key = to.key;
  waiter.keySerial = to.serial;
  linkLast(k, waiter);
}

function matches(waiter: FutexWaiter, key: FutexKey): boolean {
  return waiter.key === key.key && waiter.keySerial === key.serial &&
    (key.mm === null || waiter.task.process.mm === key.mm);
}

function linkLast(k: Kernel, waiter: FutexWaiter): void {
  const last = k.root.futexesTail;
  waiter.previous = last;
  waiter.next = null;
  if (last === null) k.root.futexes = waiter;
  else last.next = waiter;
  k.root.futexesTail = waiter;
}

function unlink(k: Kernel, waiter: FutexWaiter): void {
  const { next, previous } = waiter;
  if (previous === null) k.root.futexes = next;
  else previous.next = next;
  if (next === null) k.root.futexesTail = previous;
  else next.previous = previous;
  waiter.next = null;
  waiter.previous = null;
}
