// Finding free address space: top down from mm.mmapBase, as Linux does, then bottom up.
// Linux: arch_get_unmapped_area_topdown, vm_unmapped_area.
import { MMAP_MIN_ADDR } from '../../abi/limits.ts';
import { MAP_32BIT, MAP_GROWSDOWN } from '../../abi/mman.ts';
import { PAGE_BYTES } from '../ports.ts';
import type { Mm } from '../records/mm.ts';
import { GUARD_GAP_BYTES } from './stack.ts';
import { USER_END } from './user-memory.ts';
import { endAt, findIndex, flagsAt, startAt } from './vma.ts';

/** Where the search bottom up begins when nothing is free below mmapBase. */
const BOTTOM = 0x2aaa_aaaa_a000;
/** The range of MAP_32BIT. */
const LOW_START = 0x4000_0000;
const LOW_END = 0x8000_0000;

/** Start of the mapping at `index` less the guard gap that a stack keeps below it. */
export function guardedStart(mm: Mm, index: number): number {
  const start = startAt(mm, index);
  if ((flagsAt(mm, index) & MAP_GROWSDOWN) === 0) return start;
  return Math.max(start - GUARD_GAP_BYTES, 0);
}

/** Whether [gva, gva + bytes) is free, guard gaps included. */
export function isFree(mm: Mm, gva: number, bytes: number): boolean {
  const index = findIndex(mm, gva);
  return index >= mm.vmas.length || gva + bytes <= guardedStart(mm, index);
}

/**
 * Highest free address in [low, mmapBase) with room for `bytes`, or -1. What is found to be full is
 * remembered: a program with thousands of mappings would otherwise pass all of them each time.
 */
function findDown(mm: Mm, bytes: number, low: number): number {
  const isKnown = mm.fullFrom !== 0 && bytes >= mm.fullBytes;
  const end = findGapEnd(mm, bytes, low, isKnown ? mm.fullFrom : mm.mmapBase);
  mm.fullFrom = end;
  mm.fullBytes = bytes;
  return end - bytes >= low ? end - bytes : -1;
}

/** End of the highest gap below `high` with room for `bytes`; below low + bytes: there is none. */
function findGapEnd(mm: Mm, bytes: number, low: number, high: number): number {
  let end = high;
  let index = findIndex(mm, high - 1);
  if (index < mm.vmas.length) end = Math.min(end, guardedStart(mm, index));
  for (index--; index >= 0 && end - bytes >= low; index--) {
    if (endAt(mm, index) <= end - bytes) return end;
    end = Math.min(end, guardedStart(mm, index));
  }
  return end;
}

/** Lowest free address in [low, high) with room for `bytes`, or -1. */
function findUp(mm: Mm, bytes: number, low: number, high: number): number {
  let start = low;
  for (let index = findIndex(mm, low); index < mm.vmas.length; index++) {
    if (start + bytes <= guardedStart(mm, index)) break;
    start = Math.max(start, endAt(mm, index));
  }
  return start + bytes <= high ? start : -1;
}

/**
 * Chooses an address for a mapping that may lie anywhere.
 * @param hint page-aligned; taken when it is free, 0 for none
 * @returns the address, or -1 when there is no room
 */
export function findGap(mm: Mm, bytes: number, hint: number, flags: number): number {
  if (bytes > USER_END) return -1;
  const low = (flags & MAP_32BIT) !== 0;
  const last = (low ? LOW_END : USER_END) - bytes;
  if (hint > 0) {
    const wanted = Math.max(hint, MMAP_MIN_ADDR);
    if (wanted <= last && isFree(mm, wanted, bytes)) return wanted;
  }
  if (low) return findUp(mm, bytes, LOW_START, LOW_END);
  const found = findDown(mm, bytes, Math.max(PAGE_BYTES, MMAP_MIN_ADDR));
  return found >= 0 ? found : findUp(mm, bytes, BOTTOM, USER_END);
}
