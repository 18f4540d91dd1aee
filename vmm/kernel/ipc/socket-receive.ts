// Receiving on AF_UNIX sockets: one attempt, without waiting.
import { EAGAIN, EFAULT, EINVAL, ENOTCONN } from '../../abi/errno.ts';
import {
  MSG_PEEK, MSG_TRUNC, SOCK_DGRAM, SOCK_SEQPACKET, SOCK_STREAM, TCP_ESTABLISHED,
} from '../../abi/socket.ts';
import type { Kernel } from '../kernel.ts';
import type { Socket, SocketMessage } from '../records/ipc.ts';
import type { File } from '../records/vfs.ts';
import { holdFile } from '../vfs/file.ts';
import type { IoBuffer } from '../vfs/file-ops.ts';
import { SHUTDOWN_RECEIVE } from './socket.ts';
import { nothing, type Received } from './socket-family.ts';
import { filesOf, removeFirst, takeFiles } from './socket-queue.ts';
import { takeError } from './socket-send.ts';

/**
 * Receives what is there.
 * @param flags MSG_PEEK, MSG_TRUNC; the others are the caller's business
 */
export function receive(k: Kernel, socket: Socket, to: IoBuffer, flags: number): Received {
  if (socket.type === SOCK_STREAM) return receiveStream(k, socket, to, flags);
  return receivePacket(k, socket, to, flags);
}

/** What a receive finds in an empty queue. */
function emptyResult(socket: Socket): number {
  const error = takeError(socket);
  if (error < 0) return error;
  return (socket.shutdown & SHUTDOWN_RECEIVE) !== 0 ? 0 : -EAGAIN;
}

/** Linux: unix_stream_read_generic. Reads on until a message that carries files. */
function receiveStream(k: Kernel, socket: Socket, to: IoBuffer, flags: number): Received {
  if (socket.state !== TCP_ESTABLISHED) return nothing(-EINVAL);
  if (socket.firstMessage === null) return nothing(emptyResult(socket));
  const peeks = (flags & MSG_PEEK) !== 0;
  const received = nothing(0);
  received.name = socket.peer?.name?.data.slice() ?? null;
  let message: SocketMessage | null = socket.firstMessage;
  while (message !== null && to.remaining > 0) {
    const part = message.data.data.subarray(message.consumed);
    const moved = to.put(part.subarray(0, Math.min(part.length, to.remaining)));
    if (moved === 0) {
      if (received.result === 0) received.result = -EFAULT;
      break;
    }
    received.result += moved;
    const hadFiles: boolean = message.files !== null;
    if (hadFiles) received.files = peeks ? peekFiles(k, message) : takeFiles(k, message);
    const next: SocketMessage | null = message.next;
    if (!peeks) {
      message.consumed += moved;
      if (moved === part.length) removeFirst(k, socket);
    }
    if (moved < part.length || hadFiles) break;
    message = next;
  }
  return received;
}

/** Linux: unix_dgram_recvmsg, also for SOCK_SEQPACKET. */
function receivePacket(k: Kernel, socket: Socket, to: IoBuffer, flags: number): Received {
  if (socket.type === SOCK_SEQPACKET && socket.state !== TCP_ESTABLISHED) return nothing(-ENOTCONN);
  const message = socket.firstMessage;
  if (message === null) return nothing(emptyPacketResult(socket));
  const { data } = message.data;
  const bytes = Math.min(data.length, to.remaining);
  if (bytes > 0 && to.put(data.subarray(0, bytes)) < bytes) {
    // Linux: the datagram is gone when its copy fails.
    if ((flags & MSG_PEEK) === 0) removeFirst(k, socket);
    return nothing(-EFAULT);
  }
  const received: Received = {
    result: (flags & MSG_TRUNC) !== 0 ? data.length : bytes,
    flags: bytes < data.length ? MSG_TRUNC : 0,
    name: message.name?.data.slice() ?? null,
    files: [],
  };
  if ((flags & MSG_PEEK) !== 0) {
    received.files = peekFiles(k, message);
  } else {
    received.files = takeFiles(k, message);
    removeFirst(k, socket);
  }
  return received;
}

/** Linux: a datagram socket shut down for reading says EAGAIN to those who do not wait, else 0. */
function emptyPacketResult(socket: Socket): number {
  const result = emptyResult(socket);
  return result === 0 && socket.type === SOCK_DGRAM ? -EAGAIN : result;
}

function peekFiles(k: Kernel, message: SocketMessage): File[] {
  const table = filesOf(k, message);
  const files: File[] = [];
  for (let index = 0; index < (table?.length ?? 0); index++) {
    const file = table?.get(index) ?? null;
    if (file !== null) files.push(holdFile(file));
  }
  return files;
}
