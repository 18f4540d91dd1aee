// Terminal ioctls of the console, ioctl_tty(2). The settings are kept, given back, and passed on to
// the host's terminal, whose line discipline is the guest's.
import { EFAULT, EINVAL, ENOTTY, EPERM, ESRCH } from '../../abi/errno.ts';
import {
  B38400, CREAD, CS8, ECHO, ECHOCTL, ECHOE, ECHOK, ECHOKE, FIONREAD, HUPCL, ICANON, ICRNL, IEXTEN,
  ISIG, IXON, ONLCR, OPOST, TCFLSH, TCGETS, TCGETS2, TCSBRK, TCSBRKP, TCSETS, TCSETS2, TCSETSF,
  TCSETSF2, TCSETSW, TCSETSW2, TCXONC, TIOCEXCL, TIOCGETD, TIOCGPGRP, TIOCGSID, TIOCGWINSZ,
  TIOCNOTTY, TIOCNXCL, TIOCOUTQ, TIOCSCTTY, TIOCSPGRP, TIOCSWINSZ, VDISCARD, VEOF, VERASE, VINTR,
  VKILL, VLNEXT, VMIN, VQUIT, VREPRINT, VSTART, VSTOP, VSUSP, VWERASE,
} from '../../abi/ioctl.ts';
import { SI_KERNEL, SIGWINCH } from '../../abi/signal.ts';
import { Termios, Termios2, Winsize } from '../../abi/struct-terminal.ts';
import type { Kernel } from '../kernel.ts';
import { copyIn, copyOut, readStruct, readU32, writeU32 } from '../mm/user-memory.ts';
import type { Console } from '../records/ipc.ts';
import type { Task } from '../records/task.ts';
import { makeInfo, sendSignal } from '../signal/pending.ts';
import { groupOf, isGroupOfSession } from '../task/family.ts';

/** Linux: INIT_C_CC. */
const CONTROL_CHARACTERS: readonly (readonly [index: number, byte: number])[] = [
  [VINTR, 0x03], [VQUIT, 0x1c], [VERASE, 0x7f], [VKILL, 0x15], [VEOF, 0x04], [VMIN, 1],
  [VSTART, 0x11], [VSTOP, 0x13], [VSUSP, 0x1a], [VREPRINT, 0x12], [VDISCARD, 0x0f],
  [VWERASE, 0x17], [VLNEXT, 0x16],
];
const SPEED = 38_400;

/** Linux: tty_std_termios, as `struct termios2`. */
export function initialTermios(): Uint8Array {
  const raw = new Uint8Array(Termios2.bytes);
  const view = new DataView(raw.buffer);
  Termios2.c_iflag.set(view, 0, ICRNL | IXON);
  Termios2.c_oflag.set(view, 0, OPOST | ONLCR);
  Termios2.c_cflag.set(view, 0, B38400 | CS8 | CREAD | HUPCL);
  Termios2.c_lflag.set(view, 0, ISIG | ICANON | ECHO | ECHOE | ECHOK | ECHOCTL | ECHOKE | IEXTEN);
  Termios2.c_ispeed.set(view, 0, SPEED);
  Termios2.c_ospeed.set(view, 0, SPEED);
  for (const [index, byte] of CONTROL_CHARACTERS) raw[Termios2.c_cc.offset + index] = byte;
  return raw;
}

/**
 * ioctl(2) on a console file.
 * @param inputBytes counts the bytes that can be read
 */
export function ioctlTerminal(
  k: Kernel,
  task: Task,
  console: Console,
  isTerminal: boolean,
  inputBytes: () => number,
  request: number,
  gva: number,
): number {
  if (request === FIONREAD) return writeU32(k, gva, inputBytes()) ? 0 : -EFAULT;
  if (!isTerminal) return -ENOTTY;
  switch (request) {
    case TCGETS:
      return putBytes(k, gva, console.termios.subarray(0, Termios.bytes));
    case TCGETS2:
      return putBytes(k, gva, console.termios);
    case TCSETS:
    case TCSETSW:
    case TCSETSF:
      return setTermios(k, console, gva, Termios.bytes);
    case TCSETS2:
    case TCSETSW2:
    case TCSETSF2:
      return setTermios(k, console, gva, Termios2.bytes);
    case TIOCGWINSZ:
      return getWindow(k, console, gva);
    case TIOCSWINSZ:
      return setWindow(k, task, console, gva);
    case TIOCGPGRP:
      return writeU32(k, gva, console.foreground || task.process.pgid) ? 0 : -EFAULT;
    case TIOCSPGRP:
      return setForeground(k, task, console, gva);
    case TIOCGSID:
      return writeU32(k, gva, task.process.sid) ? 0 : -EFAULT;
    case TIOCOUTQ:
    case TIOCGETD:
      return writeU32(k, gva, 0) ? 0 : -EFAULT;
    case TCFLSH:
    case TCXONC:
    case TCSBRK:
    case TCSBRKP:
    case TIOCEXCL:
    case TIOCNXCL:
    case TIOCSCTTY:
    case TIOCNOTTY:
      return 0;
    default:
      return -ENOTTY;
  }
}

function putBytes(k: Kernel, gva: number, data: Uint8Array): number {
  return copyOut(k, gva, data) === data.length ? 0 : -EFAULT;
}

function setTermios(k: Kernel, console: Console, gva: number, bytes: number): number {
  const raw = console.termios.slice();
  if (copyIn(k, gva, raw.subarray(0, bytes)) !== bytes) return -EFAULT;
  console.termios = raw;
  k.ports.console.setTerminal?.(raw);
  console.localFlags = Termios2.c_lflag.get(new DataView(raw.buffer), 0);
  return 0;
}

function getWindow(k: Kernel, console: Console, gva: number): number {
  const raw = new Uint8Array(Winsize.bytes);
  const view = new DataView(raw.buffer);
  Winsize.ws_row.set(view, 0, console.rows);
  Winsize.ws_col.set(view, 0, console.columns);
  return putBytes(k, gva, raw);
}

function setWindow(k: Kernel, task: Task, console: Console, gva: number): number {
  const view = readStruct(k, gva, Winsize.bytes);
  if (view === null) return -EFAULT;
  const rows = Winsize.ws_row.get(view, 0);
  const columns = Winsize.ws_col.get(view, 0);
  if (rows === console.rows && columns === console.columns) return 0;
  console.rows = rows;
  console.columns = columns;
  sendSignal(k, task.process, makeInfo(SIGWINCH, SI_KERNEL));
  return 0;
}

/** Linux: tiocspgrp. */
function setForeground(k: Kernel, task: Task, console: Console, gva: number): number {
  const group = readU32(k, gva);
  if (group < 0) return -EFAULT;
  if ((group | 0) <= 0) return -EINVAL;
  if (groupOf(k, group).length === 0) return -ESRCH;
  if (!isGroupOfSession(k, group, task.process.sid)) return -EPERM;
  console.foreground = group;
  return 0;
}
