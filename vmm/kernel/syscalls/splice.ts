// splice(2), tee(2), vmsplice(2): moving bytes through a pipe without the program's memory.
//
//   file ──splice──► pipe ──splice──► file        pipe ──tee──► pipe, and both have it
//   memory ──vmsplice──► pipe ──vmsplice──► memory
//
// Order: bytes leave a pipe when the other side has taken them, so that a call that has to wait
// loses none. A call moves what it can and waits only when that is nothing.
import { EAGAIN, EBADF, EFAULT, EINVAL, EPIPE, ESPIPE } from '../../abi/errno.ts';
import {
  O_APPEND, O_NONBLOCK, SPLICE_F_GIFT, SPLICE_F_MORE, SPLICE_F_MOVE, SPLICE_F_NONBLOCK,
} from '../../abi/fcntl.ts';
import { readI64 } from '../../abi/layout.ts';
import { SI_USER, SIGPIPE } from '../../abi/signal.ts';
import { S_ISFIFO } from '../../abi/stat.ts';
import { freeBytes } from '../ipc/pipe-ring.ts';
import { appendRing, copyRing, peekRing, pipeBehind, skipRing } from '../ipc/pipe-splice.ts';
import { waitInQueue } from '../ipc/wait-timeout.ts';
import type { Kernel } from '../kernel.ts';
import { readStruct, writeU64 } from '../mm/user-memory.ts';
import type { Pipe } from '../records/ipc.ts';
import type { Task } from '../records/task.ts';
import {
  type File, FILE_CONSOLE, FILE_DEVICE, FILE_REGULAR, FILE_SOCKET,
} from '../records/vfs.ts';
import { makeInfo, sendSignalToTask } from '../signal/pending.ts';
import { RDEV_NULL } from '../vfs/device-file.ts';
import { getFile } from '../vfs/file.ts';
import { type IoBuffer, opsOf } from '../vfs/file-ops.ts';
import { iovecBuffer, kernelBuffer } from '../vfs/io-buffer.ts';
import { isReadable, isWritable } from '../vfs/open.ts';
import type { Args } from './args.ts';
import { type Family, full } from './define.ts';
import { notifyCopy } from './read-write.ts';

const FLAGS = SPLICE_F_MOVE | SPLICE_F_NONBLOCK | SPLICE_F_MORE | SPLICE_F_GIFT;
const CHUNK_BYTES = 65_536;
const READ_KINDS: readonly number[] =
  [FILE_REGULAR, FILE_SOCKET, FILE_CONSOLE, FILE_DEVICE];
const WRITE_KINDS: readonly number[] = [FILE_REGULAR, FILE_SOCKET, FILE_CONSOLE, FILE_DEVICE];

/** One side of a splice that is no pipe: a file, and where in it. */
interface Side {
  file: File;
  /** Given by the caller; the file's own position is used and moved otherwise. */
  given: number | null;
}

/** Who moves, and how patiently. */
interface Mover {
  k: Kernel;
  task: Task;
  noWait: boolean;
}

function splice(k: Kernel, task: Task, a: Args): number {
  const [fromGva, toGva, bytes, flags] = [a.u64(1), a.u64(3), a.u64(4), a.u32(5)];
  if (bytes === 0) return 0;
  if ((flags & ~FLAGS) !== 0) return -EINVAL;
  const from = getFile(task, a.i32(0));
  const to = getFile(task, a.i32(2));
  if (from === null || to === null) return -EBADF;
  const [source, target] = [pipeBehind(k, from), pipeBehind(k, to)];
  if ((isPiped(from) && fromGva !== 0) || (isPiped(to) && toGva !== 0)) return -ESPIPE;
  const fromGiven = readOffset(k, fromGva);
  const toGiven = readOffset(k, toGva);
  if (fromGiven === undefined || toGiven === undefined) return -EFAULT;
  if (!isReadable(from) || !isWritable(to)) return -EBADF;
  const mover = { k, task, noWait: (flags & SPLICE_F_NONBLOCK) !== 0 };
  const input = { file: from, given: fromGiven };
  const output = { file: to, given: toGiven };
  if (isNonBlocking(source === null ? null : from) || isNonBlocking(target === null ? null : to)) {
    mover.noWait = true;
  }
  const done = spliceSides(mover, input, source, output, target, bytes);
  if (done <= 0) return done;
  notifyCopy(k, from, to);
  if (!store(k, fromGva, input.given) || !store(k, toGva, output.given)) return -EFAULT;
  return done;
}

function isNonBlocking(file: File | null): boolean {
  return file !== null && (file.flags & O_NONBLOCK) !== 0;
}

/** An `off_t *`: null when there is none, undefined at a bad address. */
function readOffset(k: Kernel, gva: number): number | null | undefined {
  if (gva === 0) return null;
  const view = readStruct(k, gva, 8);
  return view === null ? undefined : readI64(view, 0);
}

function store(k: Kernel, gva: number, offset: number | null): boolean {
  return offset === null || writeU64(k, gva, offset);
}

/** A pipe of the guest, or a stream of the sandbox, which the guest takes for one. */
function isPiped(file: File): boolean {
  return file.inode !== null && S_ISFIFO(file.inode.mode);
}

function spliceSides(
  m: Mover, from: Side, source: Pipe | null, to: Side, target: Pipe | null, bytes: number,
): number {
  if (source !== null && target !== null) {
    return source === target ? -EINVAL : movePipe(m, source, target, bytes);
  }
  if (source !== null) return pipeToFile(m, source, to, bytes);
  if (target !== null) return fileToPipe(m, from, target, bytes);
  const isStream = from.file.kind === FILE_CONSOLE || to.file.kind === FILE_CONSOLE;
  const isFile = from.file.kind === FILE_REGULAR || to.file.kind === FILE_REGULAR;
  return isStream && isFile ? copyThrough(m, from, to, bytes) : -EINVAL;
}

/** Waits until the pipe has content: 1, 0 at its end, or what a call that waits returns. */
function waitForContent(m: Mover, pipe: Pipe): number {
  if (pipe.count > 0) return 1;
  if (pipe.writers === 0) return 0;
  return m.noWait ? -EAGAIN : waitInQueue(m.k, m.task, pipe.queue, Infinity);
}

/** Waits until the pipe has room: 1, or what a call that waits returns. */
function waitForRoom(m: Mover, pipe: Pipe): number {
  if (pipe.readers === 0) {
    const { pid, uid } = m.task.process;
    sendSignalToTask(m.k, m.task, makeInfo(SIGPIPE, SI_USER, pid, uid));
    return -EPIPE;
  }
  if (freeBytes(pipe) > 0) return 1;
  return m.noWait ? -EAGAIN : waitInQueue(m.k, m.task, pipe.queue, Infinity);
}

function movePipe(m: Mover, from: Pipe, to: Pipe, bytes: number): number {
  const done = teePipe(m, from, to, bytes);
  if (done > 0) skipRing(m.k, from, done);
  return done;
}

function teePipe(m: Mover, from: Pipe, to: Pipe, bytes: number): number {
  const content = waitForContent(m, from);
  if (content <= 0) return content;
  const room = waitForRoom(m, to);
  return room <= 0 ? room : copyRing(m.k, from, to, bytes);
}

/** Waits for a file that is no pipe. */
function waitForFile(m: Mover, file: File, forWrite: boolean): number {
  const ops = opsOf(file);
  const queue = (forWrite ? ops.writeQueue : undefined)?.(m.k, file) ?? ops.queue(m.k, file);
  if (m.noWait || queue === null || isNonBlocking(file)) return -EAGAIN;
  return waitInQueue(m.k, m.task, queue, ops.waitNs?.(m.k, file, forWrite) ?? Infinity);
}

function placeIn({ file, given }: Side): number {
  return given ?? file.position;
}

function advance(side: Side, bytes: number): void {
  if (side.given !== null) side.given += bytes;
  else if (opsOf(side.file).seekable) side.file.position += bytes;
}

/** Whether a file can be spliced into: 0 or -errno. */
function checkTarget({ file, given }: Side): number {
  if (given !== null && (!opsOf(file).seekable || given < 0)) return -EINVAL;
  if ((file.flags & O_APPEND) !== 0) return -EINVAL;
  return WRITE_KINDS.includes(file.kind) ? 0 : -EINVAL;
}

function checkSource({ file, given }: Side): number {
  if (given !== null && (!opsOf(file).seekable || given < 0)) return -EINVAL;
  const isNull = file.kind === FILE_DEVICE && file.variant === RDEV_NULL;
  return READ_KINDS.includes(file.kind) && !isNull ? 0 : -EINVAL;
}

function pipeToFile(m: Mover, pipe: Pipe, to: Side, bytes: number): number {
  const refused = checkTarget(to);
  if (refused !== 0) return refused;
  const content = waitForContent(m, pipe);
  if (content <= 0) return content;
  const { write } = opsOf(to.file);
  let done = 0;
  while (done < bytes && pipe.count > 0) {
    const part = peekRing(pipe, 0, bytes - done);
    const result = write?.(m.k, to.file, kernelBuffer(part), placeIn(to)) ?? -EINVAL;
    if (result <= 0) {
      if (done > 0) return done;
      return result === -EAGAIN ? waitForFile(m, to.file, true) : result;
    }
    advance(to, result);
    skipRing(m.k, pipe, result);
    done += result;
  }
  return done;
}

function fileToPipe(m: Mover, from: Side, pipe: Pipe, bytes: number): number {
  const room = waitForRoom(m, pipe);
  if (room <= 0) return room;
  const refused = checkSource(from);
  if (refused !== 0) return refused;
  const chunk = new Uint8Array(Math.min(bytes, freeBytes(pipe)));
  const got = readChunk(m, from, chunk);
  if (got <= 0) return got;
  advance(from, got);
  return appendRing(m.k, pipe, kernelBuffer(chunk.subarray(0, got)), got);
}

function readChunk(m: Mover, from: Side, chunk: Uint8Array): number {
  const { read } = opsOf(from.file);
  const got = read?.(m.k, from.file, kernelBuffer(chunk), placeIn(from)) ?? -EINVAL;
  return got === -EAGAIN ? waitForFile(m, from.file, false) : got;
}

/** Between a regular file and a stream of the sandbox. */
function copyThrough(m: Mover, from: Side, to: Side, bytes: number): number {
  const refused = checkSource(from) || checkTarget(to);
  if (refused !== 0) return refused;
  const chunk = new Uint8Array(Math.min(bytes, CHUNK_BYTES));
  const got = readChunk(m, from, chunk);
  if (got <= 0) return got;
  const part = kernelBuffer(chunk.subarray(0, got));
  const put = opsOf(to.file).write?.(m.k, to.file, part, placeIn(to)) ?? -EINVAL;
  if (put === -EAGAIN) return waitForFile(m, to.file, true);
  if (put <= 0) return put;
  advance(from, put);
  advance(to, put);
  return put;
}

function tee(k: Kernel, task: Task, a: Args): number {
  const [bytes, flags] = [a.u64(2), a.u32(3)];
  if ((flags & ~FLAGS) !== 0) return -EINVAL;
  if (bytes === 0) return 0;
  const from = getFile(task, a.i32(0));
  const to = getFile(task, a.i32(1));
  if (from === null || to === null) return -EBADF;
  if (!isReadable(from) || !isWritable(to)) return -EBADF;
  const [source, target] = [pipeBehind(k, from), pipeBehind(k, to)];
  if (source === null || target === null || source === target) return -EINVAL;
  const noWait = (flags & SPLICE_F_NONBLOCK) !== 0 || isNonBlocking(from) || isNonBlocking(to);
  const done = teePipe({ k, task, noWait }, source, target, bytes);
  if (done > 0) notifyCopy(k, from, to);
  return done;
}

function vmsplice(k: Kernel, task: Task, a: Args): number {
  const flags = a.u32(3);
  if ((flags & ~FLAGS) !== 0) return -EINVAL;
  const file = getFile(task, a.i32(0));
  if (file === null || !(isReadable(file) || isWritable(file))) return -EBADF;
  const memory = iovecBuffer(k, a.u64(1), a.i32(2));
  if (typeof memory === 'number') return memory;
  if (memory.remaining === 0) return 0;
  const pipe = pipeBehind(k, file);
  if (pipe === null) return -EBADF;
  const mover = { k, task, noWait: (flags & SPLICE_F_NONBLOCK) !== 0 };
  return isWritable(file) ? memoryToPipe(mover, memory, pipe) : pipeToMemory(mover, pipe, memory);
}

function memoryToPipe(m: Mover, from: IoBuffer, pipe: Pipe): number {
  const room = waitForRoom(m, pipe);
  if (room <= 0) return room;
  const done = appendRing(m.k, pipe, from, from.remaining);
  return done === 0 ? -EFAULT : done;
}

function pipeToMemory(m: Mover, pipe: Pipe, to: IoBuffer): number {
  const content = waitForContent(m, pipe);
  if (content <= 0) return content;
  let done = 0;
  while (to.remaining > 0 && pipe.count > 0) {
    const moved = to.put(peekRing(pipe, 0, to.remaining));
    if (moved === 0) break;
    skipRing(m.k, pipe, moved);
    done += moved;
  }
  return done === 0 ? -EFAULT : done;
}

export const spliceCalls: Family = {
  splice: full(splice),
  tee: full(tee),
  vmsplice: full(vmsplice),
};
