// The root record: everything a saved sandbox consists of hangs from here.
import { KIND } from '../state/kinds.ts';
import {
  fBlob, fBool, fNum, fRef, fU32, held, kind, type Kind, nosave, type Rec, within,
} from '../state/record.ts';
import { head, tail } from '../state/rules.ts';
import { Dentry } from './vfs.ts';
import { FutexWaiter, Process, Task, WaitQueue } from './task.ts';
import { Timer } from './time.ts';
import { Console, Socket } from './ipc.ts';
import { Pty } from './pty.ts';

export interface Sandbox extends Rec {
  /** The first process: the sandbox ends with it, and orphans are its children. */
  process: Process | null;
  /** Root of the mounted tree. */
  rootDentry: Dentry | null;
  /** Threads that can run, in order; a circular list through Task.runNext/runPrev. */
  runHead: Task | null;
  /** Virtual time of the last thread that left the run list. */
  virtualNs: number;
  /** Armed timers, sorted by deadline, through Timer.next. */
  timers: Timer | null;
  console: Console | null;
  /** Counts boots of this image; 0 until the first save. Readable by the guest. */
  generation: number;
  nextInodeSerial: number;
  nextObjectSerial: number;
  nextTid: number;
  /** Guest CLOCK_MONOTONIC = host's + this (ns); redrawn at boot so that it never jumps back. */
  monotonicOffsetNs: number;
  /** Guest CLOCK_MONOTONIC when it was saved (ns). */
  savedMonotonicNs: number;
  /** Guest CLOCK_REALTIME then. */
  savedRealSec: number;
  savedRealNsec: number;
  /** Set by --deterministic: clocks and randomness come from `seed` and the syscall count. */
  deterministic: boolean;
  seed: Uint8Array;
  syscallCount: number;
  /** What ended in `entry`: 0 not reached, 1 explicit, 2 listen, 3 stdin, 4 line. */
  entryKind: number;
  entryWanted: number;
  /** Training requests still to be served before the image is saved (--train). */
  trainLeft: number;
  /** Threads blocked at the func-entry point. */
  entryQueue: WaitQueue | null;
  bootId: Uint8Array;
  hostHandles: number;
  /** Threads waiting in futex(2), oldest first. */
  futexes: FutexWaiter | null;
  futexesTail: FutexWaiter | null;
  /** Sockets that are found by an address that is no path, latest first. */
  namedSockets: Socket | null;
  /** Pseudo-terminals with a master, latest first. */
  ptys: Pty | null;
  /** uname(2), NUL-terminated. */
  hostname: Uint8Array;
  domainname: Uint8Array;
  /** 64-byte blocks drawn from `seed` so far (deterministic mode). */
  randomBlocks: number;
  /** The first call it made that templates may not make, its number + 1; 0 = none. */
  deniedCall: number;
  /** ports.clock.cpuNs() when CPU time was last charged; 0 = not since the boot. */
  cpuSeenNs: number;
  /** Of inotify: instances and watches there are, and the cookie of the last rename. */
  inotifyInstances: number;
  inotifyWatches: number;
  inotifyCookie: number;
}

export const Sandbox: Kind<Sandbox> = kind<Sandbox>(KIND.sandbox, 'Sandbox', {
  process: fRef(() => Process),
  rootDentry: held(fRef(() => Dentry)),
  runHead: fRef(() => Task),
  virtualNs: within(fNum, 0, 2 ** 53),
  timers: head(fRef(() => Timer), 'armed'),
  console: fRef(() => Console),
  generation: fU32,
  nextInodeSerial: fU32,
  nextObjectSerial: fU32,
  nextTid: fU32,
  monotonicOffsetNs: within(fNum, -(2 ** 53), 2 ** 53),
  savedMonotonicNs: within(fNum, 0, 2 ** 53),
  savedRealSec: within(fNum, 0, 2 ** 33),
  savedRealNsec: within(fNum, 0, 999_999_999),
  deterministic: fBool,
  seed: fBlob(32),
  syscallCount: within(fNum, 0, 2 ** 43),
  entryKind: fU32,
  entryWanted: fU32,
  trainLeft: fU32,
  entryQueue: fRef(() => WaitQueue),
  bootId: nosave(fBlob(16)),
  hostHandles: nosave(fU32),
  futexes: head(fRef(() => FutexWaiter), 'futexes'),
  futexesTail: tail(fRef(() => FutexWaiter), 'next'),
  namedSockets: head(fRef(() => Socket), 'listed'),
  ptys: head(fRef(() => Pty), 'ptys'),
  hostname: fBlob(72),
  domainname: fBlob(72),
  randomBlocks: within(fNum, 0, 2 ** 53),
  // Nothing is saved after such a call.
  deniedCall: nosave(fU32),
  cpuSeenNs: nosave(fNum),
  inotifyInstances: fU32,
  inotifyWatches: fU32,
  inotifyCookie: fU32,
}, { isSingle: true });
