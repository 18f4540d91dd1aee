// Sockets: making, connecting as a pair, closing (AF_UNIX). What files do is in socket-file.ts,
// messages in socket-queue.ts, sending in socket-send.ts, receiving in socket-receive.ts, names in
// socket-name.ts.
//
//   File ─ object ─► Socket ◄─ peer ─► Socket ◄─ object ─ File
//
// A closed socket's record stays while another's `peer` names it, as on Linux.
// Ownership: `refs` counts the file (or the listener, before accept) and those peers.
import { ECONNRESET } from '../../abi/errno.ts';
import {
  AF_UNIX, SOCK_DGRAM, TCP_CLOSE, TCP_ESTABLISHED, TCP_LISTEN,
} from '../../abi/socket.ts';
import type { Kernel } from '../kernel.ts';
import { Socket } from '../records/ipc.ts';
import { type File, FILE_SOCKET } from '../records/vfs.ts';
import { makeWaitQueue, wake } from '../task/block.ts';
import { dropInode } from '../vfs/inode.ts';
import { freeQueue } from './anon-file.ts';
import { unlistSocket } from './named-sockets.ts';
import { dropMessages } from './socket-queue.ts';

/** Linux: net.core.wmem_default and rmem_default. */
export const SOCKET_BUFFER_BYTES = 212_992;
/** Linux: net.unix.max_dgram_qlen, the backlog of datagram sockets. */
const DATAGRAM_BACKLOG = 10;
/** Bits of Socket.shutdown. */
export const SHUTDOWN_RECEIVE = 1;
export const SHUTDOWN_SEND = 2;
export const SHUTDOWN_BOTH = 3;

/**
 * An unconnected socket of a type (SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET). It has one reference,
 * which its file takes over, or the listener whose pending connection it is.
 */
export function makeSocket(k: Kernel, type: number): Socket {
  const socket = k.arena.make(Socket);
  socket.queue = makeWaitQueue(k);
  socket.domain = AF_UNIX;
  socket.type = type;
  socket.state = TCP_CLOSE;
  socket.refs = 1;
  socket.sendLimit = SOCKET_BUFFER_BYTES;
  socket.receiveLimit = SOCKET_BUFFER_BYTES;
  socket.backlog = DATAGRAM_BACKLOG;
  socket.serial = k.root.nextObjectSerial++;
  return socket;
}

/** The socket behind a file, or null (ENOTSOCK). */
export function socketOf(file: File): Socket | null {
  return file.kind === FILE_SOCKET ? file.object as Socket : null;
}

/** Makes `peer` the peer of `socket` (null: none), one direction. */
export function setPeer(k: Kernel, socket: Socket, peer: Socket | null): void {
  const old = socket.peer;
  if (peer !== null) peer.refs++;
  socket.peer = peer;
  if (old !== null) dropSocket(k, old);
}

/** Connects two sockets with each other, as socketpair(2) does. */
export function connectPair(k: Kernel, first: Socket, second: Socket): void {
  setPeer(k, first, second);
  setPeer(k, second, first);
  first.state = TCP_ESTABLISHED;
  second.state = TCP_ESTABLISHED;
}

/** Drops a reference. Ownership: the last one frees the record; its queues are empty then. */
export function dropSocket(k: Kernel, socket: Socket): void {
  socket.refs--;
  if (socket.refs > 0) return;
  freeQueue(k, socket.queue);
  for (const owned of [socket.name, socket.remote, socket.protocolOptions]) {
    if (owned !== null) k.arena.free(owned);
  }
  k.arena.free(socket);
}

/** True when `file` is a socket on which listen(2) was called. */
export function isListening(file: File): boolean {
  return socketOf(file)?.state === TCP_LISTEN;
}

/** Whether the type has connections (stream, seqpacket). */
export function isConnectionBased(socket: Socket): boolean {
  return socket.type !== SOCK_DGRAM;
}

/** Linux: unix_recvq_full: more than the backlog waits. */
export function isQueueFull(socket: Socket): boolean {
  const count = socket.state === TCP_LISTEN ? socket.pendingCount : socket.messageCount;
  return count > socket.backlog;
}

// Closing

/**
 * Closes a socket and drops the reference of its file. Linux: unix_release_sock; `embryo`: never
 * accepted.
 */
export function closeSocket(k: Kernel, socket: Socket, embryo: boolean): void {
  socket.isClosed = true;
  unbind(k, socket);
  const { peer } = socket;
  if (peer !== null && isConnectionBased(socket) && !peer.isClosed) {
    peer.shutdown = SHUTDOWN_BOTH;
    peer.hungUp = true;
    if (embryo || socket.firstMessage !== null) peer.error = ECONNRESET;
  }
  socket.shutdown = SHUTDOWN_BOTH;
  dropPending(k, socket);
  partSockets(k, socket);
}

/**
 * The last part of closing: what it has not read goes, its peer hears of it, and the reference of
 * its file is dropped.
 */
export function partSockets(k: Kernel, socket: Socket): void {
  const { peer } = socket;
  // Order: the queue is emptied first, because the peer's room for writing is what it holds.
  dropMessages(k, socket);
  wake(k, socket.queue);
  if (peer !== null) {
    wake(k, peer.queue);
    setPeer(k, socket, null);
  }
  dropSocket(k, socket);
}

function dropPending(k: Kernel, listener: Socket): void {
  for (let next = takePending(listener); next !== null; next = takePending(listener)) {
    closeSocket(k, next, true);
  }
}

/** Puts a connection at the end of a listener's pending ones; takes over the caller's reference. */
export function appendPending(listener: Socket, connection: Socket): void {
  if (listener.lastPending === null) listener.firstPending = connection;
  else listener.lastPending.nextPending = connection;
  listener.lastPending = connection;
  listener.pendingCount++;
}

/**
 * Takes the oldest connection that waits for accept(2); the caller owns the listener's reference.
 */
export function takePending(listener: Socket): Socket | null {
  const first = listener.firstPending;
  if (first === null) return null;
  listener.firstPending = first.nextPending;
  if (first.nextPending === null) listener.lastPending = null;
  first.nextPending = null;
  listener.pendingCount--;
  return first;
}

function unbind(k: Kernel, socket: Socket): void {
  socket.isBound = false;
  unlistSocket(k, socket);
  const { inode } = socket;
  if (inode === null) return;
  socket.inode = null;
  inode.object = null;
  dropInode(k, inode);
}
