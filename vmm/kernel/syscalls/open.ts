// open(2), openat(2), openat2(2), creat(2), memfd_create(2), close(2), close_range(2).
import {
  E2BIG, EAGAIN, EFAULT, EINVAL,
} from '../../abi/errno.ts';
import {
  AT_FDCWD, CLOSE_RANGE_CLOEXEC, CLOSE_RANGE_UNSHARE, F_SEAL_EXEC, F_SEAL_SEAL, O_ACCMODE,
  O_APPEND, O_ASYNC, O_CLOEXEC, O_CREAT, O_DIRECT, O_DIRECTORY, O_DSYNC, O_EXCL, O_LARGEFILE,
  O_NOATIME, O_NOCTTY, O_NOFOLLOW, O_NONBLOCK, O_PATH, O_RDONLY, O_RDWR, O_SYNC, O_TMPFILE,
  O_TRUNC, O_WRONLY, RESOLVE_BENEATH, RESOLVE_CACHED, RESOLVE_IN_ROOT, RESOLVE_NO_MAGICLINKS,
  RESOLVE_NO_SYMLINKS, RESOLVE_NO_XDEV,
} from '../../abi/fcntl.ts';
import {
  MFD_ALLOW_SEALING, MFD_CLOEXEC, MFD_EXEC, MFD_HUGETLB, MFD_NOEXEC_SEAL,
} from '../../abi/mman.ts';
import { S_IFREG } from '../../abi/stat.ts';
import { OpenHow } from '../../abi/struct-file.ts';
import type { Kernel } from '../kernel.ts';
import { copyIn, readString } from '../mm/user-memory.ts';
import type { Task } from '../records/task.ts';
import { FILE_REGULAR, FS_ANON } from '../records/vfs.ts';
import { makeNamelessDentry } from '../vfs/dentry.ts';
import { closeFd, installFd, setCloseOnExec } from '../vfs/fd-table.ts';
import { dropFile, makeFile, setFilePlace } from '../vfs/file.ts';
import { makeInode } from '../vfs/inode.ts';
import { openPath } from '../vfs/open.ts';
import { readPath } from '../vfs/user-path.ts';
import '../vfs/kinds.ts';
import type { Args } from './args.ts';
import { type Family, full, partial } from './define.ts';

const VALID_FLAGS = O_ACCMODE | O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC | O_APPEND | O_NONBLOCK |
  O_DSYNC | O_SYNC | O_ASYNC | O_DIRECT | O_LARGEFILE | O_DIRECTORY | O_NOFOLLOW | O_NOATIME |
  O_CLOEXEC | O_PATH | O_TMPFILE;
const PATH_FLAGS = O_DIRECTORY | O_NOFOLLOW | O_PATH | O_CLOEXEC;
const TMPFILE_BIT = O_TMPFILE & ~O_DIRECTORY;
const VALID_RESOLVE = RESOLVE_NO_XDEV | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS |
  RESOLVE_BENEATH | RESOLVE_IN_ROOT | RESOLVE_CACHED;
/** Linux: openat2 takes structs of at least OPEN_HOW_SIZE_VER0 and at most a page. */
const HOW_BYTES_MOST = 4096;

/** Linux: build_open_flags. Returns flags as open.ts wants them, or -EINVAL. */
function normaliseFlags(flags: number, mode: number): number {
  let wanted = flags;
  if ((wanted & O_PATH) !== 0) wanted &= PATH_FLAGS;
  if ((wanted & TMPFILE_BIT) !== 0) {
    if ((wanted & O_TMPFILE) !== O_TMPFILE) return -EINVAL;
    if ((wanted & O_ACCMODE) === O_RDONLY) return -EINVAL;
    if ((wanted & O_CREAT) !== 0) return -EINVAL;
  } else if ((wanted & O_CREAT) !== 0 && (wanted & O_DIRECTORY) !== 0) {
    return -EINVAL;
  }
  if ((mode & ~0o7777) !== 0) return -EINVAL;
  return wanted;
}

function openFile(
  k: Kernel,
  task: Task,
  dirfd: number,
  gva: number,
  flags: number,
  mode: number,
  resolve: number,
): number {
  const path = readPath(k, gva);
  if (typeof path === 'number') return path;
  const file = openPath(k, task, dirfd, path, flags, mode, resolve);
  if (typeof file === 'number') return file;
  const fd = installFd(k, task.process, file, 0, (flags & O_CLOEXEC) !== 0);
  if (fd < 0) dropFile(k, file);
  return fd;
}

/** The calls before openat2: unknown flags and mode bits are ignored, O_LARGEFILE is implied. */
function openLegacy(
  k: Kernel,
  task: Task,
  dirfd: number,
  gva: number,
  flags: number,
  mode: number,
): number {
  const creates = (flags & (O_CREAT | TMPFILE_BIT)) !== 0;
  const known = normaliseFlags(
    (flags & VALID_FLAGS) | O_LARGEFILE,
    creates ? mode & 0o7777 : 0,
  );
  if (known < 0) return known;
  return openFile(k, task, dirfd, gva, known, mode & 0o7777, 0);
}

function open(k: Kernel, task: Task, a: Args): number {
  return openLegacy(k, task, AT_FDCWD, a.u64(0), a.i32(1), a.u32(2));
}

function creat(k: Kernel, task: Task, a: Args): number {
  return openLegacy(k, task, AT_FDCWD, a.u64(0), O_CREAT | O_WRONLY | O_TRUNC, a.u32(1));
}

function openat(k: Kernel, task: Task, a: Args): number {
  return openLegacy(k, task, a.i32(0), a.u64(1), a.i32(2), a.u32(3));
}

/** `struct open_how` as numbers; -EFAULT, -EINVAL, -E2BIG. */
function readHow(
  k: Kernel,
  gva: number,
  bytes: number,
): { flags: bigint; mode: bigint; resolve: bigint } | number {
  if (bytes < OpenHow.bytes) return -EINVAL;
  if (bytes > HOW_BYTES_MOST) return -E2BIG;
  const raw = new Uint8Array(bytes);
  if (copyIn(k, gva, raw) !== bytes) return -EFAULT;
  if (raw.subarray(OpenHow.bytes).some((byte) => byte !== 0)) return -E2BIG;
  const view = new DataView(raw.buffer);
  return {
    flags: OpenHow.flags.get(view, 0),
    mode: OpenHow.mode.get(view, 0),
    resolve: OpenHow.resolve.get(view, 0),
  };
}

function openat2(k: Kernel, task: Task, a: Args): number {
  const dirfd = a.i32(0);
  const gva = a.u64(1);
  const how = readHow(k, a.u64(2), a.u64(3));
  if (typeof how === 'number') return how;
  const flags = Number(how.flags & 0xffff_ffffn) | 0;
  if (how.flags > 0xffff_ffffn || (flags & ~VALID_FLAGS) !== 0) return -EINVAL;
  if (how.resolve > 0xffn || (Number(how.resolve) & ~VALID_RESOLVE) !== 0) return -EINVAL;
  const resolve = Number(how.resolve);
  if ((resolve & RESOLVE_BENEATH) !== 0 && (resolve & RESOLVE_IN_ROOT) !== 0) return -EINVAL;
  const creates = (flags & (O_CREAT | TMPFILE_BIT)) !== 0;
  if (how.mode > 0o7777n || (!creates && how.mode !== 0n)) return -EINVAL;
  const mode = Number(how.mode);
  if ((flags & O_PATH) !== 0 && (flags & ~PATH_FLAGS) !== 0) return -EINVAL;
  const known = normaliseFlags(flags, mode);
  if (known < 0) return known;
  if ((resolve & RESOLVE_CACHED) !== 0) {
    // A walk may always have to ask the lower layer; callers try again without the flag.
    return (flags & (O_TRUNC | O_CREAT | TMPFILE_BIT)) !== 0 ? -EINVAL : -EAGAIN;
  }
  return openFile(k, task, dirfd, gva, known, mode, resolve);
}

function close(k: Kernel, task: Task, a: Args): number {
  return closeFd(k, task.process, a.i32(0));
}

function closeRange(k: Kernel, task: Task, a: Args): number {
  const first = a.u32(0);
  const last = a.u32(1);
  const flags = a.u32(2);
  if ((flags & ~(CLOSE_RANGE_UNSHARE | CLOSE_RANGE_CLOEXEC)) !== 0) return -EINVAL;
  if (first > last) return -EINVAL;
  const { fds } = task.process;
  const end = Math.min(last + 1, fds.slots.length);
  for (let fd = first; fd < end; fd++) {
    if (fds.slots.get(fd) === null) continue;
    if ((flags & CLOSE_RANGE_CLOEXEC) !== 0) setCloseOnExec(fds, fd, true);
    else closeFd(k, task.process, fd);
  }
  return 0;
}

const MEMFD_FLAGS = MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL | MFD_EXEC;
/** Linux: MFD_NAME_MAX_LEN and the terminator. */
const MEMFD_NAME_BYTES = 250;

function memfdCreate(k: Kernel, task: Task, a: Args): number {
  const flags = a.u32(1);
  if ((flags & ~(MEMFD_FLAGS | MFD_HUGETLB)) !== 0 || (flags & MFD_HUGETLB) !== 0) return -EINVAL;
  if ((flags & MFD_EXEC) !== 0 && (flags & MFD_NOEXEC_SEAL) !== 0) return -EINVAL;
  const name = readString(k, a.u64(0), MEMFD_NAME_BYTES);
  if (name === null) return -EFAULT;
  if (name === undefined) return -EINVAL;
  const { process } = task;
  const isNoExec = (flags & MFD_NOEXEC_SEAL) !== 0;
  const inode = makeInode(k, FS_ANON, S_IFREG | (isNoExec ? 0o666 : 0o777));
  inode.nlink = 0;
  inode.uid = process.uid;
  inode.gid = process.gid;
  const isSealable = (flags & (MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL)) !== 0;
  inode.seals = isSealable ? isNoExec ? F_SEAL_EXEC : 0 : F_SEAL_SEAL;
  const file = makeFile(k, FILE_REGULAR, O_RDWR | O_LARGEFILE);
  const full = new Uint8Array(MEMFD_PREFIX.length + name.length);
  full.set(MEMFD_PREFIX);
  full.set(name, MEMFD_PREFIX.length);
  setFilePlace(k, file, inode, makeNamelessDentry(k, null, full, inode));
  const fd = installFd(k, process, file, 0, (flags & MFD_CLOEXEC) !== 0);
  if (fd < 0) dropFile(k, file);
  return fd;
}

const MEMFD_PREFIX: Uint8Array = new TextEncoder().encode('memfd:');

export const openCalls: Family = {
  open: full(open),
  openat: full(openat),
  openat2: partial(openat2, 'RESOLVE_CACHED always says EAGAIN.'),
  creat: full(creat),
  close: full(close),
  close_range: full(closeRange),
  memfd_create: partial(memfdCreate, 'MFD_HUGETLB is EINVAL.'),
};
