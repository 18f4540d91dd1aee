// The path from a wake-up to an epoll instance: an interest whose file changed goes on the ready
// list of its instance, and whoever waits for the instance is woken.
//
//   wakeFor(pipe.queue, POLLIN) ─► wake ─► notifyEpollItem ─► ready list ─► wakeFor(epoll.queue)
//
// Invariant: an item is in its instance's ready list if and only if `isReady`.
// Invariant: nesting is limited (epoll.ts), so the recursion through wake() ends.
import {
  EPOLLERR, EPOLLEXCLUSIVE, EPOLLET, EPOLLHUP, EPOLLONESHOT, EPOLLWAKEUP, POLLIN,
} from '../../abi/poll.ts';
import type { Kernel } from '../kernel.ts';
import type { Epoll, EpollItem } from '../records/ipc.ts';
import type { WaitQueue } from '../records/task.ts';
import { wake } from '../task/block.ts';

/** Bits of EpollItem.events that are no events (EP_PRIVATE_BITS). */
export const EPOLL_PRIVATE_BITS: number =
  (EPOLLWAKEUP | EPOLLONESHOT | EPOLLET | EPOLLEXCLUSIVE) >>> 0;

/** What the wake-up in progress is about (POLL* bits); 0 = anything. */
let wakeKey = 0;

/**
 * Wakes a queue, saying what changed: an epoll interest in other events is left alone, which
 * matters for edge-triggered ones. Blocked threads are all woken and look for themselves.
 */
export function wakeFor(k: Kernel, queue: WaitQueue, events: number): void {
  if (queue.first === null) return;
  const outer = wakeKey;
  wakeKey = events;
  try {
    wake(k, queue);
  } finally {
    wakeKey = outer;
  }
}

/** The file of `item` changed: puts the item on the ready list (Linux: ep_poll_callback). */
export function notifyEpollItem(k: Kernel, item: EpollItem): void {
  const asked = item.events & ~EPOLL_PRIVATE_BITS;
  // Without any event left, the item was disabled by EPOLLONESHOT.
  if (asked === 0) return;
  if (wakeKey !== 0 && (wakeKey & (asked | EPOLLERR | EPOLLHUP)) === 0) return;
  appendReady(item);
  wakeFor(k, item.epoll.queue, POLLIN);
}

/** Puts an item at the end of the ready list unless it is in the list. */
export function appendReady(item: EpollItem): void {
  if (item.isReady) return;
  const { epoll } = item;
  const tail = epoll.readyTail;
  item.isReady = true;
  item.readyNext = null;
  item.readyPrevious = tail;
  if (tail === null) epoll.readyHead = item;
  else tail.readyNext = item;
  epoll.readyTail = item;
}

/** Takes an item out of the ready list. No effect when it is not in it. */
export function removeReady(item: EpollItem): void {
  if (!item.isReady) return;
  const epoll: Epoll = item.epoll;
  const { readyNext, readyPrevious } = item;
  if (readyPrevious === null) epoll.readyHead = readyNext;
  else readyPrevious.readyNext = readyNext;
  if (readyNext === null) epoll.readyTail = readyPrevious;
  else readyNext.readyPrevious = readyPrevious;
  item.isReady = false;
  item.readyNext = null;
  item.readyPrevious = null;
}
