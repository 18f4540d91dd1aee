// Volumes: other trees of the host, each mounted on a place of the guest's tree as bind mounts are.
// What the place lacks is made in memory. Their content is lower content like the rootfs's, under
// paths of its own (volume-path.ts); their inodes are FS_OVERLAY and remember a read-only mount.
import { EBUSY, EISDIR, ENOENT, ENOTDIR, EPERM } from '../../abi/errno.ts';
import { S_IFREG, S_ISDIR } from '../../abi/stat.ts';
import type { Kernel } from '../kernel.ts';
import type { Process } from '../records/task.ts';
import { type Dentry, FS_DEV, FS_OVERLAY, type Inode } from '../records/vfs.ts';
import { loadLowerInode, lookupChild } from './child.ts';
import { deleteDentry, pinDentry } from './dentry.ts';
import { makeInode } from './inode.ts';
import { lookupPath } from './lookup.ts';
import { addNode, makeMemoryDirectory, mountOn } from './mount.ts';
import { volumePath } from './volume-path.ts';

const SLASH = 0x2f;

export interface VolumeMount {
  /** An absolute path without dots and double slashes, below the root. */
  target: Uint8Array;
  readOnly: boolean;
}

/**
 * Mounts volume `index` of ports.lower.
 * @returns 0, -EBUSY where something is mounted already, -ENOTDIR or -EISDIR where the place is of
 * another type, -EPERM where nothing can be made, or another -errno
 */
export function mountVolume(
  k: Kernel,
  process: Process,
  index: number,
  { target, readOnly }: VolumeMount,
): number {
  const path = volumePath(index);
  const stat = k.ports.lower.stat(path);
  if (typeof stat === 'number') return stat;
  const place = findPlace(k, process, target, S_ISDIR(stat.mode));
  if (typeof place === 'number') return place;
  const inode = loadLowerInode(k, stat, path);
  inode.readOnly = readOnly;
  mountOn(k, place, inode);
  return 0;
}

/** Where something is to be mounted: a name that is there, or one that is made in memory. */
export function findPlace(
  k: Kernel,
  process: Process,
  path: Uint8Array,
  isDirectory: boolean,
): Dentry | number {
  const found = lookupPath(k, process, path);
  if (found === -ENOENT) return makePlace(k, process, path, isDirectory);
  if (typeof found === 'number') return found;
  // Whatever is mounted is entered by the lookup.
  if (found.parent === null) return -EBUSY;
  if (S_ISDIR((found.inode as Inode).mode) !== isDirectory) return isDirectory ? -ENOTDIR : -EISDIR;
  pinDentry(k, found);
  return found;
}

/** A directory, which may be the root of a mount; made if need be. */
function findDirectory(k: Kernel, process: Process, path: Uint8Array): Dentry | number {
  if (path.length === 0) return k.root.rootDentry as Dentry;
  const found = lookupPath(k, process, path);
  return found === -ENOENT ? makePlace(k, process, path, true) : found;
}

/** Makes a name in memory. Only what lies below it, the volume, will ever be seen. */
function makePlace(
  k: Kernel,
  process: Process,
  path: Uint8Array,
  isDirectory: boolean,
): Dentry | number {
  const slash = path.lastIndexOf(SLASH);
  const parent = findDirectory(k, process, path.subarray(0, slash));
  if (typeof parent === 'number') return parent;
  const dir = parent.inode as Inode;
  if (!S_ISDIR(dir.mode)) return -ENOTDIR;
  if (dir.fs !== FS_OVERLAY && dir.fs !== FS_DEV) return -EPERM;
  const name = path.slice(slash + 1);
  const found = lookupChild(k, parent, name);
  if (typeof found === 'number') return found;
  // A link that leads nowhere.
  if (found !== null && found.inode !== null) return -ENOENT;
  if (found !== null) deleteDentry(k, found);
  const inode = isDirectory
    ? makeMemoryDirectory(k, dir.fs, 0o755) : makeInode(k, dir.fs, S_IFREG | 0o644);
  inode.lowerDev = dir.lowerDev;
  return addNode(k, parent, name, inode);
}
