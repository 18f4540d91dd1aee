// inotify instances, inotify(7): a file from which events about watched inodes are read.
//
//   File ─ object ─► Inotify ─ watches ─► InotifyWatch ─ inode ─► Inode
//
// What the host does to lower files is not seen: only the sandbox's own changes are events.
// Ownership: an instance owns its watches and events; a watch holds its inode. The name by which
// the inode was found is pinned, or the kernel would forget the inode and make another later.
import {
  EAGAIN, EEXIST, EFAULT, EINVAL, EMFILE, ENOSPC, ENOTTY,
} from '../../abi/errno.ts';
import {
  IN_ALL_EVENTS, IN_EXCL_UNLINK, IN_MASK_ADD, IN_MASK_CREATE, IN_ONESHOT,
} from '../../abi/eventfd.ts';
import { O_RDONLY } from '../../abi/fcntl.ts';
import { FIONREAD } from '../../abi/ioctl.ts';
import { INOTIFY_INSTANCES_MOST, INOTIFY_WATCHES_MOST } from '../../abi/limits.ts';
import { POLLIN, POLLRDNORM } from '../../abi/poll.ts';
import { InotifyEvent as EventLayout } from '../../abi/struct-file.ts';
import type { Kernel } from '../kernel.ts';
import { writeU32 } from '../mm/user-memory.ts';
import {
  Inotify, type InotifyEvent, InotifyWatch, InotifyWatchTable,
} from '../records/inotify.ts';
import type { Task } from '../records/task.ts';
import { type Dentry, type File, FILE_INOTIFY, type Inode } from '../records/vfs.ts';
import { growTable } from '../state/containers.ts';
import { makeWaitQueue } from '../task/block.ts';
import { pinDentry } from '../vfs/dentry.ts';
import { defineFileOps, type IoBuffer } from '../vfs/file-ops.ts';
import { holdInode } from '../vfs/inode.ts';
import { freeQueue, makeAnonFile, seekNowhere } from './anon-file.ts';
import {
  dropEvent, firstWatchOf, peekEvent, type ReadyEvent, removeWatch, unlinkWatch,
} from './inotify-queue.ts';

const FIRST_WATCHES = 4;
const WD_MOST = 2 ** 31 - 1;
/** Names are padded with NULs to a multiple of this. */
const NAME_UNIT: number = EventLayout.bytes;

/** A file over a new instance, or -EMFILE; `flags` are status flags (O_NONBLOCK). */
export function makeInotify(k: Kernel, flags: number): File | number {
  if (k.root.inotifyInstances >= INOTIFY_INSTANCES_MOST) return -EMFILE;
  const inotify = k.arena.make(Inotify);
  inotify.queue = makeWaitQueue(k);
  inotify.watches = k.arena.make(InotifyWatchTable, FIRST_WATCHES * 4);
  inotify.nextWd = 1;
  inotify.overflowAfter = -1;
  const file = makeAnonFile(k, FILE_INOTIFY, O_RDONLY | flags, inotify);
  k.root.inotifyInstances++;
  return file;
}

function inotifyOf(k: Kernel, file: File): Inotify {
  return k.arena.at(Inotify, file.object?.address ?? 0);
}

/**
 * inotify_add_watch(2) on what its path led to; `mask` has been checked.
 * @returns the watch descriptor, -EEXIST, -ENOSPC
 */
export function addWatch(
  k: Kernel, file: File, inode: Inode, dentry: Dentry | null, mask: number,
): number {
  const inotify = inotifyOf(k, file);
  const wanted = (mask & (IN_ALL_EVENTS | IN_EXCL_UNLINK | IN_ONESHOT)) >>> 0;
  for (let watch = firstWatchOf(k, inode); watch !== null; watch = watch.nextOfInode) {
    if (watch.inotify !== inotify) continue;
    if ((mask & IN_MASK_CREATE) !== 0) return -EEXIST;
    watch.mask = (mask & IN_MASK_ADD) !== 0 ? (watch.mask | wanted) >>> 0 : wanted;
    return watch.wd;
  }
  const wd = inotify.nextWd;
  if (k.root.inotifyWatches >= INOTIFY_WATCHES_MOST || wd === WD_MOST) return -ENOSPC;
  // Order: what can run out of memory comes before anything is linked.
  const index = inotify.watches.length;
  inotify.watches = growTable(InotifyWatchTable, inotify.watches, index + 1);
  const watch = k.arena.make(InotifyWatch);
  watch.inotify = inotify;
  watch.inode = holdInode(inode);
  watch.wd = wd;
  watch.mask = wanted;
  watch.index = index;
  watch.nextOfInode = firstWatchOf(k, inode);
  inode.watches = watch;
  inotify.watches.set(index, watch);
  inotify.watches.length = index + 1;
  inotify.nextWd = wd + 1;
  k.root.inotifyWatches++;
  if (dentry !== null && !dentry.deleted) pinDentry(k, dentry);
  return wd;
}

/** inotify_rm_watch(2): 0 or -EINVAL. */
export function dropWatch(k: Kernel, file: File, wd: number): number {
  const { watches } = inotifyOf(k, file);
  for (let index = watches.length - 1; index >= 0; index--) {
    const watch = watches.get(index);
    if (watch === null || watch.wd !== wd) continue;
    removeWatch(k, watch);
    return 0;
  }
  return -EINVAL;
}

/** Bytes of the name's field: the name with at least one NUL. */
function nameRoom(name: { readonly length: number } | null): number {
  return name === null ? 0 : Math.ceil((name.length + 1) / NAME_UNIT) * NAME_UNIT;
}

function encodeEvent({ wd, mask, cookie, name }: ReadyEvent): Uint8Array {
  const raw = new Uint8Array(EventLayout.bytes + nameRoom(name));
  const view = new DataView(raw.buffer);
  EventLayout.wd.set(view, 0, wd);
  EventLayout.mask.set(view, 0, mask);
  EventLayout.cookie.set(view, 0, cookie);
  EventLayout.len.set(view, 0, nameRoom(name));
  if (name !== null) raw.set(name, EventLayout.bytes);
  return raw;
}

/** Whole events only: a buffer without room for the first one is -EINVAL. */
function readEvents(k: Kernel, file: File, to: IoBuffer): number {
  const inotify = inotifyOf(k, file);
  let done = 0;
  for (;;) {
    const event = peekEvent(inotify);
    if (event === null) return done > 0 ? done : -EAGAIN;
    const raw = encodeEvent(event);
    if (raw.length > to.remaining) return done > 0 ? done : -EINVAL;
    dropEvent(k, inotify);
    // Linux: an event that could not be copied is lost.
    if (to.put(raw) < raw.length) return -EFAULT;
    done += raw.length;
  }
}

function pollInotify(k: Kernel, file: File): number {
  return peekEvent(inotifyOf(k, file)) === null ? 0 : POLLIN | POLLRDNORM;
}

/** FIONREAD: how many bytes can be read. */
function ioctlInotify(
  k: Kernel, _task: Task, file: File, request: number, argument: number,
): number {
  if (request !== FIONREAD) return -ENOTTY;
  const inotify = inotifyOf(k, file);
  let bytes = inotify.overflowAfter < 0 ? 0 : EventLayout.bytes;
  for (let event: InotifyEvent | null = inotify.firstEvent; event !== null; event = event.next) {
    bytes += EventLayout.bytes + nameRoom(event.name);
  }
  return writeU32(k, argument, bytes) ? 0 : -EFAULT;
}

function releaseInotify(k: Kernel, file: File): void {
  const inotify = inotifyOf(k, file);
  file.object = null;
  const { watches, queue } = inotify;
  for (let index = watches.length - 1; index >= 0; index--) {
    const watch = watches.get(index);
    if (watch !== null) unlinkWatch(k, watch);
  }
  while (peekEvent(inotify) !== null) dropEvent(k, inotify);
  freeQueue(k, queue);
  k.arena.free(watches);
  k.arena.free(inotify);
  k.root.inotifyInstances--;
}

defineFileOps(FILE_INOTIFY, {
  seekable: false,
  read: readEvents,
  poll: pollInotify,
  queue: (k, file) => inotifyOf(k, file).queue,
  seek: seekNowhere,
  ioctl: ioctlInotify,
  release: releaseInotify,
});
