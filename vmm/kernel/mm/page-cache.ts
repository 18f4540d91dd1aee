// Reading, writing and truncating file content. Pages that are cached (mapped or written) answer
// from the cache; everything else is read from the lower file straight to the reader and stays
// uncached, so that plain reads add nothing to an image.
import { EFAULT, EFBIG, EIO } from '../../abi/errno.ts';
import { RLIMIT_FSIZE } from '../../abi/resource.ts';
import type { Kernel } from '../kernel.ts';
import { BASE_FRAME, type FrameId, PAGE_BYTES } from '../ports.ts';
import type { Inode } from '../records/vfs.ts';
import type { IoBuffer } from '../vfs/file-ops.ts';
import {
  cachedFrame, freePages, loadPage, ownPage, readLower,
} from './cache-pages.ts';
import { dropToHole } from './holes.ts';
import { softLimit } from './limits.ts';
import { unmapPages } from './shared-pages.ts';

/** Largest file. */
export const FILE_BYTES_MOST: number = 64 * 1024 * 1024 * 1024;
/** Most bytes per read of a lower file. */
const RUN_BYTES = 128 * 1024;

const run: Uint8Array = new Uint8Array(RUN_BYTES);
const zeroes: Uint8Array = new Uint8Array(PAGE_BYTES);

/**
 * Reads content at `offset` up to the end of the file.
 * @returns bytes moved, 0 at the end; -EFAULT, -EIO, -ESTALE when nothing could be moved
 */
export function readFilePages(k: Kernel, inode: Inode, offset: number, to: IoBuffer): number {
  let done = 0;
  while (to.remaining > 0 && offset + done < inode.bytes) {
    const part = nextPart(k, inode, offset + done, to.remaining);
    if (typeof part === 'number') return done > 0 ? done : part;
    const moved = to.put(part);
    done += moved;
    if (moved < part.length) return done > 0 ? done : -EFAULT;
  }
  return done;
}

/** Some bytes of content from `offset` on (at least one), or -errno. Valid until the next call. */
function nextPart(k: Kernel, inode: Inode, offset: number, wanted: number): Uint8Array | number {
  const index = Math.floor(offset / PAGE_BYTES);
  const from = offset % PAGE_BYTES;
  const most = Math.min(wanted, inode.bytes - offset);
  const frame = cachedFrame(inode, index);
  const inPage = Math.min(PAGE_BYTES - from, most);
  if (frame !== 0) {
    const page = pageBytes(k, frame);
    return page === null ? -EIO : page.subarray(from, from + inPage);
  }
  if (offset >= inode.lowerBytes) return zeroes.subarray(0, inPage);
  let bytes = inPage;
  const limit = Math.min(most, inode.lowerBytes - offset, RUN_BYTES - PAGE_BYTES);
  while (bytes < limit && cachedFrame(inode, Math.floor((offset + bytes) / PAGE_BYTES)) === 0) {
    bytes = Math.min(bytes + PAGE_BYTES, limit);
  }
  bytes = Math.min(bytes, inode.lowerBytes - offset);
  const target = run.subarray(0, bytes);
  const failed = readLower(k, inode, offset, target);
  return failed < 0 ? failed : target;
}

/** The bytes of a cached page for reading. */
function pageBytes(k: Kernel, frame: FrameId): Uint8Array | null {
  return frame >= BASE_FRAME ? k.frames.scratch.read(k, frame) : k.frames.page(frame);
}

/**
 * Writes content at `offset`, extending the file. The times are the caller's.
 * @returns bytes moved; -EFBIG (the caller sends SIGXFSZ for RLIMIT_FSIZE), -ENOMEM, -EFAULT, -EIO,
 *   -ESTALE when nothing could be moved
 */
export function writeFilePages(k: Kernel, inode: Inode, offset: number, from: IoBuffer): number {
  if (from.remaining === 0) return 0;
  const limit = Math.min(FILE_BYTES_MOST, softLimit(k, RLIMIT_FSIZE));
  if (offset >= limit) return -EFBIG;
  const failed = zeroTail(k, inode, offset);
  if (failed < 0) return failed;
  let done = 0;
  while (from.remaining > 0 && offset + done < limit) {
    const at = offset + done;
    const count = Math.min(PAGE_BYTES - at % PAGE_BYTES, from.remaining, limit - at);
    const moved = writePart(k, inode, at, count, from);
    if (moved < 0) return done > 0 ? done : moved;
    done += moved;
    if (moved < count) return done > 0 ? done : -EFAULT;
  }
  return done;
}

/** Writes up to `count` bytes within one page; bytes moved or -errno. */
function writePart(
  k: Kernel,
  inode: Inode,
  offset: number,
  count: number,
  from: IoBuffer,
): number {
  const index = Math.floor(offset / PAGE_BYTES);
  const within = offset % PAGE_BYTES;
  const known = cachedFrame(inode, index);
  const frame = known === 0 ? loadPage(k, inode, index) : ownPage(k, inode, index, known);
  if (frame < 0) return frame;
  const moved = from.take(k.frames.page(frame).subarray(within, within + count));
  if (moved > 0) inode.bytes = Math.max(inode.bytes, offset + moved);
  else if (offset - within >= inode.bytes) freePages(k, inode, index);
  return moved;
}

/** Before a file grows to `offset` or beyond: what lies behind its end in the last page is zero. */
function zeroTail(k: Kernel, inode: Inode, offset: number): number {
  const end = inode.bytes;
  const within = end % PAGE_BYTES;
  if (offset <= end || within === 0) return 0;
  return clearPage(k, inode, Math.floor(end / PAGE_BYTES), within, PAGE_BYTES);
}

/** Clears bytes [from, to) of a page if it is cached. 0, -ENOMEM or -EIO. */
function clearPage(k: Kernel, inode: Inode, index: number, from: number, to: number): number {
  const frame = cachedFrame(inode, index);
  if (frame === 0) return 0;
  const page = pageBytes(k, frame);
  if (page === null) return -EIO;
  let at = from;
  while (at < to && page[at] === 0) at++;
  if (at === to) return 0;
  const owned = ownPage(k, inode, index, frame);
  if (owned < 0) return owned;
  k.frames.page(owned).fill(0, from, to);
  return 0;
}

/**
 * Sets the size of the file. Pages beyond the new end go, from all mappings too; growing leaves a
 * hole. The times are the caller's.
 * @returns 0, -EFBIG, -ENOMEM, -EIO
 */
export function truncatePages(k: Kernel, inode: Inode, bytes: number): number {
  if (bytes > FILE_BYTES_MOST) return -EFBIG;
  const end = Math.min(bytes, inode.bytes);
  const within = end % PAGE_BYTES;
  if (within !== 0) {
    const failed = clearPage(k, inode, Math.floor(end / PAGE_BYTES), within, PAGE_BYTES);
    if (failed < 0) return failed;
  }
  if (bytes < inode.bytes) {
    const first = Math.ceil(bytes / PAGE_BYTES);
    unmapPages(k, inode, first, Infinity);
    freePages(k, inode, first);
    inode.lowerBytes = Math.min(inode.lowerBytes, bytes);
  }
  inode.bytes = bytes;
  return 0;
}

/**
 * Makes [start, end) a hole without changing the size (fallocate PUNCH_HOLE, MADV_REMOVE).
 * @returns 0, -ENOMEM, -EIO, -ESTALE
 */
export function punchPages(k: Kernel, inode: Inode, start: number, end: number): number {
  const stop = Math.min(end, Math.ceil(inode.bytes / PAGE_BYTES) * PAGE_BYTES);
  for (let offset = start; offset < stop;) {
    const index = Math.floor(offset / PAGE_BYTES);
    const within = offset % PAGE_BYTES;
    const to = Math.min(PAGE_BYTES, stop - index * PAGE_BYTES);
    if (within === 0 && to === PAGE_BYTES && dropToHole(k, inode, index)) {
      offset += PAGE_BYTES;
      continue;
    }
    // Lower content shows through an absent page, so the zeroes are a page there.
    if (cachedFrame(inode, index) === 0 && offset < inode.lowerBytes) {
      const loaded = loadPage(k, inode, index);
      if (loaded < 0) return loaded;
    }
    const failed = clearPage(k, inode, index, within, to);
    if (failed < 0) return failed;
    offset = index * PAGE_BYTES + to;
  }
  return 0;
}

/** Frees the whole cache of an inode. Preconditions: nothing maps it. */
export function dropInodePages(k: Kernel, inode: Inode): void {
  freePages(k, inode, 0);
}
