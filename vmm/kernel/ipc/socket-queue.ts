// A socket's received messages: adding, taking out, accounting.
//
//   Socket.firstMessage ─► SocketMessage ─ next ─► … ─► lastMessage     (in the receiver)
//
// What lies in a queue is counted against the send buffer of who sent it, as on Linux; each message
// costs its bytes and an overhead, so that empty messages are limited too.
// Invariant: queuedBytes is the sum of the costs, messageCount the length of the list.
// Ownership: a message owns its bytes and name and holds the files it carries.
import { POLLIN, POLLOUT, POLLRDNORM, POLLWRBAND, POLLWRNORM } from '../../abi/poll.ts';
import { SOCK_DGRAM } from '../../abi/socket.ts';
import type { Kernel } from '../kernel.ts';
import { type Socket, SocketMessage } from '../records/ipc.ts';
import { type File, FileSlots } from '../records/vfs.ts';
import { Bytes, makeBytes, type Table } from '../state/containers.ts';
import { dropFile } from '../vfs/file.ts';
import type { IoBuffer } from '../vfs/file-ops.ts';
import { wakeFor } from './epoll-ready.ts';

/** Linux: SKB_TRUESIZE of a small message is 768 for 1 byte. */
const OVERHEAD_BYTES = 767;
const SMALLEST_BYTES = 64;

/** What a message of `bytes` takes of a send buffer. */
export function costOf(bytes: number): number {
  return bytes + OVERHEAD_BYTES;
}

/**
 * Storage of `bytes` bytes. It is rounded up to a power of two: the arena keeps freed records by
 * size, and messages of all sizes would leave it full of holes.
 */
export function makeRounded(k: Kernel, bytes: number): Bytes {
  const made = k.arena.make(Bytes, roundedBytes(bytes));
  made.length = bytes;
  return made;
}

function roundedBytes(bytes: number): number {
  let room = SMALLEST_BYTES;
  while (room < bytes) room *= 2;
  return room;
}

/** A rounded copy of `data`. */
export function copyRounded(k: Kernel, data: Uint8Array): Bytes {
  const made = makeRounded(k, data.length);
  made.data.set(data);
  return made;
}

/** A table of files for a message; takes over the caller's references. */
export function makeFileTable(k: Kernel, files: readonly File[]): Table<File> {
  let room = 4;
  while (room < files.length) room *= 2;
  const table = k.arena.make(FileSlots, room * 4);
  table.length = files.length;
  files.forEach((file, index) => table.set(index, file));
  return table;
}

/** The files a message carries. */
export function filesOf(k: Kernel, message: SocketMessage): Table<File> | null {
  return message.files === null ? null : k.arena.at(FileSlots, message.files.address);
}

/** A message of the next `bytes` bytes of `from`; null for a bad address. It is in no queue yet. */
export function makeMessage(k: Kernel, from: IoBuffer, bytes: number): SocketMessage | null {
  const data = makeRounded(k, bytes);
  if (bytes > 0 && from.take(data.data) < bytes) {
    k.arena.free(data);
    return null;
  }
  const message = k.arena.make(SocketMessage);
  message.data = data;
  return message;
}

/** Puts bytes that the kernel has at the end of the receiver's queue; `name`: the sender's. */
export function appendBytes(
  k: Kernel, receiver: Socket, data: Uint8Array, name: Uint8Array | null,
): void {
  const message = k.arena.make(SocketMessage);
  message.data = copyRounded(k, data);
  if (name !== null) message.name = makeBytes(k.arena, name);
  appendMessage(k, receiver, message);
}

/** Puts a message at the end of the receiver's queue and wakes whoever reads. */
export function appendMessage(k: Kernel, receiver: Socket, message: SocketMessage): void {
  if (receiver.lastMessage === null) receiver.firstMessage = message;
  else receiver.lastMessage.next = message;
  receiver.lastMessage = message;
  receiver.messageCount++;
  receiver.queuedBytes += costOf(message.data.length);
  wakeFor(k, receiver.queue, POLLIN | POLLRDNORM);
}

/**
 * Adds the next `bytes` bytes of `from` to the last message of a stream, if there is one with less
 * than `most` bytes that carries no files. Returns how many bytes it took, 0 when it cannot.
 */
export function extendLast(
  k: Kernel, receiver: Socket, from: IoBuffer, bytes: number, most: number,
): number {
  const message = receiver.lastMessage;
  if (message === null || message.files !== null) return 0;
  const old = message.data;
  const added = Math.min(bytes, most - old.length);
  if (added <= 0) return 0;
  if (old.length + added <= roundedBytes(old.length)) {
    old.length += added;
    if (from.take(old.data.subarray(old.length - added)) < added) {
      old.length -= added;
      return 0;
    }
  } else {
    const longer = makeRounded(k, old.length + added);
    if (from.take(longer.data.subarray(old.length)) < added) {
      k.arena.free(longer);
      return 0;
    }
    longer.data.set(old.data);
    message.data = longer;
    k.arena.free(old);
  }
  receiver.queuedBytes += added;
  wakeFor(k, receiver.queue, POLLIN | POLLRDNORM);
  return added;
}

/** Takes the first message out and frees it; senders that waited for room are woken. */
export function removeFirst(k: Kernel, receiver: Socket): void {
  const message = receiver.firstMessage;
  if (message === null) return;
  receiver.firstMessage = message.next;
  if (message.next === null) receiver.lastMessage = null;
  receiver.messageCount--;
  receiver.queuedBytes -= costOf(message.data.length);
  freeMessage(k, message);
  wakeSenders(k, receiver);
}

/** Linux: unix_write_space. Senders wait in their own queue, unconnected ones in the receiver's. */
function wakeSenders(k: Kernel, receiver: Socket): void {
  const { peer } = receiver;
  if (receiver.type === SOCK_DGRAM) {
    wakeFor(k, receiver.queue, POLLOUT | POLLWRNORM | POLLWRBAND);
  }
  if (peer === null || peer.peer !== receiver || !isWritable(peer)) return;
  wakeFor(k, peer.queue, POLLOUT | POLLWRNORM | POLLWRBAND);
}

/** Bytes and overhead of what `socket` sent to its peer and the peer has not read. */
export function sentBytes(socket: Socket): number {
  return socket.peer?.queuedBytes ?? 0;
}

/** Linux: unix_writable, at most a quarter of the send buffer is in use. */
export function isWritable(socket: Socket): boolean {
  return sentBytes(socket) * 4 <= socket.sendLimit;
}

/** Empties the queue of a socket that closes. */
export function dropMessages(k: Kernel, receiver: Socket): void {
  let message = receiver.firstMessage;
  receiver.firstMessage = null;
  receiver.lastMessage = null;
  receiver.messageCount = 0;
  receiver.queuedBytes = 0;
  while (message !== null) {
    const { next }: SocketMessage = message;
    freeMessage(k, message);
    message = next;
  }
}

/** Frees a message that is in no queue, and drops the files it carries. */
export function freeMessage(k: Kernel, message: SocketMessage): void {
  const files = takeFiles(k, message);
  if (message.name !== null) k.arena.free(message.name);
  k.arena.free(message.data);
  k.arena.free(message);
  dropFiles(k, files);
}

/** Takes the files out of a message; the caller owns their references. */
export function takeFiles(k: Kernel, message: SocketMessage): File[] {
  const table = filesOf(k, message);
  if (table === null) return [];
  const files: File[] = [];
  for (let index = 0; index < table.length; index++) {
    const file = table.get(index);
    if (file !== null) files.push(file);
  }
  message.files = null;
  k.arena.free(table);
  return files;
}

/** Files still to be dropped by the dropFiles() that is running. */
let dropping: File[] | null = null;

/**
 * Drops references to files. Sockets may carry sockets that carry sockets …, as deep as the guest
 * likes, so that what a drop releases in turn is put in a list instead of dropped recursively.
 */
export function dropFiles(k: Kernel, files: readonly File[]): void {
  if (files.length === 0) return;
  if (dropping !== null) {
    dropping.push(...files);
    return;
  }
  dropping = [...files];
  try {
    for (let file = dropping.pop(); file !== undefined; file = dropping.pop()) dropFile(k, file);
  } finally {
    dropping = null;
  }
}
