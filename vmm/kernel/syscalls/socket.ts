// Sockets: AF_UNIX only. Making, naming, connecting; sending and receiving; options.
//
// What waits is executed again from the start: addresses are resolved anew, bytes done are in
// task.waitProgress, messages done (sendmmsg, recvmmsg) in task.waitArgument.
import {
  EAFNOSUPPORT, EAGAIN, EBADF, EFAULT, EINVAL, ENOTCONN, ENOTSOCK, EOPNOTSUPP, EPROTONOSUPPORT,
  ESOCKTNOSUPPORT,
} from '../../abi/errno.ts';
import { IOV_MAX, MAX_RW_COUNT } from '../../abi/limits.ts';
import {
  AF_INET, AF_INET6, AF_UNIX, MSG_DONTWAIT, MSG_OOB, MSG_WAITFORONE, SOCK_CLOEXEC, SOCK_DGRAM,
  SOCK_NONBLOCK, SOCK_PACKET, SOCK_RAW, SOCK_SEQPACKET, SOCK_STREAM, SOCK_TYPE_MASK, SOL_SOCKET,
} from '../../abi/socket.ts';
import { Mmsghdr } from '../../abi/struct-socket.ts';
import { installOrDrop, installPair } from '../ipc/anon-file.ts';
import { receiveMessage, resolveAddress, sendMessage } from '../ipc/message-calls.ts';
import {
  acceptFrom, connectTo, disconnect, listenOn, shutDown,
} from '../ipc/socket-connect.ts';
import { makeSocketFile } from '../ipc/socket-file.ts';
import {
  bindSocket, encodeAddress, encodeSender, findSocket, isUnspecified, nameOf, readAddress,
  writeAddress,
} from '../ipc/socket-name.ts';
import { getOption, setOption, timeoutOf } from '../ipc/socket-options.ts';
import { dropFiles } from '../ipc/socket-queue.ts';
import { isNonBlocking, receiveAll, sendAll } from '../ipc/socket-transfer.ts';
import { connectPair, isConnectionBased, makeSocket, socketOf } from '../ipc/socket.ts';
import { waitInQueue } from '../ipc/wait-timeout.ts';
import type { Kernel } from '../kernel.ts';
import { copyOut, isOutOfRange, readStruct, readU64, writeU32 } from '../mm/user-memory.ts';
import type { Socket } from '../records/ipc.ts';
import type { Task } from '../records/task.ts';
import type { File } from '../records/vfs.ts';
import { nowNs, toNs } from '../time/clock.ts';
import { userBuffer } from '../vfs/io-buffer.ts';
import { closeFd, installFd } from '../vfs/fd-table.ts';
import { dropFile, getFile, holdFile } from '../vfs/file.ts';
import type { Args } from './args.ts';
import { BLOCKED, type Family, full, partial } from './define.ts';

interface OpenSocket {
  file: File;
  socket: Socket;
}

/** The socket behind a descriptor: -EBADF, -ENOTSOCK. */
function getSocket(task: Task, fd: number): OpenSocket | number {
  const file = getFile(task, fd);
  if (file === null) return -EBADF;
  const socket = socketOf(file);
  return socket === null ? -ENOTSOCK : { file, socket };
}

// Making

function socket(k: Kernel, task: Task, a: Args): number {
  const type = a.i32(1);
  const kind = checkType(a.i32(0), type, a.i32(2));
  if (kind < 0) return kind;
  const made = makeSocket(k, kind);
  made.protocol = a.i32(2);
  const file = makeSocketFile(k, made, type & SOCK_NONBLOCK);
  return installOrDrop(k, task, file, (type & SOCK_CLOEXEC) !== 0);
}

/** Linux: __sock_create, then unix_create. The SOCK_* to use, or -errno. */
function checkType(domain: number, type: number, protocol: number): number {
  if ((type & ~(SOCK_TYPE_MASK | SOCK_CLOEXEC | SOCK_NONBLOCK)) !== 0) return -EINVAL;
  const kind = type & SOCK_TYPE_MASK;
  if (kind > SOCK_PACKET) return -EINVAL;
  if (domain !== AF_UNIX) return -EAFNOSUPPORT;
  if (protocol !== 0 && protocol !== AF_UNIX) return -EPROTONOSUPPORT;
  switch (kind) {
    case SOCK_STREAM:
    case SOCK_DGRAM:
    case SOCK_SEQPACKET: return kind;
    case SOCK_RAW: return SOCK_DGRAM;
    default: return -ESOCKTNOSUPPORT;
  }
}

function socketpair(k: Kernel, task: Task, a: Args): number {
  const domain = a.i32(0);
  const type = a.i32(1);
  const kind = checkType(domain, type, a.i32(2));
  // Linux: other families have no pairs.
  const isInternet = domain === AF_INET || domain === AF_INET6;
  if (kind === -EAFNOSUPPORT && isInternet) return -EOPNOTSUPP;
  if (kind < 0) return kind;
  const first = makeSocket(k, kind);
  const second = makeSocket(k, kind);
  connectPair(k, first, second);
  const flags = type & SOCK_NONBLOCK;
  const files = [makeSocketFile(k, first, flags), makeSocketFile(k, second, flags)] as const;
  return installPair(k, task.process, files, (type & SOCK_CLOEXEC) !== 0, a.u64(3));
}

// Naming and connecting

function bind(k: Kernel, task: Task, a: Args): number {
  const open = getSocket(task, a.i32(0));
  if (typeof open === 'number') return open;
  const raw = readAddress(k, a.u64(1), a.i32(2));
  return typeof raw === 'number' ? raw : bindSocket(k, task.process, open.socket, raw);
}

function listen(k: Kernel, task: Task, a: Args): number {
  const open = getSocket(task, a.i32(0));
  return typeof open === 'number' ? open : listenOn(k, open.socket, a.i32(1));
}

function connect(k: Kernel, task: Task, a: Args): number {
  const file = getFile(task, a.i32(0));
  if (file === null) return -EBADF;
  const raw = readAddress(k, a.u64(1), a.i32(2));
  if (typeof raw === 'number') return raw;
  const from = socketOf(file);
  if (from === null) return -ENOTSOCK;
  if (!isConnectionBased(from) && isUnspecified(raw)) {
    disconnect(k, from);
    return 0;
  }
  const other = findSocket(k, task.process, raw, from.type);
  if (typeof other === 'number') return other;
  const result = connectTo(k, from, other);
  if (result !== -EAGAIN || isNonBlocking(file, 0)) return result;
  return waitInQueue(k, task, other.queue, timeoutOf(from.sendTimeoutNs));
}

function accept(k: Kernel, task: Task, a: Args): number {
  return acceptWith(k, task, a, 0);
}

function accept4(k: Kernel, task: Task, a: Args): number {
  return acceptWith(k, task, a, a.i32(3));
}

function acceptWith(k: Kernel, task: Task, a: Args, flags: number): number {
  const open = getSocket(task, a.i32(0));
  if (open === -EBADF) return open;
  if ((flags & ~(SOCK_CLOEXEC | SOCK_NONBLOCK)) !== 0) return -EINVAL;
  if (typeof open === 'number') return open;
  // Order: without a free descriptor the connection stays in the backlog.
  const probe = installFd(k, task.process, holdFile(open.file));
  if (probe < 0) {
    dropFile(k, open.file);
    return probe;
  }
  closeFd(k, task.process, probe);
  const connection = acceptFrom(k, open.socket);
  if (connection === -EAGAIN && !isNonBlocking(open.file, 0)) {
    return waitInQueue(k, task, open.socket.queue, timeoutOf(open.socket.receiveTimeoutNs));
  }
  if (typeof connection === 'number') return connection;
  const file = makeSocketFile(k, connection, flags & SOCK_NONBLOCK);
  const fd = installOrDrop(k, task, file, (flags & SOCK_CLOEXEC) !== 0);
  if (fd < 0 || a.u64(1) === 0) return fd;
  const raw = encodeAddress(nameOf(connection.peer));
  const written = writeAddress(k, raw, a.u64(1), a.u64(2));
  if (written < 0) closeFd(k, task.process, fd);
  return written < 0 ? written : fd;
}

function shutdown(k: Kernel, task: Task, a: Args): number {
  const open = getSocket(task, a.i32(0));
  return typeof open === 'number' ? open : shutDown(k, open.socket, a.i32(1));
}

function getsockname(k: Kernel, task: Task, a: Args): number {
  const open = getSocket(task, a.i32(0));
  if (typeof open === 'number') return open;
  return writeAddress(k, encodeAddress(nameOf(open.socket)), a.u64(1), a.u64(2));
}

function getpeername(k: Kernel, task: Task, a: Args): number {
  const open = getSocket(task, a.i32(0));
  if (typeof open === 'number') return open;
  const { peer } = open.socket;
  if (peer === null) return -ENOTCONN;
  return writeAddress(k, encodeAddress(nameOf(peer)), a.u64(1), a.u64(2));
}

// Sending and receiving

/** Linux: import_ubuf, before the descriptor is looked at. */
function isBadBuffer(a: Args): boolean {
  return isOutOfRange(a.u64(1), Math.min(a.u64(2), MAX_RW_COUNT));
}

function sendto(k: Kernel, task: Task, a: Args): number {
  if (isBadBuffer(a)) return -EFAULT;
  const open = getSocket(task, a.i32(0));
  if (typeof open === 'number') return open;
  const flags = a.u32(3);
  const addressGva = a.u64(4);
  let raw: Uint8Array | null = null;
  if (addressGva !== 0) {
    const address = readAddress(k, addressGva, a.i32(5));
    if (typeof address === 'number') return address;
    raw = address;
  }
  if ((flags & MSG_OOB) !== 0) return -EOPNOTSUPP;
  const receiver = resolveAddress(k, task, open.socket, raw);
  if (typeof receiver === 'number') return receiver;
  const done = task.waitProgress;
  const from = userBuffer(k, a.u64(1) + done, Math.max(0, a.u64(2) - done));
  return sendAll(k, task, open.file, open.socket, from, receiver, [], flags);
}

function recvfrom(k: Kernel, task: Task, a: Args): number {
  if (isBadBuffer(a)) return -EFAULT;
  const open = getSocket(task, a.i32(0));
  if (typeof open === 'number') return open;
  const flags = a.u32(3);
  if ((flags & MSG_OOB) !== 0) return -EOPNOTSUPP;
  const done = task.waitProgress;
  const to = userBuffer(k, a.u64(1) + done, Math.max(0, a.u64(2) - done));
  const received = receiveAll(k, task, open.file, open.socket, to, flags);
  dropFiles(k, received.files);
  if (received.result < 0 || a.u64(4) === 0) return received.result;
  const written = writeAddress(k, encodeSender(received.name), a.u64(4), a.u64(5));
  return written < 0 ? written : received.result;
}

function sendmsg(k: Kernel, task: Task, a: Args): number {
  const open = getSocket(task, a.i32(0));
  if (typeof open === 'number') return open;
  return sendMessage(k, task, open.file, open.socket, a.u64(1), a.u32(2));
}

function recvmsg(k: Kernel, task: Task, a: Args): number {
  const open = getSocket(task, a.i32(0));
  if (typeof open === 'number') return open;
  return receiveMessage(k, task, open.file, open.socket, a.u64(1), a.u32(2));
}

function sendmmsg(k: Kernel, task: Task, a: Args): number {
  const open = getSocket(task, a.i32(0));
  if (typeof open === 'number') return open;
  const { file, socket: from } = open;
  const count = Math.min(a.u32(2), IOV_MAX);
  const flags = a.u32(3);
  return forEachMessage(k, task, a.u64(1), count, (gva) =>
    sendMessage(k, task, file, from, gva, flags));
}

function recvmmsg(k: Kernel, task: Task, a: Args): number {
  const timeoutGva = a.u64(4);
  let timeoutNs = Infinity;
  if (timeoutGva !== 0 && task.waitState === 0) {
    const view = readStruct(k, timeoutGva, 16);
    if (view === null) return -EFAULT;
    const sec = readU64(k, timeoutGva);
    const nsec = readU64(k, timeoutGva + 8);
    if (sec >= 2 ** 63 || nsec >= 1_000_000_000) return -EINVAL;
    timeoutNs = toNs(sec, nsec);
  }
  const open = getSocket(task, a.i32(0));
  if (typeof open === 'number') return open;
  const { file, socket: from } = open;
  const flags = a.u32(3);
  const deadlineNs = nowNs(k) + timeoutNs;
  const count = Math.min(a.u32(2), IOV_MAX);
  return forEachMessage(k, task, a.u64(1), count, (gva, index) => {
    // Linux: the time is looked at between messages only.
    if (index > 0 && nowNs(k) >= deadlineNs) return -EAGAIN;
    const waitsForOne = (flags & MSG_WAITFORONE) !== 0 && index > 0;
    return receiveMessage(k, task, file, from, gva, waitsForOne ? flags | MSG_DONTWAIT : flags);
  });
}

/** Calls `transfer` for each `struct mmsghdr`; an error counts only when it is the first's. */
function forEachMessage(
  k: Kernel,
  task: Task,
  gva: number,
  count: number,
  transfer: (gva: number, index: number) => number,
): number {
  for (let index = task.waitArgument; index < count; index++) {
    const at = gva + index * Mmsghdr.bytes;
    const result = transfer(at, index);
    if (result === BLOCKED) {
      task.waitArgument = index;
      return BLOCKED;
    }
    if (result < 0) return index > 0 ? index : result;
    task.waitProgress = 0;
    if (!writeU32(k, at + Mmsghdr.msg_len.offset, result)) return index > 0 ? index : -EFAULT;
  }
  return count;
}

// Options

function setsockopt(k: Kernel, task: Task, a: Args): number {
  const bytes = a.i32(4);
  if (bytes < 0) return -EINVAL;
  const open = getSocket(task, a.i32(0));
  if (typeof open === 'number') return open;
  if (a.i32(1) !== SOL_SOCKET) return -EOPNOTSUPP;
  return setOption(k, open.socket, a.i32(2), a.u64(3), bytes);
}

function getsockopt(k: Kernel, task: Task, a: Args): number {
  const lengthGva = a.u64(4);
  const open = getSocket(task, a.i32(0));
  if (typeof open === 'number') return open;
  if (a.i32(1) !== SOL_SOCKET) return -EOPNOTSUPP;
  const room = readStruct(k, lengthGva, 4)?.getInt32(0, true);
  if (room === undefined) return -EFAULT;
  if (room < 0) return -EINVAL;
  const value = getOption(task.process, open.socket, a.i32(2));
  if (typeof value === 'number') return value;
  const part = value.subarray(0, Math.min(room, value.length));
  if (copyOut(k, a.u64(3), part) !== part.length) return -EFAULT;
  return writeU32(k, lengthGva, part.length) ? 0 : -EFAULT;
}

const OPTIONS = 'SOL_SOCKET only; options for networks are remembered or ENOPROTOOPT.';
const UNIX_ONLY = 'AF_UNIX only; other families are EAFNOSUPPORT.';

export const socketCalls: Family = {
  socket: partial(socket, UNIX_ONLY),
  socketpair: partial(socketpair, UNIX_ONLY),
  bind: partial(bind, UNIX_ONLY),
  listen: partial(listen, UNIX_ONLY),
  connect: partial(connect, UNIX_ONLY),
  accept: partial(accept, UNIX_ONLY),
  accept4: partial(accept4, UNIX_ONLY),
  shutdown: full(shutdown),
  getsockname: full(getsockname),
  getpeername: full(getpeername),
  sendto: partial(sendto, 'MSG_OOB is EOPNOTSUPP.'),
  recvfrom: partial(recvfrom, 'MSG_OOB is EOPNOTSUPP.'),
  sendmsg: partial(sendmsg, 'Ancillary data: SCM_RIGHTS and SCM_CREDENTIALS.'),
  recvmsg: partial(recvmsg, 'Ancillary data: SCM_RIGHTS and SCM_CREDENTIALS.'),
  sendmmsg: partial(sendmmsg, 'As sendmsg.'),
  recvmmsg: partial(recvmmsg, 'As recvmsg; the timeout begins anew when the call has waited.'),
  setsockopt: partial(setsockopt, OPTIONS),
  getsockopt: partial(getsockopt, OPTIONS),
};
