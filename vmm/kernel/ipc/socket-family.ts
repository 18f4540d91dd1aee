// What differs between families of sockets (AF_UNIX; AF_INET and AF_INET6): names, connecting,
// moving messages, options of their own. The calls (syscalls/socket.ts, message.ts) and the open
// file (socket-file.ts) do what all have in common.
import { EOPNOTSUPP } from '../../abi/errno.ts';
import type { Kernel } from '../kernel.ts';
import type { Socket } from '../records/ipc.ts';
import type { Process, Task } from '../records/task.ts';
import type { File } from '../records/vfs.ts';
import type { IoBuffer } from '../vfs/file-ops.ts';

/** What socket(2) asked for, after checks: SOCK_* and IPPROTO_*. */
export interface SocketType {
  type: number;
  protocol: number;
}

/** Where a message goes: a socket (AF_UNIX), an endpoint (AF_INET, AF_INET6), null: the peer. */
export type Destination = Socket | Uint8Array | null;

/** What came with received bytes. */
export interface Received {
  /** Bytes (with MSG_TRUNC: the datagram's length), 0 at the end, -EAGAIN to wait, or an error. */
  result: number;
  /** MSG_TRUNC when the buffer was too small for the datagram. */
  flags: number;
  /** The sender's name (a copy), null when it has none. */
  name: Uint8Array | null;
  /** Files passed along. Ownership: their references are the caller's. */
  files: File[];
}

/** Results are -errno where they are not said. Functions that wait say so; others never do. */
export interface SocketFamily {
  /** -ESOCKTNOSUPPORT, -EPROTONOSUPPORT. */
  check(type: number, protocol: number): SocketType | number;
  /** Makes a socket, unconnected, with one reference. */
  make(k: Kernel, domain: number, type: SocketType): Socket;
  /** Whether socketpair(2) makes pairs. */
  readonly hasPairs: boolean;
  bind(k: Kernel, process: Process, socket: Socket, raw: Uint8Array): number;
  listen(k: Kernel, socket: Socket, backlog: number): number;
  /** connect(2); waits. */
  connect(k: Kernel, task: Task, file: File, socket: Socket, raw: Uint8Array): number;
  /** The next connection of a listener, -EAGAIN to wait in its queue. */
  accept(k: Kernel, listener: Socket): Socket | number;
  shutdown(k: Kernel, socket: Socket, how: number): number;
  /** `struct sockaddr_*` of the socket itself. */
  name(socket: Socket): Uint8Array;
  /** `struct sockaddr_*` of its peer; -ENOTCONN. */
  peerName(socket: Socket): Uint8Array | number;
  /** `struct sockaddr_*` of Received.name. */
  senderName(socket: Socket, name: Uint8Array | null): Uint8Array;
  /** Where a message with the address `raw` goes; null: no address. */
  resolve(
    k: Kernel, task: Task, socket: Socket, raw: Uint8Array | null,
  ): Destination | number;
  /** Sends what fits now; -EAGAIN to wait in the queue of sendWaitsFor(). */
  send(
    k: Kernel, socket: Socket, from: IoBuffer, to: Destination, files: readonly File[],
  ): number;
  sendWaitsFor(socket: Socket, to: Destination): Socket;
  /** Receives what is there; flags: MSG_PEEK, MSG_TRUNC. */
  receive(k: Kernel, socket: Socket, to: IoBuffer, flags: number): Received;
  /** POLL* that hold. */
  poll(k: Kernel, socket: Socket): number;
  /** FIONREAD; -EINVAL for a listener. */
  readableBytes(socket: Socket): number;
  /** TIOCOUTQ: sent, not yet read. */
  sentBytes(socket: Socket): number;
  /** Options of levels other than SOL_SOCKET, as getOption() and setOption() there. */
  getOption(socket: Socket, level: number, name: number): Uint8Array | number;
  setOption(
    k: Kernel, socket: Socket, level: number, name: number, gva: number, bytes: number,
  ): number;
  /** Its file is gone. */
  close(k: Kernel, socket: Socket): void;
}

const families: Map<number, SocketFamily> = new Map();

/** Declares the family of a domain (AF_*). */
export function defineSocketFamily(domain: number, family: SocketFamily): void {
  families.set(domain, family);
}

/** The family of a domain; undefined: -EAFNOSUPPORT. */
export function findFamily(domain: number): SocketFamily | undefined {
  return families.get(domain);
}

/** The family of a socket. */
export function familyOf(socket: Socket): SocketFamily {
  const family = families.get(socket.domain);
  if (family === undefined) throw new Error('a socket of an unknown domain');
  return family;
}

/** A receive that gives nothing. */
export function nothing(result: number): Received {
  return { result, flags: 0, name: null, files: [] };
}

/** What families without options of their own say. */
export function noOptions(): number {
  return -EOPNOTSUPP;
}
