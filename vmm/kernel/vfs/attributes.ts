// Changing what an inode says about itself: mode, owner, times, size. The change is kept in the
// inode, whose dentry is pinned from then on, for it differs from the lower layer.
import {
  EFBIG, EINVAL, EISDIR, ENODEV, ENOMEM, ENOSPC, EOPNOTSUPP, EPERM, EROFS, ESPIPE,
  ETXTBSY,
} from '../../abi/errno.ts';
import { IN_ACCESS, IN_ATTRIB, IN_MODIFY } from '../../abi/eventfd.ts';
import {
  F_SEAL_FUTURE_WRITE, F_SEAL_GROW, F_SEAL_SHRINK, F_SEAL_WRITE, FALLOC_FL_KEEP_SIZE,
  FALLOC_FL_PUNCH_HOLE, FALLOC_FL_ZERO_RANGE,
} from '../../abi/fcntl.ts';
import { RLIMIT_FSIZE } from '../../abi/resource.ts';
import {
  S_IFLNK, S_IFMT, S_ISDIR, S_ISFIFO, S_ISGID, S_ISREG, S_ISUID, UTIME_NOW, UTIME_OMIT,
} from '../../abi/stat.ts';
import type { Kernel } from '../kernel.ts';
import { FILE_BYTES_MOST, punchPages, truncatePages } from '../mm/page-cache.ts';
import type { Process } from '../records/task.ts';
import { type Dentry, FS_ANON, type File, type Inode } from '../records/vfs.ts';
import { softLimit } from '../task/limits.ts';
import { realtime } from '../time/clock.ts';
import { pinDentry } from './dentry.ts';
import { isGenerated } from './proc/generated.ts';
import { touchChanged, touchModified } from './inode.ts';
import { notifyDentry, notifyFile } from './notify.ts';
import { isOwner } from './permission.ts';

/** RLIMIT_FSIZE, or the largest file if that is less. */
export function fileSizeLimit(process: Process): number {
  return Math.min(softLimit(process, RLIMIT_FSIZE), FILE_BYTES_MOST);
}

/** Records that an inode is changed: its name must be kept. */
export function markChanged(k: Kernel, inode: Inode, dentry: Dentry | null): void {
  if (dentry !== null && !dentry.deleted) pinDentry(k, dentry);
  touchChanged(k, inode);
}

/** chmod(2). 0 or -errno. */
export function changeMode(
  k: Kernel,
  process: Process,
  inode: Inode,
  dentry: Dentry | null,
  mode: number,
): number {
  if (inode.readOnly) return -EROFS;
  if ((inode.mode & S_IFMT) === S_IFLNK) return -EOPNOTSUPP;
  if (!isOwner(process, inode) || isGenerated(inode)) return -EPERM;
  let bits = mode & 0o7777;
  if (process.uid !== 0 && process.gid !== inode.gid) bits &= ~S_ISGID;
  inode.mode = (inode.mode & S_IFMT) | bits;
  markChanged(k, inode, dentry);
  notifyDentry(k, inode, dentry, IN_ATTRIB);
  return 0;
}

/** chown(2); 0xffffffff leaves the uid or gid alone. 0 or -errno. */
export function changeOwner(
  k: Kernel,
  process: Process,
  inode: Inode,
  dentry: Dentry | null,
  uid: number,
  gid: number,
): number {
  if (inode.readOnly) return -EROFS;
  const newUid = uid === 0xffff_ffff ? inode.uid : uid;
  const newGid = gid === 0xffff_ffff ? inode.gid : gid;
  if (isGenerated(inode)) return -EPERM;
  if (process.uid !== 0) {
    const ownGroup = process.uid === inode.uid && (newGid === inode.gid || newGid === process.gid);
    if (newUid !== inode.uid || !ownGroup) return -EPERM;
  }
  // Linux: chown clears set-user-ID and (with group execute) set-group-ID of anything but
  // directories.
  if (!S_ISDIR(inode.mode)) {
    inode.mode &= ~S_ISUID;
    if ((inode.mode & 0o10) !== 0) inode.mode &= ~S_ISGID;
  }
  inode.uid = newUid;
  inode.gid = newGid;
  markChanged(k, inode, dentry);
  if (uid !== 0xffff_ffff || gid !== 0xffff_ffff) notifyDentry(k, inode, dentry, IN_ATTRIB);
  return 0;
}

/** One time of utimensat(2): seconds, and nanoseconds or UTIME_NOW, UTIME_OMIT. */
export interface TimeChange {
  sec: number;
  nsec: number;
}

/** utimensat(2). Preconditions: nanoseconds are in range or special. 0 or -errno. */
export function changeTimes(
  k: Kernel,
  process: Process,
  inode: Inode,
  dentry: Dentry | null,
  access: TimeChange,
  modification: TimeChange,
): number {
  if (inode.readOnly) return -EROFS;
  if (isGenerated(inode) || !isOwner(process, inode)) return -EPERM;
  const now = realtime(k);
  const atime = access.nsec === UTIME_NOW ? now : access;
  const mtime = modification.nsec === UTIME_NOW ? now : modification;
  if (access.nsec !== UTIME_OMIT) {
    inode.atimeSec = atime.sec;
    inode.atimeNsec = atime.nsec;
  }
  if (modification.nsec !== UTIME_OMIT) {
    inode.mtimeSec = mtime.sec;
    inode.mtimeNsec = mtime.nsec;
  }
  markChanged(k, inode, dentry);
  notifyTimes(k, inode, dentry, access.nsec !== UTIME_OMIT, modification.nsec !== UTIME_OMIT);
  return 0;
}

/** Linux: fsnotify_change. One time alone looks like what usually sets it. */
function notifyTimes(
  k: Kernel, inode: Inode, dentry: Dentry | null, hasAccess: boolean, hasModification: boolean,
): void {
  if (hasAccess && hasModification) notifyDentry(k, inode, dentry, IN_ATTRIB);
  else if (hasAccess) notifyDentry(k, inode, dentry, IN_ACCESS);
  else if (hasModification) notifyDentry(k, inode, dentry, IN_MODIFY);
}

/** Whether the process executes this file, so that it may not be written (ETXTBSY). */
export function isBusyText(process: Process, inode: Inode): boolean {
  return process.exe !== null && process.exe.inode === inode;
}

/**
 * truncate(2), ftruncate(2) and O_TRUNC: sets the size of a regular file. 0 or -errno.
 * @param limit the most it may grow to (EFBIG; the caller sends SIGXFSZ)
 */
export function truncateInode(
  k: Kernel,
  process: Process,
  inode: Inode,
  dentry: Dentry | null,
  bytes: number,
): number {
  if (S_ISDIR(inode.mode)) return -EISDIR;
  if (!S_ISREG(inode.mode)) return -EINVAL;
  if (isGenerated(inode)) return 0;
  if (isBusyText(process, inode)) return -ETXTBSY;
  if (bytes > inode.bytes && bytes > fileSizeLimit(process)) return -EFBIG;
  if (bytes < inode.bytes && (inode.seals & F_SEAL_SHRINK) !== 0) return -EPERM;
  if (bytes > inode.bytes && (inode.seals & F_SEAL_GROW) !== 0) return -EPERM;
  const error = truncatePages(k, inode, bytes);
  if (error < 0) return error;
  clearPrivileges(process, inode);
  if (dentry !== null && !dentry.deleted) pinDentry(k, dentry);
  touchModified(k, inode);
  notifyDentry(k, inode, dentry, IN_MODIFY);
  return 0;
}

/** Linux: file_remove_privs. A write by others than user 0 clears set-user-ID and set-group-ID. */
export function clearPrivileges(process: Process, inode: Inode): void {
  if (process.uid === 0 || (inode.mode & (S_ISUID | S_ISGID)) === 0) return;
  inode.mode &= ~S_ISUID;
  if ((inode.mode & 0o10) !== 0) inode.mode &= ~S_ISGID;
}

const SUPPORTED_MODES: number = FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE;

/** Whether fallocate(2) knows the mode: 0 or -EOPNOTSUPP. */
export function checkAllocation(mode: number): number {
  if ((mode & ~SUPPORTED_MODES) !== 0) return -EOPNOTSUPP;
  if ((mode & FALLOC_FL_PUNCH_HOLE) === 0) return 0;
  const others = mode & (FALLOC_FL_KEEP_SIZE | FALLOC_FL_ZERO_RANGE);
  return others === FALLOC_FL_KEEP_SIZE ? 0 : -EOPNOTSUPP;
}

/**
 * fallocate(2) on an open file. Preconditions: checkAllocation(mode) is 0, offset ≥ 0, bytes > 0,
 * the file is writable.
 */
export function allocateRange(
  k: Kernel,
  process: Process,
  file: File,
  mode: number,
  offset: number,
  bytes: number,
): number {
  const inode = file.inode as Inode;
  if (S_ISFIFO(inode.mode)) return -ESPIPE;
  if (S_ISDIR(inode.mode)) return -EISDIR;
  if (!S_ISREG(inode.mode)) return -ENODEV;
  if (isGenerated(inode)) return -EOPNOTSUPP;
  if (offset + bytes > FILE_BYTES_MOST) return -EFBIG;
  const keepsSize = (mode & FALLOC_FL_KEEP_SIZE) !== 0;
  const end = offset + bytes;
  const clears = (mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE)) !== 0;
  const writeSeals = F_SEAL_WRITE | F_SEAL_FUTURE_WRITE;
  if (clears && (inode.seals & writeSeals) !== 0) return -EPERM;
  if (!keepsSize && end > inode.bytes && (inode.seals & F_SEAL_GROW) !== 0) return -EPERM;
  if (!keepsSize && end > inode.bytes && end > fileSizeLimit(process)) return -EFBIG;
  if (clears) {
    const error = punchPages(k, inode, offset, end);
    if (error < 0) return error === -ENOMEM ? -ENOSPC : error;
  }
  if (!keepsSize && end > inode.bytes) {
    const error = truncatePages(k, inode, end);
    if (error < 0) return error;
  }
  if (file.dentry !== null && inode.fs !== FS_ANON) pinIfNamed(k, file.dentry);
  touchModified(k, inode);
  notifyFile(k, file, IN_MODIFY);
  return 0;
}

function pinIfNamed(k: Kernel, dentry: Dentry): void {
  if (!dentry.deleted) pinDentry(k, dentry);
}
