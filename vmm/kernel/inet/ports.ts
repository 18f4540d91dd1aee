// Who has which port, among the listed sockets (ipc/named-sockets.ts).
//
// Invariant: an AF_INET or AF_INET6 socket is listed exactly when `name` is not null.
import { EACCES, EADDRINUSE, EADDRNOTAVAIL, EAGAIN } from '../../abi/errno.ts';
import { SOCK_STREAM, TCP_CLOSE, TCP_LISTEN } from '../../abi/socket.ts';
import type { Kernel } from '../kernel.ts';
import type { Socket } from '../records/ipc.ts';
import type { Process } from '../records/task.ts';
import { listedSockets, listSocket, unlistSocket } from '../ipc/named-sockets.ts';
import { OPTION_REUSEADDR, OPTION_REUSEPORT } from '../ipc/socket-options.ts';
import { makeBytes } from '../state/containers.ts';
import { fillRandom } from '../task/entropy.ts';
import {
  anyEndpoint, isAny, isBroadcast, isLoopback, isMapped, isMulticast, portOf, sameAddress,
  sameEndpoint, withPort,
} from './endpoint.ts';
import { isV6Only } from './options.ts';

/** Linux: net.ipv4.ip_local_port_range and net.ipv4.ip_unprivileged_port_start. */
const FIRST_EPHEMERAL = 32_768;
const LAST_EPHEMERAL = 60_999;
const FIRST_UNPRIVILEGED = 1024;

/** Gives a socket a local endpoint and lists it; the caller has seen that it may have it. */
export function setLocal(k: Kernel, socket: Socket, endpoint: Uint8Array): void {
  const old = socket.name;
  socket.name = makeBytes(k.arena, endpoint);
  listSocket(k, socket);
  if (old !== null) k.arena.free(old);
}

/** Takes a socket's local endpoint away. */
export function clearLocal(k: Kernel, socket: Socket): void {
  const { name } = socket;
  if (name === null) return;
  unlistSocket(k, socket);
  socket.name = null;
  k.arena.free(name);
}

/** Sets what a socket is connected with; null: nothing. */
export function setRemote(k: Kernel, socket: Socket, endpoint: Uint8Array | null): void {
  if (socket.remote !== null) k.arena.free(socket.remote);
  socket.remote = endpoint === null ? null : makeBytes(k.arena, endpoint);
}

/**
 * bind(2) to an endpoint; port 0 is any free one.
 * @returns 0, -EADDRNOTAVAIL, -EACCES, -EADDRINUSE
 */
export function claim(k: Kernel, process: Process, socket: Socket, endpoint: Uint8Array): number {
  const isLocal = isAny(endpoint) || isLoopback(endpoint) || isBroadcast(endpoint) ||
    isMulticast(endpoint);
  if (!isLocal) return -EADDRNOTAVAIL;
  const port = portOf(endpoint);
  if (port !== 0 && port < FIRST_UNPRIVILEGED && process.uid !== 0) return -EACCES;
  if (port === 0) return claimAny(k, socket, endpoint) ? 0 : -EADDRINUSE;
  if (isTaken(k, socket, endpoint)) return -EADDRINUSE;
  setLocal(k, socket, endpoint);
  return 0;
}

/** Gives an unbound socket a free port at the wildcard address. 0 or -EAGAIN when none is free. */
export function bindAutomatically(k: Kernel, socket: Socket): number {
  if (socket.name !== null) return 0;
  return claimAny(k, socket, anyEndpoint(socket.domain, 0)) ? 0 : -EAGAIN;
}

function claimAny(k: Kernel, socket: Socket, endpoint: Uint8Array): boolean {
  const random = new Uint8Array(2);
  fillRandom(k, random);
  const count = LAST_EPHEMERAL - FIRST_EPHEMERAL + 1;
  const start = ((random[0] ?? 0) << 8 | (random[1] ?? 0)) % count;
  for (let attempt = 0; attempt < count; attempt++) {
    const wanted = withPort(endpoint, FIRST_EPHEMERAL + (start + attempt) % count);
    if (isTaken(k, socket, wanted, true)) continue;
    setLocal(k, socket, wanted);
    return true;
  }
  return false;
}

/** Linux: inet_bind_conflict. `alone`: options that let sockets share a port do not count. */
function isTaken(k: Kernel, socket: Socket, endpoint: Uint8Array, alone: boolean = false): boolean {
  for (const other of listedSockets(k, false)) {
    if (other === socket || other.type !== socket.type || other.name === null) continue;
    if (portOf(other.name.data) !== portOf(endpoint)) continue;
    if (!overlaps(socket, endpoint, other, other.name.data)) continue;
    if (alone || !mayShare(socket, other)) return true;
  }
  return false;
}

/** Whether listening is possible at the socket's endpoint. */
export function isListenedAt(k: Kernel, socket: Socket): boolean {
  for (const other of listedSockets(k, false)) {
    if (other === socket || other.state !== TCP_LISTEN || other.name === null) continue;
    if (socket.name === null || portOf(other.name.data) !== portOf(socket.name.data)) continue;
    if (!overlaps(socket, socket.name.data, other, other.name.data)) continue;
    if (!haveBoth(socket, other, OPTION_REUSEPORT)) return true;
  }
  return false;
}

function overlaps(
  first: Socket, firstAt: Uint8Array, second: Socket, secondAt: Uint8Array,
): boolean {
  if (isMapped(firstAt) === isMapped(secondAt)) {
    return isAny(firstAt) || isAny(secondAt) || sameAddress(firstAt, secondAt);
  }
  // Of an IPv4 and an IPv6 address, only `::` that is not IPv6 alone covers the other.
  return isMapped(firstAt)
    ? isAny(secondAt) && !isV6Only(second)
    : isAny(firstAt) && !isV6Only(first);
}

function haveBoth(first: Socket, second: Socket, option: number): boolean {
  return (first.options & second.options & option) !== 0;
}

function mayShare(socket: Socket, other: Socket): boolean {
  if (haveBoth(socket, other, OPTION_REUSEPORT)) return true;
  const isListener = socket.type === SOCK_STREAM && other.state === TCP_LISTEN;
  return !isListener && haveBoth(socket, other, OPTION_REUSEADDR);
}

/** The listener that a connection to `to` reaches: the best match, as receiverOf(). */
export function listenerAt(k: Kernel, to: Uint8Array): Socket | null {
  return bestMatch(k, to, (socket) =>
    socket.state === TCP_LISTEN ? 1 / (2 + socket.pendingCount) : -1);
}

/**
 * The datagram socket that gets what is sent to `to`: one that is connected with the sender before
 * others, one bound to the very address before those bound to the wildcard.
 */
export function receiverOf(
  k: Kernel, type: number, from: Uint8Array, to: Uint8Array,
): Socket | null {
  return bestMatch(k, to, (socket) => {
    if (socket.type !== type) return -1;
    if (socket.state === TCP_CLOSE) return 0;
    return socket.remote !== null && sameEndpoint(socket.remote.data, from) ? 4 : -1;
  });
}

/** `score`: below 0 not at all; less than 2 counts less than the address does, 4 more. */
function bestMatch(
  k: Kernel, to: Uint8Array, score: (socket: Socket) => number,
): Socket | null {
  let best: Socket | null = null;
  let most = -1;
  for (const socket of listedSockets(k, false)) {
    const at = socket.name?.data;
    if (at === undefined || portOf(at) !== portOf(to) || !reaches(socket, at, to)) continue;
    const own = score(socket);
    if (own < 0) continue;
    const total = own + (isAny(at) ? 0 : 2) + (isMapped(at) === isMapped(to) ? 1 : 0);
    if (total <= most) continue;
    best = socket;
    most = total;
  }
  return best;
}

function reaches(socket: Socket, at: Uint8Array, to: Uint8Array): boolean {
  if (sameAddress(at, to)) return true;
  if (!isAny(at)) return false;
  return isMapped(at) === isMapped(to) || (!isMapped(at) && !isV6Only(socket));
}
