// UDP within the sandbox: one attempt, without waiting. A datagram is at once in the receiver's
// queue, or nowhere: as on a network, what has no room is lost.
import {
  EACCES, EAGAIN, ECONNREFUSED, EDESTADDRREQ, EFAULT, EINVAL, EMSGSIZE, ENOTCONN, EPIPE,
} from '../../abi/errno.ts';
import {
  POLLERR, POLLHUP, POLLIN, POLLOUT, POLLRDHUP, POLLRDNORM, POLLWRBAND, POLLWRNORM,
} from '../../abi/poll.ts';
import {
  AF_INET, AF_UNSPEC, MSG_PEEK, MSG_TRUNC, TCP_CLOSE, TCP_ESTABLISHED,
} from '../../abi/socket.ts';
import { dropSocket, SHUTDOWN_BOTH, SHUTDOWN_RECEIVE, SHUTDOWN_SEND } from '../ipc/socket.ts';
import { nothing, type Received } from '../ipc/socket-family.ts';
import { OPTION_BROADCAST } from '../ipc/socket-options.ts';
import {
  appendMessage, costOf, dropMessages, freeMessage, makeMessage, removeFirst,
} from '../ipc/socket-queue.ts';
import { takeError } from '../ipc/socket-send.ts';
import type { Kernel } from '../kernel.ts';
import type { Socket } from '../records/ipc.ts';
import { makeBytes } from '../state/containers.ts';
import { wake } from '../task/block.ts';
import type { IoBuffer } from '../vfs/file-ops.ts';
import {
  anyEndpoint, destinationOf, familyIn, isAny, isBroadcast, isLoopback, parseEndpoint,
  portOf, sourceFor, withPort,
} from './endpoint.ts';
import { bindAutomatically, clearLocal, receiverOf, setLocal, setRemote } from './ports.ts';
import { aimAt, checkRoute } from './stream.ts';

/** Most bytes of a datagram: 65,535 without the headers of UDP and IPv4, or of UDP alone. */
const BYTES_MOST_V4 = 65_507;
const BYTES_MOST_V6 = 65_527;

/** connect(2): sets where datagrams go and come from. */
export function connectDatagram(k: Kernel, socket: Socket, raw: Uint8Array): number {
  const family = familyIn(raw);
  if (family < 0) return family;
  if (family === AF_UNSPEC) return disconnectDatagram(k, socket);
  const parsed = parseEndpoint(socket.domain, raw);
  if (typeof parsed === 'number') return parsed;
  const to = destinationOf(parsed);
  if (isBroadcast(to) && (socket.options & OPTION_BROADCAST) === 0) return -EACCES;
  const error = aimAt(k, socket, to);
  if (error < 0) return error;
  socket.state = TCP_ESTABLISHED;
  return 0;
}

/** Linux: __udp_disconnect. */
function disconnectDatagram(k: Kernel, socket: Socket): number {
  socket.state = TCP_CLOSE;
  socket.shutdown = 0;
  setRemote(k, socket, null);
  const local = socket.name?.data;
  if (local === undefined) return 0;
  if (socket.isBound) setLocal(k, socket, withPort(anyEndpoint(socket.domain, 0), portOf(local)));
  else clearLocal(k, socket);
  return 0;
}

/** shutdown(2): -ENOTCONN, but it counts all the same. */
export function shutDownDatagram(k: Kernel, socket: Socket, how: number): number {
  if (how < 0 || how > 2) return -EINVAL;
  socket.shutdown |= how + 1;
  wake(k, socket.queue);
  return socket.state === TCP_CLOSE ? -ENOTCONN : 0;
}

/** Sends a datagram. Linux: udp_sendmsg, udpv6_sendmsg. `to` null: to the peer. */
export function sendDatagram(
  k: Kernel, socket: Socket, from: IoBuffer, to: Uint8Array | null,
): number {
  const bytes = from.remaining;
  const wanted = to ?? socket.remote?.data ?? null;
  if (wanted === null) return -EDESTADDRREQ;
  const most = socket.domain === AF_INET ? BYTES_MOST_V4 : BYTES_MOST_V6;
  if (bytes > most) return -EMSGSIZE;
  if (portOf(wanted) === 0) return -EINVAL;
  const target = destinationOf(wanted);
  if (isBroadcast(target) && (socket.options & OPTION_BROADCAST) === 0) return -EACCES;
  const error = checkRoute(k, socket, target);
  if (error < 0) return error;
  const pending = takeError(socket);
  if (pending < 0) return pending;
  if ((socket.shutdown & SHUTDOWN_SEND) !== 0) return -EPIPE;
  const bound = bindAutomatically(k, socket);
  if (bound < 0) return bound;
  if (!isLoopback(target)) return sendOutside(k, socket, from, target);
  const message = makeMessage(k, from, bytes);
  if (message === null) return -EFAULT;
  const local = socket.name?.data ?? anyEndpoint(socket.domain, 0);
  const source = isAny(local) ? sourceFor(target, portOf(local)) : local;
  message.name = makeBytes(k.arena, source);
  const receiver = receiverOf(k, socket.type, source, target);
  if (receiver !== null && receiver.queuedBytes + costOf(bytes) <= receiver.receiveLimit) {
    appendMessage(k, receiver, message);
    return bytes;
  }
  freeMessage(k, message);
  if (receiver === null) tellUnreachable(k, socket);
  return bytes;
}

function sendOutside(k: Kernel, socket: Socket, from: IoBuffer, to: Uint8Array): number {
  const data = new Uint8Array(from.remaining);
  if (from.take(data) < data.length) return -EFAULT;
  const handle = k.ports.net?.sendDatagram(socket.hostHandle, socket.address, to, data) ?? 0;
  if (handle < 0) return handle;
  socket.hostHandle = handle;
  return data.length;
}

/** ICMP port unreachable: only connected sockets hear of it. */
function tellUnreachable(k: Kernel, socket: Socket): void {
  if (socket.state !== TCP_ESTABLISHED) return;
  socket.error = ECONNREFUSED;
  wake(k, socket.queue);
}

/** Receives a datagram. Linux: udp_recvmsg. */
export function receiveDatagram(
  k: Kernel, socket: Socket, to: IoBuffer, flags: number,
): Received {
  const error = takeError(socket);
  if (error < 0) return nothing(error);
  const message = socket.firstMessage;
  // Linux: the end of a socket that is shut down is seen by those who would wait.
  if (message === null) return nothing(-EAGAIN);
  const { data } = message.data;
  const bytes = Math.min(data.length, to.remaining);
  const isLost = bytes > 0 && to.put(data.subarray(0, bytes)) < bytes;
  const received: Received = {
    result: (flags & MSG_TRUNC) !== 0 ? data.length : bytes,
    flags: bytes < data.length ? MSG_TRUNC : 0,
    name: message.name?.data.slice() ?? null,
    files: [],
  };
  if ((flags & MSG_PEEK) === 0) removeFirst(k, socket);
  return isLost ? nothing(-EFAULT) : received;
}

/** Linux: datagram_poll. */
export function pollDatagram(_k: Kernel, socket: Socket): number {
  let mask = POLLOUT | POLLWRNORM | POLLWRBAND;
  if (socket.error !== 0) mask |= POLLERR;
  if (socket.shutdown === SHUTDOWN_BOTH) mask |= POLLHUP;
  if ((socket.shutdown & SHUTDOWN_RECEIVE) !== 0) mask |= POLLIN | POLLRDNORM | POLLRDHUP;
  if (socket.firstMessage !== null) mask |= POLLIN | POLLRDNORM;
  return mask;
}

/** Closes a socket and drops the reference of its file. */
export function closeDatagram(k: Kernel, socket: Socket): void {
  socket.isClosed = true;
  if (socket.hostHandle !== 0) k.ports.net?.destroy(socket.hostHandle, false);
  socket.hostHandle = 0;
  socket.shutdown = SHUTDOWN_BOTH;
  clearLocal(k, socket);
  dropMessages(k, socket);
  wake(k, socket.queue);
  dropSocket(k, socket);
}
