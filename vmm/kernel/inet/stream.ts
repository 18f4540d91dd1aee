// TCP within the sandbox: connecting, accepting, ending. There are no packets: a connection is two
// sockets that name each other as peers, and what one sends is at once in the other's queue.
//
//   client ─ peer ─► connection in the listener's backlog ─ accept(2) ─► File
//
// What Linux does on its loopback device is the measure, errors and order of events included; its
// states between FIN and the end are `shutdown` and `hungUp` here, TIME_WAIT does not exist.
import {
  EADDRINUSE, EAGAIN, EALREADY, ECONNABORTED, ECONNREFUSED, ECONNRESET, EINPROGRESS,
  EINVAL, EISCONN, ENETUNREACH, ENOTCONN, EPIPE,
} from '../../abi/errno.ts';
import { POLLIN, POLLOUT, POLLRDNORM, POLLWRNORM } from '../../abi/poll.ts';
import {
  AF_UNSPEC, SOMAXCONN, TCP_CLOSE, TCP_ESTABLISHED, TCP_LISTEN, TCP_SYN_SENT,
} from '../../abi/socket.ts';
import { wakeFor } from '../ipc/epoll-ready.ts';
import { listedSockets } from '../ipc/named-sockets.ts';
import {
  appendPending, connectPair, isQueueFull, makeSocket, partSockets, setPeer, SHUTDOWN_BOTH,
  SHUTDOWN_RECEIVE, SHUTDOWN_SEND, takePending,
} from '../ipc/socket.ts';
import { OPTION_LINGER, timeoutOf } from '../ipc/socket-options.ts';
import { dropMessages } from '../ipc/socket-queue.ts';
import { takeError } from '../ipc/socket-send.ts';
import { isNonBlocking } from '../ipc/socket-transfer.ts';
import { waitInQueue } from '../ipc/wait-timeout.ts';
import type { Kernel } from '../kernel.ts';
import type { Socket } from '../records/ipc.ts';
import type { Task } from '../records/task.ts';
import type { File } from '../records/vfs.ts';
import { wake } from '../task/block.ts';
import {
  destinationOf, familyIn, isAny, isBroadcast, isLoopback, isMapped, isMulticast, parseEndpoint,
  portOf, sourceFor,
} from './endpoint.ts';
import { copyOptions, isV6Only } from './options.ts';
import { connectOutside, isOutbound } from './outside.ts';
import {
  bindAutomatically, clearLocal, isListenedAt, listenerAt, setLocal, setRemote,
} from './ports.ts';

/** listen(2). */
export function listenStream(k: Kernel, socket: Socket, backlog: number): number {
  if (socket.state !== TCP_CLOSE && socket.state !== TCP_LISTEN) return -EINVAL;
  if (socket.isConnecting) return -EINVAL;
  if (socket.state !== TCP_LISTEN) {
    const bound = bindAutomatically(k, socket);
    if (bound < 0) return bound;
    if (isListenedAt(k, socket)) return -EADDRINUSE;
  }
  // Linux: as unsigned, so that a negative backlog is the largest.
  socket.backlog = Math.min(backlog >>> 0, SOMAXCONN);
  socket.state = TCP_LISTEN;
  socket.shutdown = 0;
  wake(k, socket.queue);
  return 0;
}

/** connect(2): waits while the listener's backlog is full. Linux: __inet_stream_connect. */
export function connectStream(
  k: Kernel, task: Task, file: File, socket: Socket, raw: Uint8Array,
): number {
  const family = familyIn(raw);
  if (family < 0) return family;
  if (family === AF_UNSPEC) return disconnectStream(k, socket);
  if (socket.isConnecting) return finishConnect(k, task, file, socket);
  if (socket.state !== TCP_CLOSE) return -EISCONN;
  const started = startConnect(k, socket, raw);
  if (started < 0) return started;
  socket.isConnecting = true;
  if (isNonBlocking(file, 0)) return -EINPROGRESS;
  return finishConnect(k, task, file, socket);
}

/** The outcome of a connect that has begun. */
function finishConnect(k: Kernel, task: Task, file: File, socket: Socket): number {
  if (socket.state === TCP_SYN_SENT) {
    if (isNonBlocking(file, 0)) return -EALREADY;
    const waits = waitInQueue(k, task, socket.queue, timeoutOf(socket.sendTimeoutNs));
    // Linux: a connect whose time is over goes on in the background.
    return waits === -EAGAIN ? -EINPROGRESS : waits;
  }
  socket.isConnecting = false;
  if (socket.state === TCP_ESTABLISHED) return 0;
  const error = takeError(socket);
  socket.shutdown = 0;
  return error === 0 ? -ECONNABORTED : error;
}

/** Sends the SYN: afterwards the socket is connected, refused (`error`) or waits in SYN_SENT. */
function startConnect(k: Kernel, socket: Socket, raw: Uint8Array): number {
  const parsed = parseEndpoint(socket.domain, raw);
  if (typeof parsed === 'number') return parsed;
  const to = destinationOf(parsed);
  const error = aimAt(k, socket, to);
  if (error < 0) return error;
  socket.shutdown = 0;
  socket.hungUp = false;
  if (!isLoopback(to)) return connectOutside(k, socket, to);
  const listener = listenerAt(k, to);
  if (listener === null) refuse(k, socket);
  else if (isQueueFull(listener)) socket.state = TCP_SYN_SENT;
  else establishFrom(k, socket, listener);
  return 0;
}

/** Whether the way to an address exists: only lo does, unless the sandbox may reach the outside. */
export function checkRoute(k: Kernel, socket: Socket, to: Uint8Array): number {
  if (isMapped(to) && isV6Only(socket)) return -ENETUNREACH;
  if (isMulticast(to) || isBroadcast(to)) return -ENETUNREACH;
  if (!isLoopback(to) && !isOutbound(k)) return -ENETUNREACH;
  const local = socket.name?.data;
  // Linux: an IPv4 address has no way to an IPv6 one.
  const differs = local !== undefined && !isAny(local) && isMapped(local) !== isMapped(to);
  return differs ? -ENETUNREACH : 0;
}

/** Gives a socket the endpoints of a connection with `to`; its own may be chosen here. */
export function aimAt(k: Kernel, socket: Socket, to: Uint8Array): number {
  const error = checkRoute(k, socket, to);
  if (error < 0) return error;
  const bound = bindAutomatically(k, socket);
  if (bound < 0) return bound;
  const local = socket.name?.data;
  if (local !== undefined && isAny(local)) setLocal(k, socket, sourceFor(to, portOf(local)));
  setRemote(k, socket, to);
  return 0;
}

function refuse(k: Kernel, socket: Socket): void {
  endConnection(k, socket, ECONNREFUSED);
}

/** The three-way handshake: a new socket in the listener's backlog is the client's peer. */
function establishFrom(k: Kernel, client: Socket, listener: Socket): void {
  const { name, remote } = client;
  if (name !== null && remote !== null) establish(k, client, listener, name.data, remote.data);
}

/** The same for a client at `from` that connects to `to`. */
export function establish(
  k: Kernel, client: Socket, listener: Socket, from: Uint8Array, to: Uint8Array,
): void {
  const connection = makeSocket(k, listener.type);
  connection.domain = listener.domain;
  connection.protocol = listener.protocol;
  connection.options = listener.options;
  connection.sendLimit = listener.sendLimit;
  connection.receiveLimit = listener.receiveLimit;
  connection.lingerSec = listener.lingerSec;
  copyOptions(k, listener, connection);
  setLocal(k, connection, to);
  setRemote(k, connection, from);
  connectPair(k, client, connection);
  appendPending(listener, connection);
  wakeFor(k, client.queue, POLLOUT | POLLWRNORM);
  wakeFor(k, listener.queue, POLLIN | POLLRDNORM);
}

/** accept(2): the oldest connection, -EINVAL, -EAGAIN to wait in the listener's queue. */
export function acceptStream(k: Kernel, listener: Socket): Socket | number {
  if (listener.state !== TCP_LISTEN) return -EINVAL;
  const connection = takePending(listener);
  if (connection === null) return -EAGAIN;
  admitWaiting(k, listener);
  return connection;
}

/** Connects who waits for room in the backlog. The list is latest first, and so is who comes in. */
function admitWaiting(k: Kernel, listener: Socket): void {
  for (const socket of listedSockets(k, false)) {
    if (isQueueFull(listener)) return;
    if (socket.state !== TCP_SYN_SENT || socket.remote === null) continue;
    if (listenerAt(k, socket.remote.data) === listener) establishFrom(k, socket, listener);
  }
}

/** A connection ends with an error for its user (0: none), as tcp_reset() does. */
export function endConnection(k: Kernel, socket: Socket, error: number): void {
  socket.error = error;
  socket.state = TCP_CLOSE;
  socket.shutdown = SHUTDOWN_BOTH;
  if (!socket.isBound) clearLocal(k, socket);
  wake(k, socket.queue);
}

/** Tells the peer that no more is coming, after SHUTDOWN_SEND was set. */
export function finishSending(k: Kernel, socket: Socket): void {
  sendFin(k, socket);
  endIfDone(socket);
}

function sendFin(k: Kernel, socket: Socket): void {
  const { peer } = socket;
  if (peer === null || peer.isClosed || peer.state !== TCP_ESTABLISHED) return;
  peer.shutdown |= SHUTDOWN_RECEIVE;
  peer.hungUp = true;
  endIfDone(peer);
  wake(k, peer.queue);
}

/** Once both ways are shut, the connection is no more. */
function endIfDone(socket: Socket): void {
  const hasSentFin = (socket.shutdown & SHUTDOWN_SEND) !== 0;
  if (!hasSentFin || !socket.hungUp || socket.state !== TCP_ESTABLISHED) return;
  socket.state = TCP_CLOSE;
  socket.shutdown = SHUTDOWN_BOTH;
}

/** Linux: inet_shutdown. */
export function shutDownStream(k: Kernel, socket: Socket, how: number): number {
  if (how < 0 || how > 2) return -EINVAL;
  const bits = how + 1;
  switch (socket.state) {
    case TCP_CLOSE:
      socket.shutdown |= bits;
      wake(k, socket.queue);
      return -ENOTCONN;
    case TCP_LISTEN:
      if ((bits & SHUTDOWN_RECEIVE) !== 0) stopListening(k, socket);
      break;
    case TCP_SYN_SENT:
      disconnectStream(k, socket);
      break;
    default: {
      const isFirst = (bits & ~socket.shutdown & SHUTDOWN_SEND) !== 0;
      socket.shutdown |= bits;
      if (!isFirst) break;
      finishSending(k, socket);
    }
  }
  wake(k, socket.queue);
  return 0;
}

function stopListening(k: Kernel, listener: Socket): void {
  listener.state = TCP_CLOSE;
  if (!listener.isBound) clearLocal(k, listener);
  for (let next = takePending(listener); next !== null; next = takePending(listener)) {
    closeStream(k, next, true);
  }
  for (const socket of listedSockets(k, false)) {
    const to = socket.state === TCP_SYN_SENT ? socket.remote : null;
    if (to !== null && listenerAt(k, to.data) === null) refuse(k, socket);
  }
}

/** connect(2) to AF_UNSPEC. Linux: tcp_disconnect: an unconnected socket again. */
function disconnectStream(k: Kernel, socket: Socket): number {
  if (socket.state === TCP_LISTEN) stopListening(k, socket);
  else if (socket.state === TCP_ESTABLISHED) reset(k, socket);
  const wasActive = socket.state === TCP_SYN_SENT || socket.state === TCP_ESTABLISHED;
  socket.state = TCP_CLOSE;
  socket.isConnecting = false;
  socket.error = wasActive ? ECONNRESET : 0;
  socket.shutdown = 0;
  socket.hungUp = false;
  setPeer(k, socket, null);
  setRemote(k, socket, null);
  dropMessages(k, socket);
  if (!socket.isBound) clearLocal(k, socket);
  wake(k, socket.queue);
  return 0;
}

/** Sends an RST to the peer. */
export function reset(k: Kernel, socket: Socket): void {
  const { peer } = socket;
  if (peer === null || peer.isClosed || peer.state !== TCP_ESTABLISHED) return;
  // Linux: in CLOSE_WAIT it is a broken pipe.
  endConnection(k, peer, peer.hungUp ? EPIPE : ECONNRESET);
}

/**
 * Closes a socket and drops the reference of its file, or of the listener (`isEmbryo`: it was never
 * accepted). Unread data, or SO_LINGER with no time, makes it an RST.
 */
export function closeStream(k: Kernel, socket: Socket, isEmbryo: boolean = false): void {
  if (socket.state === TCP_LISTEN) stopListening(k, socket);
  const lingersNot = (socket.options & OPTION_LINGER) !== 0 && socket.lingerSec === 0;
  if (isEmbryo || lingersNot || socket.firstMessage !== null) reset(k, socket);
  else if ((socket.shutdown & SHUTDOWN_SEND) === 0) sendFin(k, socket);
  socket.isClosed = true;
  socket.state = TCP_CLOSE;
  socket.shutdown = SHUTDOWN_BOTH;
  clearLocal(k, socket);
  partSockets(k, socket);
}
