// listen(2), connect(2), accept(2), shutdown(2) on AF_UNIX sockets: one attempt, without waiting.
import {
  EAGAIN, ECONNREFUSED, EINVAL, EISCONN, EOPNOTSUPP, EPERM,
} from '../../abi/errno.ts';
import { POLLIN, POLLRDNORM } from '../../abi/poll.ts';
import { SOMAXCONN, TCP_CLOSE, TCP_ESTABLISHED, TCP_LISTEN } from '../../abi/socket.ts';
import type { Kernel } from '../kernel.ts';
import type { Socket } from '../records/ipc.ts';
import { wake } from '../task/block.ts';
import { wakeFor } from './epoll-ready.ts';
import {
  appendPending, connectPair, isConnectionBased, isQueueFull, makeSocket, setPeer, SHUTDOWN_RECEIVE,
  SHUTDOWN_SEND, takePending,
} from './socket.ts';
import { copyRounded } from './socket-queue.ts';

/** listen(2): 0, -EOPNOTSUPP for datagrams, -EINVAL when it has no name or is connected. */
export function listenOn(k: Kernel, socket: Socket, backlog: number): number {
  if (!isConnectionBased(socket)) return -EOPNOTSUPP;
  if (socket.name === null) return -EINVAL;
  if (socket.state !== TCP_CLOSE && socket.state !== TCP_LISTEN) return -EINVAL;
  // Linux: as unsigned, so that a negative backlog is the largest.
  socket.backlog = Math.min(backlog >>> 0, SOMAXCONN);
  socket.state = TCP_LISTEN;
  wake(k, socket.queue);
  return 0;
}

/**
 * Connects to a socket that an address led to.
 * @returns 0, -EAGAIN to wait in the listener's queue, -ECONNREFUSED, -EISCONN, -EINVAL, -EPERM
 */
export function connectTo(k: Kernel, socket: Socket, other: Socket): number {
  if (!isConnectionBased(socket)) return connectDatagram(k, socket, other);
  if (other.state !== TCP_LISTEN || (other.shutdown & SHUTDOWN_RECEIVE) !== 0) {
    return -ECONNREFUSED;
  }
  if (isQueueFull(other)) return -EAGAIN;
  if (socket.state === TCP_ESTABLISHED) return -EISCONN;
  if (socket.state !== TCP_CLOSE) return -EINVAL;
  const connection = makeSocket(k, socket.type);
  if (other.name !== null) connection.name = copyRounded(k, other.name.data);
  connection.sendLimit = other.sendLimit;
  connectPair(k, socket, connection);
  appendPending(other, connection);
  // Writers of the new connection were not ready before.
  wake(k, socket.queue);
  wakeFor(k, other.queue, POLLIN | POLLRDNORM);
  return 0;
}

function connectDatagram(k: Kernel, socket: Socket, other: Socket): number {
  if (other.peer !== null && other.peer !== socket) return -EPERM;
  setPeer(k, socket, other);
  return 0;
}

/** Forgets where datagrams go by default: connect(2) to AF_UNSPEC. */
export function disconnect(k: Kernel, socket: Socket): void {
  setPeer(k, socket, null);
  wake(k, socket.queue);
}

/** The next connection of a listener, or -EOPNOTSUPP, -EINVAL, -EAGAIN to wait in its queue. */
export function acceptFrom(k: Kernel, listener: Socket): Socket | number {
  if (!isConnectionBased(listener)) return -EOPNOTSUPP;
  if (listener.state !== TCP_LISTEN) return -EINVAL;
  const connection = takePending(listener);
  if (connection === null) {
    return (listener.shutdown & SHUTDOWN_RECEIVE) !== 0 ? -EINVAL : -EAGAIN;
  }
  // Connects that wait for room in the backlog wait here.
  wake(k, listener.queue);
  return connection;
}

/** shutdown(2); `how` is SHUT_RD, SHUT_WR or SHUT_RDWR. Linux: AF_UNIX does so unconnected, too. */
export function shutDown(k: Kernel, socket: Socket, how: number): number {
  if (how < 0 || how > 2) return -EINVAL;
  const bits = how + 1;
  socket.shutdown |= bits;
  const { peer } = socket;
  if (peer !== null && isConnectionBased(socket) && !peer.isClosed) {
    if ((bits & SHUTDOWN_RECEIVE) !== 0) peer.shutdown |= SHUTDOWN_SEND;
    if ((bits & SHUTDOWN_SEND) !== 0) peer.shutdown |= SHUTDOWN_RECEIVE;
    wake(k, peer.queue);
  }
  wake(k, socket.queue);
  return 0;
}
