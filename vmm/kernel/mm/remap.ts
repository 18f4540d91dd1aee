// mremap(2): growing, shrinking and moving mappings. Linux: mm/mremap.c, checks in its order.
import { EAGAIN, EFAULT, EINVAL, ENOMEM } from '../../abi/errno.ts';
import { MAX_MAP_COUNT } from '../../abi/limits.ts';
import {
  MAP_LOCKED, MAP_SHARED, MREMAP_DONTUNMAP, MREMAP_FIXED, MREMAP_MAYMOVE,
} from '../../abi/mman.ts';
import type { Kernel } from '../kernel.ts';
import { PAGE_BYTES } from '../ports.ts';
import type { Mm, Vma } from '../records/mm.ts';
import { findGap, isFree } from './gap.ts';
import { isData, mayCommit, mayExpand, mustMm } from './limits.ts';
import { mayLock } from './lock.ts';
import { pageUp, unmapRange } from './map.ts';
import { movePages } from './pages.ts';
import { populate } from './populate.ts';
import { USER_END } from './user-memory.ts';
import { findIndex, findVma, insertVma, isolate, mergeAround, removeVmas, vmaAt } from './vma.ts';

const FLAGS_KNOWN: number = MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP;

/** What mremap(2) asks for; sizes in bytes as given. */
export interface RemapRequest {
  gva: number;
  oldBytes: number;
  newBytes: number;
  flags: number;
  /** With MREMAP_FIXED (or as a hint with MREMAP_DONTUNMAP). */
  newGva: number;
}

/**
 * Changes a mapping.
 * @returns its address; -EINVAL, -EFAULT (not mapped so far, or several mappings), -ENOMEM, -EAGAIN
 */
export function remapRegion(k: Kernel, request: RemapRequest, mm: Mm = mustMm(k)): number {
  const { gva, flags } = request;
  const oldBytes = pageUp(request.oldBytes);
  const newBytes = pageUp(request.newBytes);
  const refused = checkRequest(mm, request, oldBytes, newBytes);
  if (refused < 0) return refused;
  if ((flags & MREMAP_FIXED) !== 0 && oldBytes === newBytes) {
    return moveSeveral(k, mm, request, oldBytes);
  }
  if (!(gva < USER_END)) return -EFAULT;
  const vma = findVma(mm, gva);
  if (vma === null) return -EFAULT;
  if ((flags & (MREMAP_FIXED | MREMAP_DONTUNMAP)) !== 0) {
    return moveTo(k, mm, request, oldBytes, newBytes);
  }
  if (oldBytes >= newBytes) {
    const failed = oldBytes === newBytes ? 0 : unmapRange(k, mm, gva + newBytes, gva + oldBytes);
    return failed < 0 ? failed : gva;
  }
  return grow(k, mm, vma, gva, oldBytes, newBytes, (flags & MREMAP_MAYMOVE) !== 0);
}

/** Linux: check_mremap_params. */
function checkRequest(mm: Mm, request: RemapRequest, oldBytes: number, newBytes: number): number {
  const { gva, flags, newGva } = request;
  if ((flags & ~FLAGS_KNOWN) !== 0 || gva % PAGE_BYTES !== 0) return -EINVAL;
  if (newBytes === 0 || newBytes > USER_END) return -EINVAL;
  if ((flags & (MREMAP_FIXED | MREMAP_DONTUNMAP)) === 0) return 0;
  if (!(newGva <= USER_END - newBytes) || newGva % PAGE_BYTES !== 0) return -EINVAL;
  if ((flags & MREMAP_MAYMOVE) === 0) return -EINVAL;
  if ((flags & MREMAP_DONTUNMAP) !== 0 && oldBytes !== newBytes) return -EINVAL;
  if (gva + oldBytes > newGva && newGva + newBytes > gva) return -EINVAL;
  return mm.vmas.length + 2 >= MAX_MAP_COUNT - 3 ? -ENOMEM : 0;
}

/**
 * Linux: remap_move (6.17): a move to a fixed address takes all mappings of the range along, with
 * the gaps between them; only at its start there must be none.
 */
function moveSeveral(k: Kernel, mm: Mm, request: RemapRequest, bytes: number): number {
  const end = request.gva + bytes;
  let result = -EFAULT;
  for (let gva = request.gva; gva < end;) {
    const index = findIndex(mm, gva);
    if (index >= mm.vmas.length || vmaAt(mm, index).start >= end) break;
    const vma = vmaAt(mm, index);
    if (result < 0 && vma.start > gva) break;
    const from = Math.max(vma.start, gva);
    const to = Math.min(vma.end, end);
    const newGva = request.newGva + (from - request.gva);
    const part = { ...request, gva: from, newGva };
    const moved = moveTo(k, mm, part, to - from, to - from);
    if (moved < 0) return moved;
    if (result < 0) result = moved;
    gva = to;
  }
  return result;
}

/** Linux: vma_to_resize: whether the mapping reaches that far and may become that large. */
function checkResize(
  k: Kernel,
  mm: Mm,
  vma: Vma,
  gva: number,
  oldBytes: number,
  newBytes: number,
): number {
  if (oldBytes === 0 && (vma.flags & MAP_SHARED) === 0) return -EINVAL;
  if (oldBytes > vma.end - gva) return -EFAULT;
  if (newBytes <= oldBytes) return 0;
  if (newBytes > USER_END) return -ENOMEM;
  const grown = newBytes - oldBytes;
  const { prot, flags, role } = vma;
  if ((flags & MAP_LOCKED) !== 0 && !mayLock(k, mm, grown)) return -EAGAIN;
  if (!mayExpand(k, mm, grown, isData(prot, flags, role) ? grown : 0)) return -ENOMEM;
  const isPrivate = (flags & MAP_SHARED) === 0;
  return isPrivate && !mayCommit(k, grown, prot, flags) ? -ENOMEM : 0;
}

function grow(
  k: Kernel,
  mm: Mm,
  vma: Vma,
  gva: number,
  oldBytes: number,
  newBytes: number,
  mayMove: boolean,
): number {
  const failed = checkResize(k, mm, vma, gva, oldBytes, newBytes);
  if (failed < 0) return failed;
  const delta = newBytes - oldBytes;
  const { end } = vma;
  if (oldBytes > 0 && gva + oldBytes === end && end + delta <= USER_END && isFree(mm, end, delta)) {
    vma.end = end + delta;
    mm.mappedBytes += delta;
    const isLocked = (vma.flags & MAP_LOCKED) !== 0;
    mergeAround(k, mm, gva, end + delta);
    if (isLocked) populate(k, mm, end, end + delta);
    return gva;
  }
  if (!mayMove) return -ENOMEM;
  const to = findGap(mm, newBytes, 0, 0);
  return to < 0 ? -ENOMEM : move(k, mm, gva, oldBytes, to, newBytes, false);
}

/** Linux: mremap_to: MREMAP_FIXED and MREMAP_DONTUNMAP. What is checked comes before any change. */
function moveTo(
  k: Kernel,
  mm: Mm,
  request: RemapRequest,
  oldBytes: number,
  newBytes: number,
): number {
  const { gva, flags, newGva } = request;
  const isFixed = (flags & MREMAP_FIXED) !== 0;
  const keep = (flags & MREMAP_DONTUNMAP) !== 0;
  const moved = Math.min(oldBytes, newBytes);
  const vma = findVma(mm, gva);
  if (vma === null) return -EFAULT;
  const refused = checkResize(k, mm, vma, gva, moved, newBytes);
  if (refused < 0) return refused;
  const { prot, flags: kept, role } = vma;
  if (keep && !mayExpand(k, mm, newBytes, isData(prot, kept, role) ? newBytes : 0)) return -ENOMEM;
  if (isFixed) {
    const failed = unmapRange(k, mm, newGva, newGva + newBytes);
    if (failed < 0) return failed;
  }
  if (oldBytes > moved) {
    const failed = unmapRange(k, mm, gva + moved, gva + oldBytes);
    if (failed < 0) return failed;
  }
  const to = isFixed ? newGva : findGap(mm, newBytes, newGva, 0);
  return to < 0 ? -ENOMEM : move(k, mm, gva, moved, to, newBytes, keep);
}

/**
 * Moves [gva, gva + oldBytes) to `to`, where newBytes are free. With oldBytes 0 the mapping, a
 * shared one, is mapped once more; with `keep` the old mapping stays, empty.
 */
function move(
  k: Kernel,
  mm: Mm,
  gva: number,
  oldBytes: number,
  to: number,
  newBytes: number,
  keep: boolean,
): number {
  if (mm.vmas.length >= MAX_MAP_COUNT - 3) return -ENOMEM;
  if (oldBytes > 0) {
    const failed = isolate(k, mm, gva, gva + oldBytes);
    if (failed < 0) return failed;
  }
  const old = findVma(mm, gva) as Vma;
  const { prot, flags, role, maxProt, inode, dentry, advice } = old;
  const fileOffset = inode === null ? 0 : old.fileOffset + (gva - old.start);
  const made = insertVma(k, mm, {
    start: to, end: to + newBytes, prot, flags, role, maxProt, inode, dentry, fileOffset,
  });
  made.advice = advice;
  if (!movePages(k, mm, gva, oldBytes, to)) {
    const index = findIndex(mm, to);
    removeVmas(k, mm, index, index + 1);
    return -ENOMEM;
  }
  if (oldBytes > 0 && !keep) {
    const index = findIndex(mm, gva);
    removeVmas(k, mm, index, index + 1);
  } else if (keep) {
    // Linux: what stays is not locked any more.
    vmaAt(mm, findIndex(mm, gva)).flags = flags & ~MAP_LOCKED;
  }
  mergeAround(k, mm, to, to + newBytes);
  if (keep) mergeAround(k, mm, gva, gva + oldBytes);
  if ((flags & MAP_LOCKED) !== 0) populate(k, mm, to, to + newBytes);
  return to;
}

