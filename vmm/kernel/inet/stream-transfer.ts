// Moving bytes over TCP within the sandbox, one attempt, without waiting; readiness.
//
// As many bytes are on their way as fit the send buffer of one end and the receive buffer of the
// other. Small writes are joined, so that they do not fill the queue with their overhead.
import { EAGAIN, EFAULT, EINVAL, ENOTCONN, EPIPE } from '../../abi/errno.ts';
import {
  POLLERR, POLLHUP, POLLIN, POLLOUT, POLLRDHUP, POLLRDNORM, POLLWRNORM,
} from '../../abi/poll.ts';
import {
  MSG_PEEK, MSG_TRUNC, TCP_CLOSE, TCP_ESTABLISHED, TCP_LISTEN, TCP_SYN_SENT,
} from '../../abi/socket.ts';
import { wakeFor } from '../ipc/epoll-ready.ts';
import { SHUTDOWN_BOTH, SHUTDOWN_RECEIVE, SHUTDOWN_SEND } from '../ipc/socket.ts';
import { nothing, type Received } from '../ipc/socket-family.ts';
import { appendMessage, extendLast, makeMessage, removeFirst } from '../ipc/socket-queue.ts';
import { takeError } from '../ipc/socket-send.ts';
import type { Kernel } from '../kernel.ts';
import type { Socket, SocketMessage } from '../records/ipc.ts';
import type { IoBuffer } from '../vfs/file-ops.ts';
import { endConnection } from './stream.ts';

const CHUNK_BYTES_MOST = 32_768;

/** Bytes that may be on their way. */
function windowOf(socket: Socket): number {
  return socket.sendLimit + (socket.peer?.receiveLimit ?? 0);
}

/** Bytes sent and not yet read. */
export function unreadBytes(socket: Socket): number {
  return socket.peer?.queuedBytes ?? 0;
}

/** Sends what fits now. Linux: tcp_sendmsg_locked. */
export function sendStream(k: Kernel, socket: Socket, from: IoBuffer): number {
  const error = takeError(socket);
  if (error < 0) return error;
  const { peer } = socket;
  if (socket.state === TCP_SYN_SENT) return -EAGAIN;
  if (socket.state !== TCP_ESTABLISHED || peer === null) return -EPIPE;
  if ((socket.shutdown & SHUTDOWN_SEND) !== 0) return -EPIPE;
  if (peer.isClosed || peer.state !== TCP_ESTABLISHED && peer.shutdown === SHUTDOWN_BOTH) {
    return sendToNobody(k, socket, from);
  }
  let done = 0;
  while (from.remaining > 0) {
    const room = windowOf(socket) - peer.queuedBytes;
    if (room <= 0) return done > 0 ? done : -EAGAIN;
    const bytes = Math.min(from.remaining, CHUNK_BYTES_MOST, room);
    const added = extendLast(k, peer, from, bytes, CHUNK_BYTES_MOST) ||
      appendNew(k, peer, from, bytes);
    if (added <= 0) return done > 0 ? done : -EFAULT;
    done += added;
  }
  return done;
}

function appendNew(k: Kernel, peer: Socket, from: IoBuffer, bytes: number): number {
  const message = makeMessage(k, from, bytes);
  if (message === null) return 0;
  appendMessage(k, peer, message);
  return bytes;
}

/** What goes to a peer that is gone is answered by an RST: the next call sees it. */
function sendToNobody(k: Kernel, socket: Socket, from: IoBuffer): number {
  const bytes = from.remaining;
  if (bytes === 0) return 0;
  const scratch = new Uint8Array(Math.min(bytes, CHUNK_BYTES_MOST));
  let done = 0;
  while (from.remaining > 0) {
    const taken = from.take(scratch.subarray(0, Math.min(scratch.length, from.remaining)));
    if (taken === 0) break;
    done += taken;
  }
  if (done === 0) return -EFAULT;
  endConnection(k, socket, EPIPE);
  return done;
}

/** Receives what is there. Linux: tcp_recvmsg_locked. */
export function receiveStream(
  k: Kernel, socket: Socket, to: IoBuffer, flags: number,
): Received {
  if (socket.state === TCP_LISTEN) return nothing(-ENOTCONN);
  if (socket.firstMessage === null) return nothing(to.remaining === 0 ? 0 : emptyResult(socket));
  const received = nothing(0);
  const peeks = (flags & MSG_PEEK) !== 0;
  const discards = (flags & MSG_TRUNC) !== 0;
  let message: SocketMessage | null = socket.firstMessage;
  let left = to.remaining;
  while (message !== null && left > 0) {
    const part = message.data.data.subarray(message.consumed);
    const wanted = part.subarray(0, Math.min(part.length, left));
    const moved = discards ? wanted.length : to.put(wanted);
    if (moved === 0) {
      if (received.result === 0) received.result = -EFAULT;
      break;
    }
    received.result += moved;
    left -= moved;
    const { next }: SocketMessage = message;
    if (!peeks) {
      message.consumed += moved;
      if (moved === part.length) removeFirst(k, socket);
    }
    if (moved < wanted.length) break;
    message = next;
  }
  if (!peeks && socket.peer !== null && isWritable(socket.peer)) {
    wakeFor(k, socket.peer.queue, POLLOUT | POLLWRNORM);
  }
  return received;
}

/** What a receive finds in an empty queue. */
function emptyResult(socket: Socket): number {
  if (socket.hungUp) return 0;
  const error = takeError(socket);
  if (error < 0) return error;
  if ((socket.shutdown & SHUTDOWN_RECEIVE) !== 0) return 0;
  return socket.state === TCP_CLOSE ? -ENOTCONN : -EAGAIN;
}

/** Linux: sk_stream_is_writable: a third of the buffer is free. */
function isWritable(socket: Socket): boolean {
  return unreadBytes(socket) * 3 <= windowOf(socket) * 2;
}

/** Linux: tcp_poll. */
export function pollStream(_k: Kernel, socket: Socket): number {
  if (socket.state === TCP_LISTEN) {
    return socket.firstPending === null ? 0 : POLLIN | POLLRDNORM;
  }
  let mask = 0;
  if (socket.shutdown === SHUTDOWN_BOTH || socket.state === TCP_CLOSE) mask |= POLLHUP;
  if ((socket.shutdown & SHUTDOWN_RECEIVE) !== 0) mask |= POLLIN | POLLRDNORM | POLLRDHUP;
  if (socket.state !== TCP_SYN_SENT) {
    if (socket.firstMessage !== null) mask |= POLLIN | POLLRDNORM;
    const isShut = (socket.shutdown & SHUTDOWN_SEND) !== 0;
    if (isShut || isWritable(socket)) mask |= POLLOUT | POLLWRNORM;
  }
  if (socket.error !== 0) mask |= POLLERR;
  return mask;
}

/** FIONREAD. */
export function readableStreamBytes(socket: Socket): number {
  if (socket.state === TCP_LISTEN) return -EINVAL;
  let bytes = 0;
  for (let message = socket.firstMessage; message !== null; message = message.next) {
    bytes += message.data.length - message.consumed;
  }
  return bytes;
}

/** TIOCOUTQ; the peer's host has it at once. */
export function sentStreamBytes(socket: Socket): number {
  return socket.state === TCP_LISTEN ? -EINVAL : 0;
}
