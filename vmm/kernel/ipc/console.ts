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
import { PIPE_BUF } from '../../abi/limits.ts';
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
/** Most bytes that come from the host at once. */
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
  if (console === null) return;
  console.wantsInput = false;
  wakeFor(k, console.queue, POLLIN | POLLRDNORM);
}

/**
 * The host side may have room for output: wakes whoever was told that there is none, if it has. A
 * stream that nobody takes from does not hold the other one up.
 */
export function consoleWritable(k: Kernel): void {
  const { console } = k.root;
  if (console === null) return;
  let ready = 0;
  for (const stream of [1, 2] as const) {
    if ((console.wantsOutput & stream) === 0 || !k.ports.console.writable(stream)) continue;
    if (flushStream(k, console, stream)) ready |= stream;
  }
  if (ready === 0) return;
  console.wantsOutput &= ~ready;
  wakeFor(k, console.queue, POLLOUT | POLLWRNORM);
}

/** After a restore: the window of the terminal that is there now, and input that may have more. */
export function reconnectConsole(k: Kernel): void {
  const { console } = k.root;
  if (console === null) return;
  const { columns, rows } = k.ports.console;
  if (columns > 0) console.columns = columns;
  if (rows > 0) console.rows = rows;
  console.wantsInput = true;
  if (console.wantsOutput !== 0) console.wantsOutput = 3;
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
  console.wantsInput = true;
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

/**
 * Writes what the host takes now. Small pieces after a look whether there is room: what was taken
 * from the guest cannot be put back, and a pipe that is ready takes PIPE_BUF bytes. Should the host
 * take less all the same, the rest counts as written and is kept (flushConsole).
 */
function writeConsole(k: Kernel, file: File, from: IoBuffer): number {
  const console = consoleOf(k, file);
  const port = k.ports.console;
  const stream = outputOf(file);
  let done = 0;
  while (from.remaining > 0) {
    if (!flushStream(k, console, stream) || !port.writable(stream)) {
      console.wantsOutput |= stream;
      return done > 0 ? done : -EAGAIN;
    }
    const wanted = Math.min(PIPE_BUF, from.remaining);
    const taken = from.take(scratch.subarray(0, wanted));
    if (taken === 0) return done > 0 ? done : -EFAULT;
    const written = port.write(stream, scratch.subarray(0, taken));
    if (written < 0 && written !== -EAGAIN) return done > 0 ? done : written;
    if (written < taken) {
      keepOutput(k, console, stream, scratch.subarray(Math.max(0, written), taken));
    }
    done += taken;
    if (taken < wanted) break;
  }
  return done;
}

function outputOf(file: File): 1 | 2 {
  return file.variant === 2 ? 2 : 1;
}

function keepOutput(k: Kernel, console: Console, stream: 1 | 2, rest: Uint8Array): void {
  const bytes = rest.length === 0 ? null : copyRounded(k, rest);
  if (stream === 1) console.output = bytes;
  else console.errors = bytes;
}

/** Gives the host what was kept of a stream; false when something is left. */
function flushStream(k: Kernel, console: Console, stream: 1 | 2): boolean {
  const kept = stream === 1 ? console.output : console.errors;
  if (kept === null) return true;
  const written = k.ports.console.write(stream, kept.data);
  if (written === -EAGAIN || written === 0) return false;
  // A host side that is gone takes nothing any more: what was kept is lost, as in a pipe.
  const rest = written < 0 ? new Uint8Array(0) : kept.data.slice(written);
  k.arena.free(kept);
  keepOutput(k, console, stream, rest);
  return rest.length === 0;
}

/**
 * Gives the host what it did not take before. False: something is left, try again when it is
 * writable.
 */
export function flushConsole(k: Kernel): boolean {
  const { console } = k.root;
  if (console === null) return true;
  const first = flushStream(k, console, 1);
  return flushStream(k, console, 2) && first;
}

function pollConsole(k: Kernel, file: File): number {
  const console = consoleOf(k, file);
  let mask = 0;
  if (file.variant === 0 || isTerminal(k, file)) {
    const isReadable = console.input !== null || k.ports.console.readable();
    if (isReadable) mask |= POLLIN | POLLRDNORM;
    else console.wantsInput = true;
  }
  if (file.variant !== 0 || isTerminal(k, file)) {
    const stream = outputOf(file);
    const kept = stream === 1 ? console.output : console.errors;
    if (kept === null && k.ports.console.writable(stream)) mask |= POLLOUT | POLLWRNORM;
    else console.wantsOutput |= stream;
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
