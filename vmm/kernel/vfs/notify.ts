// Telling inotify what happened to files (Linux: fsnotify). An event about a name goes to who
// watches its directory, with the name, and then to who watches the inode itself.
//
// A sandbox that watches nothing pays one comparison.
import {
  IN_ATTRIB, IN_CLOSE_NOWRITE, IN_CLOSE_WRITE, IN_CREATE, IN_DELETE, IN_DELETE_SELF, IN_ISDIR,
  IN_MOVE_SELF, IN_MOVED_FROM, IN_MOVED_TO,
} from '../../abi/eventfd.ts';
import { O_ACCMODE, O_RDONLY } from '../../abi/fcntl.ts';
import { S_ISDIR } from '../../abi/stat.ts';
import { removeWatchesOf, tellWatchers } from '../ipc/inotify-queue.ts';
import type { Kernel } from '../kernel.ts';
import { type Dentry, type File, FILE_PATH, type Inode } from '../records/vfs.ts';

function dirBit(inode: Inode): number {
  return S_ISDIR(inode.mode) ? IN_ISDIR : 0;
}

/** Something happened to an inode, whatever its name. */
function notifySelf(k: Kernel, inode: Inode, event: number, isUnlinked: boolean = false): void {
  if (inode.watches === null) return;
  tellWatchers(k, inode, { mask: event | dirBit(inode), cookie: 0, name: null, isUnlinked });
}

/** Something happened to the entry `name` of a directory. */
function notifyEntry(
  k: Kernel, dir: Inode, name: Uint8Array, event: number, cookie: number = 0,
  isUnlinked: boolean = false,
): void {
  if (dir.watches !== null) tellWatchers(k, dir, { mask: event, cookie, name, isUnlinked });
}

/** An inode was changed or used by way of a name: IN_ATTRIB, IN_MODIFY … */
export function notifyDentry(
  k: Kernel, inode: Inode, dentry: Dentry | null, event: number, isUnlinked: boolean = false,
): void {
  if (k.root.inotifyWatches === 0) return;
  const dir = dentry?.parent?.inode ?? null;
  if (dir !== null && dentry !== null) {
    notifyEntry(k, dir, dentry.name.data, event | dirBit(inode), 0, isUnlinked);
  }
  notifySelf(k, inode, event, isUnlinked);
}

/** An open file was used: IN_OPEN, IN_ACCESS, IN_MODIFY, IN_CLOSE_*. */
export function notifyFile(k: Kernel, file: File, event: number): void {
  if (k.root.inotifyWatches === 0) return;
  const { inode, dentry } = file;
  if (inode === null || file.kind === FILE_PATH) return;
  notifyDentry(k, inode, dentry, event, dentry?.deleted ?? false);
}

/** The last descriptor of a file is being closed. */
export function notifyClosed(k: Kernel, file: File): void {
  const isRead = (file.flags & O_ACCMODE) === O_RDONLY;
  notifyFile(k, file, isRead ? IN_CLOSE_NOWRITE : IN_CLOSE_WRITE);
}

/** A name was made. */
export function notifyCreated(k: Kernel, dentry: Dentry): void {
  if (k.root.inotifyWatches === 0) return;
  const dir = dentry.parent?.inode ?? null;
  const { inode } = dentry;
  if (dir !== null && inode !== null) {
    notifyEntry(k, dir, dentry.name.data, IN_CREATE | dirBit(inode));
  }
}

/** The number of an inode's links changed. */
export function notifyLinks(k: Kernel, inode: Inode): void {
  notifySelf(k, inode, IN_ATTRIB);
}

/** A name is gone from a directory. */
export function notifyRemoved(k: Kernel, dir: Inode, name: Uint8Array, isDirectory: boolean): void {
  notifyEntry(k, dir, name, IN_DELETE | (isDirectory ? IN_ISDIR : 0));
}

/** Nobody can reach an inode through a name any more. */
export function notifyGone(k: Kernel, inode: Inode): void {
  notifySelf(k, inode, IN_DELETE_SELF);
  removeWatchesOf(k, inode);
}

/** A name has moved. `replaced` is what it replaced. */
export function notifyMoved(
  k: Kernel, from: Inode, oldName: Uint8Array, moved: Dentry, replaced: Inode | null,
): void {
  if (k.root.inotifyWatches === 0) return;
  const inode = moved.inode as Inode;
  const to = moved.parent?.inode as Inode;
  const cookie = ++k.root.inotifyCookie;
  notifyEntry(k, from, oldName, IN_MOVED_FROM | dirBit(inode), cookie);
  notifyEntry(k, to, moved.name.data, IN_MOVED_TO | dirBit(inode), cookie);
  if (replaced !== null) notifyLinks(k, replaced);
  notifySelf(k, inode, IN_MOVE_SELF);
}
