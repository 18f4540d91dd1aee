// The ring buffer of a pipe: filling, draining, growing.
//
//   buffer   |········ [head ……… head + count) ········|     indices modulo the buffer's length
//
// Invariant: count <= buffer.length <= capacity.
import { PIPE_BUF } from '../../abi/limits.ts';
import type { Kernel } from '../kernel.ts';
import type { Pipe } from '../records/ipc.ts';
import { Bytes } from '../state/containers.ts';
import type { IoBuffer } from '../vfs/file-ops.ts';

/** Storage of `bytes` bytes. */
export function makeRing(k: Kernel, bytes: number): Bytes {
  const ring = k.arena.make(Bytes, bytes);
  ring.length = bytes;
  return ring;
}

/** Moves bytes out until the ring is empty or `to` is full; returns how many (0: bad address). */
export function drainRing(pipe: Pipe, to: IoBuffer): number {
  let done = 0;
  while (pipe.count > 0 && to.remaining > 0) {
    const { buffer, head } = pipe;
    const bytes = Math.min(pipe.count, to.remaining, buffer.length - head);
    const moved = to.put(buffer.data.subarray(head, head + bytes));
    done += moved;
    pipe.head = (head + moved) % buffer.length;
    pipe.count -= moved;
    if (moved < bytes) break;
  }
  return done;
}

/**
 * Copies `bytes` in, of which there must be room. A chunk that meets a bad address is left out as a whole.
 * @returns bytes added
 */
export function fillRing(pipe: Pipe, from: IoBuffer, bytes: number): number {
  const { buffer } = pipe;
  let done = 0;
  while (done < bytes) {
    const tail = (pipe.head + pipe.count) % buffer.length;
    const chunk = Math.min(bytes - done, buffer.length - tail, PIPE_BUF);
    const taken = from.take(buffer.data.subarray(tail, tail + chunk));
    if (taken < chunk) break;
    pipe.count += chunk;
    done += chunk;
  }
  return done;
}

/** Makes the ring at least `bytes` long. */
export function reserveRing(k: Kernel, pipe: Pipe, bytes: number): void {
  if (bytes <= pipe.buffer.length) return;
  let length = pipe.buffer.length;
  while (length < bytes) length *= 2;
  resizeRing(k, pipe, Math.min(length, pipe.capacity));
}

/** Moves the content to storage of `bytes`. Preconditions: it fits. */
export function resizeRing(k: Kernel, pipe: Pipe, bytes: number): void {
  const old = pipe.buffer;
  const ring = makeRing(k, bytes);
  const first = Math.min(pipe.count, old.length - pipe.head);
  ring.data.set(old.data.subarray(pipe.head, pipe.head + first));
  ring.data.set(old.data.subarray(0, pipe.count - first), first);
  pipe.buffer = ring;
  pipe.head = 0;
  k.arena.free(old);
}
