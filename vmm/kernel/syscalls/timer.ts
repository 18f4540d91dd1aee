// Timers that signal: alarm(2), setitimer(2), timer_create(2).
import { EAGAIN, EFAULT, EINVAL, EOPNOTSUPP } from '../../abi/errno.ts';
import {
  SIGALRM, SIGEV_NONE, SIGEV_SIGNAL, SIGEV_THREAD, SIGEV_THREAD_ID,
} from '../../abi/signal.ts';
import { Itimerspec, Itimerval, Sigevent } from '../../abi/struct-time.ts';
import {
  CLOCK_BOOTTIME, CLOCK_MONOTONIC, CLOCK_PROCESS_CPUTIME_ID, CLOCK_REALTIME, CLOCK_TAI,
  CLOCK_THREAD_CPUTIME_ID, ITIMER_PROF, ITIMER_REAL, ITIMER_VIRTUAL, NSEC_PER_SEC, NSEC_PER_USEC,
  TIMER_ABSTIME, USEC_PER_SEC,
} from '../../abi/time.ts';
import { toTimeout } from '../ipc/wait-timeout.ts';
import type { Kernel } from '../kernel.ts';
import { copyOut, readStruct, writeU32 } from '../mm/user-memory.ts';
import type { Process, Task } from '../records/task.ts';
import { Timer, TIMER_REAL_ITIMER } from '../records/time.ts';
import { isSignal } from '../signal/set.ts';
import { findTask } from '../task/make-process.ts';
import { FOREVER_NS, nowNs, toMoment } from '../time/clock.ts';
import { readCpuTimer, setCpuTimer, type TimerSetting } from '../time/cpu-timers.ts';
import {
  deletePosixTimer, DELAYTIMER_MAX, findPosixTimer, makePosixTimer,
} from '../time/posix-timers.ts';
import { armTimer, disarmTimer, remainingNs } from '../time/timers.ts';
import type { Args } from './args.ts';
import { type Family, full, partial } from './define.ts';
import { absoluteNs, isRealClock } from './time.ts';

function alarm(k: Kernel, task: Task, a: Args): number {
  const timer = realTimer(k, task.process);
  const left = toMoment(remainingNs(k, timer));
  setReal(k, timer, { valueNs: a.u32(0) * NSEC_PER_SEC, intervalNs: 0 });
  // Linux: rounded to the nearest second, but never down to "no alarm".
  const isRoundedUp = left.nsec >= NSEC_PER_SEC / 2 || left.sec === 0 && left.nsec > 0;
  return left.sec + Number(isRoundedUp);
}

function realTimer(k: Kernel, process: Process): Timer {
  if (process.realTimer !== null) return process.realTimer;
  const timer = k.arena.make(Timer);
  timer.action = TIMER_REAL_ITIMER;
  timer.process = process;
  process.realTimer = timer;
  return timer;
}

function setReal(k: Kernel, timer: Timer, { valueNs, intervalNs }: TimerSetting): void {
  if (valueNs === 0) {
    disarmTimer(k, timer);
    timer.intervalNs = 0;
  } else {
    armTimer(k, timer, Math.min(nowNs(k) + valueNs, FOREVER_NS), intervalNs);
  }
}

function getitimer(k: Kernel, task: Task, a: Args): number {
  const setting = readItimer(k, task.process, a.i32(0));
  return typeof setting === 'number' ? setting : writeItimerval(k, a.u64(1), setting);
}

function readItimer(k: Kernel, process: Process, which: number): TimerSetting | number {
  switch (which) {
    case ITIMER_REAL: {
      const timer = realTimer(k, process);
      return { valueNs: remainingNs(k, timer), intervalNs: timer.intervalNs };
    }
    case ITIMER_VIRTUAL:
    case ITIMER_PROF:
      return readCpuTimer(k, process, which);
    default:
      return -EINVAL;
  }
}

function setitimer(k: Kernel, task: Task, a: Args): number {
  const which = a.i32(0);
  const newGva = a.u64(1);
  const oldGva = a.u64(2);
  const { process } = task;
  // Linux: a null pointer is accepted as zero.
  const wanted = newGva === 0 ? { valueNs: 0, intervalNs: 0 } : readItimerval(k, newGva);
  if (typeof wanted === 'number') return wanted;
  const old = readItimer(k, process, which);
  if (typeof old === 'number') return old;
  if (which === ITIMER_REAL) {
    setReal(k, realTimer(k, process), wanted);
  } else {
    setCpuTimer(k, process, which, wanted);
  }
  return oldGva === 0 ? 0 : writeItimerval(k, oldGva, old);
}

function readItimerval(k: Kernel, gva: number): TimerSetting | number {
  const view = readStruct(k, gva, Itimerval.bytes);
  if (view === null) return -EFAULT;
  const valueNs = fromTimeval(
    Itimerval.it_value_sec.get(view, 0), Itimerval.it_value_usec.get(view, 0));
  const intervalNs = fromTimeval(
    Itimerval.it_interval_sec.get(view, 0), Itimerval.it_interval_usec.get(view, 0));
  return valueNs < 0 || intervalNs < 0 ? -EINVAL : { valueNs, intervalNs };
}

function fromTimeval(sec: number, usec: number): number {
  if (usec < 0 || usec >= USEC_PER_SEC) return -EINVAL;
  return toTimeout(sec, usec * NSEC_PER_USEC);
}

function writeItimerval(k: Kernel, gva: number, { valueNs, intervalNs }: TimerSetting): number {
  const raw = new Uint8Array(Itimerval.bytes);
  const view = new DataView(raw.buffer);
  // A timer that is about to expire must not look like one that is off.
  const value = toMoment(valueNs > 0 ? Math.max(valueNs, NSEC_PER_USEC) : 0);
  const interval = toMoment(intervalNs);
  Itimerval.it_value_sec.set(view, 0, value.sec);
  Itimerval.it_value_usec.set(view, 0, Math.floor(value.nsec / NSEC_PER_USEC));
  Itimerval.it_interval_sec.set(view, 0, interval.sec);
  Itimerval.it_interval_usec.set(view, 0, Math.floor(interval.nsec / NSEC_PER_USEC));
  return copyOut(k, gva, raw) === raw.length ? 0 : -EFAULT;
}

// POSIX timers

/** What a sigevent asks for. */
interface Notice {
  notify: number;
  signal: number;
  target: Task | null;
  sigval: bigint | null;
}

function timerCreate(k: Kernel, task: Task, a: Args): number {
  const clock = a.i32(0);
  const eventGva = a.u64(1);
  const idGva = a.u64(2);
  const refused = checkTimerClock(clock);
  if (eventGva === 0) {
    if (refused !== 0) return refused;
    const notice = { notify: SIGEV_SIGNAL, signal: SIGALRM, target: null, sigval: null };
    return createTimer(k, task, clock, notice, idGva);
  }
  const notice = readSigevent(k, task, eventGva);
  if (refused !== 0) return notice === -EFAULT ? -EFAULT : refused;
  return typeof notice === 'number' ? notice : createTimer(k, task, clock, notice, idGva);
}

function checkTimerClock(clock: number): number {
  switch (clock) {
    case CLOCK_REALTIME:
    case CLOCK_MONOTONIC:
    case CLOCK_BOOTTIME:
    case CLOCK_TAI:
      return 0;
    case CLOCK_PROCESS_CPUTIME_ID:
    case CLOCK_THREAD_CPUTIME_ID:
      return -EOPNOTSUPP;
    default:
      return clock < 0 ? -EOPNOTSUPP : -EINVAL;
  }
}

/** Linux: good_sigevent(). */
function readSigevent(k: Kernel, task: Task, gva: number): Notice | number {
  const view = readStruct(k, gva, Sigevent.bytes);
  if (view === null) return -EFAULT;
  const notify = Sigevent.sigev_notify.get(view, 0);
  const signal = Sigevent.sigev_signo.get(view, 0);
  const sigval = view.getBigUint64(Sigevent.sigev_value.offset, true);
  const tid = Sigevent.sigev_notify_thread_id.get(view, 0);
  let target: Task | null = null;
  switch (notify) {
    case SIGEV_SIGNAL | SIGEV_THREAD_ID:
      target = findTask(task.process, tid);
      if (target === null || !isSignal(signal)) return -EINVAL;
      break;
    case SIGEV_SIGNAL:
    case SIGEV_THREAD:
      if (!isSignal(signal)) return -EINVAL;
      break;
    case SIGEV_NONE:
      break;
    default:
      return -EINVAL;
  }
  return { notify, signal, target, sigval };
}

function createTimer(
  k: Kernel,
  task: Task,
  clock: number,
  notice: Notice,
  idGva: number,
): number {
  const timer = makePosixTimer(k, task.process);
  if (timer === null) return -EAGAIN;
  timer.clock = clock;
  timer.notify = notice.notify;
  timer.signal = notice.signal;
  timer.task = notice.target;
  timer.isForTask = notice.target !== null;
  timer.sigval = notice.sigval ?? BigInt(timer.id);
  if (writeU32(k, idGva, timer.id)) return 0;
  deletePosixTimer(k, task.process, timer);
  return -EFAULT;
}

function timerSettime(k: Kernel, task: Task, a: Args): number {
  const isAbsolute = (a.i32(1) & TIMER_ABSTIME) !== 0;
  const oldGva = a.u64(3);
  const newGva = a.u64(2);
  if (newGva === 0) return -EINVAL;
  const view = readStruct(k, newGva, Itimerspec.bytes);
  if (view === null) return -EFAULT;
  const at = {
    sec: Itimerspec.it_value_sec.get(view, 0),
    nsec: Itimerspec.it_value_nsec.get(view, 0),
  };
  const intervalNs = toTimeout(
    Itimerspec.it_interval_sec.get(view, 0), Itimerspec.it_interval_nsec.get(view, 0));
  const valueNs = toTimeout(at.sec, at.nsec);
  if (valueNs < 0 || intervalNs < 0) return -EINVAL;
  const timer = findPosixTimer(task.process, a.i32(0));
  if (timer === null) return -EINVAL;
  const old = { valueNs: remainingNs(k, timer), intervalNs: timer.intervalNs };
  timer.overruns = 0;
  if (valueNs === 0) {
    disarmTimer(k, timer);
    timer.intervalNs = 0;
  } else {
    const deadlineNs = isAbsolute ? absoluteNs(k, timer.clock, at) : nowNs(k) + valueNs;
    timer.isReal = isAbsolute && isRealClock(timer.clock);
    armTimer(k, timer, Math.min(deadlineNs, FOREVER_NS), intervalNs);
  }
  return oldGva === 0 ? 0 : writeItimerspec(k, oldGva, old);
}

function timerGettime(k: Kernel, task: Task, a: Args): number {
  const timer = findPosixTimer(task.process, a.i32(0));
  if (timer === null) return -EINVAL;
  const { intervalNs } = timer;
  return writeItimerspec(k, a.u64(1), { valueNs: remainingNs(k, timer), intervalNs });
}

function writeItimerspec(k: Kernel, gva: number, { valueNs, intervalNs }: TimerSetting): number {
  const raw = new Uint8Array(Itimerspec.bytes);
  const view = new DataView(raw.buffer);
  const value = toMoment(valueNs);
  const interval = toMoment(intervalNs);
  Itimerspec.it_value_sec.set(view, 0, value.sec);
  Itimerspec.it_value_nsec.set(view, 0, value.nsec);
  Itimerspec.it_interval_sec.set(view, 0, interval.sec);
  Itimerspec.it_interval_nsec.set(view, 0, interval.nsec);
  return copyOut(k, gva, raw) === raw.length ? 0 : -EFAULT;
}

function timerGetoverrun(_k: Kernel, task: Task, a: Args): number {
  const timer = findPosixTimer(task.process, a.i32(0));
  return timer === null ? -EINVAL : Math.min(timer.overruns, DELAYTIMER_MAX);
}

function timerDelete(k: Kernel, task: Task, a: Args): number {
  const timer = findPosixTimer(task.process, a.i32(0));
  if (timer === null) return -EINVAL;
  deletePosixTimer(k, task.process, timer);
  return 0;
}

export const timerCalls: Family = {
  alarm: full(alarm),
  getitimer: full(getitimer),
  setitimer: full(setitimer),
  timer_create: partial(timerCreate, 'CPU time clocks are EOPNOTSUPP.'),
  timer_settime: full(timerSettime),
  timer_gettime: full(timerGettime),
  timer_getoverrun: full(timerGetoverrun),
  timer_delete: full(timerDelete),
};
