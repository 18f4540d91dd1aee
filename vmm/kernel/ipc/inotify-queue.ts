// The events of an inotify instance: put in by whoever changes a file (vfs/notify.ts), taken out by
// read(2) (inotify.ts).
//
// An event is a hint to the reader, never a reason for the change it tells of to fail: one that
// finds no memory is lost like one that finds the queue full, and IN_Q_OVERFLOW says so.
import {
  IN_DELETE_SELF, IN_EXCL_UNLINK, IN_IGNORED, IN_ISDIR, IN_MOVE_SELF, IN_ONESHOT, IN_Q_OVERFLOW,
} from '../../abi/eventfd.ts';
import { POLLIN, POLLRDNORM } from '../../abi/poll.ts';
import { INOTIFY_EVENTS_MOST } from '../../abi/limits.ts';
import type { Kernel } from '../kernel.ts';
import { type Inotify, InotifyEvent, InotifyWatch } from '../records/inotify.ts';
import type { Inode } from '../records/vfs.ts';
import { ArenaFullError } from '../state/arena.ts';
import { makeBytes, type Table } from '../state/containers.ts';
import { dropInode } from '../vfs/inode.ts';
import { wakeFor } from './epoll-ready.ts';

/** Something that happened. `name` is that of an entry of the watched directory. */
export interface Happening {
  mask: number;
  cookie: number;
  name: Uint8Array | null;
  /** It came through an open file whose name is gone (IN_EXCL_UNLINK). */
  isUnlinked: boolean;
}

/** The first watch of an inode. */
export function firstWatchOf(k: Kernel, inode: Inode): InotifyWatch | null {
  const { watches } = inode;
  return watches === null ? null : k.arena.at(InotifyWatch, watches.address);
}

/** Tells everybody who watches `inode` and asked for it. */
export function tellWatchers(k: Kernel, inode: Inode, what: Happening): void {
  for (let watch = firstWatchOf(k, inode); watch !== null;) {
    const next: InotifyWatch | null = watch.nextOfInode;
    tell(k, watch, what);
    watch = next;
  }
}

function tell(k: Kernel, watch: InotifyWatch, what: Happening): void {
  const { inotify, mask, wd } = watch;
  if ((mask & what.mask & ~(IN_ISDIR | IN_EXCL_UNLINK)) === 0) return;
  if (what.isUnlinked && (mask & IN_EXCL_UNLINK) !== 0) return;
  // Linux: never IN_ISDIR with what happened to the watched directory's own name.
  const isSelf = (what.mask & (IN_DELETE_SELF | IN_MOVE_SELF)) !== 0;
  queueEvent(k, inotify, wd, isSelf ? what.mask & ~IN_ISDIR : what.mask, what.cookie, what.name);
  if ((mask & IN_ONESHOT) !== 0) removeWatch(k, watch);
}

function queueEvent(
  k: Kernel, inotify: Inotify, wd: number, mask: number, cookie: number, name: Uint8Array | null,
): void {
  const { eventCount, overflowAfter } = inotify;
  const isFull = eventCount + (overflowAfter < 0 ? 0 : 1) >= INOTIFY_EVENTS_MOST;
  if (!isFull && isLikeLast(inotify, wd, mask, name)) return;
  if (isFull || !appendEvent(k, inotify, wd, mask, cookie, name)) {
    if (overflowAfter >= 0) return;
    inotify.overflowAfter = eventCount;
  }
  wakeFor(k, inotify.queue, POLLIN | POLLRDNORM);
}

/** Linux: inotify_merge. An event like the one before it, unread, says nothing new. */
function isLikeLast(
  inotify: Inotify, wd: number, mask: number, name: Uint8Array | null,
): boolean {
  const { lastEvent: last, overflowAfter, eventCount } = inotify;
  if (last === null || overflowAfter === eventCount || (last.mask & IN_IGNORED) !== 0) return false;
  if (last.wd !== wd || last.mask !== mask >>> 0) return false;
  const lastName = last.name?.data ?? null;
  if (lastName === null || name === null) return lastName === name;
  return lastName.length === name.length && lastName.every((byte, index) => byte === name[index]);
}

/** Returns false when there is no memory for it. */
function appendEvent(
  k: Kernel, inotify: Inotify, wd: number, mask: number, cookie: number, name: Uint8Array | null,
): boolean {
  let event: InotifyEvent | null = null;
  try {
    event = k.arena.make(InotifyEvent);
    if (name !== null) event.name = makeBytes(k.arena, name);
  } catch (error) {
    if (!(error instanceof ArenaFullError)) throw error;
    if (event !== null) k.arena.free(event);
    return false;
  }
  event.wd = wd;
  event.mask = mask >>> 0;
  event.cookie = cookie;
  if (inotify.lastEvent === null) inotify.firstEvent = event;
  else inotify.lastEvent.next = event;
  inotify.lastEvent = event;
  inotify.eventCount++;
  return true;
}

/** An event as read(2) gives it. */
export interface ReadyEvent {
  wd: number;
  mask: number;
  cookie: number;
  name: Uint8Array | null;
}

/** The oldest event, or null. */
export function peekEvent(inotify: Inotify): ReadyEvent | null {
  const { firstEvent, overflowAfter } = inotify;
  if (overflowAfter === 0) return { wd: -1, mask: IN_Q_OVERFLOW, cookie: 0, name: null };
  if (firstEvent === null) return null;
  const { wd, mask, cookie, name } = firstEvent;
  return { wd, mask, cookie, name: name === null ? null : name.data };
}

/** Takes out what peekEvent() returned. */
export function dropEvent(k: Kernel, inotify: Inotify): void {
  const { firstEvent: event, overflowAfter } = inotify;
  if (overflowAfter === 0) {
    inotify.overflowAfter = -1;
    return;
  }
  if (event === null) return;
  if (overflowAfter > 0) inotify.overflowAfter = overflowAfter - 1;
  inotify.firstEvent = event.next;
  if (event.next === null) inotify.lastEvent = null;
  inotify.eventCount--;
  if (event.name !== null) k.arena.free(event.name);
  k.arena.free(event);
}

/** The inode is gone: its watches go with it. */
export function removeWatchesOf(k: Kernel, inode: Inode): void {
  for (let watch = firstWatchOf(k, inode); watch !== null; watch = firstWatchOf(k, inode)) {
    removeWatch(k, watch);
  }
}

/** Ends a watch; IN_IGNORED says that its descriptor means nothing any more. */
export function removeWatch(k: Kernel, watch: InotifyWatch): void {
  const { inotify, wd } = watch;
  unlinkWatch(k, watch);
  queueEvent(k, inotify, wd, IN_IGNORED, 0, null);
}

/**
 * Takes a watch out of its instance and its inode and frees it. Preconditions: somebody else holds
 * the inode, or nobody looks at it any more.
 */
export function unlinkWatch(k: Kernel, watch: InotifyWatch): void {
  const { inotify, inode } = watch;
  unlinkFromInode(k, inode, watch);
  unlinkFromTable(inotify.watches, watch);
  k.root.inotifyWatches--;
  k.arena.free(watch);
  dropInode(k, inode);
}

function unlinkFromInode(k: Kernel, inode: Inode, watch: InotifyWatch): void {
  const first = firstWatchOf(k, inode);
  if (first === watch) {
    inode.watches = watch.nextOfInode;
    return;
  }
  for (let at = first; at !== null; at = at.nextOfInode) {
    if (at.nextOfInode === watch) at.nextOfInode = watch.nextOfInode;
  }
}

/** The last watch moves to the freed place. */
function unlinkFromTable(table: Table<InotifyWatch>, watch: InotifyWatch): void {
  const last = table.length - 1;
  const moved = table.get(last);
  table.set(last, null);
  table.length = last;
  if (moved === null || moved === watch) return;
  table.set(watch.index, moved);
  moved.index = watch.index;
}
