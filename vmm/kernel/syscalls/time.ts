// Clocks and sleeping: clock_gettime(2), nanosleep(2), times(2), adjtimex(2).
import { EFAULT, EINVAL, EOPNOTSUPP, EPERM } from '../../abi/errno.ts';
import { Timespec, Timeval, Timex, Timezone, Tms } from '../../abi/struct-time.ts';
import {
  CLOCK_BOOTTIME, CLOCK_BOOTTIME_ALARM, CLOCK_MONOTONIC, CLOCK_MONOTONIC_COARSE,
  CLOCK_MONOTONIC_RAW, CLOCK_PROCESS_CPUTIME_ID, CLOCK_REALTIME, CLOCK_REALTIME_ALARM,
  CLOCK_REALTIME_COARSE, CLOCK_TAI, CLOCK_THREAD_CPUTIME_ID, CPUCLOCK_CLOCK_MASK,
  CPUCLOCK_PERTHREAD_MASK, CLOCKFD, NSEC_PER_MSEC, NSEC_PER_SEC, NSEC_PER_USEC, TIME_ERROR,
  TIMER_ABSTIME, USEC_PER_SEC, USER_HZ,
} from '../../abi/time.ts';
import {
  hasStarted, hasTimedOut, startWait, timeLeftNs, toTimeout, WAIT_STARTED,
} from '../ipc/wait-timeout.ts';
import type { Kernel } from '../kernel.ts';
import { copyOut, readStruct, writeU64 } from '../mm/user-memory.ts';
import type { Task } from '../records/task.ts';
import { block } from '../task/block.ts';
import { findTask } from '../task/make-process.ts';
import { rotate } from '../task/run-queue.ts';
import {
  type Moment, nowNs, processCpuNs, realtime, realToMonotonicNs, shareClock, taskCpuNs,
  toMoment,
} from '../time/clock.ts';
import type { Args } from './args.ts';
import {
  BLOCKED, ERESTART_RESTARTBLOCK, ERESTARTNOHAND, type Family, full, missing, partial,
} from './define.ts';

/** Linux: one tick of CONFIG_HZ=250, the resolution of the coarse clocks. */
const COARSE_NS = 4 * NSEC_PER_MSEC;

/** The time of a clock, or -EINVAL. */
function readClock(k: Kernel, task: Task, clock: number): Moment | number {
  switch (clock) {
    case CLOCK_REALTIME:
    case CLOCK_REALTIME_COARSE:
    case CLOCK_REALTIME_ALARM:
    case CLOCK_TAI:
      return realtime(k);
    case CLOCK_MONOTONIC:
    case CLOCK_MONOTONIC_RAW:
    case CLOCK_MONOTONIC_COARSE:
    case CLOCK_BOOTTIME:
    case CLOCK_BOOTTIME_ALARM:
      return toMoment(nowNs(k));
    case CLOCK_PROCESS_CPUTIME_ID:
      return toMoment(processCpuNs(k, task.process));
    case CLOCK_THREAD_CPUTIME_ID:
      return toMoment(taskCpuNs(k, task));
    default:
      return clock < 0 ? readDynamicClock(k, task, clock) : -EINVAL;
  }
}

/** A clock of clock_getcpuclockid(3): ~pid << 3 | per-thread 4 | kind. */
function readDynamicClock(k: Kernel, task: Task, clock: number): Moment | number {
  if ((clock & CPUCLOCK_CLOCK_MASK) === CLOCKFD) return -EINVAL;
  const id = ~(clock >> 3);
  if ((clock & CPUCLOCK_PERTHREAD_MASK) !== 0) {
    const target = id === 0 ? task : findTask(task.process, id);
    return target === null ? -EINVAL : toMoment(taskCpuNs(k, target));
  }
  if (id !== 0 && id !== task.process.pid) return -EINVAL;
  return toMoment(processCpuNs(k, task.process));
}

function clockGettime(k: Kernel, task: Task, a: Args): number {
  shareClock(k);
  const now = readClock(k, task, a.i32(0));
  return typeof now === 'number' ? now : writeTimespec(k, a.u64(1), now);
}

function writeTimespec(k: Kernel, gva: number, { sec, nsec }: Moment): number {
  const raw = new Uint8Array(Timespec.bytes);
  const view = new DataView(raw.buffer);
  Timespec.tv_sec.set(view, 0, sec);
  Timespec.tv_nsec.set(view, 0, nsec);
  return copyOut(k, gva, raw) === raw.length ? 0 : -EFAULT;
}

function clockGetres(k: Kernel, task: Task, a: Args): number {
  const clock = a.i32(0);
  const gva = a.u64(1);
  const known = readClock(k, task, clock);
  if (typeof known === 'number') return known;
  if (gva === 0) return 0;
  const isCoarse = clock === CLOCK_REALTIME_COARSE || clock === CLOCK_MONOTONIC_COARSE;
  return writeTimespec(k, gva, { sec: 0, nsec: isCoarse ? COARSE_NS : 1 });
}

function clockSettime(k: Kernel, _task: Task, a: Args): number {
  if (a.i32(0) !== CLOCK_REALTIME) return -EINVAL;
  const view = readStruct(k, a.u64(1), Timespec.bytes);
  if (view === null) return -EFAULT;
  const at = toTimeout(Timespec.tv_sec.get(view, 0), Timespec.tv_nsec.get(view, 0));
  return at < 0 ? at : -EPERM;
}

function gettimeofday(k: Kernel, _task: Task, a: Args): number {
  const gva = a.u64(0);
  const zoneGva = a.u64(1);
  shareClock(k);
  if (gva !== 0) {
    const { sec, nsec } = realtime(k);
    const raw = new Uint8Array(Timeval.bytes);
    const view = new DataView(raw.buffer);
    Timeval.tv_sec.set(view, 0, sec);
    Timeval.tv_usec.set(view, 0, Math.floor(nsec / NSEC_PER_USEC));
    if (copyOut(k, gva, raw) !== raw.length) return -EFAULT;
  }
  if (zoneGva !== 0) {
    const zone = new Uint8Array(Timezone.bytes);
    if (copyOut(k, zoneGva, zone) !== zone.length) return -EFAULT;
  }
  return 0;
}

function time(k: Kernel, _task: Task, a: Args): number {
  shareClock(k);
  const { sec } = realtime(k);
  const gva = a.u64(0);
  return gva !== 0 && !writeU64(k, gva, sec) ? -EFAULT : sec;
}

function times(k: Kernel, task: Task, a: Args): number {
  const gva = a.u64(0);
  const tickNs = NSEC_PER_SEC / USER_HZ;
  if (gva !== 0) {
    const raw = new Uint8Array(Tms.bytes);
    const view = new DataView(raw.buffer);
    Tms.tms_utime.set(view, 0, Math.floor(processCpuNs(k, task.process) / tickNs));
    Tms.tms_cutime.set(view, 0, Math.floor(task.process.childrenCpuNs / tickNs));
    if (copyOut(k, gva, raw) !== raw.length) return -EFAULT;
  }
  return Math.floor(nowNs(k) / tickNs);
}

// Sleeping

function nanosleep(k: Kernel, task: Task, a: Args): number {
  const request = hasStarted(task) ? 0 : readRequest(k, a.u64(0));
  return typeof request === 'number' && request < 0
    ? request
    : sleepFor(k, task, request, a.u64(1));
}

/** A timespec, checked; -EFAULT or -EINVAL. */
function readRequest(k: Kernel, gva: number): Moment | number {
  const view = readStruct(k, gva, Timespec.bytes);
  if (view === null) return -EFAULT;
  const sec = Timespec.tv_sec.get(view, 0);
  const nsec = Timespec.tv_nsec.get(view, 0);
  return toTimeout(sec, nsec) < 0 ? -EINVAL : { sec, nsec };
}

/** @param request relative; any number on later executions */
function sleepFor(k: Kernel, task: Task, request: Moment | number, leftGva: number): number {
  if (typeof request !== 'number') {
    startWait(k, task, toTimeout(request.sec, request.nsec));
    // Sleeping for no time lets the others run, which is what it is used for.
    if (task.waitDeadlineNs === 0) return schedOnce(k);
  }
  if (hasTimedOut(k, task)) return 0;
  const result = block(k, task, [], ERESTART_RESTARTBLOCK);
  if (result === BLOCKED || leftGva === 0) return result;
  return writeTimespec(k, leftGva, toMoment(timeLeftNs(k, task))) === 0 ? result : -EFAULT;
}

function schedOnce(k: Kernel): number {
  rotate(k);
  return 0;
}

function clockNanosleep(k: Kernel, task: Task, a: Args): number {
  const clock = a.i32(0);
  const refused = checkSleepClock(k, task, clock);
  if (refused !== 0) return refused;
  const isAbsolute = (a.i32(1) & TIMER_ABSTIME) !== 0;
  const request = hasStarted(task) ? 0 : readRequest(k, a.u64(2));
  if (typeof request === 'number' && request < 0) return request;
  if (!isAbsolute) return sleepFor(k, task, request, a.u64(3));
  if (typeof request !== 'number') {
    task.waitDeadlineNs = Math.max(1, absoluteNs(k, clock, request));
    task.waitIsReal = isRealClock(clock);
    task.waitState = WAIT_STARTED;
  }
  return hasTimedOut(k, task) ? 0 : block(k, task, [], ERESTARTNOHAND);
}

/** Linux: which clocks have nsleep; CPU clocks would need a timer of their own here. */
function checkSleepClock(k: Kernel, task: Task, clock: number): number {
  const known = readClock(k, task, clock);
  if (typeof known === 'number') return known;
  if (clock === CLOCK_THREAD_CPUTIME_ID) return -EINVAL;
  const sleeps = clock === CLOCK_REALTIME || clock === CLOCK_MONOTONIC ||
    clock === CLOCK_BOOTTIME || clock === CLOCK_TAI || clock === CLOCK_REALTIME_ALARM ||
    clock === CLOCK_BOOTTIME_ALARM;
  return sleeps ? 0 : -EOPNOTSUPP;
}

/** A point in time of a clock as CLOCK_MONOTONIC in ns. */
export function absoluteNs(k: Kernel, clock: number, at: Moment): number {
  return isRealClock(clock) ? realToMonotonicNs(k, at) : toTimeout(at.sec, at.nsec);
}

/** Whether a clock shows the time of day, which a boot sets. */
export function isRealClock(clock: number): boolean {
  return clock === CLOCK_REALTIME || clock === CLOCK_TAI || clock === CLOCK_REALTIME_ALARM;
}

// Adjusting

function adjtimex(k: Kernel, _task: Task, a: Args): number {
  return readAdjustment(k, a.u64(0));
}

function clockAdjtime(k: Kernel, _task: Task, a: Args): number {
  const clock = a.i32(0);
  if (clock < 0) return -EINVAL;
  return clock === CLOCK_REALTIME ? readAdjustment(k, a.u64(1)) : -EOPNOTSUPP;
}

function readAdjustment(k: Kernel, gva: number): number {
  const given = readStruct(k, gva, Timex.bytes);
  if (given === null) return -EFAULT;
  if (Timex.modes.get(given, 0) !== 0) return -EPERM;
  const now = realtime(k);
  const raw = new Uint8Array(Timex.bytes);
  const view = new DataView(raw.buffer);
  Timex.status.set(view, 0, 0x40); // STA_UNSYNC
  Timex.precision.set(view, 0, 1);
  Timex.tick.set(view, 0, USEC_PER_SEC / USER_HZ);
  Timex.time_sec.set(view, 0, now.sec);
  Timex.time_usec.set(view, 0, Math.floor(now.nsec / NSEC_PER_USEC));
  return copyOut(k, gva, raw) === raw.length ? TIME_ERROR : -EFAULT;
}

export const timeCalls: Family = {
  clock_gettime: full(clockGettime),
  clock_getres: full(clockGetres),
  clock_settime: partial(clockSettime, 'The clock cannot be set: EPERM.'),
  clock_nanosleep: partial(clockNanosleep, 'CPU time clocks are EOPNOTSUPP.'),
  clock_adjtime: partial(clockAdjtime, 'Read-only.'),
  nanosleep: full(nanosleep),
  gettimeofday: full(gettimeofday),
  settimeofday: missing(EPERM, 'The clock cannot be set.'),
  time: full(time),
  times: full(times),
  adjtimex: partial(adjtimex, 'Read-only.'),
};
