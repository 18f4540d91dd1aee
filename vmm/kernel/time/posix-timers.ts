// POSIX timers, timer_create(2): a list per process through Timer.nextOfProcess, newest first.
//
// Only the signal that is queued counts: while it is, further expirations are overruns in it.
import { SI_TIMER, SIGEV_NONE } from '../../abi/signal.ts';
import type { Kernel } from '../kernel.ts';
import type { Process } from '../records/task.ts';
import { Timer, TIMER_POSIX } from '../records/time.ts';
import {
  findTimerSignal, makeInfo, sendSignal, sendSignalToTask, withdrawTimerSignal,
} from '../signal/pending.ts';
import { disarmTimer } from './timers.ts';

/** Most timers of a process; Linux bounds them by RLIMIT_SIGPENDING. */
export const POSIX_TIMERS_MOST = 4096;
/** Linux: DELAYTIMER_MAX, where overrun counts stop. */
export const DELAYTIMER_MAX = 0x7fff_ffff;

/** A new, disarmed timer; null when there are too many. */
export function makePosixTimer(k: Kernel, process: Process): Timer | null {
  let count = 0;
  for (let timer = process.posixTimers; timer !== null; timer = timer.nextOfProcess) count++;
  if (count >= POSIX_TIMERS_MOST) return null;
  const timer = k.arena.make(Timer);
  timer.action = TIMER_POSIX;
  timer.process = process;
  timer.id = process.nextTimerId;
  process.nextTimerId = (process.nextTimerId + 1) % 0x8000_0000;
  timer.nextOfProcess = process.posixTimers;
  process.posixTimers = timer;
  return timer;
}

export function findPosixTimer(process: Process, id: number): Timer | null {
  let timer = process.posixTimers;
  while (timer !== null && timer.id !== id) timer = timer.nextOfProcess;
  return timer;
}

/** Deletes a timer and the signal it has queued. */
export function deletePosixTimer(k: Kernel, process: Process, timer: Timer): void {
  disarmTimer(k, timer);
  withdrawTimerSignal(k, process, timer.id);
  if (process.posixTimers === timer) {
    process.posixTimers = timer.nextOfProcess;
  } else {
    let before = process.posixTimers;
    while (before !== null && before.nextOfProcess !== timer) before = before.nextOfProcess;
    if (before !== null) before.nextOfProcess = timer.nextOfProcess;
  }
  k.arena.free(timer);
}

/** A timer expired `count` times: queues its signal, or counts overruns while one is queued. */
export function posixTimerExpired(k: Kernel, timer: Timer, count: number): void {
  const { process } = timer;
  if (process === null || timer.notify === SIGEV_NONE) return;
  const queued = findTimerSignal(process, timer.id);
  if (queued !== null) {
    queued.uid = Math.min(queued.uid + count, DELAYTIMER_MAX);
    return;
  }
  const info = makeInfo(timer.signal, SI_TIMER, timer.id, Math.min(count - 1, DELAYTIMER_MAX));
  info.sigval = timer.sigval;
  if (!timer.isForTask) sendSignal(k, process, info);
  else if (timer.task !== null) sendSignalToTask(k, timer.task, info);
}
