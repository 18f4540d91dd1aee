// Mapping, unmapping and protecting regions. Linux: mm/mmap.c, mm/mprotect.c; checks in their
// order.
import { EACCES, EEXIST, EINVAL, ENOMEM, EOVERFLOW, EPERM } from '../../abi/errno.ts';
import { MAX_MAP_COUNT, MMAP_MIN_ADDR } from '../../abi/limits.ts';
import {
  MAP_FIXED, MAP_FIXED_NOREPLACE, MAP_GROWSDOWN, MAP_LOCKED, MAP_NORESERVE,
  MAP_POPULATE, MAP_PRIVATE, MAP_SHARED, PROT_EXEC, PROT_READ, PROT_WRITE,
} from '../../abi/mman.ts';
import type { Kernel } from '../kernel.ts';
import { PAGE_BYTES } from '../ports.ts';
import { type Mm, VMA_PLAIN } from '../records/mm.ts';
import type { Dentry, Inode } from '../records/vfs.ts';
import { makeAnonInode } from './anon-inode.ts';
import { findGap } from './gap.ts';
import { isData, mayCommit, mayExpand, mustMm } from './limits.ts';
import { checkLock } from './lock.ts';
import { dropPages, protectPages } from './pages.ts';
import { populate } from './populate.ts';
import { USER_END } from './user-memory.ts';
import {
  endAt, findIndex, insertVma, isMapped, isolate, mappedIn, mergeAround, removeVmas, startAt, vmaAt,
} from './vma.ts';

const PROT_ALL: number = PROT_READ | PROT_WRITE | PROT_EXEC;
/** What of the flags a mapping keeps. */
const KEPT_FLAGS: number = MAP_GROWSDOWN | MAP_NORESERVE | MAP_LOCKED;

/** What mmap(2) asks for. */
export interface MapRequest {
  /** Hint, or the exact address with MAP_FIXED. */
  gva: number;
  bytes: number;
  /** PROT_*; other bits are ignored. */
  prot: number;
  /** MAP_* */
  flags: number;
  /** The file; without one the mapping is anonymous. */
  inode?: Inode | null;
  dentry?: Dentry | null;
  /** In the file, page-aligned, in bytes. */
  fileOffset?: number;
  /** PROT_* that mprotect may raise it to; all three unless given. */
  maxProt?: number;
  /** VMA_*. */
  role?: number;
}

/** Rounds up to whole pages. */
export function pageUp(bytes: number): number {
  return Math.ceil(bytes / PAGE_BYTES) * PAGE_BYTES;
}

/**
 * Maps a region.
 * @returns its address; -EINVAL, -ENOMEM (no room, limits), -EPERM (too low), -EEXIST (NOREPLACE),
 *   -EOVERFLOW (file offset), -EAGAIN (RLIMIT_MEMLOCK)
 */
export function mapRegion(k: Kernel, request: MapRequest, mm: Mm = mustMm(k)): number {
  if (request.bytes <= 0) return -EINVAL;
  const bytes = pageUp(request.bytes);
  if (bytes > USER_END) return -ENOMEM;
  if ((request.fileOffset ?? 0) + bytes > Number.MAX_SAFE_INTEGER) return -EOVERFLOW;
  if (mm.vmas.length > MAX_MAP_COUNT) return -ENOMEM;
  const gva = chooseAddress(mm, request, bytes);
  if (gva < 0) return gva;
  if ((request.flags & MAP_LOCKED) !== 0 || mm.lockFuture !== 0) {
    const refused = checkLock(k, mm, bytes);
    if (refused < 0) return refused;
  }
  const failed = makeRoom(k, mm, request, gva, bytes);
  if (failed < 0) return failed;
  placeVma(k, mm, request, gva, bytes);
  if (wantsPages(request, mm)) populate(k, mm, gva, gva + bytes);
  return gva;
}

/** Linux: get_unmapped_area. */
function chooseAddress(mm: Mm, request: MapRequest, bytes: number): number {
  const { gva, flags } = request;
  if ((flags & (MAP_FIXED | MAP_FIXED_NOREPLACE)) === 0) {
    const found = findGap(mm, bytes, gva >= 0 ? gva - gva % PAGE_BYTES : 0, flags);
    return found < 0 ? -ENOMEM : found;
  }
  if (!(gva <= USER_END - bytes)) return -ENOMEM;
  if (gva % PAGE_BYTES !== 0) return -EINVAL;
  if (gva < MMAP_MIN_ADDR) return -EPERM;
  if ((flags & MAP_FIXED_NOREPLACE) !== 0 && isMapped(mm, gva, gva + bytes)) return -EEXIST;
  return gva;
}

/** Checks the limits and unmaps what is in the way. */
function makeRoom(
  k: Kernel,
  mm: Mm,
  request: MapRequest,
  gva: number,
  bytes: number,
): number {
  const { prot, flags, role = VMA_PLAIN } = request;
  const grown = bytes - mappedIn(mm, gva, gva + bytes);
  if (!mayExpand(k, mm, grown, isData(prot, flags, role) ? grown : 0)) return -ENOMEM;
  const isShared = (flags & MAP_SHARED) !== 0;
  const isCharged = !isShared || (request.inode ?? null) === null;
  if (isCharged && !mayCommit(k, bytes, prot, flags)) return -ENOMEM;
  return unmapRange(k, mm, gva, gva + bytes);
}

function placeVma(k: Kernel, mm: Mm, request: MapRequest, gva: number, bytes: number): void {
  const { prot, flags, dentry = null, role = VMA_PLAIN } = request;
  const isShared = (flags & MAP_SHARED) !== 0;
  let inode = request.inode ?? null;
  const fileOffset = inode === null ? 0 : request.fileOffset ?? 0;
  if (inode === null && isShared) inode = makeAnonInode(k, bytes);
  insertVma(k, mm, {
    start: gva,
    end: gva + bytes,
    prot: prot & PROT_ALL,
    flags: (isShared ? MAP_SHARED : MAP_PRIVATE) | (flags & KEPT_FLAGS) |
      (mm.lockFuture !== 0 ? MAP_LOCKED : 0),
    role,
    maxProt: request.maxProt ?? PROT_ALL,
    inode,
    dentry,
    fileOffset,
  });
  mergeAround(k, mm, gva, gva + bytes);
}

/**
 * Linux: mlock_future and MAP_POPULATE fault everything in at once; PROT_NONE has nothing to fault.
 */
function wantsPages(request: MapRequest, mm: Mm): boolean {
  if ((request.prot & PROT_ALL) === 0) return false;
  return (request.flags & (MAP_POPULATE | MAP_LOCKED)) !== 0 || mm.lockFuture !== 0;
}

/** Unmaps [gva, gva + bytes). 0, -EINVAL (alignment, range), -ENOMEM (too many mappings). */
export function unmapRegion(
  k: Kernel,
  gva: number,
  bytes: number,
  mm: Mm = mustMm(k),
): number {
  if (gva % PAGE_BYTES !== 0 || gva < 0 || !(gva <= USER_END) || !(bytes <= USER_END - gva)) {
    return -EINVAL;
  }
  if (bytes <= 0) return -EINVAL;
  return unmapRange(k, mm, gva, gva + pageUp(bytes));
}

/** The same for a range that is known to be good. */
export function unmapRange(k: Kernel, mm: Mm, start: number, end: number): number {
  if (!isMapped(mm, start, end)) return 0;
  const failed = isolate(k, mm, start, end);
  if (failed < 0) return failed;
  dropPages(k, mm, start, end);
  const from = findIndex(mm, start);
  let to = from;
  while (to < mm.vmas.length && startAt(mm, to) < end) to++;
  removeVmas(k, mm, from, to);
  return 0;
}

/**
 * Changes the protection of [gva, gva + bytes), which is aligned. What lies before a hole or a
 * refusal has changed then, as in Linux.
 * @returns 0, -ENOMEM (a hole, limits), -EACCES (more than the file allows)
 */
export function protectRegion(
  k: Kernel,
  gva: number,
  bytes: number,
  prot: number,
  mm: Mm = mustMm(k),
): number {
  const end = gva + pageUp(bytes);
  let result = 0;
  let at = gva;
  while (at < end) {
    const index = findIndex(mm, at);
    if (index >= mm.vmas.length || startAt(mm, index) > at) {
      result = -ENOMEM;
      break;
    }
    const upTo = Math.min(endAt(mm, index), end);
    result = protectPart(k, mm, index, at, upTo, prot & PROT_ALL);
    if (result < 0) break;
    at = upTo;
  }
  if (at > gva) mergeAround(k, mm, gva, at);
  return result;
}

/** Linux: mprotect_fixup. [start, end) lies in the mapping at `index`. */
function protectPart(
  k: Kernel,
  mm: Mm,
  index: number,
  start: number,
  end: number,
  prot: number,
): number {
  const whole = vmaAt(mm, index);
  if ((prot & ~whole.maxProt) !== 0) return -EACCES;
  if (whole.prot === prot) return 0;
  const { flags, role } = whole;
  if (isData(prot, flags, role) && !isData(whole.prot, flags, role)) {
    // The bytes are mapped already: only what becomes data counts.
    if (!mayExpand(k, mm, 0, end - start)) return -ENOMEM;
    if (!mayCommit(k, end - start, prot, flags)) return -ENOMEM;
  }
  const failed = isolate(k, mm, start, end);
  if (failed < 0) return failed;
  const vma = vmaAt(mm, findIndex(mm, start));
  vma.prot = prot;
  protectPages(k, vma, start, end);
  return 0;
}
