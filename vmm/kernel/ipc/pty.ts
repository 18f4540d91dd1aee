// Pseudo-terminals, pty(7): a pair of files of which one is a terminal (the slave, /dev/pts/N) and
// the other one is who sits at it (the master, /dev/ptmx).
//
//   File (variant 0 master, 1 slave) ─ object ─► Pty ◄─ Sandbox.ptys      while the master is open
//
// A hang-up (the master is closed, the session's leader ends) kills the open files of the slave:
// their File.position, of no use otherwise, is behind Pty.hangups from then on.
// Ownership: the last file of either end frees the record; the master's end takes the name away.
import { EAGAIN, EFAULT, EIO, ENOSPC } from '../../abi/errno.ts';
import { O_NONBLOCK } from '../../abi/fcntl.ts';
import { B38400, CREAD, CS8, ICANON, TOSTOP, VMIN, VTIME } from '../../abi/ioctl.ts';
import {
  POLLERR, POLLHUP, POLLIN, POLLOUT, POLLRDNORM, POLLWRNORM,
} from '../../abi/poll.ts';
import { SI_KERNEL, SIGCONT, SIGHUP, SIGTTIN, SIGTTOU } from '../../abi/signal.ts';
import { S_IFCHR } from '../../abi/stat.ts';
import { Termios2 } from '../../abi/struct-terminal.ts';
import type { Kernel } from '../kernel.ts';
import { Pty } from '../records/pty.ts';
import type { Process } from '../records/task.ts';
import { type Dentry, type File, FILE_PTY, FS_DEV } from '../records/vfs.ts';
import { makeInfo, sendSignal } from '../signal/pending.ts';
import { makeWaitQueue } from '../task/block.ts';
import { findProcess } from '../task/family.ts';
import { dropDentry, holdDentry } from '../vfs/dentry.ts';
import { RDEV_PTS } from '../vfs/device-file.ts';
import { defineFileOps, type IoBuffer } from '../vfs/file-ops.ts';
import { makeFile } from '../vfs/file.ts';
import { makeInode } from '../vfs/inode.ts';
import { addNode } from '../vfs/mount.ts';
import { removeName } from '../vfs/remove.ts';
import { freeQueue } from './anon-file.ts';
import { initialTermios } from './console-terminal.ts';
import { wakeFor } from './epoll-ready.ts';
import { mayUseTerminal } from './job-control.ts';
import {
  consumeInput, flushInput, INPUT_BYTES, inputRoom, MARK_EOF, OUTPUT_BYTES, outputRoom,
  processOutput, readableBytes, receive, settingsOf, signalForeground,
} from './line-discipline.ts';
import { makeRing } from './pipe-ring.ts';
import { ioctlPty } from './pty-ioctl.ts';

/** File.variant */
export const PTY_MASTER = 0;
export const PTY_SLAVE = 1;

/** Most masters; a number is a minor below 256, and each takes some 25 KB. */
const PTYS_MOST = 256;
const CHUNK_BYTES = 2048;
/** Output of one byte takes no more. */
const EXPANSION_MOST = 8;
/** Linux: GID of `tty`, which devpts is mounted with. */
const TTY_GID = 5;
const TENTH_NS = 100_000_000;

const scratch: Uint8Array = new Uint8Array(CHUNK_BYTES);

/** Visits those whose master is open; ends when `visit` returns true. */
function findListed(k: Kernel, visit: (pty: Pty) => boolean): Pty | null {
  let pty = k.root.ptys;
  while (pty !== null && !visit(pty)) pty = pty.nextListed;
  return pty;
}

/** The one with this number; null when its master is not open. */
export function findPty(k: Kernel, number: number): Pty | null {
  return findListed(k, (pty) => pty.number === number);
}

/** The controlling terminal of a process, if it is a pseudo-terminal. */
export function terminalOf(k: Kernel, process: Process): Pty | null {
  return findListed(k, (pty) => pty.session !== 0 && pty.session === process.sid);
}

/**
 * Opens a new master, with a name in the directory `folder`.
 * @returns a file with one reference (its place not set), -ENOSPC
 */
export function openMaster(
  k: Kernel, process: Process, folder: Dentry, flags: number,
): File | number {
  let number = 0;
  while (number < PTYS_MOST && findPty(k, number) !== null) number++;
  if (number === PTYS_MOST) return -ENOSPC;
  const pty = makePty(k, number);
  const inode = makeInode(k, FS_DEV, S_IFCHR | 0o620);
  inode.rdev = RDEV_PTS + number;
  inode.uid = process.fsUid;
  inode.gid = TTY_GID;
  pty.dentry = holdDentry(k, addNode(k, folder, new TextEncoder().encode(`${number}`), inode));
  return fileOf(k, pty, PTY_MASTER, flags);
}

function makePty(k: Kernel, number: number): Pty {
  const pty = k.arena.make(Pty);
  pty.number = number;
  pty.masterQueue = makeWaitQueue(k);
  pty.slaveQueue = makeWaitQueue(k);
  pty.input = makeRing(k, INPUT_BYTES);
  pty.marks = makeRing(k, INPUT_BYTES);
  pty.output = makeRing(k, OUTPUT_BYTES);
  pty.termios = ptyTermios();
  pty.isLocked = true;
  pty.isListed = true;
  pty.nextListed = k.root.ptys;
  if (pty.nextListed !== null) pty.nextListed.previousListed = pty;
  k.root.ptys = pty;
  return pty;
}

/** Linux: pty_driver's init_termios, which does not hang up on close. */
function ptyTermios(): Uint8Array {
  const termios = initialTermios();
  Termios2.c_cflag.set(new DataView(termios.buffer), 0, B38400 | CS8 | CREAD);
  return termios;
}

function fileOf(k: Kernel, pty: Pty, variant: number, flags: number): File {
  const file = makeFile(k, FILE_PTY, flags);
  file.object = pty;
  file.variant = variant;
  pty.refs++;
  return file;
}

/** Opens the slave (its place not set); -EIO while it is locked. */
export function openSlave(k: Kernel, pty: Pty, flags: number): File | number {
  if (pty.isLocked) return -EIO;
  const file = fileOf(k, pty, PTY_SLAVE, flags);
  file.position = pty.hangups;
  pty.slaves++;
  pty.isDeserted = false;
  return file;
}

export function ptyOf(k: Kernel, file: File): Pty {
  return k.arena.at(Pty, file.object?.address ?? 0);
}

function isDead(pty: Pty, file: File): boolean {
  return file.variant === PTY_SLAVE && file.position !== pty.hangups;
}

/** Something changed that `file`'s other end, or its own, may wait for. */
export function wakePty(k: Kernel, pty: Pty): void {
  const events = POLLIN | POLLRDNORM | POLLOUT | POLLWRNORM | POLLHUP;
  wakeFor(k, pty.masterQueue, events);
  wakeFor(k, pty.slaveQueue, events);
}

// Hanging up

/**
 * A leader of a session ended, and its terminal is hung up, or just gives it away (Linux:
 * disassociate_ctty).
 */
export function leaveTerminal(k: Kernel, process: Process, isEnd: boolean = true): void {
  if (process.sid !== process.pid) return;
  const pty = terminalOf(k, process);
  if (pty === null) return;
  signalForeground(k, pty, SIGHUP);
  signalForeground(k, pty, SIGCONT);
  pty.session = 0;
  pty.foreground = 0;
  if (isEnd) hangUp(k, pty);
}

/** Linux: __tty_hangup. */
export function hangUp(k: Kernel, pty: Pty): void {
  const leader = pty.session === 0 ? null : findProcess(k, pty.session);
  if (leader !== null) {
    sendSignal(k, leader, makeInfo(SIGHUP, SI_KERNEL));
    sendSignal(k, leader, makeInfo(SIGCONT, SI_KERNEL));
  }
  if (pty.foreground !== pty.session) {
    signalForeground(k, pty, SIGHUP);
    signalForeground(k, pty, SIGCONT);
  }
  pty.session = 0;
  pty.foreground = 0;
  pty.hangups = (pty.hangups + 1) >>> 0;
  pty.isStopped = false;
  flushInput(pty);
  wakePty(k, pty);
}

function releasePty(k: Kernel, file: File): void {
  const pty = ptyOf(k, file);
  file.object = null;
  pty.refs--;
  if (file.variant === PTY_MASTER) closeMaster(k, pty);
  else if (--pty.slaves === 0) pty.isDeserted = true;
  wakePty(k, pty);
  if (pty.refs > 0) return;
  freeQueue(k, pty.masterQueue);
  freeQueue(k, pty.slaveQueue);
  for (const bytes of [pty.input, pty.marks, pty.output]) k.arena.free(bytes);
  k.arena.free(pty);
}

function closeMaster(k: Kernel, pty: Pty): void {
  const { dentry, nextListed, previousListed } = pty;
  hangUp(k, pty);
  if (nextListed !== null) nextListed.previousListed = previousListed;
  if (previousListed === null) k.root.ptys = nextListed;
  else previousListed.nextListed = nextListed;
  pty.isListed = false;
  pty.nextListed = null;
  pty.previousListed = null;
  pty.dentry = null;
  if (dentry === null) return;
  if (!dentry.deleted && dentry.inode !== null) removeName(k, dentry);
  dropDentry(k, dentry);
}

// Reading and writing

function readPty(k: Kernel, file: File, to: IoBuffer): number {
  const pty = ptyOf(k, file);
  if (file.variant === PTY_MASTER) return readMaster(k, pty, to);
  if (isDead(pty, file)) return 0;
  const refused = mayUseTerminal(k, pty, SIGTTIN);
  if (refused !== 0) return refused;
  if (to.remaining === 0) return 0;
  const { lflag, cc } = settingsOf(pty);
  const isCanonical = (lflag & ICANON) !== 0;
  const ready = readableBytes(pty, isCanonical);
  const isWaiting = (file.flags & O_NONBLOCK) === 0;
  // With both VMIN and VTIME, Linux waits for more until nothing comes for so long.
  const takesAny = isCanonical || !isWaiting || cc[VTIME] !== 0;
  const least = takesAny ? 1 : Math.min(cc[VMIN] as number, to.remaining);
  if (ready < least || ready === 0) {
    const isPolling = !isCanonical && cc[VMIN] === 0 && cc[VTIME] === 0;
    return ready === 0 && isPolling ? 0 : -EAGAIN;
  }
  const count = Math.min(ready, to.remaining);
  const isEof = isCanonical && pty.marks.data[count - 1] === MARK_EOF;
  const wanted = isEof ? count - 1 : count;
  const moved = wanted === 0 ? 0 : to.put(pty.input.data.subarray(0, wanted));
  if (moved < wanted) return -EFAULT;
  // Linux: an end-of-file character right behind what was asked for goes with it.
  const next = isCanonical && !isEof && count < ready && pty.marks.data[count] === MARK_EOF ? 1 : 0;
  consumeInput(pty, count + next);
  wakeFor(k, pty.masterQueue, POLLOUT | POLLWRNORM);
  return moved;
}

function readMaster(k: Kernel, pty: Pty, to: IoBuffer): number {
  if (to.remaining === 0) return 0;
  if (pty.outputCount === 0) return pty.isDeserted ? -EIO : -EAGAIN;
  let head = 0;
  if (pty.isPacket) {
    head = to.put(new Uint8Array(1));
    if (head === 0) return -EFAULT;
  }
  const moved = to.put(pty.output.data.subarray(0, Math.min(pty.outputCount, to.remaining)));
  if (head + moved === 0) return -EFAULT;
  pty.output.data.copyWithin(0, moved, pty.outputCount);
  pty.outputCount -= moved;
  wakeFor(k, pty.slaveQueue, POLLOUT | POLLWRNORM);
  return head + moved;
}

function writePty(k: Kernel, file: File, from: IoBuffer): number {
  const pty = ptyOf(k, file);
  return file.variant === PTY_MASTER ? writeMaster(k, pty, from) : writeSlave(k, pty, file, from);
}

function writeMaster(k: Kernel, pty: Pty, from: IoBuffer): number {
  const wanted = Math.min(from.remaining, inputRoom(pty), CHUNK_BYTES);
  if (wanted === 0) return from.remaining === 0 ? 0 : -EAGAIN;
  const taken = from.take(scratch.subarray(0, wanted));
  if (taken === 0) return -EFAULT;
  receive(k, pty, scratch.slice(0, taken));
  wakePty(k, pty);
  return taken;
}

function writeSlave(k: Kernel, pty: Pty, file: File, from: IoBuffer): number {
  if (isDead(pty, file)) return -EIO;
  const settings = settingsOf(pty);
  const refused = (settings.lflag & TOSTOP) === 0 ? 0 : mayUseTerminal(k, pty, SIGTTOU);
  if (refused !== 0) return refused;
  const room = pty.isStopped ? 0 : Math.floor(outputRoom(pty) / EXPANSION_MOST);
  const wanted = Math.min(from.remaining, room, CHUNK_BYTES);
  if (wanted === 0) return from.remaining === 0 ? 0 : -EAGAIN;
  const taken = from.take(scratch.subarray(0, wanted));
  if (taken === 0) return -EFAULT;
  for (let i = 0; i < taken; i++) processOutput(pty, settings, scratch[i] as number);
  wakeFor(k, pty.masterQueue, POLLIN | POLLRDNORM);
  return taken;
}

function pollPty(k: Kernel, file: File): number {
  const pty = ptyOf(k, file);
  if (file.variant === PTY_MASTER) {
    const readable = pty.outputCount > 0 ? POLLIN | POLLRDNORM : 0;
    const writable = inputRoom(pty) > 0 ? POLLOUT | POLLWRNORM : 0;
    return readable | writable | (pty.isDeserted ? POLLHUP : 0);
  }
  if (isDead(pty, file)) {
    return POLLIN | POLLRDNORM | POLLOUT | POLLWRNORM | POLLERR | POLLHUP;
  }
  const { lflag, cc } = settingsOf(pty);
  const isCanonical = (lflag & ICANON) !== 0;
  const least = isCanonical || cc[VTIME] !== 0 ? 1 : Math.max(1, cc[VMIN] as number);
  const readable = readableBytes(pty, isCanonical) >= least ? POLLIN | POLLRDNORM : 0;
  const hasRoom = !pty.isStopped && outputRoom(pty) >= 256;
  return readable | (hasRoom ? POLLOUT | POLLWRNORM : 0);
}

/** How long a read waits: VTIME, which counts from its begin where VMIN is 0. */
function waitNs(k: Kernel, file: File, forWrite: boolean): number {
  if (forWrite || file.variant === PTY_MASTER) return Infinity;
  const { lflag, cc } = settingsOf(ptyOf(k, file));
  if ((lflag & ICANON) !== 0 || cc[VMIN] !== 0) return Infinity;
  return (cc[VTIME] as number) * TENTH_NS;
}

defineFileOps(FILE_PTY, {
  seekable: false,
  read: readPty,
  write: writePty,
  poll: pollPty,
  queue: (k, file) => {
    const pty = ptyOf(k, file);
    return file.variant === PTY_MASTER ? pty.masterQueue : pty.slaveQueue;
  },
  waitNs,
  ioctl: (k, task, file, request, argument) => {
    const pty = ptyOf(k, file);
    return isDead(pty, file) ? -EIO : ioctlPty(k, task, pty, file, request, argument);
  },
  release: releasePty,
});
