// timerfd_create(2), timerfd_settime(2), timerfd_gettime(2).
import { EBADF, EFAULT, EINVAL, EPERM } from '../../abi/errno.ts';
import { Itimerspec } from '../../abi/struct-time.ts';
import {
  CLOCK_BOOTTIME, CLOCK_BOOTTIME_ALARM, CLOCK_MONOTONIC, CLOCK_REALTIME, CLOCK_REALTIME_ALARM,
  NSEC_PER_SEC, TFD_CLOEXEC, TFD_NONBLOCK, TFD_TIMER_ABSTIME, TFD_TIMER_CANCEL_ON_SET,
} from '../../abi/time.ts';
import { installOrDrop } from '../ipc/anon-file.ts';
import {
  getTimerFd, makeTimerFd, setTimerFd, timerFdOf, type TimerSetting,
} from '../ipc/timerfd.ts';
import { toTimeout } from '../ipc/wait-timeout.ts';
import type { Kernel } from '../kernel.ts';
import { copyOut, readStruct } from '../mm/user-memory.ts';
import type { TimerFd } from '../records/ipc.ts';
import type { Task } from '../records/task.ts';
import type { Moment } from '../time/clock.ts';
import { getFile } from '../vfs/file.ts';
import type { Args } from './args.ts';
import { type Family, full } from './define.ts';

const CLOCKS: readonly number[] = [
  CLOCK_MONOTONIC, CLOCK_REALTIME, CLOCK_REALTIME_ALARM, CLOCK_BOOTTIME, CLOCK_BOOTTIME_ALARM,
];

function timerfdCreate(k: Kernel, task: Task, a: Args): number {
  const clock = a.i32(0);
  const flags = a.i32(1);
  if ((flags & ~(TFD_CLOEXEC | TFD_NONBLOCK)) !== 0 || !CLOCKS.includes(clock)) return -EINVAL;
  const isAlarm = clock === CLOCK_REALTIME_ALARM || clock === CLOCK_BOOTTIME_ALARM;
  if (isAlarm && task.process.uid !== 0) return -EPERM;
  const file = makeTimerFd(k, clock, flags & TFD_NONBLOCK);
  return installOrDrop(k, task, file, (flags & TFD_CLOEXEC) !== 0);
}

function timerfdSettime(k: Kernel, task: Task, a: Args): number {
  const flags = a.i32(1);
  const oldGva = a.u64(3);
  const view = readStruct(k, a.u64(2), Itimerspec.bytes);
  if (view === null) return -EFAULT;
  const intervalNs = toTimeout(
    Itimerspec.it_interval_sec.get(view, 0), Itimerspec.it_interval_nsec.get(view, 0),
  );
  const value: Moment = {
    sec: Itimerspec.it_value_sec.get(view, 0),
    nsec: Itimerspec.it_value_nsec.get(view, 0),
  };
  if ((flags & ~(TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET)) !== 0) return -EINVAL;
  if (intervalNs < 0 || toTimeout(value.sec, value.nsec) < 0) return -EINVAL;
  const timerFd = findTimerFd(k, task, a.i32(0));
  if (typeof timerFd === 'number') return timerFd;
  const old = getTimerFd(k, timerFd);
  setTimerFd(k, timerFd, flags, intervalNs, value);
  return oldGva === 0 || writeSetting(k, oldGva, old) ? 0 : -EFAULT;
}

function timerfdGettime(k: Kernel, task: Task, a: Args): number {
  const timerFd = findTimerFd(k, task, a.i32(0));
  if (typeof timerFd === 'number') return timerFd;
  return writeSetting(k, a.u64(1), getTimerFd(k, timerFd)) ? 0 : -EFAULT;
}

function findTimerFd(k: Kernel, task: Task, fd: number): TimerFd | number {
  const file = getFile(task, fd);
  if (file === null) return -EBADF;
  return timerFdOf(k, file) ?? -EINVAL;
}

function writeSetting(k: Kernel, gva: number, setting: TimerSetting): boolean {
  const raw = new Uint8Array(Itimerspec.bytes);
  const view = new DataView(raw.buffer);
  const { intervalNs, valueNs } = setting;
  Itimerspec.it_interval_sec.set(view, 0, Math.floor(intervalNs / NSEC_PER_SEC));
  Itimerspec.it_interval_nsec.set(view, 0, Math.floor(intervalNs % NSEC_PER_SEC));
  Itimerspec.it_value_sec.set(view, 0, Math.floor(valueNs / NSEC_PER_SEC));
  Itimerspec.it_value_nsec.set(view, 0, Math.floor(valueNs % NSEC_PER_SEC));
  return copyOut(k, gva, raw) === raw.length;
}

export const timerfdCalls: Family = {
  timerfd_create: full(timerfdCreate),
  timerfd_settime: full(timerfdSettime),
  timerfd_gettime: full(timerfdGettime),
};
