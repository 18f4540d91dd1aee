// Calls on descriptors: dup(2), fcntl(2), ioctl(2). Record locks of fcntl are in lock.ts.
import {
  EBADF, EBUSY, EFAULT, EINVAL, ENOTTY, EPERM,
} from '../../abi/errno.ts';
import {
  F_ADD_SEALS, F_DUPFD, F_DUPFD_CLOEXEC, F_DUPFD_QUERY, F_GET_SEALS, F_GETFD, F_GETFL, F_GETLEASE,
  F_GETLK, F_GETOWN, F_GETOWN_EX, F_GETPIPE_SZ, F_GETSIG, F_OFD_GETLK, F_OFD_SETLK, F_OFD_SETLKW,
  F_OWNER_PGRP, F_OWNER_PID, F_OWNER_TID, F_SEAL_EXEC, F_SEAL_FUTURE_WRITE, F_SEAL_GROW,
  F_SEAL_SEAL, F_SEAL_SHRINK, F_SEAL_WRITE, F_SETFD, F_SETFL, F_SETLK, F_SETLKW, F_SETOWN,
  F_SETOWN_EX, F_SETPIPE_SZ, F_SETSIG, F_UNLCK, FD_CLOEXEC, O_APPEND, O_ASYNC, O_CLOEXEC, O_DIRECT,
  O_NOATIME, O_NONBLOCK,
} from '../../abi/fcntl.ts';
import { FIOASYNC, FIOCLEX, FIONBIO, FIONCLEX, FIOQSIZE } from '../../abi/ioctl.ts';
import { MAP_SHARED, PROT_WRITE } from '../../abi/mman.ts';
import { S_ISDIR, S_ISLNK, S_ISREG } from '../../abi/stat.ts';
import { FOwnerEx } from '../../abi/struct-file.ts';
import { getPipeBytes, setPipeBytes } from '../ipc/pipe.ts';
import type { Kernel } from '../kernel.ts';
import { copyOut, readStruct, readU32, writeU64 } from '../mm/user-memory.ts';
import type { Task } from '../records/task.ts';
import { type File, FILE_PATH, FS_ANON, type Inode } from '../records/vfs.ts';
import {
  closeFile, descriptorLimit, installFd, isCloseOnExec, placeFd, removeFd, setCloseOnExec,
} from '../vfs/fd-table.ts';
import { dropFile, getFile, getRawFile, holdFile } from '../vfs/file.ts';
import { opsOf } from '../vfs/file-ops.ts';
import { isWritable } from '../vfs/open.ts';
import type { Args } from './args.ts';
import { type Family, full, partial } from './define.ts';
import { fcntlLock } from './lock.ts';

function dup(k: Kernel, task: Task, a: Args): number {
  const file = getRawFile(task, a.i32(0));
  return file === null ? -EBADF : duplicate(k, task, file, 0, false);
}

function duplicate(k: Kernel, task: Task, file: File, minimum: number, cloexec: boolean): number {
  const fd = installFd(k, task.process, holdFile(file), minimum, cloexec);
  if (fd < 0) dropFile(k, file);
  return fd;
}

/** Puts `file` at `target`, closing what is there without a word (Linux: do_dup2). */
function replaceFd(k: Kernel, task: Task, file: File, target: number, cloexec: boolean): number {
  const { process } = task;
  holdFile(file);
  const old = removeFd(process.fds, target);
  placeFd(process.fds, target, file, cloexec);
  if (old !== null) closeFile(k, process, old);
  return target;
}

function dup2(k: Kernel, task: Task, a: Args): number {
  const fd = a.i32(0);
  const target = a.i32(1);
  const file = getRawFile(task, fd);
  if (fd === target) return file === null ? -EBADF : fd;
  if (target < 0 || target >= descriptorLimit(k, task.process)) return -EBADF;
  return file === null ? -EBADF : replaceFd(k, task, file, target, false);
}

function dup3(k: Kernel, task: Task, a: Args): number {
  const fd = a.i32(0);
  const target = a.i32(1);
  const flags = a.i32(2);
  if ((flags & ~O_CLOEXEC) !== 0 || fd === target) return -EINVAL;
  if (target < 0 || target >= descriptorLimit(k, task.process)) return -EBADF;
  const file = getRawFile(task, fd);
  if (file === null) return -EBADF;
  return replaceFd(k, task, file, target, (flags & O_CLOEXEC) !== 0);
}

/** Commands that O_PATH descriptors know too (Linux: check_fcntl_cmd). */
const PATH_COMMANDS: readonly number[] = [
  F_DUPFD, F_DUPFD_CLOEXEC, F_DUPFD_QUERY, F_GETFD, F_SETFD, F_GETFL,
];

function fcntl(k: Kernel, task: Task, a: Args): number {
  const fd = a.i32(0);
  const command = a.i32(1);
  const file = getRawFile(task, fd);
  if (file === null) return -EBADF;
  if (file.kind === FILE_PATH && !PATH_COMMANDS.includes(command)) return -EBADF;
  const argument = a.u64(2);
  switch (command) {
    case F_DUPFD:
    case F_DUPFD_CLOEXEC:
      return dupFrom(k, task, file, a.i32(2), command === F_DUPFD_CLOEXEC);
    case F_DUPFD_QUERY:
      return getRawFile(task, a.i32(2)) === file ? 1 : 0;
    case F_GETFD:
      return isCloseOnExec(task.process.fds, fd) ? FD_CLOEXEC : 0;
    case F_SETFD:
      setCloseOnExec(task.process.fds, fd, (a.u32(2) & FD_CLOEXEC) !== 0);
      return 0;
    case F_GETFL:
      return file.flags;
    case F_SETFL:
      return setStatusFlags(file, a.i32(2));
    case F_GETLK:
    case F_SETLK:
    case F_SETLKW:
    case F_OFD_GETLK:
    case F_OFD_SETLK:
    case F_OFD_SETLKW:
      return fcntlLock(k, task, file, command, argument);
    case F_ADD_SEALS:
      return addSeals(k, file, a.u32(2));
    case F_GET_SEALS:
      return isSealable(file) ? (file.inode as Inode).seals : -EINVAL;
    case F_GETPIPE_SZ:
      return getPipeBytes(k, file);
    case F_SETPIPE_SZ:
      return setPipeBytes(k, file, a.u32(2));
    case F_GETLEASE:
      return F_UNLCK;
    default:
      return fcntlOwner(k, task, file, command, a);
  }
}

function dupFrom(k: Kernel, task: Task, file: File, minimum: number, cloexec: boolean): number {
  if (minimum < 0 || minimum >= descriptorLimit(k, task.process)) return -EINVAL;
  return duplicate(k, task, file, minimum, cloexec);
}

const SETTABLE_FLAGS = O_APPEND | O_ASYNC | O_DIRECT | O_NOATIME | O_NONBLOCK;

function setStatusFlags(file: File, flags: number): number {
  file.flags = (file.flags & ~SETTABLE_FLAGS) | (flags & SETTABLE_FLAGS);
  return 0;
}

const ALL_SEALS = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_FUTURE_WRITE |
  F_SEAL_EXEC;

/** Only memfds have seals. */
function isSealable(file: File): boolean {
  const { inode } = file;
  return inode !== null && inode.fs === FS_ANON && S_ISREG(inode.mode);
}

function addSeals(k: Kernel, file: File, seals: number): number {
  if (!isSealable(file)) return -EINVAL;
  if (!isWritable(file)) return -EPERM;
  if ((seals & ~ALL_SEALS) !== 0) return -EINVAL;
  const inode = file.inode as Inode;
  if ((inode.seals & F_SEAL_SEAL) !== 0) return -EPERM;
  if ((seals & F_SEAL_WRITE) !== 0 && (inode.seals & F_SEAL_WRITE) === 0) {
    if (hasWritableMapping(k, inode)) return -EBUSY;
  }
  // Linux: sealing an executable's exec bits also seals its content.
  if ((seals & F_SEAL_EXEC) !== 0 && (inode.mode & 0o111) !== 0) {
    inode.seals |= F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_FUTURE_WRITE;
  }
  inode.seals |= seals;
  return 0;
}

function hasWritableMapping(_k: Kernel, inode: Inode): boolean {
  for (let vma = inode.firstVma; vma !== null; vma = vma.nextOfInode) {
    if ((vma.flags & MAP_SHARED) !== 0 && (vma.maxProt & PROT_WRITE) !== 0) return true;
  }
  return false;
}

function fcntlOwner(k: Kernel, task: Task, file: File, command: number, a: Args): number {
  const gva = a.u64(2);
  switch (command) {
    case F_GETOWN:
      return file.owner;
    case F_SETOWN:
      file.owner = a.i32(2);
      return 0;
    case F_GETSIG:
      return file.ownerSignal;
    case F_SETSIG:
      if (a.u32(2) > 64) return -EINVAL;
      file.ownerSignal = a.u32(2);
      return 0;
    case F_GETOWN_EX:
      return getOwner(k, file, gva);
    case F_SETOWN_EX:
      return setOwner(k, task, file, gva);
    default:
      return -EINVAL;
  }
}

function getOwner(k: Kernel, file: File, gva: number): number {
  const raw = new Uint8Array(FOwnerEx.bytes);
  const view = new DataView(raw.buffer);
  FOwnerEx.type.set(view, 0, file.owner < 0 ? F_OWNER_PGRP : F_OWNER_PID);
  FOwnerEx.pid.set(view, 0, Math.abs(file.owner));
  return copyOut(k, gva, raw) === raw.length ? 0 : -EFAULT;
}

function setOwner(k: Kernel, _task: Task, file: File, gva: number): number {
  const view = readStruct(k, gva, FOwnerEx.bytes);
  if (view === null) return -EFAULT;
  const type = FOwnerEx.type.get(view, 0);
  const pid = FOwnerEx.pid.get(view, 0);
  if (type !== F_OWNER_TID && type !== F_OWNER_PID && type !== F_OWNER_PGRP) return -EINVAL;
  file.owner = type === F_OWNER_PGRP ? -pid : pid;
  return 0;
}

/** Linux: do_vfs_ioctl for what every file knows, then the file's own requests. */
function ioctl(k: Kernel, task: Task, a: Args): number {
  const fd = a.i32(0);
  const request = a.u32(1);
  const gva = a.u64(2);
  const file = getFile(task, fd);
  if (file === null) return -EBADF;
  switch (request) {
    case FIOCLEX:
      setCloseOnExec(task.process.fds, fd, true);
      return 0;
    case FIONCLEX:
      setCloseOnExec(task.process.fds, fd, false);
      return 0;
    case FIONBIO:
      return setFlagFrom(k, file, gva, O_NONBLOCK);
    case FIOASYNC:
      return setFlagFrom(k, file, gva, O_ASYNC);
    case FIOQSIZE:
      return querySize(k, file, gva);
    default:
      return opsOf(file).ioctl?.(k, task, file, request, gva) ?? -ENOTTY;
  }
}

function setFlagFrom(k: Kernel, file: File, gva: number, flag: number): number {
  const value = readU32(k, gva);
  if (value < 0) return -EFAULT;
  file.flags = value !== 0 ? file.flags | flag : file.flags & ~flag;
  return 0;
}

function querySize(k: Kernel, file: File, gva: number): number {
  const { inode } = file;
  if (inode === null) return -ENOTTY;
  const hasSize = S_ISDIR(inode.mode) || S_ISREG(inode.mode) || S_ISLNK(inode.mode);
  if (!hasSize) return -ENOTTY;
  return writeU64(k, gva, inode.bytes) ? 0 : -EFAULT;
}

export const descriptorCalls: Family = {
  dup: full(dup),
  dup2: full(dup2),
  dup3: full(dup3),
  fcntl: partial(fcntl, 'No leases, no F_NOTIFY; SIGIO is never sent.'),
  ioctl: partial(ioctl, 'Requests of terminals, pipes, sockets and files only.'),
};
