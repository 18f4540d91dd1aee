// read(2), write(2) and their vectored and positioned forms, lseek(2), sendfile(2),
// copy_file_range(2).
//
// File operations only try (vfs/file-ops.ts). Here a call waits on the file's queue and is executed
// again; what a write has moved before it had to wait is in task.waitProgress.
import {
  EAGAIN, EBADF, EFAULT, EFBIG, EINVAL, EISDIR, EOPNOTSUPP, EPIPE, ESPIPE, EXDEV,
} from '../../abi/errno.ts';
import { IN_ACCESS, IN_MODIFY } from '../../abi/eventfd.ts';
import {
  O_APPEND, O_NONBLOCK, RWF_APPEND, RWF_ATOMIC, RWF_DONTCACHE, RWF_DSYNC, RWF_HIPRI, RWF_NOAPPEND,
  RWF_NOWAIT, RWF_SYNC,
} from '../../abi/fcntl.ts';
import { SI_USER, SIGPIPE, SIGXFSZ } from '../../abi/signal.ts';
import { SOCK_STREAM } from '../../abi/socket.ts';
import { S_ISDIR, S_ISREG } from '../../abi/stat.ts';
import { socketOf } from '../ipc/socket.ts';
import { waitInQueue } from '../ipc/wait-timeout.ts';
import type { Kernel } from '../kernel.ts';
import { isOutOfRange, readStruct, writeU64 } from '../mm/user-memory.ts';
import { readI64 } from '../../abi/layout.ts';
import type { Task } from '../records/task.ts';
import {
  type File, FILE_CONSOLE, FILE_DIRECTORY, FILE_GENERATED, FILE_PIPE, FILE_PTY, FILE_REGULAR,
  FILE_SOCKET,
} from '../records/vfs.ts';
import { makeInfo, sendSignalToTask } from '../signal/pending.ts';
import { getFile } from '../vfs/file.ts';
import { type IoBuffer, opsOf } from '../vfs/file-ops.ts';
import { iovecBuffer, kernelBuffer, userBuffer } from '../vfs/io-buffer.ts';
import { notifyFile } from '../vfs/notify.ts';
import { isReadable, isWritable } from '../vfs/open.ts';
import type { Args } from './args.ts';
import { BLOCKED, type Family, full, partial } from './define.ts';

/** Offsets and counts from here on are negative as signed 64-bit numbers. */
const SIGN_LIMIT = 2 ** 63;
const COPY_CHUNK_BYTES = 64 * 1024;
/** sendfile and copy_file_range move no more in one call, so that they end soon. */
const COPY_BYTES_MOST = 16 * 1024 * 1024;
/** Use the file's own position. */
const AT_POSITION = -1;

/** Waits for the file, unless it is not to wait. Returns -EAGAIN, BLOCKED or -ERESTART*. */
function waitFor(k: Kernel, task: Task, file: File, forWrite: boolean, noWait: boolean): number {
  if (noWait || (file.flags & O_NONBLOCK) !== 0) return -EAGAIN;
  const ops = opsOf(file);
  const queue = forWrite && ops.writeQueue !== undefined
    ? ops.writeQueue(k, file)
    : ops.queue(k, file);
  if (queue === null) return -EAGAIN;
  return waitInQueue(k, task, queue, ops.waitNs?.(k, file, forWrite) ?? Infinity);
}

/** Reads into a buffer at `offset`, or at the position and moves it. */
function readInto(
  k: Kernel,
  task: Task,
  file: File,
  to: IoBuffer,
  offset: number,
  noWait: boolean = false,
): number {
  const ops = opsOf(file);
  if (ops.read === undefined) return -EINVAL;
  const from = offset === AT_POSITION ? file.position : offset;
  const result = ops.read(k, file, to, from);
  if (result === -EAGAIN) {
    const waited = waitFor(k, task, file, false, noWait);
    const isLate = waited === -EAGAIN && !noWait && (file.flags & O_NONBLOCK) === 0;
    return isLate && file.kind === FILE_PTY ? 0 : waited;
  }
  if (result > 0) {
    if (offset === AT_POSITION && ops.seekable) file.position = from + result;
    notifyFile(k, file, IN_ACCESS);
  }
  return result;
}

/** Streams go on until everything is written; other files write once. */
function isStream(file: File): boolean {
  return file.kind === FILE_PIPE || file.kind === FILE_SOCKET || file.kind === FILE_CONSOLE ||
    file.kind === FILE_PTY;
}

/** Writes a buffer, and says so. */
function writeFrom(
  k: Kernel,
  task: Task,
  file: File,
  from: IoBuffer,
  offset: number,
  noWait: boolean = false,
  append: boolean = (file.flags & O_APPEND) !== 0,
): number {
  const result = writeSilently(k, task, file, from, offset, noWait, append);
  if (result > 0) notifyFile(k, file, IN_MODIFY);
  return result;
}

/** Writes a buffer at `offset`, or at the position (or the end) and moves it. */
function writeSilently(
  k: Kernel,
  task: Task,
  file: File,
  from: IoBuffer,
  offset: number,
  noWait: boolean = false,
  append: boolean = (file.flags & O_APPEND) !== 0,
): number {
  const ops = opsOf(file);
  if (ops.write === undefined) return -EINVAL;
  let at = offset === AT_POSITION ? file.position : offset;
  if (append && file.kind === FILE_REGULAR) at = file.inode?.bytes ?? 0;
  let done = skipProgress(task, from);
  for (;;) {
    const result = ops.write(k, file, from, at);
    if (result < 0) return endWrite(k, task, file, result, done, noWait);
    done += result;
    at += result;
    if (result > 0 && ops.seekable && offset === AT_POSITION) file.position = at;
    if (result === 0 || from.remaining === 0 || !isStream(file)) return done;
  }
}

/** Passes over what earlier executions of this call have written. */
function skipProgress(task: Task, from: IoBuffer): number {
  const done = task.waitProgress;
  const scratch = new Uint8Array(Math.min(done, COPY_CHUNK_BYTES));
  for (let left = done; left > 0;) {
    const taken = from.take(scratch.subarray(0, Math.min(left, scratch.length)));
    if (taken === 0) break;
    left -= taken;
  }
  return done;
}

function endWrite(
  k: Kernel,
  task: Task,
  file: File,
  error: number,
  done: number,
  noWait: boolean,
): number {
  if (error === -EAGAIN) {
    const result = waitFor(k, task, file, true, noWait);
    if (result === BLOCKED) task.waitProgress = done;
    return result === BLOCKED || done === 0 ? result : done;
  }
  if (error === -EPIPE && sendsSigpipe(file)) sendToSelf(k, task, SIGPIPE);
  if (done > 0) return done;
  if (error === -EFBIG) sendToSelf(k, task, SIGXFSZ);
  return error;
}

function sendToSelf(k: Kernel, task: Task, signal: number): void {
  // Linux: SEND_SIG_NOINFO, as if the process had sent it itself.
  const { pid, uid } = task.process;
  sendSignalToTask(k, task, makeInfo(signal, SI_USER, pid, uid));
}

/** Linux: of sockets only streams send SIGPIPE. */
function sendsSigpipe(file: File): boolean {
  const socket = socketOf(file);
  return socket === null || socket.type === SOCK_STREAM;
}

/** The file to read from, or -EBADF. */
function readableFile(task: Task, fd: number): File | number {
  const file = getFile(task, fd);
  return file === null || !isReadable(file) ? -EBADF : file;
}

function writableFile(task: Task, fd: number): File | number {
  const file = getFile(task, fd);
  return file === null || !isWritable(file) ? -EBADF : file;
}

function read(k: Kernel, task: Task, a: Args): number {
  const gva = a.u64(1);
  const bytes = a.u64(2);
  const file = readableFile(task, a.i32(0));
  if (typeof file === 'number') return file;
  if (opsOf(file).read === undefined) return -EINVAL;
  if (isOutOfRange(gva, bytes)) return -EFAULT;
  return readInto(k, task, file, userBuffer(k, gva, bytes), AT_POSITION);
}

function write(k: Kernel, task: Task, a: Args): number {
  const gva = a.u64(1);
  const bytes = a.u64(2);
  const file = writableFile(task, a.i32(0));
  if (typeof file === 'number') return file;
  if (opsOf(file).write === undefined) return -EINVAL;
  if (isOutOfRange(gva, bytes)) return -EFAULT;
  return writeFrom(k, task, file, userBuffer(k, gva, bytes), AT_POSITION);
}

/** Linux: FMODE_PREAD, FMODE_PWRITE. */
function hasOffsets(file: File): boolean {
  return opsOf(file).seekable;
}

function pread64(k: Kernel, task: Task, a: Args): number {
  const gva = a.u64(1);
  const bytes = a.u64(2);
  const offset = a.i64(3);
  if (offset < 0) return -EINVAL;
  const file = getFile(task, a.i32(0));
  if (file === null) return -EBADF;
  if (!hasOffsets(file)) return -ESPIPE;
  if (!isReadable(file)) return -EBADF;
  if (isOutOfRange(gva, bytes)) return -EFAULT;
  if (offset + bytes >= SIGN_LIMIT) return -EINVAL;
  return readInto(k, task, file, userBuffer(k, gva, bytes), offset);
}

function pwrite64(k: Kernel, task: Task, a: Args): number {
  const gva = a.u64(1);
  const bytes = a.u64(2);
  const offset = a.i64(3);
  if (offset < 0) return -EINVAL;
  const file = getFile(task, a.i32(0));
  if (file === null) return -EBADF;
  if (!hasOffsets(file)) return -ESPIPE;
  if (!isWritable(file)) return -EBADF;
  if (isOutOfRange(gva, bytes)) return -EFAULT;
  if (offset + bytes >= SIGN_LIMIT) return -EINVAL;
  return writeFrom(k, task, file, userBuffer(k, gva, bytes), offset);
}

function readv(k: Kernel, task: Task, a: Args): number {
  return readVector(k, task, a, AT_POSITION, 0);
}

function writev(k: Kernel, task: Task, a: Args): number {
  return writeVector(k, task, a, AT_POSITION, 0);
}

function preadv(k: Kernel, task: Task, a: Args): number {
  const offset = a.i64(3);
  return offset < 0 ? -EINVAL : readVector(k, task, a, offset, 0);
}

function pwritev(k: Kernel, task: Task, a: Args): number {
  const offset = a.i64(3);
  return offset < 0 ? -EINVAL : writeVector(k, task, a, offset, 0);
}

/** pos -1 means the file's own position. */
function preadv2(k: Kernel, task: Task, a: Args): number {
  const offset = a.i64(3);
  return offset < -1 ? -EINVAL : readVector(k, task, a, offset, a.i32(5));
}

function pwritev2(k: Kernel, task: Task, a: Args): number {
  const offset = a.i64(3);
  return offset < -1 ? -EINVAL : writeVector(k, task, a, offset, a.i32(5));
}

const READ_FLAGS = RWF_HIPRI | RWF_NOWAIT | RWF_DSYNC | RWF_SYNC | RWF_DONTCACHE;
const WRITE_FLAGS = READ_FLAGS | RWF_APPEND | RWF_NOAPPEND;

function readVector(k: Kernel, task: Task, a: Args, offset: number, flags: number): number {
  const file = getFile(task, a.i32(0));
  if (file === null) return -EBADF;
  if (offset !== AT_POSITION && !hasOffsets(file)) return -ESPIPE;
  if (!isReadable(file)) return -EBADF;
  if (opsOf(file).read === undefined) return -EINVAL;
  const to = iovecBuffer(k, a.u64(1), a.i32(2));
  if (typeof to === 'number') return to;
  if ((flags & ~READ_FLAGS) !== 0) return -EOPNOTSUPP;
  if (to.remaining === 0) return 0;
  return readInto(k, task, file, to, offset, (flags & RWF_NOWAIT) !== 0);
}

function writeVector(k: Kernel, task: Task, a: Args, offset: number, flags: number): number {
  const file = getFile(task, a.i32(0));
  if (file === null) return -EBADF;
  if (offset !== AT_POSITION && !hasOffsets(file)) return -ESPIPE;
  if (!isWritable(file)) return -EBADF;
  if (opsOf(file).write === undefined) return -EINVAL;
  const from = iovecBuffer(k, a.u64(1), a.i32(2));
  if (typeof from === 'number') return from;
  if ((flags & ~WRITE_FLAGS) !== 0 || (flags & RWF_ATOMIC) !== 0) return -EOPNOTSUPP;
  if (from.remaining === 0) return 0;
  const keeps = (file.flags & O_APPEND) !== 0 && (flags & RWF_NOAPPEND) === 0;
  const append = keeps || (flags & RWF_APPEND) !== 0;
  return writeFrom(k, task, file, from, offset, (flags & RWF_NOWAIT) !== 0, append);
}

function lseek(k: Kernel, task: Task, a: Args): number {
  const file = getFile(task, a.i32(0));
  if (file === null) return -EBADF;
  const whence = a.u32(2);
  if (whence > 4) return -EINVAL;
  return opsOf(file).seek?.(k, file, a.i64(1), whence) ?? -ESPIPE;
}

/**
 * Copies from one file to another through the kernel, up to `bytes`.
 * @param fromOffset offset in `from`; its position is not used or moved
 * @returns bytes copied, or the first error when there are none
 */
function copyRange(
  k: Kernel,
  task: Task,
  from: File,
  fromOffset: number,
  to: File,
  toOffset: number,
  bytes: number,
): number {
  const { read: readOp } = opsOf(from);
  if (readOp === undefined) return -EINVAL;
  const chunk = new Uint8Array(Math.min(bytes, COPY_CHUNK_BYTES));
  const wanted = Math.min(bytes, COPY_BYTES_MOST);
  let done = 0;
  while (done < wanted) {
    const part = kernelBuffer(chunk.subarray(0, Math.min(chunk.length, wanted - done)));
    const count = readOp(k, from, part, fromOffset + done);
    if (count <= 0) return done > 0 ? done : count;
    const at = toOffset === AT_POSITION ? AT_POSITION : toOffset + done;
    // A write that has to wait makes this call wait only when nothing was copied yet.
    const source = kernelBuffer(chunk.subarray(0, count));
    const written = writeSilently(k, task, to, source, at, done > 0);
    if (written < 0) return done > 0 && written !== BLOCKED ? done : written;
    done += written;
    if (written < count) break;
  }
  return done;
}

/** An `off_t *` argument: null when the pointer is null, -EFAULT. */
function readOffset(k: Kernel, gva: number): number | null | undefined {
  if (gva === 0) return null;
  const view = readStruct(k, gva, 8);
  return view === null ? undefined : readI64(view, 0);
}

function sendfile(k: Kernel, task: Task, a: Args): number {
  const gva = a.u64(2);
  const given = readOffset(k, gva);
  if (given === undefined) return -EFAULT;
  const from = readableFile(task, a.i32(1));
  if (typeof from === 'number') return from;
  if (given !== null && !hasOffsets(from)) return -ESPIPE;
  if (given !== null && given < 0) return -EINVAL;
  const to = writableFile(task, a.i32(0));
  if (typeof to === 'number') return to;
  if ((to.flags & O_APPEND) !== 0) return -EINVAL;
  if (from.kind !== FILE_REGULAR && from.kind !== FILE_GENERATED) return -EINVAL;
  // A copy that waits on its first write begins again with the same bytes: nothing was consumed.
  const progress = task.waitProgress;
  const offset = (given ?? from.position) + progress;
  task.waitProgress = 0;
  const result = copyRange(k, task, from, offset, to, AT_POSITION, a.u64(3) - progress);
  if (result === BLOCKED) {
    task.waitProgress += progress;
    return result;
  }
  const done = result < 0 ? progress : progress + result;
  if (result < 0 && done === 0) return result;
  if (done > 0) notifyCopy(k, from, to);
  return advance(k, from, gva, given, done);
}

/** Bytes went from one file to another within the kernel. */
export function notifyCopy(k: Kernel, from: File, to: File): void {
  notifyFile(k, from, IN_ACCESS);
  notifyFile(k, to, IN_MODIFY);
}

function advance(k: Kernel, file: File, gva: number, given: number | null, done: number): number {
  if (given === null) {
    file.position += done;
    return done;
  }
  return writeU64(k, gva, given + done) ? done : -EFAULT;
}

function copyFileRange(k: Kernel, task: Task, a: Args): number {
  const fromGva = a.u64(1);
  const toGva = a.u64(3);
  const bytes = a.u64(4);
  const flags = a.u32(5);
  const from = getFile(task, a.i32(0));
  const to = getFile(task, a.i32(2));
  if (from === null || to === null) return -EBADF;
  const fromGiven = readOffset(k, fromGva);
  const toGiven = readOffset(k, toGva);
  if (fromGiven === undefined || toGiven === undefined) return -EFAULT;
  if (flags !== 0) return -EINVAL;
  const fromOffset = fromGiven ?? from.position;
  const toOffset = toGiven ?? to.position;
  const refused = checkCopy(from, fromOffset, to, toOffset, bytes);
  if (refused !== 0) return refused;
  const done = copyRange(k, task, from, fromOffset, to, toOffset, bytes);
  if (done <= 0) return done;
  notifyCopy(k, from, to);
  const moved = advance(k, from, fromGva, fromGiven, done);
  return moved < 0 ? moved : advance(k, to, toGva, toGiven, done);
}

/** Linux: generic_copy_file_checks. */
function checkCopy(
  from: File,
  fromOffset: number,
  to: File,
  toOffset: number,
  bytes: number,
): number {
  if (from.kind === FILE_DIRECTORY || to.kind === FILE_DIRECTORY) return -EISDIR;
  const { inode: source } = from;
  const { inode: target } = to;
  if (source === null || target === null) return -EINVAL;
  if (S_ISDIR(source.mode) || S_ISDIR(target.mode)) return -EISDIR;
  if (!S_ISREG(source.mode) || !S_ISREG(target.mode)) return -EINVAL;
  if (!isReadable(from) || !isWritable(to) || (to.flags & O_APPEND) !== 0) return -EBADF;
  if (from.kind !== FILE_REGULAR || to.kind !== FILE_REGULAR) return -EXDEV;
  if (fromOffset < 0 || toOffset < 0) return -EINVAL;
  const count = Math.min(bytes, Math.max(source.bytes - fromOffset, 0));
  const overlaps = source === target && fromOffset < toOffset + count &&
    toOffset < fromOffset + count;
  return overlaps ? -EINVAL : 0;
}

export const readWriteCalls: Family = {
  read: full(read),
  write: full(write),
  pread64: full(pread64),
  pwrite64: full(pwrite64),
  readv: full(readv),
  writev: full(writev),
  preadv: full(preadv),
  pwritev: full(pwritev),
  preadv2: partial(preadv2, 'RWF_ATOMIC is EOPNOTSUPP; hints have no effect.'),
  pwritev2: partial(pwritev2, 'RWF_ATOMIC is EOPNOTSUPP; hints have no effect.'),
  lseek: full(lseek),
  sendfile: partial(sendfile, 'At most 16 MiB in one call; the source is a regular file.'),
  copy_file_range: partial(copyFileRange, 'At most 16 MiB in one call.'),
};
