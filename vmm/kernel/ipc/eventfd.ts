// Event counters, eventfd(2).
//
// Invariant: count <= 2^64 - 2; a write that would pass that waits.
import { EAGAIN, EFAULT, EINVAL } from '../../abi/errno.ts';
import { O_RDWR } from '../../abi/fcntl.ts';
import { POLLIN, POLLOUT } from '../../abi/poll.ts';
import type { Kernel } from '../kernel.ts';
import { EventFd } from '../records/ipc.ts';
import { type File, FILE_EVENTFD } from '../records/vfs.ts';
import { makeWaitQueue } from '../task/block.ts';
import { defineFileOps, type IoBuffer } from '../vfs/file-ops.ts';
import { freeQueue, makeAnonFile, seekNowhere } from './anon-file.ts';
import { wakeFor } from './epoll-ready.ts';

const COUNT_MOST = 0xffff_ffff_ffff_fffen;
/** The one value that cannot be written. */
const COUNT_INVALID = 0xffff_ffff_ffff_ffffn;

const scratch: Uint8Array = new Uint8Array(8);
const scratchView: DataView = new DataView(scratch.buffer);

/** A file over a new counter; `flags` are status flags (O_NONBLOCK). */
export function makeEventFd(k: Kernel, count: number, semaphore: boolean, flags: number): File {
  const event = k.arena.make(EventFd);
  event.queue = makeWaitQueue(k);
  event.count = BigInt(count);
  event.semaphore = semaphore;
  return makeAnonFile(k, FILE_EVENTFD, O_RDWR | flags, event);
}

function eventOf(k: Kernel, file: File): EventFd {
  return k.arena.at(EventFd, file.object?.address ?? 0);
}

function readEvent(k: Kernel, file: File, to: IoBuffer): number {
  if (to.remaining < 8) return -EINVAL;
  const event = eventOf(k, file);
  if (event.count === 0n) return -EAGAIN;
  const value = event.semaphore ? 1n : event.count;
  event.count -= value;
  wakeFor(k, event.queue, POLLOUT);
  scratchView.setBigUint64(0, value, true);
  return to.put(scratch) === 8 ? 8 : -EFAULT;
}

function writeEvent(k: Kernel, file: File, from: IoBuffer): number {
  // Linux: exactly 8 bytes since 6.5 (eventfd_write).
  if (from.remaining !== 8) return -EINVAL;
  if (from.take(scratch) !== 8) return -EFAULT;
  const value = scratchView.getBigUint64(0, true);
  if (value === COUNT_INVALID) return -EINVAL;
  const event = eventOf(k, file);
  if (COUNT_MOST - event.count < value) return -EAGAIN;
  event.count += value;
  wakeFor(k, event.queue, POLLIN);
  return 8;
}

function pollEvent(k: Kernel, file: File): number {
  const { count } = eventOf(k, file);
  return (count > 0n ? POLLIN : 0) | (count < COUNT_MOST ? POLLOUT : 0);
}

function releaseEvent(k: Kernel, file: File): void {
  const event = eventOf(k, file);
  file.object = null;
  freeQueue(k, event.queue);
  k.arena.free(event);
}

defineFileOps(FILE_EVENTFD, {
  seekable: false,
  read: readEvent,
  write: writeEvent,
  poll: pollEvent,
  queue: (k, file) => eventOf(k, file).queue,
  seek: seekNowhere,
  release: releaseEvent,
});
