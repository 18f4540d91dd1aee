// ioctl(2) of pseudo-terminals, ioctl_tty(2). Settings and window are the pair's: both ends see and
// change the same ones.
import { EFAULT, EINVAL, EIO, ENOTTY, EPERM, ESRCH } from '../../abi/errno.ts';
import { O_CLOEXEC } from '../../abi/fcntl.ts';
import {
  FIONREAD, ICANON, TCFLSH, TCGETS, TCGETS2, TCIFLUSH, TCIOFLUSH, TCOFLUSH, TCOOFF, TCOON, TCSBRK,
  TCSBRKP, TCSETS, TCSETS2, TCSETSF, TCSETSF2, TCSETSW, TCSETSW2, TCXONC, TIOCEXCL, TIOCGDEV,
  TIOCGETD, TIOCGEXCL, TIOCGPGRP, TIOCGPKT, TIOCGPTLCK, TIOCGPTN, TIOCGPTPEER, TIOCGSID,
  TIOCGWINSZ, TIOCNOTTY, TIOCNXCL, TIOCOUTQ, TIOCPKT, TIOCSCTTY, TIOCSETD, TIOCSPGRP, TIOCSPTLCK,
  TIOCSWINSZ, TIOCVHANGUP,
} from '../../abi/ioctl.ts';
import { SIGTTOU, SIGWINCH } from '../../abi/signal.ts';
import { Termios, Termios2, Winsize } from '../../abi/struct-terminal.ts';
import type { Kernel } from '../kernel.ts';
import { copyIn, copyOut, readU32, writeU32 } from '../mm/user-memory.ts';
import type { Pty } from '../records/pty.ts';
import type { Task } from '../records/task.ts';
import type { File } from '../records/vfs.ts';
import { groupOf, isGroupOfSession } from '../task/family.ts';
import { RDEV_PTS } from '../vfs/device-file.ts';
import { setFilePlace } from '../vfs/file.ts';
import { installOrDrop } from './anon-file.ts';
import { mayUseTerminal } from './job-control.ts';
import {
  changeMode, countInput, flushInput, settingsOf, signalForeground,
} from './line-discipline.ts';
import { hangUp, leaveTerminal, openSlave, PTY_MASTER, terminalOf, wakePty } from './pty.ts';

const STEAL = 1;

/** One request; -ENOTTY for those that terminals do not have. */
export function ioctlPty(
  k: Kernel, task: Task, pty: Pty, file: File, request: number, gva: number,
): number {
  if (CHANGES.has(request) && file.variant !== PTY_MASTER) {
    const refused = mayUseTerminal(k, pty, SIGTTOU);
    if (refused !== 0) return refused;
  }
  switch (request) {
    case TCGETS:
      return putBytes(k, gva, pty.termios.subarray(0, Termios.bytes));
    case TCGETS2:
      return putBytes(k, gva, pty.termios);
    case TCSETS:
    case TCSETSW:
      return setTermios(k, pty, gva, Termios.bytes, false);
    case TCSETSF:
      return setTermios(k, pty, gva, Termios.bytes, true);
    case TCSETS2:
    case TCSETSW2:
      return setTermios(k, pty, gva, Termios2.bytes, false);
    case TCSETSF2:
      return setTermios(k, pty, gva, Termios2.bytes, true);
    case TIOCGWINSZ:
      return putBytes(k, gva, pty.window);
    case TIOCSWINSZ:
      return setWindow(k, pty, gva);
    case FIONREAD:
      return putNumber(k, gva, bytesToRead(pty, file));
    case TIOCOUTQ:
    case TIOCGETD:
    case TIOCGEXCL:
      return putNumber(k, gva, 0);
    case TIOCSETD: {
      const discipline = readU32(k, gva);
      return discipline < 0 ? -EFAULT : discipline === 0 ? 0 : -EINVAL;
    }
    case TCFLSH:
      return flush(k, pty, file, gva);
    case TCXONC:
      return setFlow(k, pty, gva);
    case TCSBRK:
    case TCSBRKP:
    case TIOCEXCL:
    case TIOCNXCL:
      return 0;
    case TIOCGDEV:
      return putNumber(k, gva, RDEV_PTS + pty.number);
    case TIOCVHANGUP:
      hangUp(k, pty);
      return 0;
    default:
      return ioctlSession(k, task, pty, file, request, gva);
  }
}

/** Requests for which a process in the background is stopped. */
const CHANGES: ReadonlySet<number> = new Set([
  TCSETS, TCSETSW, TCSETSF, TCSETS2, TCSETSW2, TCSETSF2, TCFLSH, TCXONC, TCSBRK, TCSBRKP,
  TIOCSETD, TIOCSPGRP,
]);

function ioctlSession(
  k: Kernel, task: Task, pty: Pty, file: File, request: number, gva: number,
): number {
  const isMaster = file.variant === PTY_MASTER;
  const isOwn = pty.session !== 0 && task.process.sid === pty.session;
  switch (request) {
    case TIOCSCTTY:
      return setControlling(k, task, pty, gva);
    case TIOCNOTTY:
      if (!isOwn) return -ENOTTY;
      leaveTerminal(k, task.process, false);
      return 0;
    case TIOCGPGRP:
      return isMaster || isOwn ? putNumber(k, gva, pty.foreground) : -ENOTTY;
    case TIOCGSID:
      return (isMaster || isOwn) && pty.session !== 0 ? putNumber(k, gva, pty.session) : -ENOTTY;
    case TIOCSPGRP:
      return isOwn ? setForeground(k, task, pty, gva) : -ENOTTY;
    default:
      return isMaster ? ioctlMaster(k, task, pty, request, gva) : -ENOTTY;
  }
}

function ioctlMaster(k: Kernel, task: Task, pty: Pty, request: number, gva: number): number {
  switch (request) {
    case TIOCGPTN:
      return putNumber(k, gva, pty.number);
    case TIOCGPTLCK:
      return putNumber(k, gva, pty.isLocked ? 1 : 0);
    case TIOCSPTLCK: {
      const value = readU32(k, gva);
      if (value < 0) return -EFAULT;
      pty.isLocked = value !== 0;
      return 0;
    }
    case TIOCGPKT:
      return putNumber(k, gva, pty.isPacket ? 1 : 0);
    case TIOCPKT: {
      const value = readU32(k, gva);
      if (value < 0) return -EFAULT;
      pty.isPacket = value !== 0;
      return 0;
    }
    case TIOCGPTPEER:
      return openPeer(k, task, pty, gva);
    default:
      return -ENOTTY;
  }
}

function putBytes(k: Kernel, gva: number, data: Uint8Array): number {
  return copyOut(k, gva, data) === data.length ? 0 : -EFAULT;
}

function putNumber(k: Kernel, gva: number, value: number): number {
  return writeU32(k, gva, value) ? 0 : -EFAULT;
}

function bytesToRead(pty: Pty, file: File): number {
  if (file.variant === PTY_MASTER) return pty.outputCount;
  return countInput(pty, (settingsOf(pty).lflag & ICANON) !== 0);
}

function setTermios(
  k: Kernel, pty: Pty, gva: number, bytes: number, flushes: boolean,
): number {
  const raw = pty.termios.slice();
  if (copyIn(k, gva, raw.subarray(0, bytes)) !== bytes) return -EFAULT;
  const before = settingsOf(pty).lflag;
  pty.termios = raw;
  const after = settingsOf(pty).lflag;
  if (flushes) flushInput(pty);
  if (((before ^ after) & ICANON) !== 0) changeMode(pty, (after & ICANON) !== 0);
  wakePty(k, pty);
  return 0;
}

function setWindow(k: Kernel, pty: Pty, gva: number): number {
  const raw = new Uint8Array(Winsize.bytes);
  if (copyIn(k, gva, raw) !== raw.length) return -EFAULT;
  const isSame = raw.every((byte, index) => byte === pty.window[index]);
  pty.window = raw;
  if (!isSame) signalForeground(k, pty, SIGWINCH);
  return 0;
}

function flush(k: Kernel, pty: Pty, file: File, which: number): number {
  if (which !== TCIFLUSH && which !== TCOFLUSH && which !== TCIOFLUSH) return -EINVAL;
  const isMaster = file.variant === PTY_MASTER;
  // The master's output is the slave's input.
  if (which === TCIOFLUSH || (which === TCOFLUSH) === isMaster) flushInput(pty);
  if (which === TCIOFLUSH || (which === TCIFLUSH) === isMaster) pty.outputCount = 0;
  wakePty(k, pty);
  return 0;
}

function setFlow(k: Kernel, pty: Pty, action: number): number {
  if (action < 0 || action > 3) return -EINVAL;
  if (action === TCOOFF) pty.isStopped = true;
  if (action === TCOON) pty.isStopped = false;
  wakePty(k, pty);
  return 0;
}

/** Makes it the controlling terminal of a session's leader that has none (Linux: tiocsctty). */
function setControlling(k: Kernel, task: Task, pty: Pty, mode: number): number {
  const { process } = task;
  const isLeader = process.sid === process.pid;
  if (isLeader && pty.session === process.sid) return 0;
  if (!isLeader || terminalOf(k, process) !== null) return -EPERM;
  if (pty.session !== 0 && (mode !== STEAL || process.uid !== 0)) return -EPERM;
  control(pty, process.sid, process.pgid);
  return 0;
}

/** open(2) of a slave without O_NOCTTY: a leader without a terminal gets it. */
export function takeTerminal(k: Kernel, task: Task, pty: Pty): void {
  const { process } = task;
  if (process.sid !== process.pid || pty.session !== 0 || terminalOf(k, process) !== null) return;
  const console = k.root.console?.terminals ?? 0;
  if (process === k.root.process && console !== 0) return;
  control(pty, process.sid, process.pgid);
}

function control(pty: Pty, session: number, foreground: number): void {
  pty.session = session;
  pty.foreground = foreground;
}

/** Linux: tiocspgrp. */
function setForeground(k: Kernel, task: Task, pty: Pty, gva: number): number {
  const group = readU32(k, gva);
  if (group < 0) return -EFAULT;
  if ((group | 0) < 0) return -EINVAL;
  if (groupOf(k, group).length === 0) return -ESRCH;
  if (!isGroupOfSession(k, group, task.process.sid)) return -EPERM;
  pty.foreground = group;
  return 0;
}

function openPeer(k: Kernel, task: Task, pty: Pty, flags: number): number {
  const { dentry } = pty;
  if (dentry === null || dentry.inode === null) return -EIO;
  const file = openSlave(k, pty, flags & ~O_CLOEXEC);
  if (typeof file === 'number') return file;
  setFilePlace(k, file, dentry.inode, dentry);
  return installOrDrop(k, task, file, (flags & O_CLOEXEC) !== 0);
}
