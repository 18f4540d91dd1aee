// The sandbox's stdin, stdout and stderr over the console port (ports.ts). A stream that is a
// terminal on the host is /dev/console in the guest, any other looks like a pipe.
//
//   File (variant 0, 1, 2 = stream) ─ object ─► Console ─ queue: who waits for input or for room
//
// Nothing is read ahead from the host. What was read but met a bad guest address, or was fetched to
// answer FIONREAD, stays in Console.input.
// Ownership: the Console belongs to the root record and outlives its files.
import { EAGAIN, EFAULT } from '../../abi/errno.ts';
import { O_RDONLY, O_RDWR, O_WRONLY } from '../../abi/fcntl.ts';
import { POLLIN, POLLOUT, POLLRDNORM, POLLWRNORM } from '../../abi/poll.ts';
import { S_IFCHR, S_IFIFO } from '../../abi/stat.ts';
import type { Kernel } from '../kernel.ts';
import { Console } from '../records/ipc.ts';
import { type Dentry, type File, FILE_CONSOLE, type Inode } from '../records/vfs.ts';
import { makeWaitQueue } from '../task/block.ts';
import { defineFileOps, type IoBuffer } from '../vfs/file-ops.ts';
import { makeFile, setFilePlace } from '../vfs/file.ts';
import { holdInode } from '../vfs/inode.ts';
import { lookupPath } from '../vfs/lookup.ts';
import { makeAnonInode } from './anon-file.ts';
import { initialTermios, ioctlTerminal } from './console-terminal.ts';
import { wakeFor } from './epoll-ready.ts';
import { copyRounded } from './socket-queue.ts';

/** The three standard files. Each has one reference, the caller's. */
export interface StandardFiles {
  stdin: File;
  stdout: File;
  stderr: File;
}

/** makedev(5, 1): the terminal when /dev is not mounted. */
const RDEV_CONSOLE = 0x501;
/** Most bytes that go to or come from the host at once. */
const CHUNK_BYTES = 65_536;

const scratch: Uint8Array = new Uint8Array(CHUNK_BYTES);

/**
 * Makes the console record (k.root.console) and the standard files.
 * Order: after the root is mounted and the process made, so that a terminal is /dev/console.
 */
export function makeConsole(k: Kernel): StandardFiles {
  const console = k.arena.make(Console);
  const { columns, rows, terminals } = k.ports.console;
  console.queue = makeWaitQueue(k);
  console.terminals = terminals & 7;
  console.columns = columns;
  console.rows = rows;
  console.termios = initialTermios();
  k.root.console = console;
  const tty = (terminals & 7) === 0 ? null : findTerminal(k);
  if (tty !== null) {
    console.inode = tty.inode;
    holdInode(tty.inode);
  }
  const [stdin, stdout, stderr] = [0, 1, 2].map((stream) => {
    const isTerminal = tty !== null && ((terminals >> stream) & 1) !== 0;
    const mode = isTerminal ? O_RDWR : stream === 0 ? O_RDONLY : O_WRONLY;
    const file = makeFile(k, FILE_CONSOLE, mode);
    file.object = console;
    file.variant = stream;
    if (isTerminal) setFilePlace(k, file, tty.inode, tty.dentry);
    else setFilePlace(k, file, makeAnonInode(k, S_IFIFO | 0o600));
    return file;
  }) as [File, File, File];
  return { stdin, stdout, stderr };
}

function findTerminal(k: Kernel): { inode: Inode; dentry: Dentry | null } {
  const { process } = k.root;
  const path = new TextEncoder().encode('/dev/console');
  const dentry = process === null ? 0 : lookupPath(k, process, path);
  if (typeof dentry !== 'number' && dentry.inode !== null) return { inode: dentry.inode, dentry };
  const inode = makeAnonInode(k, S_IFCHR | 0o620);
  inode.rdev = RDEV_CONSOLE;
  return { inode, dentry: null };
}

/** The host side has input (or is at its end): wakes whoever waits for it. */
export function consoleReadable(k: Kernel): void {
  const { console } = k.root;
  if (console !== null) wakeFor(k, console.queue, POLLIN | POLLRDNORM);
}

/** The host side has room for output: wakes whoever was told that there is none. */
export function consoleWritable(k: Kernel): void {
  const { console } = k.root;
  if (console === null || !console.wantsOutput) return;
  console.wantsOutput = false;
  wakeFor(k, console.queue, POLLOUT | POLLWRNORM);
}

/** After a restore: the window of the terminal that is there now, and input that may have more. */
export function reconnectConsole(k: Kernel): void {
  const { console } = k.root;
  if (console === null) return;
  const { columns, rows } = k.ports.console;
  if (columns > 0) console.columns = columns;
  if (rows > 0) console.rows = rows;
}

function consoleOf(k: Kernel, file: File): Console {
  return k.arena.at(Console, file.object?.address ?? 0);
}

/** Whether the stream of `file` is a terminal. */
function isTerminal(k: Kernel, file: File): boolean {
  return ((consoleOf(k, file).terminals >> file.variant) & 1) !== 0;
}

function readConsole(k: Kernel, file: File, to: IoBuffer): number {
  if (to.remaining === 0) return 0;
  const console = consoleOf(k, file);
  if (console.input !== null) return deliverInput(k, console, to);
  const part = scratch.subarray(0, Math.min(CHUNK_BYTES, to.remaining));
  const count = k.ports.console.read(part);
  console.atEnd = count === 0;
  if (count <= 0) return count;
  const moved = to.put(part.subarray(0, count));
  if (moved < count) console.input = copyRounded(k, part.subarray(moved, count));
  return moved === 0 ? -EFAULT : moved;
}

function deliverInput(k: Kernel, console: Console, to: IoBuffer): number {
  const { input } = console;
  if (input === null) return -EAGAIN;
  const { data } = input;
  const moved = to.put(data.subarray(0, Math.min(data.length, to.remaining)));
  if (moved === 0) return -EFAULT;
  console.input = moved < data.length ? copyRounded(k, data.subarray(moved)) : null;
  k.arena.free(input);
  return moved;
}

/** Fetches input to count it (FIONREAD); returns how many bytes are there. */
function countInput(k: Kernel, console: Console): number {
  if (console.input === null && k.ports.console.readable()) {
    const part = scratch.subarray(0, 4096);
    const count = k.ports.console.read(part);
    if (count > 0) console.input = copyRounded(k, part.subarray(0, count));
  }
  return console.input?.length ?? 0;
}

/** Writes what the host takes now; the bytes beyond the returned count are still the caller's. */
function writeConsole(k: Kernel, file: File, from: IoBuffer): number {
  const stream = file.variant === 2 ? 2 : 1;
  let done = 0;
  while (from.remaining > 0) {
    const wanted = Math.min(CHUNK_BYTES, from.remaining);
    const taken = from.take(scratch.subarray(0, wanted));
    if (taken === 0) return done > 0 ? done : -EFAULT;
    const written = k.ports.console.write(stream, scratch.subarray(0, taken));
    if (written === -EAGAIN || (written >= 0 && written < taken)) {
      consoleOf(k, file).wantsOutput = true;
    }
    if (written < 0) return done > 0 ? done : written;
    done += written;
    if (written < wanted) break;
  }
  return done;
}

function pollConsole(k: Kernel, file: File): number {
  const console = consoleOf(k, file);
  let mask = 0;
  if (file.variant === 0 || isTerminal(k, file)) {
    const isReadable = console.input !== null || k.ports.console.readable();
    if (isReadable) mask |= POLLIN | POLLRDNORM;
  }
  if (file.variant !== 0 || isTerminal(k, file)) {
    if (k.ports.console.writable(file.variant === 2 ? 2 : 1)) mask |= POLLOUT | POLLWRNORM;
    else console.wantsOutput = true;
  }
  return mask;
}

defineFileOps(FILE_CONSOLE, {
  seekable: false,
  read: readConsole,
  write: writeConsole,
  poll: pollConsole,
  queue: (k, file) => consoleOf(k, file).queue,
  ioctl: (k, task, file, request, argument) => {
    const console = consoleOf(k, file);
    const inputBytes = (): number => countInput(k, console);
    return ioctlTerminal(k, task, console, isTerminal(k, file), inputBytes, request, argument);
  },
});
