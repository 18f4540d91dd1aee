// Holes of a file: pages that read as zeroes because nothing is there, neither lower content nor a
// cached page. What the lower file has of them on the host is not known: it counts as data.
import type { Kernel } from '../kernel.ts';
import { PAGE_BYTES } from '../ports.ts';
import type { Inode } from '../records/vfs.ts';
import { CHUNK_PAGES, cachedFrame, countPages, freePage, slotOf } from './cache-pages.ts';
import { unmapShared } from './shared-pages.ts';

/** Pages that show lower content, or did before they were written. */
function lowerPages(inode: Inode): number {
  return Math.ceil(inode.lowerBytes / PAGE_BYTES);
}

/** The first page from `index` on, and below `end`, that is (or is not) there; else `end`. */
function findPage(inode: Inode, index: number, end: number, isThere: boolean): number {
  const below = lowerPages(inode);
  let at = index;
  if (at < below) {
    if (isThere) return at;
    at = below;
  }
  while (at < end) {
    // A chunk that does not exist has no pages.
    if (slotOf(inode, at) === 0) {
      if (!isThere) return at;
      at += CHUNK_PAGES - at % CHUNK_PAGES;
    } else if ((cachedFrame(inode, at) !== 0) === isThere) {
      return at;
    } else {
      at++;
    }
  }
  return end;
}

/** lseek(2) SEEK_DATA: where data is from `offset` on; -1 when there is none up to the end. */
export function nextData(inode: Inode, offset: number): number {
  const end = Math.ceil(inode.bytes / PAGE_BYTES);
  const index = Math.floor(offset / PAGE_BYTES);
  const found = findPage(inode, index, end, true);
  return found >= end ? -1 : Math.max(offset, found * PAGE_BYTES);
}

/** lseek(2) SEEK_HOLE: where a hole is from `offset` on; at the end there always is one. */
export function nextHole(inode: Inode, offset: number): number {
  const end = Math.ceil(inode.bytes / PAGE_BYTES);
  const found = findPage(inode, Math.floor(offset / PAGE_BYTES), end, false);
  return Math.min(Math.max(offset, found * PAGE_BYTES), inode.bytes);
}

/** Pages that are no holes. */
export function countDataPages(inode: Inode): number {
  const below = Math.min(lowerPages(inode), Math.ceil(inode.bytes / PAGE_BYTES));
  return below + countPages(inode, below);
}

/** Makes a page a hole again, in all shared mappings too. False where lower content would show. */
export function dropToHole(k: Kernel, inode: Inode, index: number): boolean {
  if (index < lowerPages(inode)) return false;
  if (cachedFrame(inode, index) === 0) return true;
  unmapShared(k, inode, index);
  freePage(k, inode, index);
  return true;
}
