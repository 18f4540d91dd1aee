// Making names: create, mkdir, mknod, symlink, link. The caller has walked to the parent directory.
//
// The overlay in one rule: the records are the upper layer. A name that was made here is a pinned
// dentry with an inode that has no lowerPath; a directory made where the lower layer has one is
// opaque because its inode has none. Dentry.inLower survives, so that removing the name leaves a
// whiteout.
import {
  EEXIST, EMLINK, ENAMETOOLONG, ENOENT, EPERM, EROFS,
} from '../../abi/errno.ts';
import { NAME_MAX, PATH_MAX } from '../../abi/limits.ts';
import { S_IFDIR, S_IFLNK, S_IFMT, S_ISDIR, S_ISGID } from '../../abi/stat.ts';
import type { Kernel } from '../kernel.ts';
import type { Process } from '../records/task.ts';
import { type Dentry, FS_DEV, FS_OVERLAY, type Inode } from '../records/vfs.ts';
import { makeBytes } from '../state/containers.ts';
import { DIRECTORY_BYTES, lookupChild } from './child.ts';
import { makeDentry, pinDentry } from './dentry.ts';
import { holdInode, makeInode, touchChanged, touchModified } from './inode.ts';
import { beginWalk, LAST_NAME } from './lookup.ts';
import { notifyCreated, notifyLinks } from './notify.ts';
import { checkPermission, MAY_EXEC, MAY_WRITE } from './permission.ts';

/** Linux: the most links of one file (ext4 65000, the lower layer may have its own count). */
const LINKS_MOST = 65_000;

/** A free name in a directory. */
export interface Slot {
  parent: Dentry;
  name: Uint8Array;
  /** The negative dentry of that name, if there is one. */
  dentry: Dentry | null;
  trailingSlash: boolean;
}

/**
 * Walks to a name that is to be made (Linux: filename_create).
 * @returns -EEXIST when it exists or ends in dots, -ENOENT for a file with a trailing slash, -EROFS
 */
export function findSlot(
  k: Kernel,
  process: Process,
  dirfd: number,
  path: Uint8Array,
  isDirectory: boolean,
): Slot | number {
  const walk = beginWalk(k, process, dirfd, path);
  if (typeof walk === 'number') return walk;
  const error = walk.parent();
  if (error !== 0) return error;
  if (walk.last !== LAST_NAME) return -EEXIST;
  const { at: parent, name, trailingSlash } = walk;
  const found = lookupChild(k, parent, name);
  if (typeof found === 'number') return found;
  if (found !== null && found.inode !== null) return -EEXIST;
  if (trailingSlash && !isDirectory) return -ENOENT;
  if ((parent.inode as Inode).readOnly) return -EROFS;
  return { parent, name, dentry: found, trailingSlash };
}

/** Whether names may be made in (or removed from) `parent` at all: 0 or -errno. */
export function mayChange(process: Process, parent: Dentry): number {
  const dir = parent.inode as Inode;
  if (parent.deleted) return -ENOENT;
  if (dir.readOnly) return -EROFS;
  const denied = checkPermission(process, dir, MAY_WRITE | MAY_EXEC);
  if (denied !== 0) return denied;
  return dir.fs === FS_OVERLAY || dir.fs === FS_DEV ? 0 : -EPERM;
}

/**
 * Makes a new inode under a free name.
 * @param mode type and permission bits; the umask is applied here
 */
export function createNode(
  k: Kernel,
  process: Process,
  slot: Slot,
  mode: number,
  rdev: number = 0,
): Dentry | number {
  const error = mayChange(process, slot.parent);
  if (error !== 0) return error;
  const inode = makeUpperInode(k, process, slot.parent.inode as Inode, mode);
  inode.rdev = rdev;
  return bindName(k, slot, inode);
}

/** A new inode of the upper layer for a file in `dir`, not yet under a name. */
export function makeUpperInode(k: Kernel, process: Process, dir: Inode, mode: number): Inode {
  const isLink = (mode & S_IFMT) === S_IFLNK;
  const inode = makeInode(k, dir.fs, isLink ? mode : mode & ~process.umask);
  inode.uid = process.uid;
  inode.gid = process.gid;
  // The device it pretends to be on: its directory's.
  inode.lowerDev = dir.lowerDev;
  if ((dir.mode & S_ISGID) !== 0) {
    inode.gid = dir.gid;
    if (S_ISDIR(mode)) inode.mode |= S_ISGID;
  }
  if (S_ISDIR(mode)) {
    inode.nlink = 2;
    if (dir.fs === FS_OVERLAY) inode.bytes = DIRECTORY_BYTES;
  }
  return inode;
}

/** Puts an inode under a free name; the dentry is pinned. */
export function bindName(k: Kernel, slot: Slot, inode: Inode): Dentry {
  const { parent } = slot;
  let { dentry } = slot;
  if (dentry === null) dentry = makeDentry(k, parent, slot.name, inode);
  else dentry.inode = holdInode(inode);
  pinDentry(k, dentry);
  pinDentry(k, parent);
  const dir = parent.inode as Inode;
  if (S_ISDIR(inode.mode)) dir.nlink++;
  touchModified(k, dir);
  notifyCreated(k, dentry);
  return dentry;
}

/** symlink(2). */
export function createSymlink(
  k: Kernel,
  process: Process,
  target: Uint8Array,
  dirfd: number,
  path: Uint8Array,
): number {
  if (target.length === 0) return -ENOENT;
  if (target.length >= PATH_MAX) return -ENAMETOOLONG;
  const slot = findSlot(k, process, dirfd, path, false);
  if (typeof slot === 'number') return slot;
  const kept = makeBytes(k.arena, target);
  const made = createNode(k, process, slot, S_IFLNK | 0o777);
  if (typeof made === 'number') {
    k.arena.free(kept);
    return made;
  }
  const inode = made.inode as Inode;
  inode.target = kept;
  inode.bytes = target.length;
  return 0;
}

/** mkdir(2). */
export function makeDirectory(
  k: Kernel,
  process: Process,
  dirfd: number,
  path: Uint8Array,
  mode: number,
): number {
  const slot = findSlot(k, process, dirfd, path, true);
  if (typeof slot === 'number') return slot;
  const made = createNode(k, process, slot, S_IFDIR | (mode & 0o1777));
  return typeof made === 'number' ? made : 0;
}

/** link(2) of an inode under a free name. Linux: vfs_link. */
export function linkInode(
  k: Kernel,
  process: Process,
  inode: Inode,
  from: Dentry | null,
  slot: Slot,
): number {
  const error = mayChange(process, slot.parent);
  if (error !== 0) return error;
  if (S_ISDIR(inode.mode)) return -EPERM;
  // A file that was unlinked (nlink 0) cannot come back, except one made by O_TMPFILE.
  if (inode.nlink === 0 && !inode.isTemporary) return -ENOENT;
  if (inode.nlink >= LINKS_MOST) return -EMLINK;
  inode.isTemporary = false;
  inode.nlink++;
  if (from !== null && !from.deleted) pinDentry(k, from);
  touchChanged(k, inode);
  notifyLinks(k, inode);
  bindName(k, slot, inode);
  return 0;
}

/** Refuses names that no file system takes: 0 or -ENAMETOOLONG. */
export function checkName(name: Uint8Array): number {
  return name.length > NAME_MAX ? -ENAMETOOLONG : 0;
}
