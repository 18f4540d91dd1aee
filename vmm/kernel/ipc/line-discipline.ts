// What happens between the two ends of a pseudo-terminal (Linux: n_tty.c): typed characters become
// lines, signals and echoes; what programs write gets its carriage returns.
//
//   master write ─► receive ─► input, marks ─► slave read
//                      └─ echo ─┐
//   slave write ─► process ─► output ─► master read
//
// Left out: IUCLC, PARMRK, ECHOPRT, VREPRINT, VDISCARD.
import {
  ECHO, ECHOCTL, ECHOE, ECHOK, ECHOKE, ECHONL, ICANON, ICRNL, IEXTEN, IGNCR, IMAXBEL, INLCR, ISIG,
  ISTRIP, IUTF8, IXANY, IXON, NOFLSH, OCRNL, ONLCR, ONLRET, ONOCR, OPOST, TABDLY, VEOF, VEOL,
  VEOL2, VERASE, VINTR, VKILL, VLNEXT, VQUIT, VSTART, VSTOP, VSUSP, VWERASE, XTABS,
} from '../../abi/ioctl.ts';
import { SI_KERNEL, SIGINT, SIGQUIT, SIGTSTP } from '../../abi/signal.ts';
import { Termios2 } from '../../abi/struct-terminal.ts';
import type { Kernel } from '../kernel.ts';
import type { Pty } from '../records/pty.ts';
import { makeInfo, sendSignal } from '../signal/pending.ts';
import { groupOf } from '../task/family.ts';

/** Linux: N_TTY_BUF_SIZE, of which one byte stays free. */
export const INPUT_BYTES = 4096;
export const OUTPUT_BYTES = 16_384;

/** Pty.marks: what a byte of the input is. */
export const MARK_NONE = 0;
export const MARK_LINE_END = 1;
/** VEOF: ends a line and is not part of it. */
export const MARK_EOF = 2;

const BELL = 0x07;
const BACKSPACE = 0x08;
const TAB = 0x09;
const LF = 0x0a;
const CR = 0x0d;
const SPACE = 0x20;
const DEL = 0x7f;
const TAB_STOP = 8;
/** A control character that is switched off. */
const DISABLED = 0;

/** The settings, read once for a run of characters. */
interface Settings {
  iflag: number;
  oflag: number;
  lflag: number;
  cc: Uint8Array;
}

export function settingsOf({ termios }: Pty): Settings {
  const view = new DataView(termios.buffer, termios.byteOffset, termios.length);
  const at = Termios2.c_cc.offset;
  return {
    iflag: Termios2.c_iflag.get(view, 0),
    oflag: Termios2.c_oflag.get(view, 0),
    lflag: Termios2.c_lflag.get(view, 0),
    cc: termios.slice(at, at + 19),
  };
}

function isKey(settings: Settings, byte: number, index: number): boolean {
  return byte !== DISABLED && settings.cc[index] === byte;
}

// Output

/** Free bytes for output. */
export function outputRoom(pty: Pty): number {
  return OUTPUT_BYTES - pty.outputCount;
}

function emit(pty: Pty, byte: number): void {
  if (pty.outputCount < OUTPUT_BYTES) pty.output.data[pty.outputCount++] = byte;
}

/** One byte as the terminal gets it. Preconditions: room for TAB_STOP bytes. */
export function processOutput(pty: Pty, settings: Settings, byte: number): void {
  const { oflag } = settings;
  if ((oflag & OPOST) === 0) {
    emit(pty, byte);
    return;
  }
  if (byte === LF) {
    if ((oflag & ONLCR) !== 0) emit(pty, CR);
    if ((oflag & (ONLCR | ONLRET)) !== 0) pty.column = 0;
    emit(pty, LF);
  } else if (byte === CR) {
    processReturn(pty, oflag);
  } else if (byte === TAB) {
    const width = TAB_STOP - pty.column % TAB_STOP;
    if ((oflag & TABDLY) === XTABS) for (let i = 0; i < width; i++) emit(pty, SPACE);
    else emit(pty, TAB);
    pty.column += width;
  } else {
    if (byte === BACKSPACE) pty.column = Math.max(0, pty.column - 1);
    else if (byte >= SPACE && byte !== DEL && !isContinuation(byte)) pty.column++;
    emit(pty, byte);
  }
  // A line without an end must not count for ever.
  pty.column %= 2 ** 31;
}

function processReturn(pty: Pty, oflag: number): void {
  if ((oflag & ONOCR) !== 0 && pty.column === 0) return;
  pty.column = 0;
  emit(pty, (oflag & OCRNL) === 0 ? CR : LF);
}

function isContinuation(byte: number): boolean {
  return (byte & 0xc0) === 0x80;
}

// Echo

function isControl(byte: number): boolean {
  return (byte < SPACE && byte !== TAB) || byte === DEL;
}

function echo(pty: Pty, settings: Settings, byte: number): void {
  if (outputRoom(pty) < 2 * TAB_STOP) return;
  if ((settings.lflag & ECHOCTL) !== 0 && isControl(byte) && byte !== LF) {
    processOutput(pty, settings, 0x5e);
    processOutput(pty, settings, byte ^ 0x40);
  } else {
    processOutput(pty, settings, byte);
  }
}

/** Takes the last character of the line off the screen. */
function echoErase(pty: Pty, settings: Settings, byte: number): void {
  if ((settings.lflag & ECHOE) === 0) {
    echo(pty, settings, settings.cc[VERASE] as number);
    return;
  }
  let width = 1;
  if (byte === TAB) width = Math.max(0, pty.column - columnOfEnd(pty, settings));
  else if (isControl(byte)) width = (settings.lflag & ECHOCTL) === 0 ? 0 : 2;
  for (let i = 0; i < width && outputRoom(pty) >= 3; i++) {
    if (byte !== TAB) {
      emit(pty, BACKSPACE);
      emit(pty, SPACE);
    }
    emit(pty, BACKSPACE);
    pty.column = Math.max(0, pty.column - 1);
  }
}

/** The column in which the line that is being typed ends. */
function columnOfEnd(pty: Pty, settings: Settings): number {
  let column = pty.lineColumn;
  for (let at = lineStart(pty); at < pty.inputCount; at++) {
    const byte = pty.input.data[at] as number;
    if (byte === TAB) column += TAB_STOP - column % TAB_STOP;
    else if (isControl(byte)) column += (settings.lflag & ECHOCTL) === 0 ? 0 : 2;
    else if (!isContinuation(byte)) column++;
  }
  return column;
}

// Input

/** Where the line begins that has no end yet. */
function lineStart(pty: Pty): number {
  let at = pty.inputCount;
  while (at > 0 && pty.marks.data[at - 1] === MARK_NONE) at--;
  return at;
}

/** How many bytes the master may write now. */
export function inputRoom(pty: Pty): number {
  const room = INPUT_BYTES - 1 - pty.inputCount;
  const isCanonical = (settingsOf(pty).lflag & ICANON) !== 0;
  // Linux: while no line is complete, what does not fit is lost, or nobody could ever end the line.
  return room <= 0 && isCanonical && pty.lines === 0 ? 1 : Math.max(0, room);
}

function put(pty: Pty, byte: number, mark: number): void {
  if (pty.inputCount >= INPUT_BYTES) return;
  pty.input.data[pty.inputCount] = byte;
  pty.marks.data[pty.inputCount++] = mark;
  if (mark !== MARK_NONE) pty.lines++;
}

/** Takes what the master writes. */
export function receive(k: Kernel, pty: Pty, bytes: Uint8Array): void {
  const settings = settingsOf(pty);
  for (const byte of bytes) receiveByte(k, pty, settings, byte);
}

function receiveByte(k: Kernel, pty: Pty, settings: Settings, raw: number): void {
  const { iflag, lflag } = settings;
  let byte = (iflag & ISTRIP) === 0 ? raw : raw & 0x7f;
  if (pty.isLiteral) {
    pty.isLiteral = false;
    receivePlain(pty, settings, byte);
    return;
  }
  if (receiveFlow(pty, settings, byte) || receiveSignal(k, pty, settings, byte)) return;
  if (byte === CR) {
    if ((iflag & IGNCR) !== 0) return;
    if ((iflag & ICRNL) !== 0) byte = LF;
  } else if (byte === LF && (iflag & INLCR) !== 0) {
    byte = CR;
  }
  if ((lflag & ICANON) !== 0 && receiveLine(pty, settings, byte)) return;
  receivePlain(pty, settings, byte);
}

/** XON and XOFF. */
function receiveFlow(pty: Pty, settings: Settings, byte: number): boolean {
  if ((settings.iflag & IXON) === 0) return false;
  if (isKey(settings, byte, VSTART)) {
    pty.isStopped = false;
    return true;
  }
  if (isKey(settings, byte, VSTOP)) {
    pty.isStopped = true;
    return true;
  }
  if ((settings.iflag & IXANY) !== 0) pty.isStopped = false;
  return false;
}

const SIGNAL_KEYS: readonly (readonly [index: number, signal: number])[] =
  [[VINTR, SIGINT], [VQUIT, SIGQUIT], [VSUSP, SIGTSTP]];

function receiveSignal(k: Kernel, pty: Pty, settings: Settings, byte: number): boolean {
  if ((settings.lflag & ISIG) === 0) return false;
  for (const [index, signal] of SIGNAL_KEYS) {
    if (!isKey(settings, byte, index)) continue;
    if ((settings.lflag & NOFLSH) === 0) {
      flushInput(pty);
      pty.outputCount = 0;
    }
    pty.isStopped = false;
    if ((settings.lflag & ECHO) !== 0) echo(pty, settings, byte);
    signalForeground(k, pty, signal);
    return true;
  }
  return false;
}

/** Sends a signal to the foreground group. */
export function signalForeground(k: Kernel, pty: Pty, signal: number): void {
  if (pty.foreground === 0) return;
  for (const process of groupOf(k, pty.foreground)) {
    sendSignal(k, process, makeInfo(signal, SI_KERNEL));
  }
}

/** Line editing and ends of lines; false when the byte is an ordinary one. */
function receiveLine(pty: Pty, settings: Settings, byte: number): boolean {
  const { lflag } = settings;
  const isExtended = (lflag & IEXTEN) !== 0;
  if (isKey(settings, byte, VERASE) || isKey(settings, byte, VKILL) ||
      (isExtended && isKey(settings, byte, VWERASE))) {
    erase(pty, settings, byte);
    return true;
  }
  if (isExtended && isKey(settings, byte, VLNEXT)) {
    pty.isLiteral = true;
    if ((lflag & (ECHO | ECHOCTL)) === (ECHO | ECHOCTL)) {
      echo(pty, settings, 0x5e);
      emit(pty, BACKSPACE);
      pty.column = Math.max(0, pty.column - 1);
    }
    return true;
  }
  if (isKey(settings, byte, VEOF)) {
    put(pty, 0, MARK_EOF);
    return true;
  }
  const isEnd = byte === LF || isKey(settings, byte, VEOL) ||
    (isExtended && isKey(settings, byte, VEOL2));
  if (!isEnd) return false;
  if ((lflag & ECHO) !== 0 || (byte === LF && (lflag & ECHONL) !== 0)) echo(pty, settings, byte);
  put(pty, byte, MARK_LINE_END);
  return true;
}

function receivePlain(pty: Pty, settings: Settings, byte: number): void {
  const isCanonical = (settings.lflag & ICANON) !== 0;
  if (isCanonical && pty.inputCount >= INPUT_BYTES - 1) {
    if ((settings.iflag & IMAXBEL) !== 0) emit(pty, BELL);
    return;
  }
  if ((settings.lflag & ECHO) !== 0) {
    if (isCanonical && lineStart(pty) === pty.inputCount) pty.lineColumn = pty.column;
    echo(pty, settings, byte);
  }
  put(pty, byte, MARK_NONE);
}

function isWordByte(byte: number): boolean {
  return /[A-Za-z0-9_]/.test(String.fromCharCode(byte)) || byte >= 0x80;
}

/** VERASE, VWERASE, VKILL. */
function erase(pty: Pty, settings: Settings, key: number): void {
  const { cc, lflag } = settings;
  const start = lineStart(pty);
  if (pty.inputCount === start) return;
  const isKill = cc[VKILL] === key;
  const echoes = (lflag & ECHO) !== 0;
  if (isKill && (!echoes || (lflag & (ECHOK | ECHOKE | ECHOE)) !== (ECHOK | ECHOKE | ECHOE))) {
    pty.inputCount = start;
    if (!echoes) return;
    echo(pty, settings, key);
    if ((lflag & ECHOK) !== 0) processOutput(pty, settings, LF);
    return;
  }
  const isWord = !isKill && cc[VWERASE] === key && cc[VERASE] !== key;
  let seenWord = false;
  while (pty.inputCount > start) {
    const from = characterStart(pty, settings, start);
    const byte = pty.input.data[from] as number;
    if (isWord && seenWord && !isWordByte(byte)) break;
    seenWord ||= isWordByte(byte);
    pty.inputCount = from;
    if (echoes) echoErase(pty, settings, byte);
    if (!isKill && !isWord) break;
  }
}

/** Where the last character begins. */
function characterStart(pty: Pty, settings: Settings, start: number): number {
  let at = pty.inputCount - 1;
  const isUtf8 = (settings.iflag & IUTF8) !== 0;
  while (isUtf8 && at > start && isContinuation(pty.input.data[at] as number)) at--;
  return at;
}

/** TCIFLUSH */
export function flushInput(pty: Pty): void {
  pty.inputCount = 0;
  pty.lines = 0;
}

/** What FIONREAD says: of a canonical terminal the bytes of complete lines. */
export function countInput(pty: Pty, isCanonical: boolean): number {
  if (!isCanonical) return pty.inputCount;
  let count = 0;
  for (let at = lineStart(pty) - 1; at >= 0; at--) if (pty.marks.data[at] !== MARK_EOF) count++;
  return count;
}

/** Bytes that a read may take: of a canonical terminal the first line's, else all. */
export function readableBytes(pty: Pty, isCanonical: boolean): number {
  if (!isCanonical) return pty.inputCount;
  if (pty.lines === 0) return 0;
  let at = 0;
  while (at < pty.inputCount && pty.marks.data[at] === MARK_NONE) at++;
  return Math.min(at + 1, pty.inputCount);
}

/** Takes bytes off the beginning of the input. */
export function consumeInput(pty: Pty, count: number): void {
  for (let i = 0; i < count; i++) {
    if (pty.marks.data[i] !== MARK_NONE) pty.lines = Math.max(0, pty.lines - 1);
  }
  pty.input.data.copyWithin(0, count, pty.inputCount);
  pty.marks.data.copyWithin(0, count, pty.inputCount);
  pty.inputCount -= count;
}

/** ICANON was switched: what was typed is a line now, or lines do not matter any more. */
export function changeMode(pty: Pty, isCanonical: boolean): void {
  pty.marks.data.fill(MARK_NONE);
  pty.lines = 0;
  if (!isCanonical || pty.inputCount === 0) return;
  pty.marks.data[pty.inputCount - 1] = MARK_LINE_END;
  pty.lines = 1;
}
