// madvise(2), mincore(2) and msync(2) on ranges. Linux: mm/madvise.c.
import { EACCES, EBADF, EFAULT, EINVAL, ENOMEM } from '../../abi/errno.ts';
import * as mman from '../../abi/mman.ts';
import { MAP_LOCKED, MAP_SHARED, PROT_WRITE } from '../../abi/mman.ts';
import type { Kernel } from '../kernel.ts';
import { PAGE_BYTES } from '../ports.ts';
import {
  ADVICE_DONTDUMP, ADVICE_DONTFORK, ADVICE_WIPEONFORK, type Mm, type Vma,
} from '../records/mm.ts';
import { u32 } from '../state/memory.ts';
import { cachedFrame } from './cache-pages.ts';
import { punchPages } from './page-cache.ts';
import { dropPages } from './pages.ts';
import { populatePart } from './populate.ts';
import { PTE_P } from './pte.ts';
import { pageIndexOf } from './shared-pages.ts';
import { findEntry } from './tables.ts';
import { TOUCH_BUS, TOUCH_OK } from './touch.ts';
import { findIndex, findVma, isolate, mergeAround, startAt, vmaAt } from './vma.ts';

/** Advice that changes nothing here. */
const ACCEPTED: ReadonlySet<number> = new Set([
  mman.MADV_NORMAL, mman.MADV_RANDOM, mman.MADV_SEQUENTIAL, mman.MADV_WILLNEED, mman.MADV_MERGEABLE,
  mman.MADV_UNMERGEABLE, mman.MADV_HUGEPAGE, mman.MADV_NOHUGEPAGE, mman.MADV_COLD,
  mman.MADV_PAGEOUT,
]);

/** Advice that is remembered: bits set, bits cleared. */
const REMEMBERED: ReadonlyMap<number, readonly [number, number]> = new Map([
  [mman.MADV_DONTFORK, [ADVICE_DONTFORK, 0]],
  [mman.MADV_DOFORK, [0, ADVICE_DONTFORK]],
  [mman.MADV_WIPEONFORK, [ADVICE_WIPEONFORK, 0]],
  [mman.MADV_KEEPONFORK, [0, ADVICE_WIPEONFORK]],
  [mman.MADV_DONTDUMP, [ADVICE_DONTDUMP, 0]],
  [mman.MADV_DODUMP, [0, ADVICE_DONTDUMP]],
]);

const DROPPING: ReadonlySet<number> = new Set([
  mman.MADV_DONTNEED, mman.MADV_DONTNEED_LOCKED, mman.MADV_FREE, mman.MADV_REMOVE,
]);

/** Whether this kernel knows the advice. */
export function isKnownAdvice(advice: number): boolean {
  return ACCEPTED.has(advice) || REMEMBERED.has(advice) || DROPPING.has(advice) ||
    advice === mman.MADV_POPULATE_READ || advice === mman.MADV_POPULATE_WRITE;
}

/**
 * Applies advice to [start, end), page-aligned. Holes are passed over and reported at the end.
 * @returns 0, -ENOMEM (a hole), -EINVAL, -EACCES, -EFAULT as madvise(2) has them
 */
export function adviseRange(
  k: Kernel,
  mm: Mm,
  start: number,
  end: number,
  advice: number,
): number {
  if (advice === mman.MADV_POPULATE_READ || advice === mman.MADV_POPULATE_WRITE) {
    return populateRange(k, mm, start, end, advice === mman.MADV_POPULATE_WRITE);
  }
  let hole = false;
  let at = start;
  while (at < end) {
    const index = findIndex(mm, at);
    if (index >= mm.vmas.length || startAt(mm, index) >= end) {
      hole = true;
      break;
    }
    const vma = vmaAt(mm, index);
    if (vma.start > at) hole = true;
    const from = Math.max(at, vma.start);
    const to = Math.min(vma.end, end);
    const failed = advisePart(k, mm, vma, from, to, advice);
    if (failed < 0) return failed;
    at = to;
  }
  if (REMEMBERED.has(advice)) mergeAround(k, mm, start, end);
  return hole ? -ENOMEM : 0;
}

function advisePart(
  k: Kernel,
  mm: Mm,
  vma: Vma,
  start: number,
  end: number,
  advice: number,
): number {
  const bits = REMEMBERED.get(advice);
  if (bits !== undefined) return rememberAdvice(k, mm, vma, start, end, advice, bits);
  if (!DROPPING.has(advice)) return 0;
  const isLocked = (vma.flags & MAP_LOCKED) !== 0;
  if (advice === mman.MADV_REMOVE) return isLocked ? -EINVAL : removePart(k, vma, start, end);
  if (isLocked && advice === mman.MADV_DONTNEED) return -EINVAL;
  if (advice === mman.MADV_FREE && vma.inode !== null) return -EINVAL;
  dropPages(k, mm, start, end);
  return 0;
}

function rememberAdvice(
  k: Kernel,
  mm: Mm,
  vma: Vma,
  start: number,
  end: number,
  advice: number,
  [set, cleared]: readonly [number, number],
): number {
  if (advice === mman.MADV_WIPEONFORK && vma.inode !== null) return -EINVAL;
  const wanted = (vma.advice | set) & ~cleared;
  if (wanted === vma.advice) return 0;
  const failed = isolate(k, mm, start, end);
  if (failed < 0) return failed;
  vmaAt(mm, findIndex(mm, start)).advice = wanted;
  return 0;
}

/** MADV_REMOVE: a hole in the file behind a shared writable mapping. */
function removePart(k: Kernel, vma: Vma, start: number, end: number): number {
  const { inode } = vma;
  if (inode === null) return -EINVAL;
  if ((vma.flags & MAP_SHARED) === 0 || (vma.maxProt & PROT_WRITE) === 0) return -EACCES;
  const offset = vma.fileOffset + (start - vma.start);
  return punchPages(k, inode, offset, offset + (end - start)) < 0 ? -EBADF : 0;
}

/**
 * Linux: madvise_populate: -EINVAL when the protection forbids it, -EFAULT for what would be
 * SIGBUS.
 */
function populateRange(k: Kernel, mm: Mm, start: number, end: number, write: boolean): number {
  for (let at = start; at < end;) {
    const vma = findVma(mm, at);
    if (vma === null) return -ENOMEM;
    if (write ? (vma.prot & PROT_WRITE) === 0 : vma.prot === 0) return -EINVAL;
    const to = Math.min(vma.end, end);
    const done = populatePart(k, vma, at, to, write);
    if (done !== TOUCH_OK) return done === TOUCH_BUS ? -EFAULT : -ENOMEM;
    at = to;
  }
  return 0;
}

/** mincore(2): one byte a page into `vector`; false when a page is not mapped. */
export function residency(k: Kernel, mm: Mm, start: number, vector: Uint8Array): boolean {
  let vma: Vma | null = null;
  for (let page = 0; page < vector.length; page++) {
    const gva = start + page * PAGE_BYTES;
    if (vma === null || gva >= vma.end) vma = findVma(mm, gva);
    if (vma === null) return false;
    const at = findEntry(k.tables, mm.rootTable, gva);
    const isPresent = at !== 0 && ((u32[at] as number) & PTE_P) !== 0;
    const { inode } = vma;
    const isCached = inode !== null && cachedFrame(inode, pageIndexOf(vma, gva)) !== 0;
    vector[page] = isPresent || isCached ? 1 : 0;
  }
  return true;
}

/** Whether all of [start, end) is mapped. */
export function isWholeMapped(mm: Mm, start: number, end: number): boolean {
  let at = start;
  for (let index = findIndex(mm, start); at < end; index++) {
    if (index >= mm.vmas.length || startAt(mm, index) > at) return false;
    at = vmaAt(mm, index).end;
  }
  return true;
}
