// Timer descriptors, timerfd(2): a timer (time/timers.ts) whose expirations are read as a counter.
//
// Deadlines are kept as CLOCK_MONOTONIC, also those given as CLOCK_REALTIME: only a boot sets that
// clock (time/wall-timers.ts). Ownership: the TimerFd owns its Timer.
import { EAGAIN, ECANCELED, EFAULT, EINVAL } from '../../abi/errno.ts';
import { O_RDWR } from '../../abi/fcntl.ts';
import { POLLIN } from '../../abi/poll.ts';
import {
  CLOCK_REALTIME, CLOCK_REALTIME_ALARM, TFD_TIMER_ABSTIME, TFD_TIMER_CANCEL_ON_SET,
} from '../../abi/time.ts';
import type { Kernel } from '../kernel.ts';
import { TimerFd } from '../records/ipc.ts';
import { TIMER_FD, Timer } from '../records/time.ts';
import { type File, FILE_TIMERFD } from '../records/vfs.ts';
import { makeWaitQueue } from '../task/block.ts';
import { FOREVER_NS, type Moment, nowNs, realToMonotonicNs, toNs } from '../time/clock.ts';
import { armTimer, disarmTimer, remainingNs } from '../time/timers.ts';
import { defineFileOps, type IoBuffer } from '../vfs/file-ops.ts';
import { freeQueue, makeAnonFile, seekNowhere } from './anon-file.ts';
import { wakeFor } from './epoll-ready.ts';

/** What timerfd_gettime(2) gives. */
export interface TimerSetting {
  intervalNs: number;
  /** Time to the next expiration; 0 = not armed. */
  valueNs: number;
}

/** A file over a new timer of `clock` (CLOCK_*), not armed. */
export function makeTimerFd(k: Kernel, clock: number, flags: number): File {
  const timerFd = k.arena.make(TimerFd);
  timerFd.queue = makeWaitQueue(k);
  timerFd.clock = clock;
  const timer = k.arena.make(Timer);
  timer.action = TIMER_FD;
  timer.object = timerFd;
  timerFd.timer = timer;
  return makeAnonFile(k, FILE_TIMERFD, O_RDWR | flags, timerFd);
}

/** The timer behind a file, or null when it is another kind. */
export function timerFdOf(k: Kernel, file: File): TimerFd | null {
  return file.kind === FILE_TIMERFD ? behind(k, file) : null;
}

function behind(k: Kernel, file: File): TimerFd {
  return k.arena.at(TimerFd, file.object?.address ?? 0);
}

/**
 * Arms or disarms the timer; expirations not read yet are forgotten.
 * @param value when it expires first, relative or (TFD_TIMER_ABSTIME) on its clock; 0 disarms. Not
 * in ns: times since 1970 are not exact then
 */
export function setTimerFd(
  k: Kernel,
  timerFd: TimerFd,
  flags: number,
  intervalNs: number,
  value: Moment,
): void {
  const { timer } = timerFd;
  disarmTimer(k, timer);
  timerFd.expirations = 0;
  timerFd.isCanceled = false;
  timer.intervalNs = intervalNs;
  if (value.sec === 0 && value.nsec === 0) return;
  const isAbsolute = (flags & TFD_TIMER_ABSTIME) !== 0;
  timer.isReal = isAbsolute && isReal(timerFd.clock);
  timerFd.cancelOnSet = timer.isReal && (flags & TFD_TIMER_CANCEL_ON_SET) !== 0;
  const deadlineNs = isAbsolute
    ? toMonotonic(k, timerFd.clock, value)
    : nowNs(k) + toNs(value.sec, value.nsec);
  armTimer(k, timer, Math.min(deadlineNs, FOREVER_NS), intervalNs);
}

function toMonotonic(k: Kernel, clock: number, at: Moment): number {
  return isReal(clock) ? realToMonotonicNs(k, at) : toNs(at.sec, at.nsec);
}

function isReal(clock: number): boolean {
  return clock === CLOCK_REALTIME || clock === CLOCK_REALTIME_ALARM;
}

/** Time left and interval, as timerfd_gettime(2) gives them. */
export function getTimerFd(k: Kernel, timerFd: TimerFd): TimerSetting {
  const { timer } = timerFd;
  return { intervalNs: timer.intervalNs, valueNs: remainingNs(k, timer) };
}

/** The timer behind `timerFd` expired once more (time/timers.ts, TIMER_FD). */
export function timerFdExpired(k: Kernel, timerFd: TimerFd): void {
  timerFd.expirations++;
  wakeFor(k, timerFd.queue, POLLIN);
}

function isReadable({ expirations, isCanceled }: TimerFd): boolean {
  return expirations > 0 || isCanceled;
}

const scratch: Uint8Array = new Uint8Array(8);
const scratchView: DataView = new DataView(scratch.buffer);

function readTimer(k: Kernel, file: File, to: IoBuffer): number {
  if (to.remaining < 8) return -EINVAL;
  const timerFd = behind(k, file);
  if (timerFd.isCanceled) {
    timerFd.isCanceled = false;
    timerFd.expirations = 0;
    return -ECANCELED;
  }
  const { expirations } = timerFd;
  if (expirations === 0) return -EAGAIN;
  timerFd.expirations = 0;
  scratchView.setBigUint64(0, BigInt(expirations), true);
  return to.put(scratch) === 8 ? 8 : -EFAULT;
}

function releaseTimer(k: Kernel, file: File): void {
  const timerFd = behind(k, file);
  file.object = null;
  const { timer, queue } = timerFd;
  disarmTimer(k, timer);
  freeQueue(k, queue);
  k.arena.free(timer);
  k.arena.free(timerFd);
}

defineFileOps(FILE_TIMERFD, {
  seekable: false,
  read: readTimer,
  poll: (k, file) => isReadable(behind(k, file)) ? POLLIN : 0,
  queue: (k, file) => behind(k, file).queue,
  seek: seekNowhere,
  release: releaseTimer,
});
