// Ancillary data of sendmsg(2) and recvmsg(2): open files (SCM_RIGHTS) and credentials.
//
//   msg_control   | cmsghdr 16 | data … pad to 8 | cmsghdr | data … |
import { EBADF, EFAULT, EINVAL, ENOBUFS, EPERM } from '../../abi/errno.ts';
import { INT_MAX } from '../../abi/limits.ts';
import {
  MSG_CMSG_CLOEXEC, MSG_CTRUNC, SCM_CREDENTIALS, SCM_MAX_FD, SCM_RIGHTS, SOL_SOCKET,
} from '../../abi/socket.ts';
import { Cmsghdr, Ucred } from '../../abi/struct-socket.ts';
import type { Kernel } from '../kernel.ts';
import { copyIn, copyOut } from '../mm/user-memory.ts';
import type { Socket } from '../records/ipc.ts';
import type { Process, Task } from '../records/task.ts';
import type { File } from '../records/vfs.ts';
import { getRawFile } from '../vfs/file.ts';
import { installFd } from '../vfs/fd-table.ts';
import { OPTION_PASSCRED } from './socket-options.ts';
import { dropFiles } from './socket-queue.ts';

/** Linux: net.core.optmem_max, most bytes of ancillary data. */
const CONTROL_BYTES_MOST = 20_480;
const ALIGN = 8;

function align(bytes: number): number {
  return Math.ceil(bytes / ALIGN) * ALIGN;
}

/**
 * Reads what a message carries.
 * @returns its files (without references of their own), -ENOBUFS, -EFAULT, -EINVAL, -EBADF, -EPERM
 */
export function readControl(k: Kernel, task: Task, gva: number, bytes: number): File[] | number {
  if (bytes > INT_MAX || bytes > CONTROL_BYTES_MOST) return -ENOBUFS;
  const raw = new Uint8Array(bytes);
  if (copyIn(k, gva, raw) !== bytes) return -EFAULT;
  const view = new DataView(raw.buffer);
  const files: File[] = [];
  for (let at = 0; at + Cmsghdr.bytes <= bytes;) {
    const length = Cmsghdr.cmsg_len.get(view, at);
    if (length < Cmsghdr.bytes || length > bytes - at) return -EINVAL;
    const dataBytes = length - Cmsghdr.bytes;
    if (Cmsghdr.cmsg_level.get(view, at) === SOL_SOCKET) {
      const error = readEntry(task, view, at, dataBytes, files);
      if (error < 0) return error;
    }
    at += align(length);
  }
  return files;
}

function readEntry(
  task: Task,
  view: DataView,
  at: number,
  bytes: number,
  files: File[],
): number {
  const data = at + Cmsghdr.bytes;
  switch (Cmsghdr.cmsg_type.get(view, at)) {
    case SCM_RIGHTS:
      for (let index = 0; index < Math.floor(bytes / 4); index++) {
        if (files.length >= SCM_MAX_FD) return -EINVAL;
        const file = getRawFile(task, view.getInt32(data + index * 4, true));
        if (file === null) return -EBADF;
        files.push(file);
      }
      return 0;
    case SCM_CREDENTIALS:
      return bytes === Ucred.bytes ? checkCredentials(task.process, view, data) : -EINVAL;
    default:
      return -EINVAL;
  }
}

/** A process may only claim to be itself, unless it is privileged. */
function checkCredentials(process: Process, view: DataView, at: number): number {
  if (process.uid === 0) return 0;
  const isOwn = Ucred.pid.get(view, at) === process.pid &&
    Ucred.uid.get(view, at) === process.uid && Ucred.gid.get(view, at) === process.gid;
  return isOwn ? 0 : -EPERM;
}

/** What writeControl() did. */
export interface WrittenControl {
  /** Bytes of msg_control in use. */
  bytes: number;
  /** MSG_CTRUNC when something did not fit. */
  flags: number;
}

/**
 * Delivers what came with a message. Files get descriptors; those that do not fit are closed.
 * Ownership: takes over the references of `files`.
 * @param room bytes at `gva`; 0 when the caller wants none
 */
export function writeControl(
  k: Kernel,
  task: Task,
  socket: Socket,
  files: readonly File[],
  gva: number,
  room: number,
  flags: number,
): WrittenControl {
  const written: WrittenControl = { bytes: 0, flags: 0 };
  if ((socket.options & OPTION_PASSCRED) !== 0) {
    if (room === 0) written.flags |= MSG_CTRUNC;
    else putEntry(k, written, gva, room, SCM_CREDENTIALS, ownCredentials(task.process));
  }
  if (files.length > 0) putFiles(k, task, files, gva, room, flags, written);
  return written;
}

function ownCredentials(process: Process): Uint8Array {
  const raw = new Uint8Array(Ucred.bytes);
  const view = new DataView(raw.buffer);
  Ucred.pid.set(view, 0, process.pid);
  Ucred.uid.set(view, 0, process.uid);
  Ucred.gid.set(view, 0, process.gid);
  return raw;
}

/** Linux: scm_detach_fds. As many as have room and can be installed; the rest is closed. */
function putFiles(
  k: Kernel,
  task: Task,
  files: readonly File[],
  gva: number,
  room: number,
  flags: number,
  written: WrittenControl,
): void {
  const left = room - written.bytes - Cmsghdr.bytes;
  const most = Math.min(files.length, Math.max(0, Math.floor(left / 4)));
  const fds: number[] = [];
  for (const file of files.slice(0, most)) {
    const fd = installFd(k, task.process, file, 0, (flags & MSG_CMSG_CLOEXEC) !== 0);
    if (fd < 0) break;
    fds.push(fd);
  }
  if (fds.length < files.length) {
    written.flags |= MSG_CTRUNC;
    dropFiles(k, files.slice(fds.length));
  }
  if (fds.length === 0) return;
  const data = new Uint8Array(Int32Array.from(fds).buffer);
  putEntry(k, written, gva, room, SCM_RIGHTS, data);
}

/** Linux: put_cmsg. Cuts the data off where the room ends. */
function putEntry(
  k: Kernel,
  written: WrittenControl,
  gva: number,
  room: number,
  type: number,
  data: Uint8Array,
): void {
  const left = room - written.bytes;
  if (left < Cmsghdr.bytes) {
    written.flags |= MSG_CTRUNC;
    return;
  }
  const length = Math.min(Cmsghdr.bytes + data.length, left);
  if (length < Cmsghdr.bytes + data.length) written.flags |= MSG_CTRUNC;
  const raw = new Uint8Array(length);
  const view = new DataView(raw.buffer);
  Cmsghdr.cmsg_len.set(view, 0, length);
  Cmsghdr.cmsg_level.set(view, 0, SOL_SOCKET);
  Cmsghdr.cmsg_type.set(view, 0, type);
  raw.set(data.subarray(0, length - Cmsghdr.bytes), Cmsghdr.bytes);
  if (copyOut(k, gva + written.bytes, raw) !== length) {
    written.flags |= MSG_CTRUNC;
    return;
  }
  written.bytes += Math.min(align(length), left);
}
