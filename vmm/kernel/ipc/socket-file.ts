// The open file of a socket: reading, writing, readiness, ioctls, closing.
import { EAGAIN, EBADF, EFAULT, ENOTSOCK } from '../../abi/errno.ts';
import { O_NONBLOCK, O_RDWR } from '../../abi/fcntl.ts';
import { FIONREAD, TIOCOUTQ } from '../../abi/ioctl.ts';
import { SOCK_DGRAM } from '../../abi/socket.ts';
import { S_IFSOCK } from '../../abi/stat.ts';
import { ioctlInterface } from '../inet/interface-ioctl.ts';
import type { Kernel } from '../kernel.ts';
import { writeU32 } from '../mm/user-memory.ts';
import { Socket } from '../records/ipc.ts';
import type { Task } from '../records/task.ts';
import { type File, FILE_SOCKET } from '../records/vfs.ts';
import { getFile } from '../vfs/file.ts';
import { defineFileOps, type IoBuffer } from '../vfs/file-ops.ts';
import { makeAnonFile, makeAnonInode } from './anon-file.ts';
import { SHUTDOWN_RECEIVE, socketOf } from './socket.ts';
import { familyOf } from './socket-family.ts';
import { timeoutOf } from './socket-options.ts';
import { dropFiles } from './socket-queue.ts';

/** An open socket. */
export interface OpenSocket {
  file: File;
  socket: Socket;
}

/**
 * The open file of a socket; it takes over a reference of the socket that the caller has counted.
 */
export function makeSocketFile(k: Kernel, socket: Socket, flags: number): File {
  const inode = makeAnonInode(k, S_IFSOCK | 0o777);
  return makeAnonFile(k, FILE_SOCKET, O_RDWR | flags, socket, inode);
}

/** The socket behind a descriptor: -EBADF, -ENOTSOCK. */
export function getSocket(task: Task, fd: number): OpenSocket | number {
  const file = getFile(task, fd);
  if (file === null) return -EBADF;
  const socket = socketOf(file);
  return socket === null ? -ENOTSOCK : { file, socket };
}

function socketBehind(k: Kernel, file: File): Socket {
  return k.arena.at(Socket, file.object?.address ?? 0);
}

function readSocket(k: Kernel, file: File, to: IoBuffer): number {
  // Linux: sock_read_iter does not even look when nothing is asked for.
  if (to.remaining === 0) return 0;
  const socket = socketBehind(k, file);
  const { result, files } = familyOf(socket).receive(k, socket, to, 0);
  dropFiles(k, files);
  // Linux: only those who would wait see the end of a datagram socket shut down for reading.
  const isShut = socket.type === SOCK_DGRAM && (socket.shutdown & SHUTDOWN_RECEIVE) !== 0;
  return result === -EAGAIN && isShut && (file.flags & O_NONBLOCK) === 0 ? 0 : result;
}

function writeSocket(k: Kernel, file: File, from: IoBuffer): number {
  const socket = socketBehind(k, file);
  return familyOf(socket).send(k, socket, from, null, []);
}

function ioctlSocket(
  k: Kernel,
  _task: Task,
  file: File,
  request: number,
  argument: number,
): number {
  const socket = socketBehind(k, file);
  switch (request) {
    case FIONREAD:
      return writeCount(k, argument, familyOf(socket).readableBytes(socket));
    case TIOCOUTQ:
      return writeCount(k, argument, familyOf(socket).sentBytes(socket));
    default:
      return ioctlInterface(k, request, argument);
  }
}

function writeCount(k: Kernel, gva: number, count: number): number {
  if (count < 0) return count;
  return writeU32(k, gva, count) ? 0 : -EFAULT;
}

function releaseSocketFile(k: Kernel, file: File): void {
  const socket = socketBehind(k, file);
  file.object = null;
  familyOf(socket).close(k, socket);
}

defineFileOps(FILE_SOCKET, {
  seekable: false,
  read: readSocket,
  write: writeSocket,
  poll: (k, file) => {
    const socket = socketBehind(k, file);
    return familyOf(socket).poll(k, socket);
  },
  queue: (k, file) => socketBehind(k, file).queue,
  writeQueue: (k, file) => {
    const socket = socketBehind(k, file);
    return familyOf(socket).sendWaitsFor(socket, null).queue;
  },
  waitNs: (k, file, forWrite) => {
    const { receiveTimeoutNs, sendTimeoutNs } = socketBehind(k, file);
    return timeoutOf(forWrite ? sendTimeoutNs : receiveTimeoutNs);
  },
  ioctl: ioctlSocket,
  release: releaseSocketFile,
});
