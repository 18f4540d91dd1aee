// Calls that change what a file says about itself (chmod, chown, utimes, truncate, fallocate,
// extended attributes), and those about whole file systems (statfs, sync).
import {
  E2BIG, EBADF, EFAULT, EFBIG, EINVAL, EISDIR, ERANGE, EROFS, ESPIPE,
} from '../../abi/errno.ts';
import {
  AT_EMPTY_PATH, AT_FDCWD, AT_SYMLINK_NOFOLLOW, SYNC_FILE_RANGE_WAIT_AFTER,
  SYNC_FILE_RANGE_WAIT_BEFORE, SYNC_FILE_RANGE_WRITE, XATTR_CREATE, XATTR_REPLACE,
} from '../../abi/fcntl.ts';
import { XATTR_LIST_MAX, XATTR_SIZE_MAX } from '../../abi/limits.ts';
import { SIGXFSZ } from '../../abi/signal.ts';
import { S_ISDIR, S_ISREG, UTIME_NOW, UTIME_OMIT } from '../../abi/stat.ts';
import {
  OVERLAYFS_SUPER_MAGIC, PIPEFS_MAGIC, PROC_SUPER_MAGIC, ST_NODEV, ST_NOEXEC, ST_NOSUID,
  ST_RDONLY, ST_RELATIME, ST_VALID, SYSFS_MAGIC, TMPFS_MAGIC,
} from '../../abi/statfs.ts';
import { Statfs } from '../../abi/struct-file.ts';
import { readI64 } from '../../abi/layout.ts';
import type { Kernel } from '../kernel.ts';
import { copyIn, copyOut, readStruct } from '../mm/user-memory.ts';
import { PAGE_BYTES } from '../ports.ts';
import type { Task } from '../records/task.ts';
import {
  type File, FILE_DIRECTORY, FILE_LOG, FILE_PIPE, FILE_REGULAR, FILE_SOCKET, FS_ANON, FS_DEV,
  FS_OVERLAY,
  FS_PROC, FS_SYS, type Inode,
} from '../records/vfs.ts';
import { makeInfo, sendSignalToTask } from '../signal/pending.ts';
import {
  allocateRange, changeMode, changeOwner, changeTimes, checkAllocation, type TimeChange,
  truncateInode,
} from '../vfs/attributes.ts';
import { getFile, getRawFile } from '../vfs/file.ts';
import { syncLog } from '../vfs/log-file.ts';
import { lookupAt, LOOKUP_FOLLOW, type Place } from '../vfs/lookup.ts';
import { isReadable, isWritable } from '../vfs/open.ts';
import { checkPermission, MAY_WRITE } from '../vfs/permission.ts';
import { readAttributeName, readPath } from '../vfs/user-path.ts';
import { getAttribute, listAttributes, removeAttribute, setAttribute } from '../vfs/xattr.ts';
import type { Args } from './args.ts';
import { type Family, full, partial } from './define.ts';
import { lookupFlags, lookupUser } from './stat.ts';

// Mode and owner

function chmodPlace(k: Kernel, task: Task, place: Place | number, mode: number): number {
  if (typeof place === 'number') return place;
  if (place.inode === null) return -EBADF;
  return changeMode(k, task.process, place.inode, place.dentry, mode);
}

function chmod(k: Kernel, task: Task, a: Args): number {
  const mode = a.u32(1);
  return chmodPlace(k, task, lookupUser(k, task, AT_FDCWD, a.u64(0), LOOKUP_FOLLOW), mode);
}

function fchmod(k: Kernel, task: Task, a: Args): number {
  const file = getFile(task, a.i32(0));
  return file === null ? -EBADF : chmodPlace(k, task, placeOf(file), a.u32(1));
}

function placeOf(file: File): Place {
  return { inode: file.inode, dentry: file.dentry, file };
}

function fchmodat(k: Kernel, task: Task, a: Args): number {
  const mode = a.u32(2);
  return chmodPlace(k, task, lookupUser(k, task, a.i32(0), a.u64(1), LOOKUP_FOLLOW), mode);
}

function fchmodat2(k: Kernel, task: Task, a: Args): number {
  const mode = a.u32(2);
  const flags = a.u32(3);
  if ((flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)) !== 0) return -EINVAL;
  return chmodPlace(k, task, lookupUser(k, task, a.i32(0), a.u64(1), lookupFlags(flags)), mode);
}

function chownPlace(
  k: Kernel,
  task: Task,
  place: Place | number,
  uid: number,
  gid: number,
): number {
  if (typeof place === 'number') return place;
  if (place.inode === null) return -EBADF;
  return changeOwner(k, task.process, place.inode, place.dentry, uid, gid);
}

function chown(k: Kernel, task: Task, a: Args): number {
  const [uid, gid] = [a.u32(1), a.u32(2)];
  return chownPlace(k, task, lookupUser(k, task, AT_FDCWD, a.u64(0), LOOKUP_FOLLOW), uid, gid);
}

function lchown(k: Kernel, task: Task, a: Args): number {
  const [uid, gid] = [a.u32(1), a.u32(2)];
  return chownPlace(k, task, lookupUser(k, task, AT_FDCWD, a.u64(0), 0), uid, gid);
}

function fchown(k: Kernel, task: Task, a: Args): number {
  const file = getFile(task, a.i32(0));
  return file === null ? -EBADF : chownPlace(k, task, placeOf(file), a.u32(1), a.u32(2));
}

function fchownat(k: Kernel, task: Task, a: Args): number {
  const [uid, gid, flags] = [a.u32(2), a.u32(3), a.u32(4)];
  if ((flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)) !== 0) return -EINVAL;
  const place = lookupUser(k, task, a.i32(0), a.u64(1), lookupFlags(flags));
  return chownPlace(k, task, place, uid, gid);
}

// Times

const NOW: TimeChange = { sec: 0, nsec: UTIME_NOW };

/** Two times at `gva`; `scale` is 1 for timespec, 1000 for timeval. Null pointer: now. */
function readTimes(
  k: Kernel,
  gva: number,
  scale: number,
): readonly [TimeChange, TimeChange] | number {
  if (gva === 0) return [NOW, NOW];
  const view = readStruct(k, gva, 32);
  if (view === null) return -EFAULT;
  const times = [0, 16].map((at) => ({
    sec: readI64(view, at),
    nsec: readI64(view, at + 8),
  })) as [TimeChange, TimeChange];
  for (const time of times) {
    const isSpecial = scale === 1 && (time.nsec === UTIME_NOW || time.nsec === UTIME_OMIT);
    if (isSpecial) continue;
    time.nsec *= scale;
    if (!(time.nsec >= 0 && time.nsec < 1_000_000_000)) return -EINVAL;
  }
  return times;
}

function timesOfPlace(
  k: Kernel,
  task: Task,
  place: Place | number,
  times: readonly [TimeChange, TimeChange],
): number {
  if (typeof place === 'number') return place;
  if (place.inode === null) return -EBADF;
  return changeTimes(k, task.process, place.inode, place.dentry, times[0], times[1]);
}

function utimensat(k: Kernel, task: Task, a: Args): number {
  const dirfd = a.i32(0);
  const path = a.u64(1);
  const flags = a.u32(3);
  const times = readTimes(k, a.u64(2), 1);
  if (typeof times === 'number') return times;
  if (times[0].nsec === UTIME_OMIT && times[1].nsec === UTIME_OMIT) return 0;
  if (path === 0 && dirfd !== AT_FDCWD) {
    if (flags !== 0) return -EINVAL;
    const file = getFile(task, dirfd);
    return file === null ? -EBADF : timesOfPlace(k, task, placeOf(file), times);
  }
  if ((flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)) !== 0) return -EINVAL;
  return timesOfPlace(k, task, lookupUser(k, task, dirfd, path, lookupFlags(flags)), times);
}

function futimesat(k: Kernel, task: Task, a: Args): number {
  const [dirfd, path] = [a.i32(0), a.u64(1)];
  const times = readTimes(k, a.u64(2), 1000);
  if (typeof times === 'number') return times;
  if (path === 0 && dirfd !== AT_FDCWD) {
    const file = getFile(task, dirfd);
    return file === null ? -EBADF : timesOfPlace(k, task, placeOf(file), times);
  }
  return timesOfPlace(k, task, lookupUser(k, task, dirfd, path, LOOKUP_FOLLOW), times);
}

function utimes(k: Kernel, task: Task, a: Args): number {
  const path = a.u64(0);
  const times = readTimes(k, a.u64(1), 1000);
  if (typeof times === 'number') return times;
  return timesOfPlace(k, task, lookupUser(k, task, AT_FDCWD, path, LOOKUP_FOLLOW), times);
}

function utime(k: Kernel, task: Task, a: Args): number {
  const path = a.u64(0);
  const gva = a.u64(1);
  let times: readonly [TimeChange, TimeChange] = [NOW, NOW];
  if (gva !== 0) {
    const view = readStruct(k, gva, 16);
    if (view === null) return -EFAULT;
    times = [{ sec: readI64(view, 0), nsec: 0 }, { sec: readI64(view, 8), nsec: 0 }];
  }
  return timesOfPlace(k, task, lookupUser(k, task, AT_FDCWD, path, LOOKUP_FOLLOW), times);
}

// Size

function setSize(k: Kernel, task: Task, place: Place, bytes: number): number {
  if (place.inode === null) return -EINVAL;
  const result = truncateInode(k, task.process, place.inode, place.dentry, bytes);
  if (result === -EFBIG) sendSignalToTask(k, task, makeInfo(SIGXFSZ, 0x80));
  return result;
}

function truncate(k: Kernel, task: Task, a: Args): number {
  const bytes = a.i64(1);
  if (bytes < 0) return -EINVAL;
  const place = lookupUser(k, task, AT_FDCWD, a.u64(0), LOOKUP_FOLLOW);
  if (typeof place === 'number') return place;
  const { inode } = place;
  if (inode === null) return -EINVAL;
  if (S_ISDIR(inode.mode)) return -EISDIR;
  if (!S_ISREG(inode.mode)) return -EINVAL;
  if (inode.readOnly) return -EROFS;
  const denied = checkPermission(task.process, inode, MAY_WRITE);
  return denied !== 0 ? denied : setSize(k, task, place, bytes);
}

function ftruncate(k: Kernel, task: Task, a: Args): number {
  const bytes = a.i64(1);
  if (bytes < 0) return -EINVAL;
  const file = getFile(task, a.i32(0));
  if (file === null) return -EBADF;
  if (file.kind !== FILE_REGULAR || !isWritable(file)) return -EINVAL;
  return setSize(k, task, placeOf(file), bytes);
}

function fallocate(k: Kernel, task: Task, a: Args): number {
  const mode = a.u32(1);
  const [offset, bytes] = [a.i64(2), a.i64(3)];
  const file = getFile(task, a.i32(0));
  if (file === null) return -EBADF;
  if (offset < 0 || bytes <= 0) return -EINVAL;
  const refused = checkAllocation(mode);
  if (refused !== 0) return refused;
  if (!isWritable(file)) return -EBADF;
  if (file.inode === null) return -ESPIPE;
  const result = allocateRange(k, task.process, file, mode, offset, bytes);
  if (result === -EFBIG) sendSignalToTask(k, task, makeInfo(SIGXFSZ, 0x80));
  return result;
}

// Advice and write-back: content is memory, so there is nothing to do but for logs.

function fadvise64(_k: Kernel, task: Task, a: Args): number {
  const file = getFile(task, a.i32(0));
  if (file === null) return -EBADF;
  if (file.kind === FILE_PIPE) return -ESPIPE;
  return a.u32(3) > 5 || a.i64(2) < 0 ? -EINVAL : 0;
}

function readahead(_k: Kernel, task: Task, a: Args): number {
  const file = getFile(task, a.i32(0));
  if (file === null || !isReadable(file)) return -EBADF;
  return file.kind === FILE_REGULAR ? 0 : -EINVAL;
}

function sync(): number {
  return 0;
}

function syncfs(_k: Kernel, task: Task, a: Args): number {
  return getFile(task, a.i32(0)) === null ? -EBADF : 0;
}

function fsync(k: Kernel, task: Task, a: Args): number {
  const file = getFile(task, a.i32(0));
  if (file === null) return -EBADF;
  if (file.kind === FILE_LOG) return syncLog(k, file);
  return file.kind === FILE_REGULAR || file.kind === FILE_DIRECTORY ? 0 : -EINVAL;
}

const SYNC_RANGE_FLAGS =
  SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER;

function syncFileRange(_k: Kernel, task: Task, a: Args): number {
  const [offset, bytes] = [a.i64(1), a.i64(2)];
  const file = getFile(task, a.i32(0));
  if (file === null) return -EBADF;
  if ((a.u32(3) & ~SYNC_RANGE_FLAGS) !== 0) return -EINVAL;
  if (offset < 0 || bytes < 0) return -EINVAL;
  if (file.kind === FILE_PIPE || file.kind === FILE_SOCKET) return -ESPIPE;
  return 0;
}

// File systems

const MAGIC: ReadonlyMap<number, readonly [magic: number, flags: number]> = new Map([
  [FS_OVERLAY, [OVERLAYFS_SUPER_MAGIC, ST_RELATIME]],
  [FS_PROC, [PROC_SUPER_MAGIC, ST_NOSUID | ST_NODEV | ST_NOEXEC | ST_RELATIME]],
  [FS_SYS, [SYSFS_MAGIC, ST_NOSUID | ST_NODEV | ST_NOEXEC | ST_RELATIME]],
  [FS_DEV, [TMPFS_MAGIC, ST_NOSUID]],
  [FS_ANON, [PIPEFS_MAGIC, ST_RELATIME]],
]);

function writeStatfs(k: Kernel, inode: Inode, gva: number): number {
  const raw = new Uint8Array(Statfs.bytes);
  const view = new DataView(raw.buffer);
  const isRegularAnon = inode.fs === FS_ANON && S_ISREG(inode.mode);
  const [magic, flags] = isRegularAnon ? [TMPFS_MAGIC, ST_RELATIME] : MAGIC.get(inode.fs) ?? [0, 0];
  const hasBlocks = inode.fs === FS_OVERLAY || inode.fs === FS_DEV || isRegularAnon;
  Statfs.f_type.set(view, 0, magic);
  Statfs.f_bsize.set(view, 0, PAGE_BYTES);
  Statfs.f_frsize.set(view, 0, PAGE_BYTES);
  Statfs.f_namelen.set(view, 0, 255);
  Statfs.f_flags.set(view, 0, flags | ST_VALID | (inode.readOnly ? ST_RDONLY : 0));
  if (hasBlocks) {
    const blocks = Math.floor(k.limits.memoryBytes / PAGE_BYTES);
    const free = Math.max(k.frames.available, 0);
    Statfs.f_blocks.set(view, 0, blocks);
    Statfs.f_bfree.set(view, 0, free);
    Statfs.f_bavail.set(view, 0, free);
    Statfs.f_files.set(view, 0, blocks);
    Statfs.f_ffree.set(view, 0, free);
  }
  return copyOut(k, gva, raw) === raw.length ? 0 : -EFAULT;
}

function statfs(k: Kernel, task: Task, a: Args): number {
  const gva = a.u64(1);
  const place = lookupUser(k, task, AT_FDCWD, a.u64(0), LOOKUP_FOLLOW);
  if (typeof place === 'number') return place;
  return place.inode === null ? -EBADF : writeStatfs(k, place.inode, gva);
}

function fstatfs(k: Kernel, task: Task, a: Args): number {
  const file = getRawFile(task, a.i32(0));
  if (file === null || file.inode === null) return -EBADF;
  return writeStatfs(k, file.inode, a.u64(1));
}

// Extended attributes: for each operation a form by path, by link, by descriptor.

type Finder = (k: Kernel, task: Task, a: Args) => Place | number;

function byPath(flags: number): Finder {
  return (k, task, a) => {
    const path = readPath(k, a.u64(0));
    return typeof path === 'number' ? path : lookupAt(k, task.process, AT_FDCWD, path, flags);
  };
}

function byDescriptor(_k: Kernel, task: Task, a: Args): Place | number {
  const file = getFile(task, a.i32(0));
  return file === null ? -EBADF : placeOf(file);
}

type AttributeCall = (k: Kernel, task: Task, a: Args, place: Place, inode: Inode) => number;

function forms(call: AttributeCall, find: Finder): (k: Kernel, task: Task, a: Args) => number {
  return (k, task, a) => {
    const place = find(k, task, a);
    if (typeof place === 'number') return place;
    return place.inode === null ? -EBADF : call(k, task, a, place, place.inode);
  };
}

function setxattr(k: Kernel, task: Task, a: Args, place: Place, inode: Inode): number {
  const [gva, bytes, flags] = [a.u64(2), a.u64(3), a.u32(4)];
  if ((flags & ~(XATTR_CREATE | XATTR_REPLACE)) !== 0) return -EINVAL;
  const name = readAttributeName(k, a.u64(1));
  if (typeof name === 'number') return name;
  if (bytes > XATTR_SIZE_MAX) return -E2BIG;
  const value = new Uint8Array(bytes);
  if (copyIn(k, gva, value) !== bytes) return -EFAULT;
  return setAttribute(k, task.process, inode, place.dentry, name, value, flags);
}

function getxattr(k: Kernel, task: Task, a: Args, _place: Place, inode: Inode): number {
  const [gva, bytes] = [a.u64(2), a.u64(3)];
  const name = readAttributeName(k, a.u64(1));
  if (typeof name === 'number') return name;
  const value = getAttribute(k, task.process, inode, name);
  if (typeof value === 'number') return value;
  if (bytes === 0) return value.length;
  if (value.length > bytes) return -ERANGE;
  return copyOut(k, gva, value) === value.length ? value.length : -EFAULT;
}

function listxattr(k: Kernel, task: Task, a: Args, _place: Place, inode: Inode): number {
  const gva = a.u64(1);
  const list = listAttributes(k, task.process, inode, Math.min(a.u64(2), XATTR_LIST_MAX));
  if (typeof list === 'number') return list;
  return copyOut(k, gva, list) === list.length ? list.length : -EFAULT;
}

function removexattr(k: Kernel, task: Task, a: Args, place: Place, inode: Inode): number {
  const name = readAttributeName(k, a.u64(1));
  if (typeof name === 'number') return name;
  return removeAttribute(k, task.process, inode, place.dentry, name);
}

const followed: Finder = byPath(LOOKUP_FOLLOW);
const notFollowed: Finder = byPath(0);

export const filesystemCalls: Family = {
  chmod: full(chmod),
  fchmod: full(fchmod),
  fchmodat: full(fchmodat),
  fchmodat2: full(fchmodat2),
  chown: full(chown),
  lchown: full(lchown),
  fchown: full(fchown),
  fchownat: full(fchownat),
  utime: full(utime),
  utimes: full(utimes),
  futimesat: full(futimesat),
  utimensat: full(utimensat),
  truncate: full(truncate),
  ftruncate: full(ftruncate),
  fallocate: partial(fallocate, 'Modes 0, KEEP_SIZE, PUNCH_HOLE, ZERO_RANGE; nothing is reserved.'),
  fadvise64: full(fadvise64),
  readahead: full(readahead),
  sync: full(sync),
  syncfs: full(syncfs),
  fsync: full(fsync),
  fdatasync: full(fsync),
  sync_file_range: full(syncFileRange),
  statfs: full(statfs),
  fstatfs: full(fstatfs),
  setxattr: full(forms(setxattr, followed)),
  lsetxattr: full(forms(setxattr, notFollowed)),
  fsetxattr: full(forms(setxattr, byDescriptor)),
  getxattr: full(forms(getxattr, followed)),
  lgetxattr: full(forms(getxattr, notFollowed)),
  fgetxattr: full(forms(getxattr, byDescriptor)),
  listxattr: full(forms(listxattr, followed)),
  llistxattr: full(forms(listxattr, notFollowed)),
  flistxattr: full(forms(listxattr, byDescriptor)),
  removexattr: full(forms(removexattr, followed)),
  lremovexattr: full(forms(removexattr, notFollowed)),
  fremovexattr: full(forms(removexattr, byDescriptor)),
};
