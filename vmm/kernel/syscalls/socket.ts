// Sockets: making, naming, connecting, options. Sending and receiving: message.ts.
//
// What waits is executed again from the start: addresses are resolved anew.
import '../inet/family.ts';
import '../ipc/socket-unix.ts';
import '../netlink/family.ts';
import {
  EAFNOSUPPORT, EAGAIN, EBADF, ECONNABORTED, EFAULT, EINVAL, ENOTSOCK, EOPNOTSUPP,
} from '../../abi/errno.ts';
import {
  SOCK_CLOEXEC, SOCK_NONBLOCK, SOCK_PACKET, SOCK_TYPE_MASK, SOL_SOCKET,
} from '../../abi/socket.ts';
import { installOrDrop, installPair } from '../ipc/anon-file.ts';
import { familyOf, findFamily, type SocketFamily, type SocketType } from '../ipc/socket-family.ts';
import { getSocket, makeSocketFile } from '../ipc/socket-file.ts';
import { readAddress, writeAddress } from '../ipc/socket-name.ts';
import { getOption, setOption, timeoutOf } from '../ipc/socket-options.ts';
import { isNonBlocking } from '../ipc/socket-transfer.ts';
import { connectPair, socketOf } from '../ipc/socket.ts';
import { waitInQueue } from '../ipc/wait-timeout.ts';
import type { Kernel } from '../kernel.ts';
import { copyOut, readStruct, writeU32 } from '../mm/user-memory.ts';
import type { Task } from '../records/task.ts';
import { closeFd, installFd } from '../vfs/fd-table.ts';
import { dropFile, getFile, holdFile } from '../vfs/file.ts';
import type { Args } from './args.ts';
import { type Family, full, partial } from './define.ts';

// Making

function socket(k: Kernel, task: Task, a: Args): number {
  const flags = a.i32(1);
  const wanted = checkType(a.i32(0), flags, a.i32(2));
  if (typeof wanted === 'number') return wanted;
  const made = wanted.family.make(k, a.i32(0), wanted);
  const file = makeSocketFile(k, made, flags & SOCK_NONBLOCK);
  return installOrDrop(k, task, file, (flags & SOCK_CLOEXEC) !== 0);
}

interface Wanted extends SocketType {
  family: SocketFamily;
}

/** Linux: __sock_create, or -errno. */
function checkType(domain: number, type: number, protocol: number): Wanted | number {
  if ((type & ~(SOCK_TYPE_MASK | SOCK_CLOEXEC | SOCK_NONBLOCK)) !== 0) return -EINVAL;
  const kind = type & SOCK_TYPE_MASK;
  if (kind > SOCK_PACKET) return -EINVAL;
  const family = findFamily(domain);
  if (family === undefined) return -EAFNOSUPPORT;
  const checked = family.check(kind, protocol);
  return typeof checked === 'number' ? checked : { ...checked, family };
}

function socketpair(k: Kernel, task: Task, a: Args): number {
  const type = a.i32(1);
  const wanted = checkType(a.i32(0), type, a.i32(2));
  if (typeof wanted === 'number') return wanted;
  const { family } = wanted;
  if (!family.hasPairs) return -EOPNOTSUPP;
  const first = family.make(k, a.i32(0), wanted);
  const second = family.make(k, a.i32(0), wanted);
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
  if (typeof raw === 'number') return raw;
  return familyOf(open.socket).bind(k, task.process, open.socket, raw);
}

function listen(k: Kernel, task: Task, a: Args): number {
  const open = getSocket(task, a.i32(0));
  return typeof open === 'number' ? open : familyOf(open.socket).listen(k, open.socket, a.i32(1));
}

function connect(k: Kernel, task: Task, a: Args): number {
  const file = getFile(task, a.i32(0));
  if (file === null) return -EBADF;
  const raw = readAddress(k, a.u64(1), a.i32(2));
  if (typeof raw === 'number') return raw;
  const from = socketOf(file);
  if (from === null) return -ENOTSOCK;
  return familyOf(from).connect(k, task, file, from, raw);
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
  const connection = familyOf(open.socket).accept(k, open.socket);
  if (connection === -EAGAIN && !isNonBlocking(open.file, 0)) {
    return waitInQueue(k, task, open.socket.queue, timeoutOf(open.socket.receiveTimeoutNs));
  }
  if (typeof connection === 'number') return connection;
  const file = makeSocketFile(k, connection, flags & SOCK_NONBLOCK);
  const fd = installOrDrop(k, task, file, (flags & SOCK_CLOEXEC) !== 0);
  if (fd < 0 || a.u64(1) === 0) return fd;
  const raw = familyOf(connection).peerName(connection);
  // Linux: -ECONNABORTED when the peer is gone already; the descriptor is not given then.
  if (typeof raw === 'number') {
    closeFd(k, task.process, fd);
    return -ECONNABORTED;
  }
  const written = writeAddress(k, raw, a.u64(1), a.u64(2));
  if (written < 0) closeFd(k, task.process, fd);
  return written < 0 ? written : fd;
}

function shutdown(k: Kernel, task: Task, a: Args): number {
  const open = getSocket(task, a.i32(0));
  return typeof open === 'number' ? open : familyOf(open.socket).shutdown(k, open.socket, a.i32(1));
}

function getsockname(k: Kernel, task: Task, a: Args): number {
  const open = getSocket(task, a.i32(0));
  if (typeof open === 'number') return open;
  return writeAddress(k, familyOf(open.socket).name(open.socket), a.u64(1), a.u64(2));
}

function getpeername(k: Kernel, task: Task, a: Args): number {
  const open = getSocket(task, a.i32(0));
  if (typeof open === 'number') return open;
  const raw = familyOf(open.socket).peerName(open.socket);
  return typeof raw === 'number' ? raw : writeAddress(k, raw, a.u64(1), a.u64(2));
}

// Options

function setsockopt(k: Kernel, task: Task, a: Args): number {
  const bytes = a.i32(4);
  if (bytes < 0) return -EINVAL;
  const open = getSocket(task, a.i32(0));
  if (typeof open === 'number') return open;
  const { socket: of } = open;
  const [level, name, gva] = [a.i32(1), a.i32(2), a.u64(3)];
  if (level === SOL_SOCKET) return setOption(k, of, name, gva, bytes);
  return familyOf(of).setOption(k, of, level, name, gva, bytes);
}

function getsockopt(k: Kernel, task: Task, a: Args): number {
  const lengthGva = a.u64(4);
  const open = getSocket(task, a.i32(0));
  if (typeof open === 'number') return open;
  const { socket: of } = open;
  const level = a.i32(1);
  const own = level === SOL_SOCKET ? null : familyOf(of).getOption(of, level, a.i32(2));
  // Linux: families without options of their own do not look at the arguments.
  if (own === -EOPNOTSUPP) return own;
  const room = readStruct(k, lengthGva, 4)?.getInt32(0, true);
  if (room === undefined) return -EFAULT;
  if (room < 0) return -EINVAL;
  const value = own ?? getOption(task.process, of, a.i32(2));
  if (typeof value === 'number') return value;
  const part = value.subarray(0, Math.min(room, value.length));
  if (copyOut(k, a.u64(3), part) !== part.length) return -EFAULT;
  return writeU32(k, lengthGva, part.length) ? 0 : -EFAULT;
}

const NETWORKS =
  'AF_UNIX, AF_INET, AF_INET6 and AF_NETLINK (NETLINK_ROUTE, reading); no raw sockets.';

export const socketCalls: Family = {
  socket: partial(socket, NETWORKS),
  socketpair: full(socketpair),
  bind: full(bind),
  listen: full(listen),
  connect: partial(connect, 'Addresses outside of the sandbox are ENETUNREACH without --net host.'),
  accept: full(accept),
  accept4: full(accept4),
  shutdown: full(shutdown),
  getsockname: full(getsockname),
  getpeername: full(getpeername),
  setsockopt: partial(setsockopt, 'What only a real network would notice is remembered.'),
  getsockopt: partial(getsockopt, 'TCP_INFO tells the state and sizes, no times.'),
};
