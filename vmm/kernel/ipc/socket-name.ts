// Names of AF_UNIX sockets: paths (an inode leads to the socket) and abstract names (found
// among the listed sockets).
//
//   struct sockaddr_un   u16 family | path, NUL         → name "/run/x"; getsockname gives the NUL
//                        u16 family | NUL, any bytes    → name "\0any bytes"
import {
  EADDRINUSE, ECONNREFUSED, EEXIST, EFAULT, EINVAL, ENOSPC, EPROTOTYPE,
} from '../../abi/errno.ts';
import { AT_FDCWD } from '../../abi/fcntl.ts';
import { AF_UNIX, AF_UNSPEC, SOCKADDR_STORAGE_BYTES } from '../../abi/socket.ts';
import { S_IFSOCK, S_ISSOCK } from '../../abi/stat.ts';
import { SockaddrUn } from '../../abi/struct-socket.ts';
import type { Kernel } from '../kernel.ts';
import { copyIn, copyOut, readStruct, writeU32 } from '../mm/user-memory.ts';
import { Socket } from '../records/ipc.ts';
import type { Process } from '../records/task.ts';
import { holdInode } from '../vfs/inode.ts';
import { lookupPath } from '../vfs/lookup.ts';
import { createNode, findSlot } from '../vfs/namespace.ts';
import { checkPermission, MAY_WRITE } from '../vfs/permission.ts';
import { listedSockets, listSocket } from './named-sockets.ts';
import { copyRounded } from './socket-queue.ts';

const PATH_OFFSET = SockaddrUn.sun_path.offset;

/** Copies a socket address in; -EINVAL for a bad length, -EFAULT. Linux: move_addr_to_kernel. */
export function readAddress(k: Kernel, gva: number, bytes: number): Uint8Array | number {
  if (bytes < 0 || bytes > SOCKADDR_STORAGE_BYTES) return -EINVAL;
  const raw = new Uint8Array(bytes);
  return copyIn(k, gva, raw) === bytes ? raw : -EFAULT;
}

/** Whether an address asks to disconnect: AF_UNSPEC. */
export function isUnspecified(raw: Uint8Array): boolean {
  return raw.length >= 2 && ((raw[0] ?? 0) | (raw[1] ?? 0) << 8) === AF_UNSPEC;
}

/**
 * The name in an address: a path without its NUL, or NUL and more; -EINVAL. Linux:
 * unix_validate_addr.
 */
export function parseName(raw: Uint8Array): Uint8Array | number {
  if (raw.length <= PATH_OFFSET || raw.length > SockaddrUn.bytes) return -EINVAL;
  if (((raw[0] ?? 0) | (raw[1] ?? 0) << 8) !== AF_UNIX) return -EINVAL;
  const name = raw.subarray(PATH_OFFSET);
  if (name[0] === 0) return name;
  const nul = name.indexOf(0);
  return nul < 0 ? name : name.subarray(0, nul);
}

/**
 * Writes an address as getsockname(2), accept(2) … do: as much as fits, and its true length.
 * @param lengthGva where the guest's buffer length stands, and the true one goes (socklen_t)
 * @returns 0, -EFAULT, -EINVAL for a negative length
 */
export function writeAddress(k: Kernel, raw: Uint8Array, gva: number, lengthGva: number): number {
  const room = readStruct(k, lengthGva, 4)?.getInt32(0, true);
  if (room === undefined) return -EFAULT;
  if (room < 0) return -EINVAL;
  const part = raw.subarray(0, Math.min(room, raw.length));
  if (copyOut(k, gva, part) !== part.length) return -EFAULT;
  return writeU32(k, lengthGva, raw.length) ? 0 : -EFAULT;
}

/** The sender's address of a message: nothing at all when it has no name. */
export function encodeSender(name: Uint8Array | null): Uint8Array {
  return name === null ? new Uint8Array(0) : encodeAddress(name);
}

/** `struct sockaddr_un` of a name; null: only the family. */
export function encodeAddress(name: Uint8Array | null): Uint8Array {
  const nulBytes = name !== null && name[0] !== 0 ? 1 : 0;
  const raw = new Uint8Array(PATH_OFFSET + (name?.length ?? 0) + nulBytes);
  raw[0] = AF_UNIX;
  if (name !== null) raw.set(name, PATH_OFFSET);
  return raw;
}

/** The name of a socket, or null. */
export function nameOf(socket: Socket | null): Uint8Array | null {
  return socket?.name?.data ?? null;
}

/** bind(2) of an address. Returns 0, -EINVAL, -EADDRINUSE, or why the path cannot be made. */
export function bindSocket(
  k: Kernel,
  process: Process,
  socket: Socket,
  raw: Uint8Array,
): number {
  if (raw.length === PATH_OFFSET && raw[0] === AF_UNIX && raw[1] === 0) {
    return socket.name !== null ? 0 : bindAutomatically(k, socket);
  }
  const name = parseName(raw);
  if (typeof name === 'number') return name;
  if (name[0] === 0) return bindAbstract(k, socket, name);
  // Linux: whether the path is free is looked at before whether the socket has a name.
  const slot = findSlot(k, process, AT_FDCWD, name, false);
  if (typeof slot === 'number') return slot === -EEXIST ? -EADDRINUSE : slot;
  if (socket.name !== null) return -EINVAL;
  const record = copyRounded(k, name);
  const dentry = createNode(k, process, slot, S_IFSOCK | 0o777);
  if (typeof dentry === 'number' || dentry.inode === null) {
    k.arena.free(record);
    return typeof dentry === 'number' ? dentry : -EINVAL;
  }
  socket.name = record;
  socket.isBound = true;
  socket.inode = holdInode(dentry.inode);
  dentry.inode.object = socket;
  return 0;
}

function bindAbstract(k: Kernel, socket: Socket, name: Uint8Array): number {
  if (socket.name !== null) return -EINVAL;
  if (findAbstract(k, name, socket.type) !== null) return -EADDRINUSE;
  socket.name = copyRounded(k, name);
  socket.isBound = true;
  listSocket(k, socket);
  return 0;
}

/** Linux: unix_autobind, an abstract name of five hexadecimal digits. */
function bindAutomatically(k: Kernel, socket: Socket): number {
  const start = k.root.nextObjectSerial++;
  for (let attempt = 0; attempt < 0x10000; attempt++) {
    const digits = ((start + attempt) & 0xfffff).toString(16).padStart(5, '0');
    const name = Uint8Array.from([0, ...[...digits].map((digit) => digit.charCodeAt(0))]);
    if (bindAbstract(k, socket, name) === 0) return 0;
  }
  return -ENOSPC;
}

/**
 * The socket of a type that an address leads to.
 * @returns -EINVAL, -ECONNREFUSED when nobody has the name, -EPROTOTYPE for a path of another type,
 * or why the path cannot be walked
 */
export function findSocket(
  k: Kernel,
  process: Process,
  raw: Uint8Array,
  type: number,
): Socket | number {
  const name = parseName(raw);
  if (typeof name === 'number') return name;
  if (name[0] === 0) return findAbstract(k, name, type) ?? -ECONNREFUSED;
  const dentry = lookupPath(k, process, name);
  if (typeof dentry === 'number') return dentry;
  const { inode } = dentry;
  if (inode === null) return -ECONNREFUSED;
  const denied = checkPermission(process, inode, MAY_WRITE);
  if (denied !== 0) return denied;
  if (!S_ISSOCK(inode.mode) || inode.object === null) return -ECONNREFUSED;
  const socket = k.arena.at(Socket, inode.object.address);
  return socket.type === type ? socket : -EPROTOTYPE;
}

function findAbstract(k: Kernel, name: Uint8Array, type: number): Socket | null {
  for (const socket of listedSockets(k, true)) {
    if (socket.type === type && hasName(socket, name)) return socket;
  }
  return null;
}

function hasName(socket: Socket, name: Uint8Array): boolean {
  const own = socket.name?.data;
  return own !== undefined && own.length === name.length &&
    own.every((byte, index) => byte === name[index]);
}

