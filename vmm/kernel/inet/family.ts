// AF_INET and AF_INET6 as families of sockets: TCP and UDP between sockets of the sandbox.
import {
  EAFNOSUPPORT, EINVAL, ENOTCONN, EOPNOTSUPP, EPERM, EPROTONOSUPPORT, ESOCKTNOSUPPORT,
} from '../../abi/errno.ts';
import {
  AF_INET, AF_INET6, AF_UNSPEC, IPPROTO_IP, IPPROTO_TCP, IPPROTO_UDP, SOCK_DGRAM, SOCK_RAW,
  SOCK_STREAM, TCP_CLOSE, TCP_SYN_SENT,
} from '../../abi/socket.ts';
import { makeSocket } from '../ipc/socket.ts';
import {
  defineSocketFamily, type Destination, type SocketFamily, type SocketType,
} from '../ipc/socket-family.ts';
import type { Kernel } from '../kernel.ts';
import type { Socket } from '../records/ipc.ts';
import type { Process, Task } from '../records/task.ts';
import {
  closeDatagram, connectDatagram, pollDatagram, receiveDatagram, sendDatagram, shutDownDatagram,
} from './datagram.ts';
import {
  anyEndpoint, encodeEndpoint, familyIn, isAny, isMapped, parseDestination, parseEndpoint,
} from './endpoint.ts';
import { getInetOption, isV6Only, setInetOption } from './options.ts';
import { claim } from './ports.ts';
import {
  acceptStream, closeStream, connectStream, listenStream, shutDownStream,
} from './stream.ts';
import {
  pollStream, readableStreamBytes, receiveStream, sendStream, sentStreamBytes,
} from './stream-transfer.ts';

/** Linux: the middle of net.ipv4.tcp_wmem and tcp_rmem. */
const TCP_SEND_BYTES = 16_384;
const TCP_RECEIVE_BYTES = 131_072;

/** Linux: inet_create. */
function checkType(type: number, protocol: number): SocketType | number {
  switch (type) {
    case SOCK_STREAM:
      if (protocol !== IPPROTO_IP && protocol !== IPPROTO_TCP) return -EPROTONOSUPPORT;
      return { type, protocol: IPPROTO_TCP };
    case SOCK_DGRAM:
      if (protocol !== IPPROTO_IP && protocol !== IPPROTO_UDP) return -EPROTONOSUPPORT;
      return { type, protocol: IPPROTO_UDP };
    case SOCK_RAW:
      if (protocol === IPPROTO_IP) return -EPROTONOSUPPORT;
      // The sandbox gives nobody CAP_NET_RAW.
      return -EPERM;
    default:
      return -ESOCKTNOSUPPORT;
  }
}

function make(k: Kernel, domain: number, { type, protocol }: SocketType): Socket {
  const socket = makeSocket(k, type);
  socket.domain = domain;
  socket.protocol = protocol;
  if (type === SOCK_STREAM) {
    socket.sendLimit = TCP_SEND_BYTES;
    socket.receiveLimit = TCP_RECEIVE_BYTES;
    socket.backlog = 0;
  }
  return socket;
}

function isStream(socket: Socket): boolean {
  return socket.type === SOCK_STREAM;
}

/** bind(2). Linux: __inet_bind, inet6_bind. */
function bind(k: Kernel, process: Process, socket: Socket, raw: Uint8Array): number {
  const endpoint = parseBind(socket, raw);
  if (typeof endpoint === 'number') return endpoint;
  if (isMapped(endpoint) && isV6Only(socket)) return -EINVAL;
  if (socket.name !== null || socket.state !== TCP_CLOSE) return -EINVAL;
  const result = claim(k, process, socket, endpoint);
  if (result === 0) socket.isBound = true;
  return result;
}

/** As parseEndpoint(); AF_INET sockets also take 0.0.0.0 as AF_UNSPEC. */
function parseBind(socket: Socket, raw: Uint8Array): Uint8Array | number {
  if (socket.domain !== AF_INET || familyIn(raw) !== AF_UNSPEC || raw.length < 16) {
    return parseEndpoint(socket.domain, raw);
  }
  const asInet = raw.slice();
  asInet[0] = AF_INET;
  const endpoint = parseEndpoint(AF_INET, asInet);
  return typeof endpoint !== 'number' && isAny(endpoint) ? endpoint : -EAFNOSUPPORT;
}

function name(socket: Socket): Uint8Array {
  return encodeEndpoint(socket.domain, socket.name?.data ?? anyEndpoint(socket.domain, 0));
}

function peerName(socket: Socket): Uint8Array | number {
  const { remote, state } = socket;
  if (remote === null) return -ENOTCONN;
  if (state === TCP_CLOSE || state === TCP_SYN_SENT) return -ENOTCONN;
  return encodeEndpoint(socket.domain, remote.data);
}

/** Linux: TCP does not look at an address. */
function resolve(
  _k: Kernel, _task: Task, socket: Socket, raw: Uint8Array | null,
): Destination | number {
  if (raw === null || raw.length === 0 || isStream(socket)) return null;
  return parseDestination(socket.domain, raw);
}

function asEndpoint(to: Destination): Uint8Array | null {
  return to instanceof Uint8Array ? to : null;
}

const inet: SocketFamily = {
  check: checkType,
  make,
  hasPairs: false,
  bind,
  listen: (k, socket, backlog) =>
    isStream(socket) ? listenStream(k, socket, backlog) : -EOPNOTSUPP,
  connect: (k, task, file, socket, raw) =>
    isStream(socket)
      ? connectStream(k, task, file, socket, raw)
      : connectDatagram(k, socket, raw),
  accept: (k, listener) => isStream(listener) ? acceptStream(k, listener) : -EOPNOTSUPP,
  shutdown: (k, socket, how) =>
    isStream(socket) ? shutDownStream(k, socket, how) : shutDownDatagram(k, socket, how),
  name,
  peerName,
  senderName: (socket, sender) =>
    sender === null ? new Uint8Array(0) : encodeEndpoint(socket.domain, sender),
  resolve,
  send: (k, socket, from, to) =>
    isStream(socket)
      ? sendStream(k, socket, from)
      : sendDatagram(k, socket, from, asEndpoint(to)),
  sendWaitsFor: (socket) => socket,
  receive: (k, socket, to, flags) =>
    isStream(socket)
      ? receiveStream(k, socket, to, flags)
      : receiveDatagram(k, socket, to, flags),
  poll: (k, socket) => isStream(socket) ? pollStream(k, socket) : pollDatagram(k, socket),
  readableBytes: (socket) =>
    isStream(socket) ? readableStreamBytes(socket) : socket.firstMessage?.data.length ?? 0,
  sentBytes: (socket) => isStream(socket) ? sentStreamBytes(socket) : 0,
  getOption: getInetOption,
  setOption: setInetOption,
  close: (k, socket) => {
    if (isStream(socket)) closeStream(k, socket);
    else closeDatagram(k, socket);
  },
};

defineSocketFamily(AF_INET, inet);
defineSocketFamily(AF_INET6, inet);
