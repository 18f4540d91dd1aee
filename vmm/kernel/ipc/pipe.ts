// Pipes and FIFOs: a byte ring (pipe-ring.ts) with counted ends. File.variant says which end a file
// is.
//
// The ring starts with one page and doubles up to `capacity`, so that idle pipes cost little.
// Invariant: readers and writers count open files, and FIFO opens that wait (fifo.ts).
// Ownership: the last end to close frees the record.
import { EAGAIN, EBADF, EBUSY, EFAULT, EINVAL, ENOTTY, EPERM, EPIPE } from '../../abi/errno.ts';
import { O_RDONLY, O_WRONLY } from '../../abi/fcntl.ts';
import { FIONREAD } from '../../abi/ioctl.ts';
import { PIPE_BUF, PIPE_DEFAULT_BYTES, PIPE_MAX_BYTES } from '../../abi/limits.ts';
import {
  POLLERR, POLLHUP, POLLIN, POLLOUT, POLLRDNORM, POLLWRNORM,
} from '../../abi/poll.ts';
import { S_IFIFO } from '../../abi/stat.ts';
import type { Kernel } from '../kernel.ts';
import { writeU32 } from '../mm/user-memory.ts';
import { Pipe } from '../records/ipc.ts';
import type { Task } from '../records/task.ts';
import { type File, FILE_PIPE } from '../records/vfs.ts';
import { makeWaitQueue } from '../task/block.ts';
import { defineFileOps, type IoBuffer } from '../vfs/file-ops.ts';
import { freeQueue, makeAnonFile, makeAnonInode } from './anon-file.ts';
import { wakeFor } from './epoll-ready.ts';
import {
  drainRing, fillRing, freeBytes, makeRing, reserveRing, resizeRing, usedBytes,
} from './pipe-ring.ts';

/** File.variant of a pipe's ends. */
export const PIPE_READ_END = 0;
export const PIPE_WRITE_END = 1;
/** A FIFO opened for both. */
export const PIPE_BOTH_ENDS = 2;

const FIRST_BUFFER_BYTES = 4096;

/** A pipe without ends. */
export function makePipe(k: Kernel): Pipe {
  const pipe = k.arena.make(Pipe);
  pipe.queue = makeWaitQueue(k);
  pipe.buffer = makeRing(k, FIRST_BUFFER_BYTES);
  pipe.capacity = PIPE_DEFAULT_BYTES;
  pipe.serial = k.root.nextObjectSerial++;
  return pipe;
}

/** Both ends of a new pipe; each file has one reference, the caller's. */
export function makePipeFiles(k: Kernel, flags: number): [reader: File, writer: File] {
  const pipe = makePipe(k);
  const inode = makeAnonInode(k, S_IFIFO | 0o600);
  const reader = makeAnonFile(k, FILE_PIPE, O_RDONLY | flags, pipe, inode);
  const writer = makeAnonFile(k, FILE_PIPE, O_WRONLY | flags, pipe, inode);
  reader.variant = PIPE_READ_END;
  writer.variant = PIPE_WRITE_END;
  pipe.readers = 1;
  pipe.writers = 1;
  pipe.writerOpens = 1;
  return [reader, writer];
}

function pipeOf(k: Kernel, file: File): Pipe {
  return k.arena.at(Pipe, file.object?.address ?? 0);
}

// Reading and writing

function readPipe(k: Kernel, file: File, to: IoBuffer): number {
  if (to.remaining === 0) return 0;
  const pipe = pipeOf(k, file);
  if (pipe.count === 0) return pipe.writers === 0 ? 0 : -EAGAIN;
  const wasTight = freeBytes(pipe) < PIPE_BUF;
  const done = drainRing(pipe, to);
  if (done === 0) return -EFAULT;
  if (wasTight) wakeFor(k, pipe.queue, POLLOUT | POLLWRNORM);
  return done;
}

/**
 * Writes what fits. Linux: up to PIPE_BUF bytes go in as a whole or not at all; more may go in
 * parts, and the write call goes on from there.
 */
function writePipe(k: Kernel, file: File, from: IoBuffer): number {
  const wanted = from.remaining;
  if (wanted === 0) return 0;
  const pipe = pipeOf(k, file);
  if (pipe.readers === 0) return -EPIPE;
  const free = freeBytes(pipe);
  if (free === 0 || (wanted <= PIPE_BUF && wanted > free)) return -EAGAIN;
  const bytes = Math.min(free, wanted);
  reserveRing(k, pipe, pipe.count + bytes);
  const done = fillRing(pipe, from, bytes);
  if (done === 0) return -EFAULT;
  wakeFor(k, pipe.queue, POLLIN | POLLRDNORM);
  return done;
}

// Readiness and closing

function pollPipe(k: Kernel, file: File): number {
  const pipe = pipeOf(k, file);
  let mask = 0;
  if (file.variant !== PIPE_WRITE_END) {
    if (pipe.count > 0) mask |= POLLIN | POLLRDNORM;
    // Linux: a FIFO opened before any writer came shows no hang-up until one has come and gone. The
    // position, which a pipe has no use for, keeps what writerOpens was then.
    if (pipe.writers === 0 && pipe.writerOpens !== file.position) mask |= POLLHUP;
  }
  if (file.variant !== PIPE_READ_END) {
    if (freeBytes(pipe) >= PIPE_BUF) mask |= POLLOUT | POLLWRNORM;
    if (pipe.readers === 0) mask |= POLLERR;
  }
  return mask;
}

function ioctlPipe(
  k: Kernel,
  _task: Task,
  file: File,
  request: number,
  argument: number,
): number {
  if (request !== FIONREAD) return -ENOTTY;
  return writeU32(k, argument, pipeOf(k, file).count) ? 0 : -EFAULT;
}

function releasePipe(k: Kernel, file: File): void {
  const pipe = pipeOf(k, file);
  file.object = null;
  if (file.variant !== PIPE_WRITE_END) pipe.readers--;
  if (file.variant !== PIPE_READ_END) pipe.writers--;
  if (pipe.readers + pipe.writers > 0) {
    wakeFor(k, pipe.queue, POLLIN | POLLRDNORM | POLLOUT | POLLWRNORM | POLLERR | POLLHUP);
    return;
  }
  if (file.inode !== null) file.inode.object = null;
  freePipe(k, pipe);
}

/** Frees a pipe without ends; its inode must not name it any more. */
export function freePipe(k: Kernel, pipe: Pipe): void {
  freeQueue(k, pipe.queue);
  k.arena.free(pipe.buffer);
  k.arena.free(pipe);
}

defineFileOps(FILE_PIPE, {
  seekable: false,
  read: readPipe,
  write: writePipe,
  poll: pollPipe,
  queue: (k, file) => pipeOf(k, file).queue,
  ioctl: ioctlPipe,
  release: releasePipe,
});

// fcntl(2)

/** F_GETPIPE_SZ: the capacity in bytes, or -EBADF when `file` is no pipe. */
export function getPipeBytes(k: Kernel, file: File): number {
  return file.kind === FILE_PIPE ? pipeOf(k, file).capacity : -EBADF;
}

/**
 * F_SETPIPE_SZ: rounds up to a power of two of pages, as Linux does.
 * @returns the new capacity, or -EBADF, -EINVAL, -EPERM (above pipe-max-size), -EBUSY (does not
 * fit)
 */
export function setPipeBytes(k: Kernel, file: File, bytes: number): number {
  if (file.kind !== FILE_PIPE) return -EBADF;
  if (!(bytes >= 0 && bytes <= 0x8000_0000)) return -EINVAL;
  let capacity = PIPE_BUF;
  while (capacity < bytes) capacity *= 2;
  const pipe = pipeOf(k, file);
  if (capacity > pipe.capacity && capacity > PIPE_MAX_BYTES) return -EPERM;
  if (capacity < usedBytes(pipe)) return -EBUSY;
  if (pipe.buffer.length > capacity) resizeRing(k, pipe, capacity);
  pipe.capacity = capacity;
  wakeFor(k, pipe.queue, POLLOUT | POLLWRNORM);
  return capacity;
}
