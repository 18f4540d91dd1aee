// Sending and receiving with waiting: what send(2), recv(2) and their relatives have in common.
// Each function is executed again from the start after BLOCKED; bytes done so far are in
// task.waitProgress.
import { EAGAIN, EPIPE } from '../../abi/errno.ts';
import { O_NONBLOCK } from '../../abi/fcntl.ts';
import { SI_USER, SIGPIPE } from '../../abi/signal.ts';
import {
  MSG_DONTWAIT, MSG_NOSIGNAL, MSG_PEEK, MSG_WAITALL, SOCK_DGRAM, SOCK_STREAM,
} from '../../abi/socket.ts';
import type { Kernel } from '../kernel.ts';
import type { Socket } from '../records/ipc.ts';
import type { Task } from '../records/task.ts';
import type { File } from '../records/vfs.ts';
import { makeInfo, sendSignalToTask } from '../signal/pending.ts';
import { BLOCKED } from '../syscalls/define.ts';
import type { IoBuffer } from '../vfs/file-ops.ts';
import { SHUTDOWN_RECEIVE } from './socket.ts';
import { type Destination, familyOf, type Received } from './socket-family.ts';
import { timeoutOf } from './socket-options.ts';
import { waitInQueue } from './wait-timeout.ts';

/** Whether a call on `file` with MSG_* `flags` does not wait. */
export function isNonBlocking(file: File, flags: number): boolean {
  return (file.flags & O_NONBLOCK) !== 0 || (flags & MSG_DONTWAIT) !== 0;
}

/**
 * Sends all of `from`, which begins at task.waitProgress bytes of the call's data.
 * @param to for datagrams; null for the peer
 * @param files for the first byte
 * @returns bytes sent in all, BLOCKED, or -errno
 */
export function sendAll(
  k: Kernel,
  task: Task,
  file: File,
  socket: Socket,
  from: IoBuffer,
  to: Destination,
  files: readonly File[],
  flags: number,
): number {
  const before = task.waitProgress;
  const family = familyOf(socket);
  const result = family.send(k, socket, from, to, before > 0 ? [] : files);
  const done = before + Math.max(0, result);
  if (result < 0 && result !== -EAGAIN) {
    if (done > 0) return done;
    if (result === -EPIPE) sendBrokenPipe(k, task, socket, flags);
    return result;
  }
  const isComplete = result >= 0 && (socket.type !== SOCK_STREAM || from.remaining === 0);
  if (isComplete) return done;
  if (isNonBlocking(file, flags)) return done > 0 ? done : -EAGAIN;
  task.waitProgress = done;
  const { queue } = family.sendWaitsFor(socket, to);
  const waits = waitInQueue(k, task, queue, timeoutOf(socket.sendTimeoutNs));
  return waits === BLOCKED || done === 0 ? waits : done;
}

/** Linux: only streams send SIGPIPE. */
function sendBrokenPipe(k: Kernel, task: Task, socket: Socket, flags: number): void {
  if (socket.type !== SOCK_STREAM || (flags & MSG_NOSIGNAL) !== 0) return;
  const { pid, uid } = task.process;
  sendSignalToTask(k, task, makeInfo(SIGPIPE, SI_USER, pid, uid));
}

/**
 * Receives into `to`, which begins at task.waitProgress bytes of the call's buffer.
 * @returns as receive(), but `result` is the sum of all executions, or BLOCKED
 */
export function receiveAll(
  k: Kernel,
  task: Task,
  file: File,
  socket: Socket,
  to: IoBuffer,
  flags: number,
): Received {
  const before = task.waitProgress;
  const received = familyOf(socket).receive(k, socket, to, flags);
  if (received.result > 0) {
    received.result += before;
    const wantsAll = (flags & MSG_WAITALL) !== 0 && (flags & MSG_PEEK) === 0;
    const isStream = socket.type === SOCK_STREAM;
    if (!wantsAll || !isStream || to.remaining === 0 || received.files.length > 0) return received;
    if (isNonBlocking(file, flags)) return received;
    task.waitProgress = received.result;
    return receiveAll(k, task, file, socket, to, flags);
  }
  const { result } = received;
  if (result === -EAGAIN && !isNonBlocking(file, flags)) {
    received.result = waitToReceive(k, task, socket);
  }
  if (received.result !== BLOCKED && before > 0) received.result = before;
  return received;
}

function waitToReceive(k: Kernel, task: Task, socket: Socket): number {
  // Linux: only those who would wait see the end of a datagram socket shut down for reading.
  if (socket.type === SOCK_DGRAM && (socket.shutdown & SHUTDOWN_RECEIVE) !== 0) return 0;
  return waitInQueue(k, task, socket.queue, timeoutOf(socket.receiveTimeoutNs));
}
