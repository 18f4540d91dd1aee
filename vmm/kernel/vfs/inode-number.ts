// What stat(2) says about identity: inode and device numbers, the same over save and restore, also
// after a rename and after the first write.
import { S_IFLNK, S_IFMT, S_IFREG } from '../../abi/stat.ts';
import type { Kernel } from '../kernel.ts';
import { countDataPages } from '../mm/holes.ts';
import { PAGE_BYTES } from '../ports.ts';
import {
  type Dentry, FS_ANON, FS_DEV, FS_OVERLAY, FS_PROC, FS_SYS, type Inode,
} from '../records/vfs.ts';
import { GEN } from './proc/ids.ts';
import { descriptorMode } from './proc/process-dir.ts';

/** Files of the upper layer count from here, above any inode number of the lower layer. */
const UPPER_INO_BASE = 2 ** 40;

/** Blocks of 512 bytes in a page. */
const PAGE_BLOCKS = 8;

/** Device numbers of the file systems that are ours: anonymous devices 0:0xfff01 and up. */
const DEVICES: ReadonlyMap<number, number> = new Map([
  [FS_OVERLAY, 0xfff0_0001],
  [FS_PROC, 0xfff0_0002],
  [FS_DEV, 0xfff0_0003],
  [FS_SYS, 0xfff0_0004],
  [FS_ANON, 0xfff0_0005],
]);

/** Of the first tmpfs beside /dev (mount-tmpfs.ts). */
export const TMPFS_DEVICE = 0xfff0_0010;

/** st_ino. */
export function inodeNumber(inode: Inode): number {
  if (inode.fs !== FS_OVERLAY) return inode.serial;
  return inode.lowerPath !== null ? inode.lowerIno : UPPER_INO_BASE + inode.serial;
}

/** st_dev. Upper files took their directory's (namespace.ts). */
export function deviceNumber(inode: Inode): number {
  const hasOwn = inode.fs === FS_OVERLAY || inode.fs === FS_DEV;
  if (hasOwn && inode.lowerDev !== 0) return inode.lowerDev;
  return DEVICES.get(inode.fs) ?? 0;
}

/** Linux: new_decode_dev. */
export function majorOf(device: number): number {
  return (device >>> 8) & 0xfff;
}

export function minorOf(device: number): number {
  return (device & 0xff) | ((device >>> 12) & 0xfff00);
}

/** st_blocks: of the pages that are no holes. */
export function blockCount(inode: Inode): number {
  if ((inode.mode & S_IFMT) === S_IFLNK || inode.fs === FS_PROC || inode.fs === FS_SYS) return 0;
  if ((inode.mode & S_IFMT) !== S_IFREG) return Math.ceil(inode.bytes / PAGE_BYTES) * PAGE_BLOCKS;
  return countDataPages(inode) * PAGE_BLOCKS;
}

/** st_blksize. */
export function blockBytes(inode: Inode): number {
  return inode.fs === FS_PROC ? 1024 : 4096;
}

/** d_type of getdents64(2). */
export function directoryType(mode: number): number {
  return (mode & S_IFMT) >> 12;
}

/** st_mode. The links in /proc/<pid>/fd show what their descriptors may do. */
export function modeOf(k: Kernel, inode: Inode): number {
  if (inode.fs === FS_PROC && inode.generator === GEN.fdLink) {
    return descriptorMode(k, inode.generatorArgument);
  }
  return inode.mode;
}

/** The inode a name shows: that of what is mounted on it. */
export function visibleInode(dentry: Dentry): Inode | null {
  let at = dentry;
  while (at.mounted !== null) at = at.mounted;
  return at.inode;
}
