// AF_UNIX as a family of sockets.
import {
  EAGAIN, EINVAL, EISCONN, ENOTCONN, EOPNOTSUPP, EPROTONOSUPPORT, ESOCKTNOSUPPORT,
} from '../../abi/errno.ts';
import {
  POLLERR, POLLHUP, POLLIN, POLLOUT, POLLRDHUP, POLLRDNORM, POLLWRBAND, POLLWRNORM,
} from '../../abi/poll.ts';
import {
  AF_UNIX, SOCK_DGRAM, SOCK_RAW, SOCK_SEQPACKET, SOCK_STREAM, TCP_CLOSE, TCP_ESTABLISHED,
  TCP_LISTEN,
} from '../../abi/socket.ts';
import type { Kernel } from '../kernel.ts';
import type { Socket } from '../records/ipc.ts';
import type { Task } from '../records/task.ts';
import type { File } from '../records/vfs.ts';
import {
  closeSocket, isConnectionBased, isQueueFull, makeSocket, SHUTDOWN_BOTH, SHUTDOWN_RECEIVE,
} from './socket.ts';
import { acceptFrom, connectTo, disconnect, listenOn, shutDown } from './socket-connect.ts';
import {
  defineSocketFamily, type Destination, noOptions, type SocketType,
} from './socket-family.ts';
import {
  bindSocket, encodeAddress, encodeSender, findSocket, isUnspecified, nameOf,
} from './socket-name.ts';
import { timeoutOf } from './socket-options.ts';
import { isWritable, sentBytes } from './socket-queue.ts';
import { receive } from './socket-receive.ts';
import { send, sendWaitsFor } from './socket-send.ts';
import { isNonBlocking } from './socket-transfer.ts';
import { waitInQueue } from './wait-timeout.ts';

/** Linux: unix_create. */
function checkType(type: number, protocol: number): SocketType | number {
  if (protocol !== 0 && protocol !== AF_UNIX) return -EPROTONOSUPPORT;
  switch (type) {
    case SOCK_STREAM:
    case SOCK_DGRAM:
    case SOCK_SEQPACKET: return { type, protocol };
    case SOCK_RAW: return { type: SOCK_DGRAM, protocol };
    default: return -ESOCKTNOSUPPORT;
  }
}

function connect(k: Kernel, task: Task, file: File, socket: Socket, raw: Uint8Array): number {
  if (!isConnectionBased(socket) && isUnspecified(raw)) {
    disconnect(k, socket);
    return 0;
  }
  const other = findSocket(k, task.process, raw, socket.type);
  if (typeof other === 'number') return other;
  const result = connectTo(k, socket, other);
  if (result !== -EAGAIN || isNonBlocking(file, 0)) return result;
  return waitInQueue(k, task, other.queue, timeoutOf(socket.sendTimeoutNs));
}

function resolve(
  k: Kernel,
  task: Task,
  socket: Socket,
  raw: Uint8Array | null,
): Socket | null | number {
  if (raw === null || raw.length === 0) return null;
  if (socket.type === SOCK_STREAM) {
    return socket.state === TCP_ESTABLISHED ? -EISCONN : -EOPNOTSUPP;
  }
  // Linux: unix_seqpacket_sendmsg does not look at the address.
  return socket.type === SOCK_DGRAM ? findSocket(k, task.process, raw, socket.type) : null;
}

/** Destinations of this family are sockets: resolve() makes no others. */
function asSocket(to: Destination): Socket | null {
  return to instanceof Uint8Array ? null : to;
}

function poll(_k: Kernel, socket: Socket): number {
  let mask = 0;
  if (socket.error !== 0) mask |= POLLERR;
  if (socket.shutdown === SHUTDOWN_BOTH) mask |= POLLHUP;
  if ((socket.shutdown & SHUTDOWN_RECEIVE) !== 0) mask |= POLLRDHUP | POLLIN | POLLRDNORM;
  if (socket.firstMessage !== null || socket.firstPending !== null) mask |= POLLIN | POLLRDNORM;
  if (isConnectionBased(socket) && socket.state === TCP_CLOSE) mask |= POLLHUP;
  if (canSend(socket)) mask |= POLLOUT | POLLWRNORM | POLLWRBAND;
  return mask;
}

function canSend(socket: Socket): boolean {
  if (socket.state === TCP_LISTEN || !isWritable(socket)) return false;
  const { peer, type } = socket;
  return type !== SOCK_DGRAM || peer === null || peer.peer === socket || !isQueueFull(peer);
}

/** Linux: unix_inq_len: all bytes of a connection, the first message of a datagram socket. */
function readableBytes(socket: Socket): number {
  if (socket.state === TCP_LISTEN) return -EINVAL;
  const first = socket.firstMessage;
  if (socket.type === SOCK_DGRAM) return first === null ? 0 : first.data.length;
  let bytes = 0;
  for (let message = first; message !== null; message = message.next) {
    bytes += message.data.length - message.consumed;
  }
  return bytes;
}

defineSocketFamily(AF_UNIX, {
  check: checkType,
  make: (k, _domain, { type, protocol }) => {
    const socket = makeSocket(k, type);
    socket.protocol = protocol;
    return socket;
  },
  hasPairs: true,
  bind: bindSocket,
  listen: listenOn,
  connect,
  accept: acceptFrom,
  shutdown: shutDown,
  name: (socket) => encodeAddress(nameOf(socket)),
  peerName: ({ peer }) => peer === null ? -ENOTCONN : encodeAddress(nameOf(peer)),
  senderName: (_socket, name) => encodeSender(name),
  resolve,
  send: (k, socket, from, to, files) => send(k, socket, from, asSocket(to), files),
  sendWaitsFor: (socket, to) => sendWaitsFor(socket, asSocket(to)),
  receive,
  poll,
  readableBytes,
  sentBytes,
  getOption: noOptions,
  setOption: noOptions,
  close: (k, socket) => { closeSocket(k, socket, false); },
});
