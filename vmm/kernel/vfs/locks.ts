// Locks on files: POSIX record locks (owned by a process), OFD record locks and flock locks (owned
// by an open file). They hang from the inode in a list.
//
//   owner A   |== read ==|      |=== write ===|        ranges of one owner never overlap or touch
//   owner B        |= read =|                          two owners overlap only with read locks
//
// Invariant: a range is [start, end) with start < end; end Infinity is "to the end of the file".
// A waiting lock call waits on the inode's lock queue and tries again whenever a lock goes.
import { EAGAIN, EINVAL, ENOLCK, EOVERFLOW } from '../../abi/errno.ts';
import {
  F_RDLCK, F_UNLCK, F_WRLCK, SEEK_CUR, SEEK_END, SEEK_SET,
} from '../../abi/fcntl.ts';
import type { Kernel } from '../kernel.ts';
import type { Process, WaitQueue } from '../records/task.ts';
import { type File, FileLock, type Inode } from '../records/vfs.ts';
import { makeWaitQueue, wake } from '../task/block.ts';

/** Who owns a lock: a process, or an open file; flock locks live beside the others. */
export interface LockOwner {
  process: Process | null;
  file: File | null;
  isFlock: boolean;
}

/** What `struct flock` says, with absolute offsets. */
export interface LockRequest {
  /** F_RDLCK, F_WRLCK or F_UNLCK. */
  type: number;
  start: number;
  /** Exclusive. */
  end: number;
}

const OFFSET_MOST = 2 ** 63;

/**
 * Turns (whence, start, length) into an absolute range.
 * @returns -EINVAL for a bad whence or a negative range, -EOVERFLOW beyond the highest offset
 */
export function lockRange(
  file: File,
  type: number,
  whence: number,
  start: number,
  length: number,
): LockRequest | number {
  if (type !== F_RDLCK && type !== F_WRLCK && type !== F_UNLCK) return -EINVAL;
  let from = start;
  if (whence === SEEK_CUR) from += file.position;
  else if (whence === SEEK_END) from += file.inode?.bytes ?? 0;
  else if (whence !== SEEK_SET) return -EINVAL;
  if (from >= OFFSET_MOST || from + length > OFFSET_MOST) return -EOVERFLOW;
  if (from < 0) return -EINVAL;
  if (length === 0) return { type, start: from, end: Infinity };
  if (length > 0) return { type, start: from, end: from + length };
  if (from + length < 0) return -EINVAL;
  return { type, start: from + length, end: from };
}

function isOwnedBy(lock: FileLock, owner: LockOwner): boolean {
  return lock.isFlock === owner.isFlock && lock.process === owner.process &&
    lock.file === owner.file;
}

/**
 * The first lock of somebody else that stands in the way, or null. flock and record locks do not
 * meet.
 */
export function findConflict(
  inode: Inode,
  request: LockRequest,
  owner: LockOwner,
): FileLock | null {
  let first: FileLock | null = null;
  for (let lock = inode.locks; lock !== null; lock = lock.next) {
    if (lock.isFlock !== owner.isFlock || isOwnedBy(lock, owner)) continue;
    if (lock.end <= request.start || lock.start >= request.end) continue;
    if (lock.type !== F_WRLCK && request.type !== F_WRLCK) continue;
    if (first === null || lock.start < first.start) first = lock;
  }
  return first;
}

/** More ranges in one file than any program needs; each call looks at all of them. */
export const LOCKS_MOST = 4096;

function countLocks(inode: Inode): number {
  let count = 0;
  for (let lock = inode.locks; lock !== null; lock = lock.next) count++;
  return count;
}

/**
 * Sets, changes or removes the owner's lock on a range.
 * @returns 0, -EAGAIN when another owner's lock is in the way, -ENOLCK when there are too many
 */
export function setLock(
  k: Kernel,
  inode: Inode,
  request: LockRequest,
  owner: LockOwner,
): number {
  if (request.type !== F_UNLCK && findConflict(inode, request, owner) !== null) return -EAGAIN;
  const isWhole = request.start === 0 && request.end === Infinity;
  if (!isWhole && countLocks(inode) >= LOCKS_MOST) return -ENOLCK;
  const shrank = carve(k, inode, request, owner);
  if (request.type !== F_UNLCK) insert(k, inode, request, owner);
  if (shrank) wakeLockWaiters(k, inode);
  return 0;
}

/** Takes the range out of the owner's locks; true when anything was given up. */
function carve(k: Kernel, inode: Inode, request: LockRequest, owner: LockOwner): boolean {
  let shrank = false;
  let previous: FileLock | null = null;
  let lock = inode.locks;
  while (lock !== null) {
    const next: FileLock | null = lock.next;
    const overlaps = lock.start < request.end && request.start < lock.end;
    if (!overlaps || !isOwnedBy(lock, owner)) {
      previous = lock;
    } else {
      shrank = true;
      const { start, end, type } = lock;
      if (start < request.start) {
        if (end > request.end) insert(k, inode, { type, start: request.end, end }, owner);
        lock.end = request.start;
        previous = lock;
      } else if (end > request.end) {
        lock.start = request.end;
        previous = lock;
      } else {
        unlink(inode, lock, previous ?? headBefore(inode, lock));
        k.arena.free(lock);
      }
    }
    lock = next;
  }
  return shrank;
}

/** The list entry before `lock`: insert() may have put a new head before it. */
function headBefore(inode: Inode, lock: FileLock): FileLock | null {
  let previous: FileLock | null = null;
  for (let at = inode.locks; at !== null && at !== lock; at = at.next) previous = at;
  return previous;
}

function unlink(inode: Inode, lock: FileLock, previous: FileLock | null): void {
  if (previous === null) inode.locks = lock.next;
  else previous.next = lock.next;
}

/**
 * Adds a range, joined with the owner's neighbours of the same type. The range is free of its
 * locks.
 */
function insert(k: Kernel, inode: Inode, request: LockRequest, owner: LockOwner): void {
  let { start, end } = request;
  let previous: FileLock | null = null;
  let lock = inode.locks;
  while (lock !== null) {
    const next: FileLock | null = lock.next;
    const touches = lock.end === start || lock.start === end;
    if (touches && lock.type === request.type && isOwnedBy(lock, owner)) {
      start = Math.min(start, lock.start);
      end = Math.max(end, lock.end);
      unlink(inode, lock, previous);
      k.arena.free(lock);
    } else {
      previous = lock;
    }
    lock = next;
  }
  const made = k.arena.make(FileLock);
  made.type = request.type;
  made.start = start;
  made.end = end;
  made.process = owner.process;
  made.file = owner.file;
  made.isFlock = owner.isFlock;
  made.next = inode.locks;
  inode.locks = made;
}

/** What a lock call waits on. */
export function lockQueue(k: Kernel, inode: Inode): WaitQueue {
  inode.lockQueue ??= makeWaitQueue(k);
  return inode.lockQueue;
}

function wakeLockWaiters(k: Kernel, inode: Inode): void {
  if (inode.lockQueue !== null) wake(k, inode.lockQueue);
}

/** A descriptor of the inode was closed by `process`: its POSIX locks go. */
export function dropProcessLocks(k: Kernel, inode: Inode, process: Process): void {
  const everything = { type: F_UNLCK, start: 0, end: Infinity };
  setLock(k, inode, everything, { process, file: null, isFlock: false });
}

/** An open file is gone: its OFD and flock locks go. */
export function dropFileLocks(k: Kernel, inode: Inode, file: File): void {
  const everything = { type: F_UNLCK, start: 0, end: Infinity };
  setLock(k, inode, everything, { process: null, file, isFlock: false });
  setLock(k, inode, everything, { process: null, file, isFlock: true });
}
