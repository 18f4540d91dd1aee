// AF_NETLINK as a family of sockets: NETLINK_ROUTE, as far as programs ask it about interfaces. The
// kernel answers at once: what is sent is a request, and the answers lie in the sender's queue.
import {
  ECONNREFUSED, EFAULT, EINVAL, EMSGSIZE, ENOBUFS, EOPNOTSUPP, EPROTONOSUPPORT, ESOCKTNOSUPPORT,
} from '../../abi/errno.ts';
import { AF_NETLINK, SOCK_DGRAM, SOCK_RAW, TCP_CLOSE } from '../../abi/socket.ts';
import { SockaddrNl } from '../../abi/struct-socket.ts';
import { closeDatagram, pollDatagram, receiveDatagram } from '../inet/datagram.ts';
import { makeSocket } from '../ipc/socket.ts';
import {
  defineSocketFamily, type Destination, type SocketFamily, type SocketType,
} from '../ipc/socket-family.ts';
import { appendBytes, costOf } from '../ipc/socket-queue.ts';
import type { Kernel } from '../kernel.ts';
import type { Socket } from '../records/ipc.ts';
import type { Process, Task } from '../records/task.ts';
import { makeBytes } from '../state/containers.ts';
import type { IoBuffer } from '../vfs/file-ops.ts';
import { answerRoute } from './route.ts';

const NETLINK_ROUTE = 0;
const REQUEST_BYTES_MOST = 32_768;
const SOL_NETLINK = 270;
/** The kernel's own address, which answers come from. */
const KERNEL_NAME: Uint8Array = encodeName(0, 0);

function encodeName(port: number, groups: number): Uint8Array {
  const raw = new Uint8Array(SockaddrNl.bytes);
  const view = new DataView(raw.buffer);
  SockaddrNl.nl_family.set(view, 0, AF_NETLINK);
  SockaddrNl.nl_pid.set(view, 0, port);
  SockaddrNl.nl_groups.set(view, 0, groups);
  return raw;
}

function parseName(raw: Uint8Array): { port: number; groups: number } | number {
  if (raw.length < SockaddrNl.bytes) return -EINVAL;
  const view = new DataView(raw.buffer, raw.byteOffset, raw.length);
  if (SockaddrNl.nl_family.get(view, 0) !== AF_NETLINK) return -EINVAL;
  return { port: SockaddrNl.nl_pid.get(view, 0), groups: SockaddrNl.nl_groups.get(view, 0) };
}

function checkType(type: number, protocol: number): SocketType | number {
  if (type !== SOCK_RAW && type !== SOCK_DGRAM) return -ESOCKTNOSUPPORT;
  return protocol === NETLINK_ROUTE ? { type, protocol } : -EPROTONOSUPPORT;
}

function make(k: Kernel, domain: number, { type, protocol }: SocketType): Socket {
  const socket = makeSocket(k, type);
  socket.domain = domain;
  socket.protocol = protocol;
  return socket;
}

/** nl_pid 0 stands for one that the kernel chooses: the process's id, as far as it is free. */
function bind(k: Kernel, process: Process, socket: Socket, raw: Uint8Array): number {
  const wanted = parseName(raw);
  if (typeof wanted === 'number') return wanted;
  const own = portOf(socket);
  if (own !== 0 && wanted.port !== 0 && wanted.port !== own) return -EINVAL;
  setName(k, socket, wanted.port || own || process.pid, wanted.groups);
  return 0;
}

function setName(k: Kernel, socket: Socket, port: number, groups: number): void {
  if (socket.name !== null) k.arena.free(socket.name);
  socket.name = makeBytes(k.arena, encodeName(port, groups));
}

function portOf({ name }: Socket): number {
  if (name === null) return 0;
  const { data } = name;
  return SockaddrNl.nl_pid.get(new DataView(data.buffer, data.byteOffset, data.length), 0);
}

/** Only the kernel can be reached. */
function resolve(
  _k: Kernel, task: Task, socket: Socket, raw: Uint8Array | null,
): Destination | number {
  if (raw !== null && raw.length > 0) {
    const to = parseName(raw);
    if (typeof to === 'number') return to;
    if (to.port !== 0) return -ECONNREFUSED;
  }
  if (socket.name === null) setName(_k, socket, task.process.pid, 0);
  return null;
}

function send(k: Kernel, socket: Socket, from: IoBuffer): number {
  const bytes = from.remaining;
  if (bytes > REQUEST_BYTES_MOST) return -EMSGSIZE;
  const request = new Uint8Array(bytes);
  if (from.take(request) < bytes) return -EFAULT;
  for (const answer of answerRoute(request, portOf(socket))) {
    if (socket.queuedBytes + costOf(answer.length) > socket.receiveLimit) {
      socket.error = ENOBUFS;
      break;
    }
    appendBytes(k, socket, answer, KERNEL_NAME);
  }
  return bytes;
}

const netlink: SocketFamily = {
  check: checkType,
  make,
  hasPairs: false,
  bind,
  listen: () => -EOPNOTSUPP,
  connect: (k, task, _file, socket, raw) => {
    const to = parseName(raw);
    if (typeof to === 'number') return to;
    if (socket.name === null) setName(k, socket, task.process.pid, 0);
    return to.port === 0 ? 0 : -ECONNREFUSED;
  },
  accept: () => -EOPNOTSUPP,
  shutdown: () => -EOPNOTSUPP,
  name: ({ name }) => name?.data.slice() ?? KERNEL_NAME,
  peerName: () => KERNEL_NAME,
  senderName: (_socket, name) => name ?? KERNEL_NAME,
  resolve,
  send: (k, socket, from) => send(k, socket, from),
  sendWaitsFor: (socket) => socket,
  receive: receiveDatagram,
  poll: pollDatagram,
  readableBytes: (socket) => socket.firstMessage?.data.length ?? 0,
  sentBytes: () => 0,
  getOption: () => -EOPNOTSUPP,
  // Acknowledgements, groups and such: nothing ever changes that could be told of.
  setOption: (_k, _socket, level) => level === SOL_NETLINK ? 0 : -EOPNOTSUPP,
  close: (k, socket) => {
    socket.state = TCP_CLOSE;
    closeDatagram(k, socket);
  },
};

defineSocketFamily(AF_NETLINK, netlink);
