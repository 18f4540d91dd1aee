// What each kind of open file can do. The calls (syscalls/read-write.ts, poll.ts …) check
// descriptors, block and restart; operations only try, and say -EAGAIN when they would have to
// wait.
import type { Kernel } from '../kernel.ts';
import type { File } from '../records/vfs.ts';
import type { Task, WaitQueue } from '../records/task.ts';

/** Where bytes come from or go to: guest memory (one or many iovecs), or a kernel buffer. */
export interface IoBuffer {
  /** Bytes still wanted or offered. */
  readonly remaining: number;
  /** Appends to the destination; returns bytes taken, fewer than given only at a bad address. */
  put(source: Uint8Array): number;
  /**
   * Fills `target` from the source; returns bytes given, fewer than asked only at a bad address.
   */
  take(target: Uint8Array): number;
}

/** Bits of poll(2) as returned by FileOps.poll. */
export interface FileOps {
  /** Reads at `offset` (the file's position, or pread's). Returns bytes, 0 at the end, -errno. */
  read?(k: Kernel, file: File, to: IoBuffer, offset: number): number;
  write?(k: Kernel, file: File, from: IoBuffer, offset: number): number;
  /** POLLIN | POLLOUT | POLLHUP | POLLERR … that hold now. */
  poll(k: Kernel, file: File): number;
  /** What to wait on until poll() may change; null = it never does. */
  queue(k: Kernel, file: File): WaitQueue | null;
  /** Where a write waits, when that is not `queue` (a datagram socket waits for its receiver). */
  writeQueue?(k: Kernel, file: File): WaitQueue | null;
  /** How long a read or a write waits at most; absent = Infinity, for ever. */
  waitNs?(k: Kernel, file: File, forWrite: boolean): number;
  /** lseek's result for (offset, whence); absent = ESPIPE. */
  seek?(k: Kernel, file: File, offset: number, whence: number): number;
  ioctl?(k: Kernel, task: Task, file: File, request: number, argument: number): number;
  /** The last descriptor is gone. */
  release?(k: Kernel, file: File): void;
  /** True when position is meaningful (regular files). */
  readonly seekable: boolean;
}

const table: (FileOps | undefined)[] = [];

/** Registers the operations of a file kind (records/vfs.ts FILE_*); once, at module load. */
export function defineFileOps(fileKind: number, ops: FileOps): void {
  const isTaken = table[fileKind] !== undefined;
  if (isTaken) throw new Error(`file kind ${fileKind} has operations already`);
  table[fileKind] = ops;
}

/** The operations of `file`. */
export function opsOf(file: File): FileOps {
  const ops = table[file.kind];
  if (ops === undefined) throw new Error(`file kind ${file.kind} has no operations`);
  return ops;
}
