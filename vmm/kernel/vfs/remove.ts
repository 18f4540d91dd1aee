// Removing names: unlink and rmdir. A name that the lower layer has too leaves a whiteout: a pinned
// dentry without inode.
import {
  EBUSY, EINVAL, EISDIR, ENOENT, ENOTDIR, ENOTEMPTY, EPERM, EROFS,
} from '../../abi/errno.ts';
import { S_ISDIR, S_ISVTX } from '../../abi/stat.ts';
import type { Kernel } from '../kernel.ts';
import type { Process } from '../records/task.ts';
import { type Dentry, FS_OVERLAY, type Inode } from '../records/vfs.ts';
import { lookupChild } from './child.ts';
import { attachDentry, deleteDentry, findChild, makeDentry, pinDentry } from './dentry.ts';
import { touchChanged, touchModified } from './inode.ts';
import { beginWalk, LAST_DOT, LAST_DOTDOT, LAST_NAME, LAST_ROOT } from './lookup.ts';
import { mayChange } from './namespace.ts';
import { notifyLinks, notifyRemoved } from './notify.ts';
import { isOwner } from './permission.ts';

/** unlink(2). */
export function unlinkAt(k: Kernel, process: Process, dirfd: number, path: Uint8Array): number {
  const walk = beginWalk(k, process, dirfd, path);
  if (typeof walk === 'number') return walk;
  const error = walk.parent();
  if (error !== 0) return error;
  if (walk.last !== LAST_NAME) return -EISDIR;
  if ((walk.at.inode as Inode).readOnly) return -EROFS;
  const dentry = findVictim(k, walk.at, walk.name);
  if (typeof dentry === 'number') return dentry;
  const inode = dentry.inode as Inode;
  if (walk.trailingSlash) return S_ISDIR(inode.mode) ? -EISDIR : -ENOTDIR;
  const refused = mayRemove(process, walk.at, inode);
  if (refused !== 0) return refused;
  if (S_ISDIR(inode.mode)) return -EISDIR;
  if (dentry.mounted !== null) return -EBUSY;
  notifyLinks(k, inode);
  removeName(k, dentry);
  notifyRemoved(k, walk.at.inode as Inode, walk.name, false);
  return 0;
}

/** rmdir(2). */
export function removeDirectory(
  k: Kernel,
  process: Process,
  dirfd: number,
  path: Uint8Array,
): number {
  const walk = beginWalk(k, process, dirfd, path);
  if (typeof walk === 'number') return walk;
  const error = walk.parent();
  if (error !== 0) return error;
  if (walk.last === LAST_DOTDOT) return -ENOTEMPTY;
  if (walk.last === LAST_DOT) return -EINVAL;
  if (walk.last === LAST_ROOT) return -EBUSY;
  if ((walk.at.inode as Inode).readOnly) return -EROFS;
  const dentry = findVictim(k, walk.at, walk.name);
  if (typeof dentry === 'number') return dentry;
  const inode = dentry.inode as Inode;
  const refused = mayRemove(process, walk.at, inode);
  if (refused !== 0) return refused;
  if (!S_ISDIR(inode.mode)) return -ENOTDIR;
  if (dentry.mounted !== null) return -EBUSY;
  const filled = checkEmpty(k, dentry);
  if (filled !== 0) return filled;
  removeName(k, dentry);
  notifyRemoved(k, walk.at.inode as Inode, walk.name, true);
  return 0;
}

function findVictim(k: Kernel, parent: Dentry, name: Uint8Array): Dentry | number {
  const found = lookupChild(k, parent, name);
  if (typeof found === 'number') return found;
  return found === null || found.inode === null ? -ENOENT : found;
}

/** Linux: may_delete, without the type checks. 0 or -errno. */
export function mayRemove(process: Process, parent: Dentry, victim: Inode): number {
  const error = mayChange(process, parent);
  if (error !== 0) return error;
  const dir = parent.inode as Inode;
  const isSticky = (dir.mode & S_ISVTX) !== 0;
  return isSticky && !isOwner(process, victim) && !isOwner(process, dir) ? -EPERM : 0;
}

/** 0 when the directory has no entries in either layer, -ENOTEMPTY, or the lower layer's error. */
export function checkEmpty(k: Kernel, dentry: Dentry): number {
  for (let child = dentry.firstChild; child !== null; child = child.nextSibling) {
    if (child.inode !== null) return -ENOTEMPTY;
  }
  const dir = dentry.inode as Inode;
  if (dir.fs !== FS_OVERLAY || dir.lowerPath === null) return 0;
  const entries = k.ports.lower.list(dir.lowerPath.data.slice());
  if (typeof entries === 'number') return entries === -ENOENT ? 0 : entries;
  for (const { name } of entries) {
    if (!isDots(name) && findChild(k, dentry, name) === null) return -ENOTEMPTY;
  }
  return 0;
}

/** `.` or `..`. */
export function isDots(name: Uint8Array): boolean {
  if (name[0] !== 0x2e) return false;
  return name.length === 1 || (name.length === 2 && name[1] === 0x2e);
}

/** Takes the name away and counts the link off. Preconditions: all checks are done. */
export function removeName(k: Kernel, dentry: Dentry): void {
  const parent = dentry.parent as Dentry;
  const inode = dentry.inode as Inode;
  const dir = parent.inode as Inode;
  // Order: what may fail for lack of kernel memory comes before any change.
  const whiteout = dentry.inLower ? makeWhiteout(k, dentry.name.data.slice()) : null;
  pinDentry(k, parent);
  if (S_ISDIR(inode.mode)) {
    inode.nlink = 0;
    dir.nlink = Math.max(dir.nlink - 1, 0);
  } else {
    inode.nlink = Math.max(inode.nlink - 1, 0);
  }
  touchChanged(k, inode);
  touchModified(k, dir);
  dropChildren(k, dentry);
  deleteDentry(k, dentry);
  if (whiteout !== null) attachDentry(k, whiteout, parent);
}

/**
 * A dentry that says that a name of the lower layer was removed. It is in no directory yet:
 * attachDentry() puts it there once the name is free.
 */
export function makeWhiteout(k: Kernel, name: Uint8Array): Dentry {
  const whiteout = makeDentry(k, null, name, null);
  whiteout.inLower = true;
  whiteout.pinned = true;
  return whiteout;
}

/** Frees the negative dentries of a directory that goes. */
function dropChildren(k: Kernel, dentry: Dentry): void {
  for (let child = dentry.firstChild; child !== null;) {
    const next: Dentry | null = child.nextSibling;
    if (child.inode === null) deleteDentry(k, child);
    child = next;
  }
}
