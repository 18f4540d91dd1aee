// stat(2) and its relatives, statx(2), access(2), readlink(2).
import {
  EBADF, EFAULT, EINVAL, ENOENT, EROFS,
} from '../../abi/errno.ts';
import {
  AT_EACCESS, AT_EMPTY_PATH, AT_FDCWD, AT_NO_AUTOMOUNT, AT_STATX_DONT_SYNC, AT_STATX_FORCE_SYNC,
  AT_STATX_SYNC_TYPE, AT_SYMLINK_NOFOLLOW, R_OK, W_OK, X_OK,
} from '../../abi/fcntl.ts';
import {
  S_IFLNK, S_IFMT, STATX__RESERVED, STATX_ATTR_MOUNT_ROOT, STATX_BASIC_STATS, STATX_MNT_ID,
} from '../../abi/stat.ts';
import { Stat, Statx } from '../../abi/struct-file.ts';
import type { Kernel } from '../kernel.ts';
import { copyIn, copyOut } from '../mm/user-memory.ts';
import type { Task } from '../records/task.ts';
import type { Inode } from '../records/vfs.ts';
import {
  blockBytes, blockCount, deviceNumber, inodeNumber, majorOf, minorOf, modeOf,
} from '../vfs/inode-number.ts';
import { lookupAt, LOOKUP_EMPTY, LOOKUP_FOLLOW, type Place } from '../vfs/lookup.ts';
import { checkPermission, isReadOnlyContent } from '../vfs/permission.ts';
import { mountId } from '../vfs/proc/mounts.ts';
import { getRawFile } from '../vfs/file.ts';
import { readLink } from '../vfs/symlink.ts';
import { readPath } from '../vfs/user-path.ts';
import type { Args } from './args.ts';
import { type Family, full, partial } from './define.ts';

/** Resolves a path argument; `flags` are LOOKUP_*. */
export function lookupUser(
  k: Kernel,
  task: Task,
  dirfd: number,
  gva: number,
  flags: number,
): Place | number {
  // Linux: with AT_EMPTY_PATH a null pointer is as good as an empty path.
  if (gva === 0 && (flags & LOOKUP_EMPTY) !== 0) {
    return lookupAt(k, task.process, dirfd, NO_BYTES, flags);
  }
  const path = readPath(k, gva);
  if (typeof path === 'number') return path;
  return lookupAt(k, task.process, dirfd, path, flags);
}

const NO_BYTES: Uint8Array = new Uint8Array();

const statBytes: Uint8Array = new Uint8Array(Stat.bytes);
const statView: DataView = new DataView(statBytes.buffer);

/** Writes `struct stat`; 0 or -EFAULT. */
function writeStat(k: Kernel, inode: Inode, gva: number): number {
  statBytes.fill(0);
  const v = statView;
  Stat.st_dev.set(v, 0, deviceNumber(inode));
  Stat.st_ino.set(v, 0, inodeNumber(inode));
  Stat.st_nlink.set(v, 0, inode.nlink);
  Stat.st_mode.set(v, 0, modeOf(k, inode));
  Stat.st_uid.set(v, 0, inode.uid);
  Stat.st_gid.set(v, 0, inode.gid);
  Stat.st_rdev.set(v, 0, inode.rdev);
  Stat.st_size.set(v, 0, inode.bytes);
  Stat.st_blksize.set(v, 0, blockBytes(inode));
  Stat.st_blocks.set(v, 0, blockCount(inode));
  Stat.st_atime.set(v, 0, inode.atimeSec);
  Stat.st_atime_nsec.set(v, 0, inode.atimeNsec);
  Stat.st_mtime.set(v, 0, inode.mtimeSec);
  Stat.st_mtime_nsec.set(v, 0, inode.mtimeNsec);
  Stat.st_ctime.set(v, 0, inode.ctimeSec);
  Stat.st_ctime_nsec.set(v, 0, inode.ctimeNsec);
  return copyOut(k, gva, statBytes) === statBytes.length ? 0 : -EFAULT;
}

function statPlace(k: Kernel, place: Place | number, gva: number): number {
  if (typeof place === 'number') return place;
  return place.inode === null ? -EBADF : writeStat(k, place.inode, gva);
}

function stat(k: Kernel, task: Task, a: Args): number {
  const gva = a.u64(1);
  return statPlace(k, lookupUser(k, task, AT_FDCWD, a.u64(0), LOOKUP_FOLLOW), gva);
}

function lstat(k: Kernel, task: Task, a: Args): number {
  const gva = a.u64(1);
  return statPlace(k, lookupUser(k, task, AT_FDCWD, a.u64(0), 0), gva);
}

function fstat(k: Kernel, task: Task, a: Args): number {
  const file = getRawFile(task, a.i32(0));
  if (file === null || file.inode === null) return -EBADF;
  return writeStat(k, file.inode, a.u64(1));
}

/** LOOKUP_* of AT_* flags. */
export function lookupFlags(flags: number): number {
  return ((flags & AT_SYMLINK_NOFOLLOW) === 0 ? LOOKUP_FOLLOW : 0) |
    ((flags & AT_EMPTY_PATH) !== 0 ? LOOKUP_EMPTY : 0);
}

/**
 * Linux: getname_maybe_null. Whether only the descriptor counts, because of AT_EMPTY_PATH and a
 * path that is a null pointer or empty; other flags are not looked at then.
 */
function isDescriptorOnly(k: Kernel, dirfd: number, gva: number, flags: number): boolean {
  if ((flags & AT_EMPTY_PATH) === 0 || dirfd < 0) return false;
  return gva === 0 || copyIn(k, gva, scratchByte) === 1 && scratchByte[0] === 0;
}

const scratchByte: Uint8Array = new Uint8Array(1);
const STATX_FLAGS = AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_EMPTY_PATH | AT_STATX_SYNC_TYPE;

function newfstatat(k: Kernel, task: Task, a: Args): number {
  const flags = a.u32(3);
  const gva = a.u64(2);
  const dirfd = a.i32(0);
  if (isDescriptorOnly(k, dirfd, a.u64(1), flags)) {
    const file = getRawFile(task, dirfd);
    return file === null || file.inode === null ? -EBADF : writeStat(k, file.inode, gva);
  }
  if ((flags & ~STATX_FLAGS) !== 0) return -EINVAL;
  return statPlace(k, lookupUser(k, task, dirfd, a.u64(1), lookupFlags(flags)), gva);
}

const statxBytes: Uint8Array = new Uint8Array(Statx.bytes);
const statxView: DataView = new DataView(statxBytes.buffer);

function writeStatx(k: Kernel, place: Place, inode: Inode, gva: number): number {
  statxBytes.fill(0);
  const v = statxView;
  const device = deviceNumber(inode);
  const isMountRoot = place.dentry !== null && place.dentry.parent === null &&
    place.dentry.inode === inode && !place.dentry.deleted;
  Statx.stx_mask.set(v, 0, STATX_BASIC_STATS | STATX_MNT_ID);
  Statx.stx_blksize.set(v, 0, blockBytes(inode));
  Statx.stx_attributes.set(v, 0, isMountRoot ? BigInt(STATX_ATTR_MOUNT_ROOT) : 0n);
  Statx.stx_attributes_mask.set(v, 0, BigInt(STATX_ATTR_MOUNT_ROOT));
  Statx.stx_nlink.set(v, 0, inode.nlink);
  Statx.stx_uid.set(v, 0, inode.uid);
  Statx.stx_gid.set(v, 0, inode.gid);
  Statx.stx_mode.set(v, 0, modeOf(k, inode));
  Statx.stx_ino.set(v, 0, inodeNumber(inode));
  Statx.stx_size.set(v, 0, inode.bytes);
  Statx.stx_blocks.set(v, 0, blockCount(inode));
  Statx.stx_atime.set(v, 0, inode.atimeSec);
  Statx.stx_atime_nsec.set(v, 0, inode.atimeNsec);
  Statx.stx_mtime.set(v, 0, inode.mtimeSec);
  Statx.stx_mtime_nsec.set(v, 0, inode.mtimeNsec);
  Statx.stx_ctime.set(v, 0, inode.ctimeSec);
  Statx.stx_ctime_nsec.set(v, 0, inode.ctimeNsec);
  Statx.stx_rdev_major.set(v, 0, majorOf(inode.rdev));
  Statx.stx_rdev_minor.set(v, 0, minorOf(inode.rdev));
  Statx.stx_dev_major.set(v, 0, majorOf(device));
  Statx.stx_dev_minor.set(v, 0, minorOf(device));
  Statx.stx_mnt_id.set(v, 0, mountId(inode, place.dentry));
  return copyOut(k, gva, statxBytes) === statxBytes.length ? 0 : -EFAULT;
}

function statx(k: Kernel, task: Task, a: Args): number {
  const flags = a.u32(2);
  const mask = a.u32(3);
  const gva = a.u64(4);
  if ((mask & STATX__RESERVED) !== 0) return -EINVAL;
  if ((flags & AT_STATX_SYNC_TYPE) === (AT_STATX_FORCE_SYNC | AT_STATX_DONT_SYNC)) return -EINVAL;
  const dirfd = a.i32(0);
  const isKnown = (flags & ~STATX_FLAGS) === 0;
  if (!isKnown && !isDescriptorOnly(k, dirfd, a.u64(1), flags)) return -EINVAL;
  const place = lookupUser(k, task, dirfd, a.u64(1), lookupFlags(flags));
  if (typeof place === 'number') return place;
  return place.inode === null ? -EBADF : writeStatx(k, place, place.inode, gva);
}

function checkAccess(
  k: Kernel,
  task: Task,
  dirfd: number,
  gva: number,
  mode: number,
  flags: number,
): number {
  if ((mode & ~(R_OK | W_OK | X_OK)) !== 0) return -EINVAL;
  if ((flags & ~(AT_EACCESS | AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)) !== 0) return -EINVAL;
  const place = lookupUser(k, task, dirfd, gva, lookupFlags(flags));
  if (typeof place === 'number') return place;
  if (mode === 0 || place.inode === null) return 0;
  const denied = checkPermission(task.process, place.inode, mode);
  if (denied !== 0) return denied;
  return (mode & W_OK) !== 0 && isReadOnlyContent(place.inode) ? -EROFS : 0;
}

function access(k: Kernel, task: Task, a: Args): number {
  return checkAccess(k, task, AT_FDCWD, a.u64(0), a.u32(1), 0);
}

function faccessat(k: Kernel, task: Task, a: Args): number {
  return checkAccess(k, task, a.i32(0), a.u64(1), a.u32(2), 0);
}

function faccessat2(k: Kernel, task: Task, a: Args): number {
  return checkAccess(k, task, a.i32(0), a.u64(1), a.u32(2), a.u32(3));
}

function readLinkInto(
  k: Kernel,
  task: Task,
  dirfd: number,
  path: number,
  gva: number,
  bytes: number,
): number {
  if (bytes <= 0) return -EINVAL;
  const text = readPath(k, path);
  if (typeof text === 'number') return text;
  const place = lookupAt(k, task.process, dirfd, text, LOOKUP_EMPTY);
  if (typeof place === 'number') return place;
  if (text.length === 0 && dirfd === AT_FDCWD) return -ENOENT;
  const { inode } = place;
  if (inode === null || (inode.mode & S_IFMT) !== S_IFLNK) {
    return text.length === 0 ? -ENOENT : -EINVAL;
  }
  const target = readLink(k, task.process, inode);
  if (typeof target === 'number') return target;
  const part = target.subarray(0, bytes);
  return copyOut(k, gva, part) === part.length ? part.length : -EFAULT;
}

function readlink(k: Kernel, task: Task, a: Args): number {
  return readLinkInto(k, task, AT_FDCWD, a.u64(0), a.u64(1), a.i32(2));
}

function readlinkat(k: Kernel, task: Task, a: Args): number {
  return readLinkInto(k, task, a.i32(0), a.u64(1), a.u64(2), a.i32(3));
}

export const statCalls: Family = {
  stat: full(stat),
  lstat: full(lstat),
  fstat: full(fstat),
  newfstatat: full(newfstatat),
  statx: partial(statx, 'Birth times are not kept.'),
  access: full(access),
  faccessat: full(faccessat),
  faccessat2: full(faccessat2),
  readlink: full(readlink),
  readlinkat: full(readlinkat),
};

