// `struct msghdr` of the guest, and its iovecs as a buffer that can begin in the middle: a call
// that waited goes on where it stopped.
import { EFAULT, EINVAL, EMSGSIZE } from '../../abi/errno.ts';
import { IOV_MAX } from '../../abi/limits.ts';
import { SOCKADDR_STORAGE_BYTES } from '../../abi/socket.ts';
import { Msghdr } from '../../abi/struct-socket.ts';
import type { Kernel } from '../kernel.ts';
import { readStruct, readU64 } from '../mm/user-memory.ts';
import type { IoBuffer } from '../vfs/file-ops.ts';
import { iovecBuffer, userBuffer } from '../vfs/io-buffer.ts';

const IOVEC_BYTES = 16;

/** A checked copy of `struct msghdr`. */
export interface MessageHeader {
  /** Address buffer; 0 bytes when there is none. */
  nameGva: number;
  nameBytes: number;
  iovGva: number;
  iovCount: number;
  controlGva: number;
  controlBytes: number;
}

/** Reads a header: -EFAULT, -EINVAL for a negative name length, -EMSGSIZE for too many iovecs. */
export function readHeader(k: Kernel, gva: number): MessageHeader | number {
  const view = readStruct(k, gva, Msghdr.bytes);
  if (view === null) return -EFAULT;
  const header: MessageHeader = {
    nameGva: Msghdr.msg_name.get(view, 0),
    nameBytes: Msghdr.msg_namelen.get(view, 0),
    iovGva: Msghdr.msg_iov.get(view, 0),
    iovCount: Msghdr.msg_iovlen.get(view, 0),
    controlGva: Msghdr.msg_control.get(view, 0),
    controlBytes: Msghdr.msg_controllen.get(view, 0),
  };
  if (header.nameGva === 0) header.nameBytes = 0;
  if (header.controlGva === 0) header.controlBytes = 0;
  if (header.nameBytes < 0) return -EINVAL;
  header.nameBytes = Math.min(header.nameBytes, SOCKADDR_STORAGE_BYTES);
  return header.iovCount > IOV_MAX ? -EMSGSIZE : header;
}

/** One buffer after another. */
class ChainBuffer implements IoBuffer {
  readonly #first: IoBuffer;
  readonly #second: IoBuffer;

  constructor(first: IoBuffer, second: IoBuffer) {
    this.#first = first;
    this.#second = second;
  }

  get remaining(): number {
    return this.#first.remaining + this.#second.remaining;
  }

  put(source: Uint8Array): number {
    const done = this.#first.put(source);
    return this.#first.remaining > 0 ? done : done + this.#second.put(source.subarray(done));
  }

  take(target: Uint8Array): number {
    const done = this.#first.take(target);
    return this.#first.remaining > 0 ? done : done + this.#second.take(target.subarray(done));
  }
}

/** The header's iovecs without their first `done` bytes; -EFAULT, -EINVAL. */
export function messageBuffer(k: Kernel, header: MessageHeader, done: number): IoBuffer | number {
  const { iovGva, iovCount } = header;
  if (done === 0) return iovecBuffer(k, iovGva, iovCount);
  let skip = done;
  for (let index = 0; index < iovCount; index++) {
    const base = readU64(k, iovGva + index * IOVEC_BYTES);
    const bytes = readU64(k, iovGva + index * IOVEC_BYTES + 8);
    if (base < 0 || bytes < 0) return -EFAULT;
    if (skip >= bytes) {
      skip -= bytes;
      continue;
    }
    const rest = iovecBuffer(k, iovGva + (index + 1) * IOVEC_BYTES, iovCount - index - 1);
    if (typeof rest === 'number') return rest;
    return new ChainBuffer(userBuffer(k, base + skip, bytes - skip), rest);
  }
  return userBuffer(k, 0, 0);
}
