// Connections with the world outside: of published ports, and outbound ones. There is no network
// stack: the host's sockets do TCP and UDP, and what they carry goes through records.
//
//   guest's Socket ◄─ peer ─► its outside end (Socket, isOutside) ◄─ hostHandle ─► NetPort
//
// The outside end is a socket like the other end of a connection within the sandbox, but no file
// leads to it: what the guest sends lies in its queue until pumpOutside() has given it to the host.
// Ownership: an outside end has one reference of its own until dropEnd().
import {
  AF_INET, AF_INET6, SOCK_STREAM, TCP_CLOSE, TCP_ESTABLISHED, TCP_SYN_SENT,
} from '../../abi/socket.ts';
import { ECONNRESET } from '../../abi/errno.ts';
import { POLLOUT, POLLWRNORM } from '../../abi/poll.ts';
import { wakeFor } from '../ipc/epoll-ready.ts';
import { listedSockets, listSocket, unlistSocket } from '../ipc/named-sockets.ts';
import {
  connectPair, isQueueFull, makeSocket, setPeer, SHUTDOWN_SEND,
} from '../ipc/socket.ts';
import { appendBytes, costOf, removeFirst } from '../ipc/socket-queue.ts';
import type { Kernel } from '../kernel.ts';
import type { Socket, SocketMessage } from '../records/ipc.ts';
import { isMapped, loopback, sameEndpoint } from './endpoint.ts';
import { listenerAt } from './ports.ts';
import { closeStream, endConnection, establish, finishSending, reset } from './stream.ts';

/** A guest that does not read is sent no more than this beyond its receive buffer. */
const AHEAD_BYTES = 65_536;

/** Whether sockets may reach endpoints outside of the sandbox. */
export function isOutbound(k: Kernel): boolean {
  return k.ports.net?.isOutbound === true;
}

function makeEnd(k: Kernel, domain: number, handle: number): Socket {
  const end = makeSocket(k, SOCK_STREAM);
  end.domain = domain;
  end.isOutside = true;
  end.hostHandle = handle;
  listSocket(k, end);
  return end;
}

/**
 * Begins an outbound connection: the socket waits in SYN_SENT until openedOutside().
 * @returns 0 or why the host refuses at once
 */
export function connectOutside(k: Kernel, socket: Socket, to: Uint8Array): number {
  const handle = k.ports.net?.connect(to) ?? 0;
  if (handle < 0) return handle;
  const end = makeEnd(k, socket.domain, handle);
  end.state = TCP_SYN_SENT;
  setPeer(k, end, socket);
  socket.state = TCP_SYN_SENT;
  k.ports.net?.attach(handle, end.address);
  return 0;
}

/** The outside end at an address that attach() was given; null when it is no more. */
export function endAt(k: Kernel, address: number): Socket | null {
  for (const socket of listedSockets(k, false)) if (socket.address === address) return socket;
  return null;
}

/** The host's connection stands. */
export function openedOutside(k: Kernel, end: Socket): void {
  const socket = end.peer;
  if (socket === null || end.state !== TCP_SYN_SENT) return;
  if (socket.isClosed || socket.state !== TCP_SYN_SENT) {
    dropEnd(k, end, true);
    return;
  }
  connectPair(k, socket, end);
  wakeFor(k, socket.queue, POLLOUT | POLLWRNORM);
}

/** The host's connection, or the attempt to make one, has failed with an errno. */
export function failedOutside(k: Kernel, end: Socket, errno: number): void {
  const { peer } = end;
  if (end.state !== TCP_SYN_SENT) reset(k, end);
  else if (peer !== null && !peer.isClosed && peer.state === TCP_SYN_SENT) {
    endConnection(k, peer, errno);
  }
  dropEnd(k, end, true);
}

/**
 * A connection to a published port: it goes to whoever listens there.
 * @returns the outside end, or null when nobody does, or the backlog is full
 */
export function acceptOutside(
  k: Kernel, port: number, from: Uint8Array, handle: number,
): Socket | null {
  const to = loopback(true, port);
  const listener = listenerAt(k, to) ?? listenerAt(k, loopback(false, port));
  if (listener === null || isQueueFull(listener)) return null;
  const end = makeEnd(k, listener.domain, handle);
  // An IPv4 socket can name IPv4 peers only.
  const peer = listener.domain === AF_INET && !isMapped(from)
    ? loopback(true, 0) : from;
  establish(k, end, listener, peer, to);
  return end;
}

/** Bytes came from outside. False when the host should hold back until NetPort.resume(). */
export function receiveOutside(k: Kernel, end: Socket, data: Uint8Array): boolean {
  const { peer } = end;
  if (peer === null || end.state !== TCP_ESTABLISHED) return true;
  if (peer.isClosed) {
    dropEnd(k, end, true);
    return true;
  }
  appendBytes(k, peer, data, null);
  return peer.queuedBytes <= peer.receiveLimit;
}

/** The other side outside has sent all it had. */
export function endedOutside(k: Kernel, end: Socket): void {
  if (end.state === TCP_ESTABLISHED) shutDownEnd(k, end);
}

function shutDownEnd(k: Kernel, end: Socket): void {
  const { peer } = end;
  if ((end.shutdown & SHUTDOWN_SEND) !== 0 || peer === null) return;
  end.shutdown |= SHUTDOWN_SEND;
  finishSending(k, end);
}

/** Gives the host what guests have sent, and tells it of ends. Order: after guests have run. */
export function pumpOutside(k: Kernel): void {
  for (const end of listedSockets(k, false)) if (end.isOutside) pump(k, end);
}

function pump(k: Kernel, end: Socket): void {
  const { net } = k.ports;
  const { peer, hostHandle } = end;
  if (net === undefined || peer === null) return;
  if (end.state === TCP_SYN_SENT) {
    if (peer.isClosed || peer.state !== TCP_SYN_SENT) dropEnd(k, end, true);
    return;
  }
  const isReset = end.error !== 0;
  while (!isReset && end.firstMessage !== null) {
    const message: SocketMessage = end.firstMessage;
    const part = message.data.data.subarray(message.consumed);
    const taken = net.write(hostHandle, part);
    message.consumed += taken;
    if (taken < part.length) break;
    removeFirst(k, end);
    wakeFor(k, peer.queue, POLLOUT | POLLWRNORM);
  }
  if (isReset) {
    dropEnd(k, end, true);
    return;
  }
  if (end.hungUp && end.firstMessage === null) net.end(hostHandle);
  if (peer.queuedBytes * 2 <= peer.receiveLimit + AHEAD_BYTES) net.resume(hostHandle);
  if (end.state === TCP_CLOSE && end.firstMessage === null) dropEnd(k, end, false);
}

/** Whether something that guests have sent has not been taken by the host yet. */
export function hasUnsent(k: Kernel): boolean {
  for (const end of listedSockets(k, false)) {
    if (end.isOutside && end.firstMessage !== null) return true;
  }
  return false;
}

/** The host's socket is gone for good. */
export function closedOutside(k: Kernel, end: Socket): void {
  shutDownEnd(k, end);
  dropEnd(k, end, false);
}

function dropEnd(k: Kernel, end: Socket, isReset: boolean): void {
  if (end.hostHandle !== 0) k.ports.net?.destroy(end.hostHandle, isReset);
  end.hostHandle = 0;
  unlistSocket(k, end);
  closeStream(k, end);
}

/** After a boot: what was connected with the outside is reset, for the outside is not there. */
export function resetOutside(k: Kernel): void {
  for (const end of listedSockets(k, false)) {
    if (end.isOutside) failedOutside(k, end, ECONNRESET);
  }
}

/** A datagram came from outside for the socket at an address. */
export function receiveDatagramOutside(
  k: Kernel, address: number, from: Uint8Array, data: Uint8Array,
): void {
  const socket = endAt(k, address);
  if (socket === null || socket.isClosed) return;
  const { remote } = socket;
  if (remote !== null && !sameEndpoint(remote.data, from)) return;
  if (socket.domain !== AF_INET6 && !isMapped(from)) return;
  if (socket.queuedBytes + costOf(data.length) > socket.receiveLimit) return;
  appendBytes(k, socket, data, from);
}
