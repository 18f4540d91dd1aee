// Timers: one list per sandbox, Sandbox.timers, sorted by deadline; equal deadlines expire in the
// order they were armed. What an expiration does is a number (Timer.action), not a function.
//
// Invariant: a timer is in the list if and only if isArmed, and then deadlineNs is not 0.
import { SI_KERNEL, SIGALRM } from '../../abi/signal.ts';
import type { Kernel } from '../kernel.ts';
import { TimerFd } from '../records/ipc.ts';
import {
  Timer, TIMER_FD, TIMER_POSIX, TIMER_REAL_ITIMER, TIMER_WAKE_TASK,
} from '../records/time.ts';
import { f64, u32 } from '../state/memory.ts';
import { timerFdExpired } from '../ipc/timerfd.ts';
import { makeInfo, sendSignal } from '../signal/pending.ts';
import { wakeTask } from '../task/block.ts';
import { nowNs, skipTo } from './clock.ts';
import { runCpuTimers } from './cpu-timers.ts';
import { posixTimerExpired } from './posix-timers.ts';

/**
 * Arms `timer`, again if it is armed.
 * @param deadlineNs absolute CLOCK_MONOTONIC; 0 and less count as 1 ns, the past is due at once
 * @param intervalNs period, 0 = once
 */
export function armTimer(k: Kernel, timer: Timer, deadlineNs: number, intervalNs: number): void {
  if (timer.isArmed) disarmTimer(k, timer);
  timer.deadlineNs = Math.max(1, deadlineNs);
  timer.intervalNs = intervalNs;
  link(k, timer);
}

/** Takes a timer out of the list. No effect when it is not armed. */
export function disarmTimer(k: Kernel, timer: Timer): void {
  if (!timer.isArmed) return;
  const { next, previous } = timer;
  if (previous === null) k.root.timers = next;
  else previous.next = next;
  if (next !== null) next.previous = previous;
  timer.next = null;
  timer.previous = null;
  timer.isArmed = false;
  timer.deadlineNs = 0;
}

/**
 * Fires everything that is due. Each timer fires once, however many periods were missed.
 * In deterministic mode, when no thread can run, the time of the next timer has come.
 */
export function runTimers(k: Kernel): void {
  runCpuTimers(k);
  if (k.root.runHead === null && k.root.timers !== null) skipTo(k, k.root.timers.deadlineNs);
  const now = nowNs(k);
  for (;;) {
    const timer = k.root.timers;
    if (timer === null || timer.deadlineNs > now) return;
    const { deadlineNs, intervalNs } = timer;
    let count = 1;
    if (intervalNs > 0) {
      // The next deadline lies after `now`, so the loop ends even with a period of 1 ns.
      count = Math.floor((now - deadlineNs) / intervalNs) + 1;
      armTimer(k, timer, deadlineNs + count * intervalNs, intervalNs);
      if (timer.deadlineNs <= now) armTimer(k, timer, now + intervalNs, intervalNs);
    } else {
      disarmTimer(k, timer);
    }
    fire(k, timer, count);
  }
}

/** Deadline of the first timer (CLOCK_MONOTONIC ns); Infinity when there is none. */
export function nextDeadlineNs(k: Kernel): number {
  return k.root.timers?.deadlineNs ?? Infinity;
}

/** Time until a timer expires: 0 when it is not armed, else at least 1 ns. */
export function remainingNs(k: Kernel, timer: Timer): number {
  return timer.isArmed ? Math.max(1, timer.deadlineNs - nowNs(k)) : 0;
}

/** @param count expirations since it last fired, ≥ 1 */
function fire(k: Kernel, timer: Timer, count: number): void {
  switch (timer.action) {
    case TIMER_WAKE_TASK:
      if (timer.task !== null) wakeTask(k, timer.task);
      return;
    case TIMER_REAL_ITIMER: {
      const { process } = timer;
      if (process !== null) sendSignal(k, process, makeInfo(SIGALRM, SI_KERNEL));
      return;
    }
    case TIMER_FD: {
      const { object } = timer;
      if (object === null) return;
      const timerFd = k.arena.at(TimerFd, object.address);
      // timerFdExpired() counts one.
      timerFd.expirations += count - 1;
      timerFdExpired(k, timerFd);
      return;
    }
    case TIMER_POSIX:
      posixTimerExpired(k, timer, count);
  }
}

const DEADLINE = Timer.offset('deadlineNs');
const NEXT = Timer.offset('next');

/** Looks for the place by address: a thousand timers that expire all the time need it fast. */
function link(k: Kernel, timer: Timer): void {
  const { deadlineNs } = timer;
  let before = 0;
  let after = k.root.timers?.address ?? 0;
  while (after !== 0 && (f64[(after + DEADLINE) >> 3] as number) <= deadlineNs) {
    before = after;
    after = u32[(after + NEXT) >> 2] as number;
  }
  const previous = before === 0 ? null : k.arena.at(Timer, before);
  const next = after === 0 ? null : k.arena.at(Timer, after);
  timer.previous = previous;
  timer.next = next;
  if (previous === null) k.root.timers = timer;
  else previous.next = timer;
  if (next !== null) next.previous = timer;
  timer.isArmed = true;
}
