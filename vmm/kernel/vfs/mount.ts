// The tree that a sandbox starts with.
//
//   /        overlay: ports.lower below, the records above      (FS_OVERLAY)
//   /proc    generated                                          (FS_PROC)
//   /sys     generated                                          (FS_SYS)
//   /dev     in memory, with the usual nodes                    (FS_DEV)
//   volumes  wherever they are asked for (mount-volume.ts)      (FS_OVERLAY)
//
// A mount is a pair of dentries: the place (`mounted`) and the root of the other file system
// (`mountPoint`), each holding a reference of the other.
import { S_IFCHR, S_IFDIR, S_IFLNK, S_ISDIR } from '../../abi/stat.ts';
import type { Kernel } from '../kernel.ts';
import {
  type Dentry, FS_DEV, FS_OVERLAY, FS_PROC, FS_SYS, type Inode,
} from '../records/vfs.ts';
import { makeBytes } from '../state/containers.ts';
import { loadLowerInode, lookupChild } from './child.ts';
import { deleteDentry, holdDentry, makeDentry, pinDentry } from './dentry.ts';
import {
  RDEV_CONSOLE, RDEV_ENTRY, RDEV_FULL, RDEV_GENERATION, RDEV_NULL, RDEV_PTMX, RDEV_RANDOM,
  RDEV_TTY, RDEV_URANDOM, RDEV_ZERO,
} from './device-file.ts';
import { makeInode } from './inode.ts';
import { makeGeneratedInode } from './proc/generated.ts';
import { GEN } from './proc/ids.ts';
import { volumeOf } from './volume-path.ts';
import './kinds.ts';

const NO_NAME: Uint8Array = new Uint8Array();
const encoder: TextEncoder = new TextEncoder();

/** Mounts the overlay over ports.lower with /proc, /dev and /sys; sets k.root.rootDentry. */
export function mountRoot(k: Kernel): void {
  const root = makeRoot(k, makeOverlayRoot(k));
  k.root.rootDentry = holdDentry(k, root);
  const procRoot = { generator: GEN.procRoot, argument: 0 };
  const sysRoot = { generator: GEN.sysfsRoot, argument: 0 };
  mountAt(k, root, 'proc', makeGeneratedInode(k, FS_PROC, procRoot));
  mountAt(k, root, 'sys', makeGeneratedInode(k, FS_SYS, sysRoot));
  const dev = mountAt(k, root, 'dev', makeMemoryDirectory(k, FS_DEV, 0o755));
  fillDev(k, dev);
}

function makeOverlayRoot(k: Kernel): Inode {
  const stat = k.ports.lower.stat(NO_NAME);
  if (typeof stat === 'number') return makeMemoryDirectory(k, FS_OVERLAY, 0o755);
  return loadLowerInode(k, stat, NO_NAME);
}

/** A new directory that nothing in the lower layer belongs to. */
export function makeMemoryDirectory(k: Kernel, fs: number, permissions: number): Inode {
  const inode = makeInode(k, fs, S_IFDIR | permissions);
  inode.nlink = 2;
  return inode;
}

function makeRoot(k: Kernel, inode: Inode): Dentry {
  const root = makeDentry(k, null, NO_NAME, inode);
  pinDentry(k, root);
  return root;
}

/** Mounts a new file system on the directory `name` of `parent`, which is made if need be. */
function mountAt(k: Kernel, parent: Dentry, name: string, inode: Inode): Dentry {
  return mountOn(k, makePlace(k, parent, encoder.encode(name)), inode);
}

/** Mounts a file system whose root is `inode`. Preconditions: `place` is pinned. */
export function mountOn(k: Kernel, place: Dentry, inode: Inode): Dentry {
  const root = makeRoot(k, inode);
  place.mounted = holdDentry(k, root);
  root.mountPoint = holdDentry(k, place);
  return root;
}

function makePlace(k: Kernel, parent: Dentry, name: Uint8Array): Dentry {
  const found = lookupChild(k, parent, name);
  let inLower = false;
  if (found !== null && typeof found !== 'number') {
    if (found.inode !== null && S_ISDIR(found.inode.mode)) {
      pinDentry(k, found);
      return found;
    }
    inLower = found.inLower;
    deleteDentry(k, found);
  }
  const place = addNode(k, parent, name, makeMemoryDirectory(k, FS_OVERLAY, 0o755));
  place.inLower = inLower;
  return place;
}

/** Puts an inode under a free name, pinned. */
export function addNode(k: Kernel, parent: Dentry, name: Uint8Array, inode: Inode): Dentry {
  const dentry = makeDentry(k, parent, name, inode);
  pinDentry(k, dentry);
  if (S_ISDIR(inode.mode)) (parent.inode as Inode).nlink++;
  return dentry;
}

/** The roots of what is mounted below the top: the system's, then the volumes by number. */
export function listMounts(k: Kernel): Dentry[] {
  const { rootDentry } = k.root;
  const mounts: Dentry[] = [];
  const directories: Dentry[] = rootDentry === null ? [] : [rootDentry];
  for (const directory of directories) {
    for (let child = directory.firstChild; child !== null; child = child.nextSibling) {
      if (child.mounted !== null) mounts.push(child.mounted);
      const below = child.mounted ?? child;
      if (below.firstChild !== null) directories.push(below);
    }
  }
  return mounts.sort((a, b) => volumeOf(a.inode) - volumeOf(b.inode));
}

const DEVICES: readonly (readonly [name: string, rdev: number, permissions: number])[] = [
  ['null', RDEV_NULL, 0o666],
  ['zero', RDEV_ZERO, 0o666],
  ['full', RDEV_FULL, 0o666],
  ['random', RDEV_RANDOM, 0o666],
  ['urandom', RDEV_URANDOM, 0o666],
  ['tty', RDEV_TTY, 0o666],
  ['ptmx', RDEV_PTMX, 0o666],
  ['console', RDEV_CONSOLE, 0o620],
];

const LINKS: readonly (readonly [name: string, target: string])[] = [
  ['fd', '/proc/self/fd'],
  ['stdin', '/proc/self/fd/0'],
  ['stdout', '/proc/self/fd/1'],
  ['stderr', '/proc/self/fd/2'],
];

function fillDev(k: Kernel, dev: Dentry): void {
  for (const [name, rdev, permissions] of DEVICES) addDevice(k, dev, name, rdev, permissions);
  for (const [name, target] of LINKS) addLink(k, dev, name, target);
  addNode(k, dev, encoder.encode('shm'), makeMemoryDirectory(k, FS_DEV, 0o1777));
  addNode(k, dev, encoder.encode('pts'), makeMemoryDirectory(k, FS_DEV, 0o755));
  const ours = makeMemoryDirectory(k, FS_DEV, 0o755);
  const folder = addNode(k, dev, encoder.encode('catavmm'), ours);
  addDevice(k, folder, 'entry', RDEV_ENTRY, 0o444);
  addDevice(k, folder, 'generation', RDEV_GENERATION, 0o444);
}

function addDevice(
  k: Kernel,
  dir: Dentry,
  name: string,
  rdev: number,
  permissions: number,
): void {
  const inode = makeInode(k, FS_DEV, S_IFCHR | permissions);
  inode.rdev = rdev;
  addNode(k, dir, encoder.encode(name), inode);
}

function addLink(k: Kernel, dir: Dentry, name: string, target: string): void {
  const bytes = encoder.encode(target);
  const inode = makeInode(k, FS_DEV, S_IFLNK | 0o777);
  inode.target = makeBytes(k.arena, bytes);
  inode.bytes = bytes.length;
  addNode(k, dir, encoder.encode(name), inode);
}
