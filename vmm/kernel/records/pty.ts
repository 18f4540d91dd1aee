// A pseudo-terminal: both ends and what lies between them (ipc/pty.ts, ipc/line-discipline.ts).
import { Bytes } from '../state/containers.ts';
import { KIND } from '../state/kinds.ts';
import {
  fBlob, fBool, fMust, fRef, fU32, fUsers, held, kind, type Kind, type Rec, upTo,
} from '../state/record.ts';
import { next, previous } from '../state/rules.ts';
import { WaitQueue } from './task.ts';
import { Dentry } from './vfs.ts';

export interface Pty extends Rec {
  /** N of /dev/pts/N. */
  number: number;
  /** Open files of both ends. */
  refs: number;
  /** Open files of the slave's end, those that were hung up included. */
  slaves: number;
  /** It is in Sandbox.ptys: its master is open. */
  isListed: boolean;
  nextListed: Pty | null;
  previousListed: Pty | null;
  masterQueue: WaitQueue;
  slaveQueue: WaitQueue;
  /** The name /dev/pts/N while the master is open. */
  dentry: Dentry | null;
  /** TIOCSPTLCK: the slave cannot be opened. */
  isLocked: boolean;
  /** TIOCPKT: each read of the master begins with a byte of its own. */
  isPacket: boolean;
  /** The last slave has gone, and none has come since. */
  isDeserted: boolean;
  /** How often it was hung up; files of the slave that were opened before are dead. */
  hangups: number;
  /** `struct termios2` */
  termios: Uint8Array;
  /** `struct winsize` */
  window: Uint8Array;
  /** The session whose controlling terminal it is, and its foreground group; 0 = none. */
  session: number;
  foreground: number;
  /** Typed and not yet read; `marks` has for each byte MARK_* (ipc/line-discipline.ts). */
  input: Bytes;
  inputCount: number;
  marks: Bytes;
  /** Complete lines in `input`. */
  lines: number;
  /** VLNEXT came: the next character is an ordinary one. */
  isLiteral: boolean;
  /** Written by the slave's side, and echoed; not yet read by the master. */
  output: Bytes;
  outputCount: number;
  /** VSTOP came, or TCOOFF. */
  isStopped: boolean;
  /** Where the cursor is, and was when the line began that is being typed. */
  column: number;
  lineColumn: number;
}

export const Pty: Kind<Pty> = kind<Pty>(KIND.pty, 'Pty', {
  number: fU32,
  refs: fUsers,
  slaves: fU32,
  isListed: fBool,
  nextListed: next(fRef(() => Pty), 'ptys', { back: 'previousListed', flag: 'isListed' }),
  previousListed: previous(fRef(() => Pty), 'nextListed'),
  masterQueue: fMust(() => WaitQueue),
  slaveQueue: fMust(() => WaitQueue),
  dentry: held(fRef(() => Dentry)),
  isLocked: fBool,
  isPacket: fBool,
  isDeserted: fBool,
  hangups: fU32,
  termios: fBlob(44),
  window: fBlob(8),
  session: fU32,
  foreground: fU32,
  input: fMust(() => Bytes),
  inputCount: upTo('input'),
  marks: fMust(() => Bytes),
  lines: fU32,
  isLiteral: fBool,
  output: fMust(() => Bytes),
  outputCount: upTo('output'),
  isStopped: fBool,
  column: fU32,
  lineColumn: fU32,
});
