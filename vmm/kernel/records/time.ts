// Timers: one sorted list per sandbox, through Sandbox.timers.
import { KIND } from '../state/kinds.ts';
import {
  fAny, fBig, fBool, fNum, fRef, fU32, kind, type Kind, type Rec, within,
} from '../state/record.ts';
import { next, previous } from '../state/rules.ts';
import { Process, Task } from './task.ts';

/** Timer.action: what happens when it expires. */
export const TIMER_WAKE_TASK = 1;
export const TIMER_REAL_ITIMER = 2;
export const TIMER_FD = 3;
export const TIMER_POSIX = 4;

export interface Timer extends Rec {
  action: number;
  /** Absolute CLOCK_MONOTONIC time in ns; 0 = not armed. */
  deadlineNs: number;
  /** Period in ns, 0 = once. */
  intervalNs: number;
  isArmed: boolean;
  /** It was given as a point of CLOCK_REALTIME, which a boot sets (time/wall-timers.ts). */
  isReal: boolean;
  next: Timer | null;
  previous: Timer | null;
  task: Task | null;
  /** TimerFd, or nothing, by action. */
  object: Rec | null;
  /** ITIMER_REAL and timer_create(2): whom it signals. */
  process: Process | null;
  signal: number;
  value: number;
  id: number;
  /** Expirations beyond the first since the last signal that was delivered. */
  overruns: number;
  // timer_create(2)
  nextOfProcess: Timer | null;
  clock: number;
  /** SIGEV_SIGNAL, SIGEV_NONE, SIGEV_THREAD_ID. */
  notify: number;
  sigval: bigint;
  /** SIGEV_THREAD_ID: only `task` gets the signal; nobody when that thread has ended. */
  isForTask: boolean;
}

export const Timer: Kind<Timer> = kind<Timer>(KIND.timer, 'Timer', {
  action: within(fU32, 0, TIMER_POSIX),
  deadlineNs: within(fNum, 0, 2 ** 55),
  intervalNs: within(fNum, 0, 2 ** 53),
  isArmed: fBool,
  isReal: fBool,
  next: next(fRef(() => Timer), 'armed', { back: 'previous', flag: 'isArmed' }),
  previous: previous(fRef(() => Timer), 'next'),
  task: fRef(() => Task),
  object: fAny,
  process: fRef(() => Process),
  signal: within(fU32, 0, 64),
  value: fNum,
  id: fU32,
  overruns: fU32,
  nextOfProcess: next(fRef(() => Timer), 'process', { owner: 'process' }),
  clock: fU32,
  notify: fU32,
  sigval: fBig,
  isForTask: fBool,
});
