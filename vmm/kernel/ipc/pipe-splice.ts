// Moving bytes into and out of a pipe within the kernel: splice(2), tee(2), vmsplice(2).
//
// Linux passes pages on; here bytes are copied between rings, so that what a program changes after
// vmsplice(2) does not change what is in the pipe.
import { PIPE_BUF } from '../../abi/limits.ts';
import { POLLIN, POLLOUT, POLLRDNORM, POLLWRNORM } from '../../abi/poll.ts';
import type { Kernel } from '../kernel.ts';
import { Pipe } from '../records/ipc.ts';
import { type File, FILE_PIPE } from '../records/vfs.ts';
import type { IoBuffer } from '../vfs/file-ops.ts';
import { kernelBuffer } from '../vfs/io-buffer.ts';
import { wakeFor } from './epoll-ready.ts';
import { fillRing, freeBytes, reserveRing } from './pipe-ring.ts';

/** The pipe behind a file, or null. Linux: get_pipe_info. */
export function pipeBehind(k: Kernel, file: File): Pipe | null {
  return file.kind === FILE_PIPE ? k.arena.at(Pipe, file.object?.address ?? 0) : null;
}

/**
 * A live view of content from `offset` on, as much as lies together. Preconditions: offset is below
 * the count.
 */
export function peekRing(pipe: Pipe, offset: number, most: number): Uint8Array {
  const { buffer, head, count } = pipe;
  const from = (head + offset) % buffer.length;
  return buffer.data.subarray(from, from + Math.min(most, count - offset, buffer.length - from));
}

/** Takes the first `bytes` out, of which there are so many, and tells writers. */
export function skipRing(k: Kernel, pipe: Pipe, bytes: number): void {
  const wasTight = freeBytes(pipe) < PIPE_BUF;
  pipe.count -= bytes;
  pipe.head = pipe.count === 0 ? 0 : (pipe.head + bytes) % pipe.buffer.length;
  if (wasTight) wakeFor(k, pipe.queue, POLLOUT | POLLWRNORM);
}

/** Adds up to `bytes` of `from`, as many as there is room for, and tells readers. */
export function appendRing(k: Kernel, pipe: Pipe, from: IoBuffer, bytes: number): number {
  const wanted = Math.min(bytes, from.remaining, freeBytes(pipe));
  reserveRing(k, pipe, pipe.count + wanted);
  const done = fillRing(pipe, from, wanted);
  if (done > 0) wakeFor(k, pipe.queue, POLLIN | POLLRDNORM);
  return done;
}

/** Copies up to `bytes` from one pipe to another, which is another pipe; returns how many. */
export function copyRing(k: Kernel, from: Pipe, to: Pipe, bytes: number): number {
  const wanted = Math.min(bytes, from.count, freeBytes(to));
  let done = 0;
  while (done < wanted) {
    const part = peekRing(from, done, wanted - done);
    done += appendRing(k, to, kernelBuffer(part), part.length);
  }
  return done;
}
