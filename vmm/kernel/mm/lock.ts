// mlock(2) and its family. All guest memory is as good as locked, so this is accounting and
// populating.
import { EAGAIN, ENOMEM, EPERM } from '../../abi/errno.ts';
import { MAP_LOCKED } from '../../abi/mman.ts';
import { RLIMIT_MEMLOCK } from '../../abi/resource.ts';
import type { Kernel } from '../kernel.ts';
import type { Mm } from '../records/mm.ts';
import { mappedIn, findIndex, isolate, mergeAround, startAt, vmaAt } from './vma.ts';
import { softLimit } from './limits.ts';
import { populate } from './populate.ts';
import { USER_END } from './user-memory.ts';

/** Bytes in locked mappings. */
export function lockedBytes(mm: Mm): number {
  let bytes = 0;
  for (let index = 0; index < mm.vmas.length; index++) {
    const vma = vmaAt(mm, index);
    if ((vma.flags & MAP_LOCKED) !== 0) bytes += vma.end - vma.start;
  }
  return bytes;
}

/** Linux: CAP_IPC_LOCK, which root has. */
function isPrivileged(k: Kernel): boolean {
  return ((k.current?.process ?? k.root.process)?.uid ?? 0) === 0;
}

/** Linux: mlock_future_ok: whether `bytes` more may be locked. */
export function mayLock(k: Kernel, mm: Mm, bytes: number): boolean {
  return isPrivileged(k) || lockedBytes(mm) + bytes <= softLimit(k, RLIMIT_MEMLOCK);
}

/** 0, or why nothing at all may be locked, or not so much: -EPERM, `tooMuch`. */
export function checkLock(k: Kernel, mm: Mm, bytes: number, tooMuch: number = EAGAIN): number {
  if (!isPrivileged(k) && softLimit(k, RLIMIT_MEMLOCK) === 0) return -EPERM;
  return mayLock(k, mm, bytes) ? 0 : -tooMuch;
}

/**
 * Locks or unlocks [start, end), page-aligned.
 * @returns 0, or -ENOMEM for a hole (what lies before it has changed)
 */
export function lockRange(
  k: Kernel,
  mm: Mm,
  start: number,
  end: number,
  lock: boolean,
  onFault: boolean,
): number {
  const failed = isolate(k, mm, start, end);
  if (failed < 0) return failed;
  let at = start;
  for (let index = findIndex(mm, start); index < mm.vmas.length && at < end; index++) {
    if (startAt(mm, index) > at) break;
    const vma = vmaAt(mm, index);
    vma.flags = lock ? vma.flags | MAP_LOCKED : vma.flags & ~MAP_LOCKED;
    at = vma.end;
  }
  mergeAround(k, mm, start, end);
  if (at < end) return -ENOMEM;
  if (lock && !onFault) populate(k, mm, start, end);
  return 0;
}

/** The same for every mapping. */
export function lockAll(k: Kernel, mm: Mm, lock: boolean, onFault: boolean): void {
  for (let index = 0; index < mm.vmas.length; index++) {
    const vma = vmaAt(mm, index);
    vma.flags = lock ? vma.flags | MAP_LOCKED : vma.flags & ~MAP_LOCKED;
  }
  mergeAround(k, mm, 0, USER_END);
  if (lock && !onFault) populate(k, mm, 0, USER_END);
}

/** Bytes of [start, end) that are mapped and not locked yet. */
export function unlockedIn(mm: Mm, start: number, end: number): number {
  let bytes = mappedIn(mm, start, end);
  for (let index = findIndex(mm, start); index < mm.vmas.length; index++) {
    const vma = vmaAt(mm, index);
    if (vma.start >= end) break;
    if ((vma.flags & MAP_LOCKED) === 0) continue;
    bytes -= Math.min(vma.end, end) - Math.max(vma.start, start);
  }
  return bytes;
}
