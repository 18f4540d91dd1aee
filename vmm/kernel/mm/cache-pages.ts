// The page cache of an inode: which frame holds which page of its content.
//
//   Inode.pages ─► PageChunks: chunk c ─► Words: frames of pages 512 c … 512 c + 511, 0 absent
//
// Content of an absent page: the lower file's below `lowerBytes`, zero from there on.
// Invariants: a cached page's bytes from `lowerBytes` on were zero when it was loaded; nothing is
// cached at or beyond the file's end. Each frame is in one slot of one inode; the slot owns it.
import { EIO, ENOMEM } from '../../abi/errno.ts';
import type { Kernel } from '../kernel.ts';
import { BASE_FRAME, type FrameId, PAGE_BYTES } from '../ports.ts';
import { type Inode, PageChunks } from '../records/vfs.ts';
import { growTable, makeWords, Words } from '../state/containers.ts';
import { u32 } from '../state/memory.ts';
import { lowerRead } from '../vfs/lower.ts';
import { moveMappings } from './shared-pages.ts';

export const CHUNK_PAGES = 512;
const WORDS: number = Words.fixedBytes >> 2;

/**
 * Word index of the slot of page `index`, or 0 when its chunk does not exist. The slots of a chunk
 * are adjacent words: slot + 1 is the next page's unless that is a multiple of CHUNK_PAGES.
 */
export function slotOf(inode: Inode, index: number): number {
  const chunk = inode.pages?.get(Math.floor(index / CHUNK_PAGES)) ?? null;
  return chunk === null ? 0 : (chunk.address >> 2) + WORDS + index % CHUNK_PAGES;
}

/** The frame of page `index`, 0 when it is not cached. */
export function cachedFrame(inode: Inode, index: number): FrameId {
  const slot = slotOf(inode, index);
  return slot === 0 ? 0 : u32[slot] as number;
}

/** Word index of the slot of page `index`, made when there is none. @throws ArenaFullError */
function makeSlot(k: Kernel, inode: Inode, index: number): number {
  const chunkIndex = Math.floor(index / CHUNK_PAGES);
  let { pages } = inode;
  if (pages === null) pages = k.arena.make(PageChunks, (chunkIndex + 1) * 4);
  else if (pages.capacity <= chunkIndex) pages = growTable(PageChunks, pages, chunkIndex + 1);
  inode.pages = pages;
  if (pages.get(chunkIndex) === null) {
    const chunk = makeWords(k.arena, CHUNK_PAGES);
    chunk.length = CHUNK_PAGES;
    pages.set(chunkIndex, chunk);
    pages.length = Math.max(pages.length, chunkIndex + 1);
  }
  return slotOf(inode, index);
}

/** Copies a frame's bytes [offset, offset + target.length). False: the image's file has gone. */
export function readFrame(k: Kernel, id: FrameId, offset: number, target: Uint8Array): boolean {
  if (id >= BASE_FRAME) return k.ports.frames.readBase(id - BASE_FRAME, offset, target);
  target.set(k.frames.page(id).subarray(offset, offset + target.length));
  return true;
}

/**
 * The frame of page `index`, which is loaded or made when it is absent. A load takes the absent
 * neighbours in [first, end) with it, in one read of the lower file.
 * @returns frame id, or -ENOMEM (no frames), -EIO, -ESTALE (the lower file)
 */
export function loadPage(
  k: Kernel,
  inode: Inode,
  index: number,
  first: number = index,
  end: number = index + 1,
): number {
  const known = cachedFrame(inode, index);
  if (known !== 0) return known;
  if (index * PAGE_BYTES >= inode.lowerBytes) return makePage(k, inode, index);
  const { from, to } = absentAround(inode, index, first, end);
  if (to - from > 1) {
    const failed = loadRun(k, inode, from, to - from);
    if (failed === 0) return cachedFrame(inode, index);
    if (failed !== -ENOMEM) return failed;
  }
  return loadOne(k, inode, index);
}

/**
 * The absent pages around `index`, which is one, in [first, end) and in its chunk, as far as there
 * is lower content.
 */
export function absentAround(
  inode: Inode,
  index: number,
  first: number,
  end: number,
): { from: number; to: number } {
  const chunkStart = index - index % CHUNK_PAGES;
  const low = Math.max(first, chunkStart);
  const pagesBelow = Math.ceil(inode.lowerBytes / PAGE_BYTES);
  const high = Math.min(end, pagesBelow, chunkStart + CHUNK_PAGES);
  const slot = slotOf(inode, index);
  if (slot === 0) return { from: low, to: high };
  let from = index;
  while (from > low && u32[slot + (from - 1 - index)] === 0) from--;
  let to = index + 1;
  while (to < high && u32[slot + (to - index)] === 0) to++;
  return { from, to };
}

/** A page of zeroes in the cache, or -ENOMEM. Preconditions: it is absent. */
export function makePage(k: Kernel, inode: Inode, index: number): number {
  const slot = makeSlot(k, inode, index);
  const frame = k.frames.allocate();
  if (frame === 0) return -ENOMEM;
  u32[slot] = frame;
  return frame;
}

/**
 * Loads absent pages of one chunk into contiguous frames, by one read.
 * @returns 0, -ENOMEM (no such run), -EIO, -ESTALE
 */
function loadRun(k: Kernel, inode: Inode, from: number, count: number): number {
  const slot = makeSlot(k, inode, from);
  const first = k.frames.allocateRun(count);
  if (first === 0) return -ENOMEM;
  const failed = readLower(k, inode, from * PAGE_BYTES, k.frames.pages(first, count));
  for (let done = 0; done < count; done++) {
    if (failed < 0) k.frames.release(first + done);
    else u32[slot + done] = first + done;
  }
  return failed;
}

function loadOne(k: Kernel, inode: Inode, index: number): number {
  const slot = makeSlot(k, inode, index);
  const frame = k.frames.allocate();
  if (frame === 0) return -ENOMEM;
  const failed = readLower(k, inode, index * PAGE_BYTES, k.frames.page(frame));
  if (failed < 0) {
    k.frames.release(frame);
    return failed;
  }
  u32[slot] = frame;
  return frame;
}

/**
 * Reads lower content at `offset` into the beginning of `target`, as far as it is visible; the rest
 * of `target` is left alone. 0, -EIO or -ESTALE.
 */
export function readLower(k: Kernel, inode: Inode, offset: number, target: Uint8Array): number {
  const wanted = Math.min(target.length, inode.lowerBytes - offset);
  if (wanted <= 0) return 0;
  const count = lowerRead(k, inode, offset, target.subarray(0, wanted));
  if (count < 0) return count;
  return count === wanted ? 0 : -EIO;
}

/**
 * Makes sure that page `index`, which is cached in `frame`, may be written in place: a base frame
 * moves to the bank, and every entry that maps it follows.
 * @param writingAt word index of the entry through which the guest writes, 0 when it is not the
 * guest
 * @returns the frame, or -ENOMEM, -EIO
 */
export function ownPage(
  k: Kernel,
  inode: Inode,
  index: number,
  frame: FrameId,
  writingAt: number = 0,
): number {
  if (frame < BASE_FRAME) return frame;
  const made = k.frames.allocateUncleared();
  if (made === 0) return -ENOMEM;
  if (!k.ports.frames.readBase(frame - BASE_FRAME, 0, k.frames.page(made))) {
    k.frames.release(made);
    return -EIO;
  }
  u32[slotOf(inode, index)] = made;
  moveMappings(k, inode, index, made, writingAt);
  return made;
}

/** Frees the cached pages from `first` on. Preconditions: nothing maps them. */
export function freePages(k: Kernel, inode: Inode, first: number): void {
  const { pages } = inode;
  if (pages === null) return;
  for (let chunkIndex = Math.floor(first / CHUNK_PAGES); chunkIndex < pages.length; chunkIndex++) {
    const chunk = pages.get(chunkIndex);
    if (chunk === null) continue;
    const start = Math.max(first - chunkIndex * CHUNK_PAGES, 0);
    const slots = (chunk.address >> 2) + WORDS;
    for (let slot = slots + start; slot < slots + CHUNK_PAGES; slot++) {
      k.frames.release(u32[slot] as number);
      u32[slot] = 0;
    }
    if (start > 0) continue;
    pages.set(chunkIndex, null);
    k.arena.free(chunk);
  }
  pages.length = Math.min(pages.length, Math.ceil(first / CHUNK_PAGES));
}

/** Frees one cached page. Preconditions: nothing maps it. */
export function freePage(k: Kernel, inode: Inode, index: number): void {
  const slot = slotOf(inode, index);
  if (slot === 0) return;
  k.frames.release(u32[slot] as number);
  u32[slot] = 0;
}

/** How many pages are cached from `first` on. */
export function countPages(inode: Inode, first: number = 0): number {
  let count = 0;
  const { pages } = inode;
  if (pages === null) return 0;
  for (let chunkIndex = Math.floor(first / CHUNK_PAGES); chunkIndex < pages.length; chunkIndex++) {
    const chunk = pages.get(chunkIndex);
    if (chunk === null) continue;
    const slots = (chunk.address >> 2) + WORDS;
    const start = Math.max(first - chunkIndex * CHUNK_PAGES, 0);
    for (let slot = slots + start; slot < slots + CHUNK_PAGES; slot++) {
      if (u32[slot] !== 0) count++;
    }
  }
  return count;
}
