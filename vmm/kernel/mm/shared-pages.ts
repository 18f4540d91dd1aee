// Page-cache frames have several names: the cache's slot and every entry that maps them. This file
// finds those entries through the inode's list of mappings, to rewrite or to clear them.
import { MAP_SHARED } from '../../abi/mman.ts';
import type { Kernel } from '../kernel.ts';
import { type FrameId, PAGE_BYTES } from '../ports.ts';
import type { Vma } from '../records/mm.ts';
import type { Inode } from '../records/vfs.ts';
import { u32 } from '../state/memory.ts';
import { PTE_P, PTE_RW, PTE_SHARED } from './pte.ts';
import { dropPage, replacePage } from './pages.ts';
import { awaitRewalk, findEntry, reportStale, visitPresent } from './tables.ts';

/** Page of the inode that `gva` shows. */
export function pageIndexOf(vma: Vma, gva: number): number {
  return (vma.fileOffset + (gva - vma.start)) / PAGE_BYTES;
}

/**
 * Page `index` has moved to `frame`: every entry that maps it follows.
 * @param writingAt word index of the entry through which the guest writes, or 0
 */
export function moveMappings(
  k: Kernel,
  inode: Inode,
  index: number,
  frame: FrameId,
  writingAt: number,
): void {
  for (let vma = inode.firstVma; vma !== null; vma = vma.nextOfInode) {
    const gva = vma.start + index * PAGE_BYTES - vma.fileOffset;
    if (gva < vma.start || gva >= vma.end) continue;
    const at = findEntry(k.tables, vma.mm.rootTable, gva);
    if (at === 0) continue;
    const low = u32[at] as number;
    if ((low & PTE_P) === 0 || (low & PTE_SHARED) === 0) continue;
    if (at === writingAt) awaitRewalk(k, at);
    else reportStale(k, at, gva);
    const writable = (low & PTE_RW) !== 0 && (vma.flags & MAP_SHARED) !== 0;
    replacePage(k, vma, at, frame, writable, true);
  }
}

/** Clears the entries that map the cached page `index`; private copies stay. */
export function unmapShared(k: Kernel, inode: Inode, index: number): void {
  for (let vma = inode.firstVma; vma !== null; vma = vma.nextOfInode) {
    const gva = vma.start + index * PAGE_BYTES - vma.fileOffset;
    if (gva < vma.start || gva >= vma.end) continue;
    const at = findEntry(k.tables, vma.mm.rootTable, gva);
    if (at === 0) continue;
    const low = u32[at] as number;
    if ((low & PTE_P) !== 0 && (low & PTE_SHARED) !== 0) dropPage(k, vma.mm, at, gva);
  }
}

/** Clears the entries of pages [first, end) in all mappings, private copies included. */
export function unmapPages(k: Kernel, inode: Inode, first: number, end: number): void {
  for (let vma = inode.firstVma; vma !== null; vma = vma.nextOfInode) {
    const { mm, start, fileOffset } = vma;
    const from = Math.max(start, start + first * PAGE_BYTES - fileOffset);
    const to = Math.min(vma.end, start + end * PAGE_BYTES - fileOffset);
    if (from >= to) continue;
    visitPresent(k.tables, mm.rootTable, from, to, (at, gva) => dropPage(k, mm, at, gva));
  }
}
