// After a restore every page is a read-only base frame, and each first write is a fault. Writes
// cluster, so a write copies the neighbours too: private base pages of the same mapping in an
// aligned window. Measured on Python's shutdown, which writes to all it has: a window of 32 pages
// takes 111 faults where one of 8 takes 395, and copies 1 % more pages. The window grows when
// writes go on and on (CopyWindow).
//
// Copies are entered as touched and modified: KVM maps such neighbours along with the first one
// that the guest touches. Not so in a trial that finds out which pages a boot touches
// (Kernel.isTrial), and not the page that the guest writes: its A bit says whether it has walked
// again (awaitRewalk).
//
// Neighbours that the guest has read are copied as well: reporting their old translation costs less
// than the fault that is saved. A window lies in one page table, so its entries are adjacent words.
// A boot may have copied pages to the bank beforehand without making them writable (it does not
// know the mappings); they become writable here, all of the window at once.
import { PROT_EXEC } from '../../abi/mman.ts';
import type { Kernel } from '../kernel.ts';
import { PAGE_BYTES } from '../ports.ts';
import type { Vma } from '../records/mm.ts';
import { u32 } from '../state/memory.ts';
import { copyEnd, copyStart } from './fault-window.ts';
import { pfnAt, PTE_A, PTE_D, PTE_P, PTE_RW, PTE_SHARED, PTE_US, setEntry } from './pte.ts';
import { awaitRewalk, findEntry, reportStale } from './tables.ts';

/**
 * Copies the window around page `gva`, to which somebody writes. Failures are no errors: the caller
 * looks at its entry and copies that page alone if need be.
 * @param writingAt word index of the entry through which the guest writes, 0 when it is the kernel
 */
export function copyAround(k: Kernel, vma: Vma, gva: number, writingAt: number): void {
  const { frames } = k;
  const isPlenty = frames.available >= frames.limit >>> 4;
  const pages = frames.copyWindow.next();
  const start = copyStart(vma, gva, pages);
  const count = (copyEnd(vma, gva, pages) - start) / PAGE_BYTES;
  const { bankPfn, basePfn, baseFrames } = k.ports.frames;
  const executable = (vma.prot & PROT_EXEC) !== 0;
  const at = findEntry(k.tables, vma.mm.rootTable, start);
  let length = 0;
  let first = 0;
  for (let page = 0; page <= count; page++) {
    const entry = at + page * 2;
    const isPrivate = page < count && ((u32[entry] as number) & (PTE_P | PTE_SHARED)) === PTE_P;
    const base = isPrivate ? pfnAt(entry) - basePfn : -1;
    const isBase = base >= 0 && base < baseFrames;
    if (isPrivate && !isBase && !frames.isShared(pfnAt(entry) - bankPfn)) {
      u32[entry] = (u32[entry] as number) | PTE_RW;
    }
    const isCandidate = isBase && isPlenty;
    if (isCandidate && length > 0 && base === first + length) {
      length++;
      continue;
    }
    if (length > 0) {
      const from = page - length;
      copyRun(k, at + from * 2, start + from * PAGE_BYTES, first, length, executable, writingAt);
    }
    length = isCandidate ? 1 : 0;
    first = base;
  }
}

/** Copies `count` base frames from `first` on, which adjacent entries from `at` on name. */
function copyRun(
  k: Kernel,
  at: number,
  gva: number,
  first: number,
  count: number,
  executable: boolean,
  writingAt: number,
): void {
  const { frames } = k;
  const made = frames.allocateRun(count);
  if (made === 0) return;
  if (!k.ports.frames.readBase(first, 0, frames.pages(made, count))) {
    for (let done = 0; done < count; done++) frames.release(made + done);
    return;
  }
  const touched = k.isTrial ? 0 : PTE_A | PTE_D;
  const pfn = k.ports.frames.bankPfn + made;
  for (let done = 0; done < count; done++) {
    const entry = at + done * 2;
    if (entry === writingAt) awaitRewalk(k, entry);
    else if (((u32[entry] as number) & PTE_A) !== 0) reportStale(k, entry, gva + done * PAGE_BYTES);
    const bits = PTE_P | PTE_US | PTE_RW | (entry === writingAt ? 0 : touched);
    setEntry(entry, pfn + done, bits, executable);
  }
}
