// Guest memory as the kernel's calls see it: the one checked way in and out (copy_from_user,
// copy_to_user). Every guest pointer goes through here; a bad one is EFAULT, never an exception.
import { joinBytes } from '../../../formats/join-bytes.ts';
import type { Kernel } from '../kernel.ts';
import { PAGE_BYTES } from '../ports.ts';
import { accessPage } from './access.ts';

/** One past the highest user address: the last page below 2^47 is never mapped. */
export const USER_END = 0x7fff_ffff_f000;

/** Linux: access_ok(), which calls ask about a whole buffer before anything is moved. */
export function isOutOfRange(gva: number, bytes: number): boolean {
  return gva + bytes > USER_END;
}

/**
 * Copies `target.length` bytes from the guest.
 * @returns bytes copied before the first unreadable one; less than asked for means EFAULT
 */
export function copyIn(k: Kernel, gva: number, target: Uint8Array): number {
  return walk(k, gva, target.length, false, (frame, offset, done, count) => {
    target.set(frame.subarray(offset, offset + count), done);
  });
}

/** Copies `source` to the guest; returns bytes copied before the first unwritable one. */
export function copyOut(k: Kernel, gva: number, source: Uint8Array): number {
  return walk(k, gva, source.length, true, (frame, offset, done, count) => {
    frame.set(source.subarray(done, done + count), offset);
  });
}

/** Fills guest memory with zeroes; returns bytes cleared. */
export function clearUser(k: Kernel, gva: number, bytes: number): number {
  return walk(k, gva, bytes, true, (frame, offset, _done, count) => {
    frame.fill(0, offset, offset + count);
  });
}

type PageVisitor = (frame: Uint8Array, offset: number, done: number, count: number) => void;

/** Visits [gva, gva + bytes) page by page. The visitor sees the page's 4096 bytes. */
function walk(
  k: Kernel,
  gva: number,
  bytes: number,
  forWrite: boolean,
  visit: PageVisitor,
): number {
  let done = 0;
  while (done < bytes) {
    const at = gva + done;
    if (!(at >= 0 && at < USER_END)) return done;
    const page = accessPage(k, at - at % PAGE_BYTES, forWrite);
    if (page === null) return done;
    const offset = at % PAGE_BYTES;
    const count = Math.min(PAGE_BYTES - offset, bytes - done);
    visit(page, offset, done, count);
    done += count;
  }
  return done;
}

const scratch: Uint8Array = new Uint8Array(4096);
const scratchView: DataView = new DataView(scratch.buffer);

/** Reads a small structure; null is EFAULT. Ownership: the view is reused by the next call. */
export function readStruct(k: Kernel, gva: number, bytes: number): DataView | null {
  if (bytes > scratch.length) throw new RangeError(`readStruct of ${bytes} bytes`);
  return copyIn(k, gva, scratch.subarray(0, bytes)) === bytes ? scratchView : null;
}

/** Reads a u32, or -1 for EFAULT. */
export function readU32(k: Kernel, gva: number): number {
  return readStruct(k, gva, 4)?.getUint32(0, true) ?? -1;
}

/** Reads an unsigned 64-bit value as a number, or -1 for EFAULT. */
export function readU64(k: Kernel, gva: number): number {
  const at = readStruct(k, gva, 8);
  return at === null ? -1 : at.getUint32(0, true) + at.getUint32(4, true) * 0x1_0000_0000;
}

const small: Uint8Array = new Uint8Array(8);
const smallView: DataView = new DataView(small.buffer);

/** Writes a u32 (or i32); false is EFAULT. */
export function writeU32(k: Kernel, gva: number, value: number): boolean {
  smallView.setUint32(0, value >>> 0, true);
  return copyOut(k, gva, small.subarray(0, 4)) === 4;
}

/** Writes a 64-bit integer given as a number; false is EFAULT. */
export function writeU64(k: Kernel, gva: number, value: number): boolean {
  const high = Math.floor(value / 0x1_0000_0000);
  smallView.setUint32(0, value - high * 0x1_0000_0000, true);
  smallView.setInt32(4, high | 0, true);
  return copyOut(k, gva, small) === 8;
}

/** A string of more than this many bytes is refused (PATH_MAX and argument limits are lower). */
const STRING_LIMIT = 128 * 1024;

/**
 * Reads a NUL-terminated string of at most `limit` bytes, terminator included.
 * @returns the bytes without the NUL (a copy), or null for EFAULT, or undefined when it is too long
 */
export function readString(
  k: Kernel,
  gva: number,
  limit: number,
): Uint8Array | null | undefined {
  const parts: Uint8Array[] = [];
  const most = Math.min(limit, STRING_LIMIT);
  for (let done = 0; done < most;) {
    const at = gva + done;
    if (!(at >= 0 && at < USER_END)) return null;
    const page = accessPage(k, at - at % PAGE_BYTES, false);
    if (page === null) return null;
    const offset = at % PAGE_BYTES;
    const end = Math.min(PAGE_BYTES, offset + most - done);
    const nul = page.subarray(0, end).indexOf(0, offset);
    parts.push(page.slice(offset, nul < 0 ? end : nul));
    if (nul >= 0) return parts.length === 1 ? parts[0] as Uint8Array : joinBytes(parts);
    done += end - offset;
  }
  return undefined;
}
