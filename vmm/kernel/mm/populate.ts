// Faulting in ahead: MAP_POPULATE, mlock(2), MADV_POPULATE_*.
import { MAP_SHARED, PROT_WRITE } from '../../abi/mman.ts';
import type { Kernel } from '../kernel.ts';
import { PAGE_BYTES } from '../ports.ts';
import type { Mm, Vma } from '../records/mm.ts';
import { u32 } from '../state/memory.ts';
import { touchOrReclaim } from './fault.ts';
import { PTE_P, PTE_RW } from './pte.ts';
import { findEntry } from './tables.ts';
import { TOUCH_OK } from './touch.ts';
import { findIndex, vmaAt } from './vma.ts';

/**
 * Linux: populate_vma_page_range writes to private writable memory, so that copying is done with.
 */
function writesTo(vma: Vma): boolean {
  return (vma.prot & PROT_WRITE) !== 0 && (vma.flags & MAP_SHARED) === 0;
}

/**
 * Makes the pages of [start, end) present as far as possible; holes and PROT_NONE are passed over.
 */
export function populate(k: Kernel, mm: Mm, start: number, end: number): void {
  for (let index = findIndex(mm, start); index < mm.vmas.length; index++) {
    const vma = vmaAt(mm, index);
    if (vma.start >= end) return;
    if (vma.prot === 0) continue;
    const from = Math.max(vma.start, start);
    if (populatePart(k, vma, from, Math.min(vma.end, end), writesTo(vma)) !== TOUCH_OK) return;
  }
}

/** The same for a part of one mapping whose protection allows it; TOUCH_* of the first failure. */
export function populatePart(
  k: Kernel,
  vma: Vma,
  start: number,
  end: number,
  forWrite: boolean,
): number {
  const wanted = forWrite ? PTE_P | PTE_RW : PTE_P;
  const { mm } = vma;
  for (let gva = start; gva < end; gva += PAGE_BYTES) {
    const at = findEntry(k.tables, mm.rootTable, gva);
    if (at !== 0 && ((u32[at] as number) & wanted) === wanted) continue;
    const done = touchOrReclaim(k, mm, vma, gva, forWrite, false);
    if (done !== TOUCH_OK) return done;
  }
  return TOUCH_OK;
}
