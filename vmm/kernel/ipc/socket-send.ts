// Sending on AF_UNIX sockets: one attempt, without waiting. The calls (syscalls/socket.ts,
// write(2)) wait and go on.
import {
  EAGAIN, ECONNREFUSED, EFAULT, EMSGSIZE, ENOTCONN, EPERM, EPIPE,
} from '../../abi/errno.ts';
import { SOCK_DGRAM, SOCK_SEQPACKET, SOCK_STREAM, TCP_ESTABLISHED } from '../../abi/socket.ts';
import type { Kernel } from '../kernel.ts';
import type { Socket, SocketMessage } from '../records/ipc.ts';
import type { File } from '../records/vfs.ts';
import { holdFile } from '../vfs/file.ts';
import type { IoBuffer } from '../vfs/file-ops.ts';
import {
  isQueueFull, setPeer, SHUTDOWN_RECEIVE, SHUTDOWN_SEND,
} from './socket.ts';
import { appendMessage, copyRounded, makeFileTable, makeMessage } from './socket-queue.ts';

/** Most bytes of one message of a stream (Linux: UNIX_SKB_FRAGS_SZ). */
const CHUNK_BYTES_MOST = 32_768;

/** Takes a socket's error, as sock_error() does: it is reported once. 0 or -errno. */
export function takeError(socket: Socket): number {
  const { error } = socket;
  socket.error = 0;
  return error === 0 ? 0 : -error;
}

/**
 * Sends what fits now.
 * @param address where to, for datagrams only; null for the peer
 * @param files go with the first byte; the message holds references of its own
 * @returns bytes (a datagram: all or nothing), -EAGAIN to wait in waitingQueue(), or an error
 */
export function send(
  k: Kernel,
  socket: Socket,
  from: IoBuffer,
  address: Socket | null,
  files: readonly File[],
): number {
  if (socket.type === SOCK_STREAM) return sendStream(k, socket, from, files);
  if (socket.type === SOCK_SEQPACKET) {
    const error = takeError(socket);
    if (error < 0) return error;
    if (socket.state !== TCP_ESTABLISHED) return -ENOTCONN;
    return sendPacket(k, socket, socket.peer, from, files);
  }
  return sendPacket(k, socket, address ?? socket.peer, from, files);
}

/** Where a sender waits that was told EAGAIN. */
export function sendWaitsFor(socket: Socket, address: Socket | null): Socket {
  const receiver = address ?? socket.peer;
  return socket.type === SOCK_DGRAM && receiver !== null ? receiver : socket;
}

function sendStream(
  k: Kernel,
  socket: Socket,
  from: IoBuffer,
  files: readonly File[],
): number {
  const { peer } = socket;
  if (peer === null) return -ENOTCONN;
  if ((socket.shutdown & SHUTDOWN_SEND) !== 0) return -EPIPE;
  if (peer.isClosed || (peer.shutdown & SHUTDOWN_RECEIVE) !== 0) return -EPIPE;
  const most = Math.max(1, Math.min(CHUNK_BYTES_MOST, Math.floor(socket.sendLimit / 2) - 64));
  let done = 0;
  while (from.remaining > 0) {
    if (peer.queuedBytes >= socket.sendLimit) return done > 0 ? done : -EAGAIN;
    const bytes = Math.min(from.remaining, most);
    const message = makeMessage(k, from, bytes);
    if (message === null) return done > 0 ? done : -EFAULT;
    if (done === 0) attachFiles(k, message, files);
    appendMessage(k, peer, message);
    done += bytes;
  }
  return done;
}

/** Datagrams and records. Linux: unix_dgram_sendmsg. */
function sendPacket(
  k: Kernel,
  socket: Socket,
  receiver: Socket | null,
  from: IoBuffer,
  files: readonly File[],
): number {
  if (receiver === null) return -ENOTCONN;
  const bytes = from.remaining;
  if (bytes > socket.sendLimit - 32) return -EMSGSIZE;
  if ((socket.shutdown & SHUTDOWN_SEND) !== 0) return -EPIPE;
  if (receiver.peer !== null && receiver.peer !== socket && socket.type === SOCK_DGRAM) {
    return -EPERM;
  }
  if (receiver.isClosed) {
    if (socket.type === SOCK_SEQPACKET) return -EPIPE;
    if (socket.peer === receiver) setPeer(k, socket, null);
    return -ECONNREFUSED;
  }
  if ((receiver.shutdown & SHUTDOWN_RECEIVE) !== 0) return -EPIPE;
  if (receiver.queuedBytes >= socket.sendLimit) return -EAGAIN;
  if (receiver.peer !== socket && isQueueFull(receiver)) return -EAGAIN;
  const message = makeMessage(k, from, bytes);
  if (message === null) return -EFAULT;
  attachFiles(k, message, files);
  if (socket.name !== null) message.name = copyRounded(k, socket.name.data);
  appendMessage(k, receiver, message);
  return bytes;
}

function attachFiles(k: Kernel, message: SocketMessage, files: readonly File[]): void {
  if (files.length === 0) return;
  message.files = makeFileTable(k, files);
  files.forEach(holdFile);
}
