// Making a page usable: what a page fault, a kernel access and MAP_POPULATE have in common. The caller
// has checked that the mapping permits the access.
//
//   entry absent   private anonymous ─► zero frames, a window of them
//                  file, private and writable ─► private copies of file pages
//                  file, otherwise ─► the page cache's frames, a window of them
//   entry present, write wanted ─► frame writable in place? else copy it (private) or move it (shared)
import { MAP_SHARED, PROT_WRITE } from '../../abi/mman.ts';
import { ENOMEM } from '../../abi/errno.ts';
import type { Kernel } from '../kernel.ts';
import { type FrameId, PAGE_BYTES } from '../ports.ts';
import type { Vma } from '../records/mm.ts';
import { FS_ANON, type Inode } from '../records/vfs.ts';
import { u32 } from '../state/memory.ts';
import { touchModified } from '../vfs/inode.ts';
import { cachedFrame, loadPage, makePage, ownPage, readFrame, readLower } from './cache-pages.ts';
import { copyAround } from './copy-around.ts';
import { copyEnd, copyStart } from './fault-window.ts';
import { enterPage, frameAt, replacePage } from './pages.ts';
import { isBase, PTE_P, PTE_RW, PTE_SHARED } from './pte.ts';
import { pageIndexOf } from './shared-pages.ts';
import { awaitRewalk, findEntry, makeEntry, reportStale } from './tables.ts';

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

/** Private anonymous memory: zero frames for the absent pages of a window. */
function mapZeroes(k: Kernel, vma: Vma, at: number, gva: number): number {
  const { frames, tables } = k;
  const frame = frames.allocate();
  if (frame === 0) return TOUCH_OOM;
  enterPage(k, vma, at, frame, true, false);
  const window = frames.zeroWindow;
  window.place(vma, gva);
  // Order: neighbours only from plenty, so that they never take the last frames.
  if (frames.available < frames.limit >>> 4) return TOUCH_OK;
  const root = vma.mm.rootTable;
  for (let page = window.start; page < window.end; page += PAGE_BYTES) {
    const entry = makeEntry(tables, root, page);
    if (entry === 0) break;
    if (((u32[entry] as number) & PTE_P) !== 0) continue;
    const next = frames.allocate();
    if (next === 0) break;
    enterPage(k, vma, entry, next, true, false);
  }
  return TOUCH_OK;
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
  let frame = loadPage(k, inode, index, first, end);
  if (frame > 0 && forWrite) {
    frame = ownPage(k, inode, index, frame);
    if (inode.fs !== FS_ANON) touchModified(k, inode);
  }
  if (frame < 0) return failureOf(frame);
  // Linux: a page of shared anonymous memory has no clean state to protect.
  const atOnce = forWrite || (inode.fs === FS_ANON && (vma.flags & MAP_SHARED) !== 0);
  enterPage(k, vma, at, frame, atOnce && !isBase(frame), true);
  const isHidden = inode.fs === FS_ANON && vma.dentry === null;
  const fill = isHidden && k.frames.available >= k.frames.limit >>> 4;
  const root = vma.mm.rootTable;
  for (let other = first; other < end; other++) {
    let cached = cachedFrame(inode, other);
    if (cached === 0 && fill) cached = Math.max(makePage(k, inode, other), 0);
    if (cached === 0) continue;
    const entry = makeEntry(k.tables, root, gva + (other - index) * PAGE_BYTES);
    if (entry === 0 || ((u32[entry] as number) & PTE_P) !== 0) continue;
    enterPage(k, vma, entry, cached, atOnce && !isBase(cached), true);
  }
  return TOUCH_OK;
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
  let start = gva;
  let end = gva + PAGE_BYTES;
  const low = copyStart(vma, gva);
  const high = Math.min(copyEnd(vma, gva), vma.start + inode.lowerBytes - vma.fileOffset);
  while (start > low && isUncopied(k, vma, inode, start - PAGE_BYTES)) start -= PAGE_BYTES;
  while (end < high && isUncopied(k, vma, inode, end)) end += PAGE_BYTES;
  let count = (end - start) / PAGE_BYTES;
  let frame = count > 1 ? k.frames.allocateRun(count) : 0;
  if (frame === 0) {
    frame = k.frames.allocate();
    count = 1;
    start = gva;
  }
  if (frame === 0) return TOUCH_OOM;
  const offset = vma.fileOffset + (start - vma.start);
  const failed = readLower(k, inode, offset, k.frames.pages(frame, count));
  for (let done = 0; done < count; done++) {
    const entry = makeEntry(k.tables, vma.mm.rootTable, start + done * PAGE_BYTES);
    if (failed < 0 || entry === 0) k.frames.release(frame + done);
    else enterPage(k, vma, entry, frame + done, true, false);
  }
  return failed < 0 ? failureOf(failed) : TOUCH_OK;
}

/** Whether a page is neither mapped nor in the page cache. */
function isUncopied(k: Kernel, vma: Vma, inode: Inode, gva: number): boolean {
  if (cachedFrame(inode, pageIndexOf(vma, gva)) !== 0) return false;
  const at = findEntry(k.tables, vma.mm.rootTable, gva);
  return at === 0 || ((u32[at] as number) & PTE_P) === 0;
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
  if (!isCached && !isBase(frame)) {
    u32[at] = (u32[at] as number) | PTE_RW;
    return TOUCH_OK;
  }
  const made = copyFrame(k, frame);
  if (made < 0) return failureOf(made);
  if (byGuest) awaitRewalk(k, at);
  else reportStale(k, at, gva);
  replacePage(k, vma, at, made, true, false);
  if (byGuest && !isCached) copyAround(k, vma, gva);
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
