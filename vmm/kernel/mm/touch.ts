// Making a page usable: what a page fault, a kernel access and MAP_POPULATE have in common. The
// caller has checked that the mapping permits the access.
//
//   entry absent   private anonymous ─► zero frames, a window of them
//                  file, private and writable ─► private copies of file pages
//                  file, otherwise ─► the page cache's frames, a window of them
//   entry present, write wanted ─► frame writable in place; else copied (private), moved (shared)
//
// The loops over windows run on plain numbers: they are most of what a fault costs.
import { MAP_SHARED, PROT_WRITE } from '../../abi/mman.ts';
import { ENOMEM } from '../../abi/errno.ts';
import type { Kernel } from '../kernel.ts';
import { BASE_FRAME, type FrameId, PAGE_BYTES } from '../ports.ts';
import type { Vma } from '../records/mm.ts';
import { FS_ANON, type Inode } from '../records/vfs.ts';
import { u32 } from '../state/memory.ts';
import { touchModified } from '../vfs/inode.ts';
import {
  absentAround, CHUNK_PAGES, cachedFrame, loadPage, makePage, ownPage, readFrame, readLower, slotOf,
} from './cache-pages.ts';
import { copyAround } from './copy-around.ts';
import { copyEnd, copyStart, FILE_COPY_PAGES } from './fault-window.ts';
import { enterPage, frameAt, replacePage } from './pages.ts';
import { isBase, PTE_P, PTE_RW, PTE_SHARED } from './pte.ts';
import { pageIndexOf } from './shared-pages.ts';
import { awaitRewalk, makeEntry, reportStale, TABLE_SPAN } from './tables.ts';

export const TOUCH_OK = 0;
/** Beyond the file's end, or the file is gone: SIGBUS. */
export const TOUCH_BUS = 1;
/** No frames or no page tables left. */
export const TOUCH_OOM = 2;

/**
 * Makes page `gva` of `vma` readable, or writable when `forWrite`.
 * @param byGuest it is the guest that writes, at this address, and will repeat that write
 * @returns TOUCH_*
 */
export function touchPage(
  k: Kernel,
  vma: Vma,
  gva: number,
  forWrite: boolean,
  byGuest: boolean,
): number {
  const at = makeEntry(k.tables, vma.mm.rootTable, gva);
  if (at === 0) return TOUCH_OOM;
  const low = u32[at] as number;
  if ((low & PTE_P) === 0) {
    const { inode } = vma;
    return inode === null ? mapZeroes(k, vma, at, gva) : mapFile(k, vma, inode, at, gva, forWrite);
  }
  if (!forWrite || (low & PTE_RW) !== 0) return TOUCH_OK;
  return makeWritable(k, vma, at, gva, byGuest);
}

/** Whether there is so much memory left that neighbours may have some. */
function isPlenty(k: Kernel): boolean {
  return k.frames.available >= k.frames.limit >>> 4;
}

/** Private anonymous memory: zero frames for the absent pages of a window. */
function mapZeroes(k: Kernel, vma: Vma, at: number, gva: number): number {
  const { frames, tables } = k;
  const frame = frames.allocate();
  if (frame === 0) return TOUCH_OOM;
  enterPage(k, vma, at, frame, true, false);
  const window = frames.zeroWindow;
  window.place(vma, gva);
  if (!isPlenty(k)) return TOUCH_OK;
  const { end } = window;
  const root = vma.mm.rootTable;
  // Every page of the window has the same flags: those of the one that was just entered.
  const flags = (u32[at] as number) & 0xfff;
  const { bankPfn } = k.ports.frames;
  let entered = 0;
  let entry = 0;
  for (let page = window.start; page < end; page += PAGE_BYTES) {
    entry = entry === 0 || page % TABLE_SPAN === 0 ? makeEntry(tables, root, page) : entry + 2;
    if (entry === 0) break;
    if (((u32[entry] as number) & PTE_P) !== 0) continue;
    const next = frames.allocate();
    if (next === 0) break;
    u32[entry] = ((bankPfn + next) << 12) | flags;
    u32[entry + 1] = highOf(u32[at + 1] as number, bankPfn + next);
    entered++;
  }
  vma.mm.residentPages += entered;
  return TOUCH_OK;
}

/** High half of an entry with the NX bit of `like`. */
function highOf(like: number, pfn: number): number {
  return ((like & 0x8000_0000) | Math.floor(pfn / 0x10_0000)) >>> 0;
}

function mapFile(
  k: Kernel,
  vma: Vma,
  inode: Inode,
  at: number,
  gva: number,
  forWrite: boolean,
): number {
  const index = pageIndexOf(vma, gva);
  if (index * PAGE_BYTES >= inode.bytes) return TOUCH_BUS;
  const isShared = (vma.flags & MAP_SHARED) !== 0;
  // A private page that may be written soon is: one exit now instead of two.
  if (!isShared && (vma.prot & PROT_WRITE) !== 0) return copyFile(k, vma, inode, at, gva, index);
  return mapCached(k, vma, inode, at, gva, index, isShared && forWrite);
}

/** Maps the page cache's frames, read-only unless `forWrite` (then the mapping is shared). */
function mapCached(
  k: Kernel,
  vma: Vma,
  inode: Inode,
  at: number,
  gva: number,
  index: number,
  forWrite: boolean,
): number {
  const window = k.frames.fileWindow;
  window.place(vma, gva);
  const first = index - (gva - window.start) / PAGE_BYTES;
  const pagesInFile = Math.ceil(inode.bytes / PAGE_BYTES);
  const end = Math.min(index + (window.end - gva) / PAGE_BYTES, pagesInFile);
  const isAnon = inode.fs === FS_ANON;
  let frame = loadPage(k, inode, index, first, end);
  if (frame > 0 && forWrite) {
    frame = ownPage(k, inode, index, frame);
    if (!isAnon) touchModified(k, inode);
  }
  if (frame < 0) return failureOf(frame);
  // Shared anonymous memory has no clean state to protect: it is writable at the first touch.
  const atOnce = forWrite || (isAnon && (vma.flags & MAP_SHARED) !== 0);
  enterPage(k, vma, at, frame, atOnce && !isBase(frame), true);
  if (isAnon && vma.dentry === null && isPlenty(k)) {
    for (let other = first; other < end; other++) {
      if (cachedFrame(inode, other) === 0 && makePage(k, inode, other) < 0) break;
    }
  }
  mapNeighbours(k, vma, inode, gva + (first - index) * PAGE_BYTES, first, end, atOnce);
  return TOUCH_OK;
}

/**
 * Enters the cached pages [first, end), the first of which belongs at `gva`, where nothing is yet.
 */
function mapNeighbours(
  k: Kernel,
  vma: Vma,
  inode: Inode,
  gva: number,
  first: number,
  end: number,
  writable: boolean,
): void {
  const { tables } = k;
  const root = vma.mm.rootTable;
  let slot = 0;
  let entry = 0;
  for (let page = gva, index = first; index < end; index++, page += PAGE_BYTES) {
    slot = slot === 0 || index % CHUNK_PAGES === 0 ? slotOf(inode, index) : slot + 1;
    entry = entry === 0 || page % TABLE_SPAN === 0 ? makeEntry(tables, root, page) : entry + 2;
    if (entry === 0) return;
    const frame = slot === 0 ? 0 : u32[slot] as number;
    if (frame === 0 || ((u32[entry] as number) & PTE_P) !== 0) continue;
    enterPage(k, vma, entry, frame, writable && frame < BASE_FRAME, true);
  }
}

/** Private copies of a file's pages: the one at `at`, and absent neighbours in the same read. */
function copyFile(
  k: Kernel,
  vma: Vma,
  inode: Inode,
  at: number,
  gva: number,
  index: number,
): number {
  const cached = cachedFrame(inode, index);
  if (cached !== 0) {
    const frame = copyFrame(k, cached);
    if (frame < 0) return failureOf(frame);
    enterPage(k, vma, at, frame, true, false);
    return TOUCH_OK;
  }
  const low = index - (gva - copyStart(vma, gva, FILE_COPY_PAGES)) / PAGE_BYTES;
  const high = index + (copyEnd(vma, gva, FILE_COPY_PAGES) - gva) / PAGE_BYTES;
  const absent = absentAround(inode, index, low, high);
  let { from } = absent;
  let to = Math.max(absent.to, index + 1);
  // The window is in one page table, so that its entries are adjacent.
  for (let page = index - 1; page >= from; page--) {
    if (((u32[at + (page - index) * 2] as number) & PTE_P) !== 0) from = page + 1;
  }
  for (let page = index + 1; page < to; page++) {
    if (((u32[at + (page - index) * 2] as number) & PTE_P) !== 0) to = page;
  }
  let frame = to - from > 1 ? k.frames.allocateRun(to - from) : 0;
  if (frame === 0) {
    frame = k.frames.allocate();
    from = index;
    to = index + 1;
  }
  if (frame === 0) return TOUCH_OOM;
  const failed = readLower(k, inode, from * PAGE_BYTES, k.frames.pages(frame, to - from));
  for (let page = from; page < to; page++, frame++) {
    if (failed < 0) k.frames.release(frame);
    else enterPage(k, vma, at + (page - index) * 2, frame, true, false);
  }
  return failed < 0 ? failureOf(failed) : TOUCH_OK;
}

/** A write to a page that is present and read-only. */
function makeWritable(k: Kernel, vma: Vma, at: number, gva: number, byGuest: boolean): number {
  const frame = frameAt(k, at);
  const isCached = ((u32[at] as number) & PTE_SHARED) !== 0;
  if (isCached && (vma.flags & MAP_SHARED) !== 0) {
    const inode = vma.inode as Inode;
    const owned = ownPage(k, inode, pageIndexOf(vma, gva), frame, byGuest ? at : 0);
    if (owned < 0) return failureOf(owned);
    u32[at] = (u32[at] as number) | PTE_RW;
    if (inode.fs !== FS_ANON) touchModified(k, inode);
    return TOUCH_OK;
  }
  if (!isCached) {
    // A frame of a fork's is copied alone, or kept when the others have let go of it.
    copyAround(k, vma, gva, byGuest ? at : 0);
    if (((u32[at] as number) & PTE_RW) !== 0) return TOUCH_OK;
  }
  const made = copyFrame(k, frame);
  if (made < 0) return failureOf(made);
  // Until the guest repeats its write it may read the old frame, which is no longer its alone.
  if (byGuest && !k.frames.isShared(frame)) awaitRewalk(k, at);
  else reportStale(k, at, gva);
  replacePage(k, vma, at, made, true, false);
  if (!isCached) k.frames.release(frame);
  return TOUCH_OK;
}

/** A new frame with the content of another, or -errno. */
function copyFrame(k: Kernel, from: FrameId): number {
  const made = k.frames.allocateUncleared();
  if (made === 0) return -ENOMEM;
  if (readFrame(k, from, 0, k.frames.page(made))) return made;
  k.frames.release(made);
  return -1;
}

function failureOf(errno: number): number {
  return errno === -ENOMEM ? TOUCH_OOM : TOUCH_BUS;
}
