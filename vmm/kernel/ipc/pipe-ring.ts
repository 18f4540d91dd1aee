// The ring buffer of a pipe: filling, draining, growing.
//
//   buffer   |········ [head ……… head + count) ········|     indices modulo the buffer's length
//
// Linux: a page of a pipe is free when all of it was read, so that the read part of the first page
// counts as used; an empty pipe has all pages free.
// Invariant: count <= buffer.length <= capacity, both multiples of PIPE_BUF; head is 0 when count
// is.
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

/** Bytes in use: the content and what was read of its first page. */
export function usedBytes(pipe: Pipe): number {
  return pipe.head % PIPE_BUF + pipe.count;
}

/** Bytes that can be written. */
export function freeBytes(pipe: Pipe): number {
  return pipe.capacity - usedBytes(pipe);
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
  if (pipe.count === 0) pipe.head = 0;
  return done;
}

/**
 * Copies `bytes` in, of which there must be room. A chunk that meets a bad address is left out as a
 * whole.
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

/** Makes the ring long enough for `bytes` of content. Preconditions: the capacity allows it. */
export function reserveRing(k: Kernel, pipe: Pipe, bytes: number): void {
  if (bytes <= pipe.buffer.length) return;
  let length = pipe.buffer.length;
  while (length < bytes) length *= 2;
  resizeRing(k, pipe, Math.min(length, pipe.capacity));
}

/**
 * Moves the content to storage of `bytes`, at the same place in its page. Preconditions: it fits.
 */
export function resizeRing(k: Kernel, pipe: Pipe, bytes: number): void {
  const old = pipe.buffer;
  const ring = makeRing(k, bytes);
  const head = pipe.head % PIPE_BUF;
  for (let done = 0; done < pipe.count;) {
    const from = (pipe.head + done) % old.length;
    const to = (head + done) % ring.length;
    const count = Math.min(pipe.count - done, old.length - from, ring.length - to);
    ring.data.set(old.data.subarray(from, from + count), to);
    done += count;
  }
  pipe.buffer = ring;
  pipe.head = head;
  k.arena.free(old);
}
