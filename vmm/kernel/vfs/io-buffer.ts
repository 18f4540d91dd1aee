// IoBuffer in its three forms: one range of guest memory, many (iovec), or a kernel buffer. Bytes
// move strictly in order; a bad guest address ends the transfer early, and the caller decides
// between a short count and EFAULT (`faulted`).
import { EFAULT, EINVAL } from '../../abi/errno.ts';
import type { Kernel } from '../kernel.ts';
import { copyIn, copyOut } from '../mm/user-memory.ts';
import type { IoBuffer } from './file-ops.ts';

/** Linux: MAX_RW_COUNT, the most bytes one call transfers. */
export const RW_BYTES_MOST = 0x7fff_f000;
/** Linux: UIO_MAXIOV. */
export const IOVECS_MOST = 1024;

interface Segment {
  gva: number;
  bytes: number;
}

class UserBuffer implements IoBuffer {
  readonly #kernel: Kernel;
  readonly #segments: readonly Segment[];
  #index: number = 0;
  #offset: number = 0;
  #remaining: number;

  constructor(k: Kernel, segments: readonly Segment[], bytes: number) {
    this.#kernel = k;
    this.#segments = segments;
    this.#remaining = bytes;
  }

  get remaining(): number {
    return this.#remaining;
  }

  put(source: Uint8Array): number {
    return this.#move(source, copyOut);
  }

  take(target: Uint8Array): number {
    return this.#move(target, copyIn);
  }

  #move(data: Uint8Array, copy: (k: Kernel, gva: number, data: Uint8Array) => number): number {
    const wanted = Math.min(data.length, this.#remaining);
    let done = 0;
    while (done < wanted) {
      const segment = this.#segments[this.#index] as Segment;
      const count = Math.min(wanted - done, segment.bytes - this.#offset);
      const part = data.subarray(done, done + count);
      const moved = count === 0 ? 0 : copy(this.#kernel, segment.gva + this.#offset, part);
      done += moved;
      this.#offset += moved;
      if (moved < count) break;
      if (this.#offset === segment.bytes) {
        this.#index++;
        this.#offset = 0;
      }
    }
    this.#remaining -= done;
    return done;
  }
}

class KernelBuffer implements IoBuffer {
  readonly data: Uint8Array;
  #offset: number = 0;

  constructor(data: Uint8Array) {
    this.data = data;
  }

  get remaining(): number {
    return this.data.length - this.#offset;
  }

  put(source: Uint8Array): number {
    const count = Math.min(source.length, this.remaining);
    this.data.set(source.subarray(0, count), this.#offset);
    this.#offset += count;
    return count;
  }

  take(target: Uint8Array): number {
    const count = Math.min(target.length, this.remaining);
    target.set(this.data.subarray(this.#offset, this.#offset + count));
    this.#offset += count;
    return count;
  }
}

/** `bytes` of guest memory at `gva`; more than Linux moves in one call is cut off. */
export function userBuffer(k: Kernel, gva: number, bytes: number): IoBuffer {
  const count = Math.min(bytes, RW_BYTES_MOST);
  return new UserBuffer(k, [{ gva, bytes: count }], count);
}

class LimitedBuffer implements IoBuffer {
  readonly #inner: IoBuffer;
  #left: number;

  constructor(inner: IoBuffer, most: number) {
    this.#inner = inner;
    this.#left = most;
  }

  get remaining(): number {
    return Math.min(this.#left, this.#inner.remaining);
  }

  put(source: Uint8Array): number {
    const done = this.#inner.put(source.subarray(0, Math.min(source.length, this.#left)));
    this.#left -= done;
    return done;
  }

  take(target: Uint8Array): number {
    const done = this.#inner.take(target.subarray(0, Math.min(target.length, this.#left)));
    this.#left -= done;
    return done;
  }
}

/** The first `most` bytes of another buffer. */
export function limitBuffer(inner: IoBuffer, most: number): IoBuffer {
  return new LimitedBuffer(inner, most);
}

/** A kernel buffer as source or destination. Ownership: `data` is used in place. */
export function kernelBuffer(data: Uint8Array): IoBuffer {
  return new KernelBuffer(data);
}

/**
 * The guest's `struct iovec[count]` at `iov`.
 * @returns -EINVAL for a bad count or a length that is negative as ssize_t, -EFAULT
 */
export function iovecBuffer(k: Kernel, iov: number, count: number): IoBuffer | number {
  if (count < 0 || count > IOVECS_MOST) return -EINVAL;
  const raw = new Uint8Array(count * 16);
  if (copyIn(k, iov, raw) !== raw.length) return -EFAULT;
  const view = new DataView(raw.buffer);
  const segments: Segment[] = [];
  let total = 0;
  for (let index = 0; index < count; index++) {
    const bytes = readWord(view, index * 16 + 8);
    if (bytes >= 2 ** 63) return -EINVAL;
    const taken = Math.min(bytes, RW_BYTES_MOST - total);
    if (taken > 0) segments.push({ gva: readWord(view, index * 16), bytes: taken });
    total += taken;
  }
  return new UserBuffer(k, segments, total);
}

function readWord(view: DataView, at: number): number {
  return view.getUint32(at, true) + view.getUint32(at + 4, true) * 0x1_0000_0000;
}
