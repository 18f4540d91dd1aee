// The open file of a socket: reading, writing, readiness, ioctls, closing.
import { EFAULT, EINVAL, ENOTTY } from '../../abi/errno.ts';
import { O_RDWR } from '../../abi/fcntl.ts';
import { FIONREAD, TIOCOUTQ } from '../../abi/ioctl.ts';
import {
  POLLERR, POLLHUP, POLLIN, POLLOUT, POLLRDHUP, POLLRDNORM, POLLWRBAND, POLLWRNORM,
} from '../../abi/poll.ts';
import { SOCK_DGRAM, TCP_CLOSE, TCP_LISTEN } from '../../abi/socket.ts';
import { S_IFSOCK } from '../../abi/stat.ts';
import type { Kernel } from '../kernel.ts';
import { writeU32 } from '../mm/user-memory.ts';
import { Socket } from '../records/ipc.ts';
import type { Task } from '../records/task.ts';
import { type File, FILE_SOCKET } from '../records/vfs.ts';
import { defineFileOps, type IoBuffer } from '../vfs/file-ops.ts';
import { makeAnonFile, makeAnonInode } from './anon-file.ts';
import {
  closeSocket, isConnectionBased, isQueueFull, SHUTDOWN_BOTH, SHUTDOWN_RECEIVE,
} from './socket.ts';
import { timeoutOf } from './socket-options.ts';
import { dropFiles, isWritable, sentBytes } from './socket-queue.ts';
import { receive } from './socket-receive.ts';
import { send, sendWaitsFor } from './socket-send.ts';

/**
 * The open file of a socket; it takes over a reference of the socket that the caller has counted.
 */
export function makeSocketFile(k: Kernel, socket: Socket, flags: number): File {
  const inode = makeAnonInode(k, S_IFSOCK | 0o777);
  return makeAnonFile(k, FILE_SOCKET, O_RDWR | flags, socket, inode);
}

function socketBehind(k: Kernel, file: File): Socket {
  return k.arena.at(Socket, file.object?.address ?? 0);
}

function readSocket(k: Kernel, file: File, to: IoBuffer): number {
  // Linux: sock_read_iter does not even look when nothing is asked for.
  if (to.remaining === 0) return 0;
  const { result, files } = receive(k, socketBehind(k, file), to, 0);
  dropFiles(k, files);
  return result;
}

function pollSocket(k: Kernel, file: File): number {
  const socket = socketBehind(k, file);
  let mask = 0;
  if (socket.error !== 0) mask |= POLLERR;
  if (socket.shutdown === SHUTDOWN_BOTH) mask |= POLLHUP;
  if ((socket.shutdown & SHUTDOWN_RECEIVE) !== 0) mask |= POLLRDHUP | POLLIN | POLLRDNORM;
  if (socket.firstMessage !== null || socket.firstPending !== null) mask |= POLLIN | POLLRDNORM;
  if (isConnectionBased(socket) && socket.state === TCP_CLOSE) mask |= POLLHUP;
  if (canSend(socket)) mask |= POLLOUT | POLLWRNORM | POLLWRBAND;
  return mask;
}

function canSend(socket: Socket): boolean {
  if (socket.state === TCP_LISTEN || !isWritable(socket)) return false;
  const { peer, type } = socket;
  return type !== SOCK_DGRAM || peer === null || peer.peer === socket || !isQueueFull(peer);
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
      if (socket.state === TCP_LISTEN) return -EINVAL;
      return writeU32(k, argument, readableBytes(socket)) ? 0 : -EFAULT;
    case TIOCOUTQ:
      return writeU32(k, argument, sentBytes(socket)) ? 0 : -EFAULT;
    default:
      return -ENOTTY;
  }
}

/** Linux: unix_inq_len: all bytes of a connection, the first message of a datagram socket. */
function readableBytes(socket: Socket): number {
  const first = socket.firstMessage;
  if (socket.type === SOCK_DGRAM) return first === null ? 0 : first.data.length;
  let bytes = 0;
  for (let message = first; message !== null; message = message.next) {
    bytes += message.data.length - message.consumed;
  }
  return bytes;
}

function releaseSocketFile(k: Kernel, file: File): void {
  const socket = socketBehind(k, file);
  file.object = null;
  closeSocket(k, socket, false);
}

defineFileOps(FILE_SOCKET, {
  seekable: false,
  read: readSocket,
  write: (k, file, from) => send(k, socketBehind(k, file), from, null, []),
  poll: pollSocket,
  queue: (k, file) => socketBehind(k, file).queue,
  writeQueue: (k, file) => sendWaitsFor(socketBehind(k, file), null).queue,
  waitNs: (k, file, forWrite) => {
    const { receiveTimeoutNs, sendTimeoutNs } = socketBehind(k, file);
    return timeoutOf(forWrite ? sendTimeoutNs : receiveTimeoutNs);
  },
  ioctl: ioctlSocket,
  release: releaseSocketFile,
});
