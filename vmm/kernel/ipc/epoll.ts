// Epoll instances, epoll(7): interests in files, and the list of those that may be ready.
//
//   Epoll ─ items ─► Table<EpollItem> ─ file ─► File ─ epollItems ─► EpollItem ─ nextOfFile ─► …
//     └ readyHead ─► EpollItem ─ readyNext ─► …         └ waiter ─► in the wait queue of the file
//
// Being in the ready list is a hint: what holds is asked from the file when events are collected.
// Ownership: an instance owns its items. An item does not hold its file: it goes with the last
// descriptor of the file (epollFileGone) or with the instance.
import { EEXIST, EFAULT, EINVAL, ELOOP, ENOENT, ENOSPC, EPERM } from '../../abi/errno.ts';
import { O_RDWR } from '../../abi/fcntl.ts';
import {
  EPOLL_CTL_ADD, EPOLL_CTL_DEL, EPOLL_CTL_MOD, EPOLLERR, EPOLLET, EPOLLEXCLUSIVE, EPOLLHUP, EPOLLIN,
  EPOLLONESHOT, EPOLLOUT, EPOLLWAKEUP, POLLIN, POLLRDNORM,
} from '../../abi/poll.ts';
import type { Kernel } from '../kernel.ts';
import { copyOut } from '../mm/user-memory.ts';
import { Epoll, EpollItem, EpollItemTable } from '../records/ipc.ts';
import { type File, FILE_EPOLL } from '../records/vfs.ts';
import { growTable } from '../state/containers.ts';
import { addWaiter, makeWaitQueue, removeWaiter } from '../task/block.ts';
import { defineFileOps, opsOf } from '../vfs/file-ops.ts';
import { freeQueue, makeAnonFile, seekNowhere } from './anon-file.ts';
import { firstItemOf, hasTooManyPaths, nestsTooDeep } from './epoll-nesting.ts';
import { appendReady, EPOLL_PRIVATE_BITS, removeReady, wakeFor } from './epoll-ready.ts';

/** Bytes of `struct epoll_event`, packed: u32 events, u64 data. */
export const EPOLL_EVENT_BYTES = 12;
/** Most interests of one instance (Linux limits them per user: max_user_watches). */
const ITEMS_MOST = 65_536;
const FIRST_ITEMS = 8;
/** Linux: EPOLLEXCLUSIVE_OK_BITS, what may be asked for together with EPOLLEXCLUSIVE. */
const EXCLUSIVE_OK_BITS: number =
  EPOLLIN | EPOLLOUT | EPOLLERR | EPOLLHUP | EPOLLWAKEUP | EPOLLET | EPOLLEXCLUSIVE;

/** A file over a new instance. */
export function makeEpoll(k: Kernel): File {
  const epoll = k.arena.make(Epoll);
  epoll.queue = makeWaitQueue(k);
  epoll.items = k.arena.make(EpollItemTable, FIRST_ITEMS * 4);
  const file = makeAnonFile(k, FILE_EPOLL, O_RDWR, epoll);
  epoll.owner = file;
  return file;
}

function epollOf(k: Kernel, file: File): Epoll {
  return k.arena.at(Epoll, file.object?.address ?? 0);
}

/**
 * epoll_ctl(2) after the descriptors are known.
 * @param events EPOLL* bits (unsigned) and `data`: the event structure; unused for EPOLL_CTL_DEL
 * @returns 0, -EPERM (file without poll), -EINVAL, -ELOOP, -EEXIST, -ENOENT, -ENOSPC
 */
export function controlEpoll(
  k: Kernel,
  file: File,
  op: number,
  target: File,
  fd: number,
  events: number,
  data: bigint,
): number {
  if (opsOf(target).queue(k, target) === null) return -EPERM;
  if (file === target || file.kind !== FILE_EPOLL) return -EINVAL;
  if (op !== EPOLL_CTL_DEL && (events & EPOLLEXCLUSIVE) !== 0) {
    if (op === EPOLL_CTL_MOD) return -EINVAL;
    if (op === EPOLL_CTL_ADD && target.kind === FILE_EPOLL) return -EINVAL;
    if (op === EPOLL_CTL_ADD && (events & ~EXCLUSIVE_OK_BITS) !== 0) return -EINVAL;
  }
  if (op === EPOLL_CTL_ADD && nestsTooDeep(k, file, target)) return -ELOOP;
  const item = findItem(k, epollOf(k, file), target, fd);
  const asked = (events | EPOLLERR | EPOLLHUP) >>> 0;
  switch (op) {
    case EPOLL_CTL_ADD:
      return item !== null ? -EEXIST : addItem(k, file, target, fd, asked, data);
    case EPOLL_CTL_DEL:
      if (item === null) return -ENOENT;
      removeItem(k, item);
      return 0;
    case EPOLL_CTL_MOD:
      if (item === null) return -ENOENT;
      if ((item.events & EPOLLEXCLUSIVE) !== 0) return -EINVAL;
      item.events = asked;
      item.data = data;
      offerItem(k, item);
      return 0;
    default:
      return -EINVAL;
  }
}

function findItem(k: Kernel, epoll: Epoll, target: File, fd: number): EpollItem | null {
  for (let item = firstItemOf(k, target); item !== null; item = item.nextOfFile) {
    if (item.epoll === epoll && item.fd === fd) return item;
  }
  return null;
}

function addItem(
  k: Kernel,
  file: File,
  target: File,
  fd: number,
  events: number,
  data: bigint,
): number {
  const epoll = epollOf(k, file);
  const index = epoll.items.length;
  if (index >= ITEMS_MOST) return -ENOSPC;
  const queue = opsOf(target).queue(k, target);
  if (queue === null) return -EPERM;
  // Order: what can run out of memory comes before anything is linked.
  epoll.items = growTable(EpollItemTable, epoll.items, index + 1);
  const item = k.arena.make(EpollItem);
  const waiter = addWaiter(k, queue, null);
  item.epoll = epoll;
  item.file = target;
  item.fd = fd;
  item.events = events;
  item.data = data;
  item.index = index;
  item.waiter = waiter;
  waiter.item = item;
  epoll.items.set(index, item);
  epoll.items.length = index + 1;
  item.nextOfFile = firstItemOf(k, target);
  target.epollItems = item;
  if (hasTooManyPaths(k, file, target)) {
    removeItem(k, item);
    return -EINVAL;
  }
  offerItem(k, item);
  return 0;
}

/** Puts the item on the ready list if its file has an event for it now. */
function offerItem(k: Kernel, item: EpollItem): void {
  if (eventsOf(k, item) === 0) return;
  appendReady(item);
  wakeFor(k, item.epoll.queue, POLLIN | POLLRDNORM);
}

/** The events asked for that hold now; none for an item disabled by EPOLLONESHOT. */
function eventsOf(k: Kernel, item: EpollItem): number {
  const asked = item.events & ~EPOLL_PRIVATE_BITS;
  return asked === 0 ? 0 : opsOf(item.file).poll(k, item.file) & asked;
}

/** Unlinks an item from everything and frees it. */
function removeItem(k: Kernel, item: EpollItem): void {
  const { epoll, file, waiter, index } = item;
  removeReady(item);
  if (waiter !== null) removeWaiter(k, waiter);
  unlinkFromFile(k, file, item);
  const last = epoll.items.length - 1;
  const moved = epoll.items.get(last);
  epoll.items.set(last, null);
  epoll.items.length = last;
  if (moved !== null && moved !== item) {
    epoll.items.set(index, moved);
    moved.index = index;
  }
  k.arena.free(item);
}

function unlinkFromFile(k: Kernel, file: File, item: EpollItem): void {
  const first = firstItemOf(k, file);
  if (first === item) {
    file.epollItems = item.nextOfFile;
    return;
  }
  for (let at = first; at !== null; at = at.nextOfFile) {
    if (at.nextOfFile === item) at.nextOfFile = item.nextOfFile;
  }
}

/**
 * The last descriptor of `file` is gone: removes every interest in it.
 * Order: dropFile calls it before the file's release operation, which frees the wait queue.
 */
export function epollFileGone(k: Kernel, file: File): void {
  for (let item = firstItemOf(k, file); item !== null; item = firstItemOf(k, file)) {
    removeItem(k, item);
  }
}

const eventBytes: Uint8Array = new Uint8Array(EPOLL_EVENT_BYTES);
const eventView: DataView = new DataView(eventBytes.buffer);

/**
 * Writes up to `most` events to the guest at `gva` and updates the ready list (Linux:
 * ep_send_events): level-triggered items go to its end, edge-triggered and one-shot ones leave it.
 * @returns events written, or -EFAULT when not even the first could be
 */
export function collectEvents(k: Kernel, epollFile: File, gva: number, most: number): number {
  const epoll = epollOf(k, epollFile);
  const last = epoll.readyTail;
  let count = 0;
  for (let item = epoll.readyHead; item !== null && count < most; item = epoll.readyHead) {
    const events = eventsOf(k, item);
    if (events !== 0) {
      eventView.setUint32(0, events, true);
      eventView.setBigUint64(4, item.data, true);
      const at = gva + count * EPOLL_EVENT_BYTES;
      if (copyOut(k, at, eventBytes) !== EPOLL_EVENT_BYTES) return count === 0 ? -EFAULT : count;
      count++;
    }
    removeReady(item);
    if (events !== 0) {
      if ((item.events & EPOLLONESHOT) !== 0) disable(item);
      else if ((item.events & EPOLLET) === 0) appendReady(item);
    }
    if (item === last) break;
  }
  return count;
}

/** What EPOLLONESHOT does after one event: only EPOLL_CTL_MOD brings the item back. */
function disable(item: EpollItem): void {
  item.events = (item.events & EPOLL_PRIVATE_BITS) >>> 0;
}

/**
 * An instance is readable when an item on its ready list really has an event; others leave the
 * list.
 */
function pollEpoll(k: Kernel, file: File): number {
  const epoll = epollOf(k, file);
  for (let item = epoll.readyHead; item !== null; item = epoll.readyHead) {
    if (eventsOf(k, item) !== 0) return POLLIN | POLLRDNORM;
    removeReady(item);
  }
  return 0;
}

function releaseEpoll(k: Kernel, file: File): void {
  const epoll = epollOf(k, file);
  file.object = null;
  for (let item = epoll.items.get(0); item !== null; item = epoll.items.get(0)) {
    removeItem(k, item);
  }
  freeQueue(k, epoll.queue);
  k.arena.free(epoll.items);
  k.arena.free(epoll);
}

defineFileOps(FILE_EPOLL, {
  seekable: false,
  poll: pollEpoll,
  queue: (k, file) => epollOf(k, file).queue,
  seek: seekNowhere,
  // Linux: of all kinds of files only this one says EINVAL to what it does not know.
  ioctl: () => -EINVAL,
  release: releaseEpoll,
});
