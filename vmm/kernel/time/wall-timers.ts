// Waits until a point of CLOCK_REALTIME. Deadlines are kept on CLOCK_MONOTONIC, which goes on in a
// boot where it was; CLOCK_REALTIME is the host's, so between a save and a boot it jumps, as if
// somebody had set it. Linux: clock_was_set().
import { POLLIN } from '../../abi/poll.ts';
import { NSEC_PER_SEC } from '../../abi/time.ts';
import { wakeFor } from '../ipc/epoll-ready.ts';
import type { Kernel } from '../kernel.ts';
import { TimerFd } from '../records/ipc.ts';
import { type Timer, TIMER_FD } from '../records/time.ts';
import { forEachProcess } from '../task/family.ts';
import { FOREVER_NS, nowNs, realtime } from './clock.ts';
import { armTimer } from './timers.ts';

/** Notes both clocks. Order: before the records are saved. */
export function saveClocks(k: Kernel): void {
  const { sec, nsec } = realtime(k);
  k.root.savedMonotonicNs = nowNs(k);
  k.root.savedRealSec = sec;
  k.root.savedRealNsec = nsec;
}

/** Moves what waits for a point of CLOCK_REALTIME. Order: the monotonic clock has been set. */
export function clockWasSet(k: Kernel): void {
  const { root } = k;
  if (root.deterministic) return;
  const now = realtime(k);
  const realNs = (now.sec - root.savedRealSec) * NSEC_PER_SEC + now.nsec - root.savedRealNsec;
  const jumpNs = realNs - (nowNs(k) - root.savedMonotonicNs);
  moveThreads(k, jumpNs);
  const moved: Timer[] = [];
  for (let timer = root.timers; timer !== null; timer = timer.next) {
    if (timer.isReal) moved.push(timer);
  }
  for (const timer of moved) {
    armTimer(k, timer, move(timer.deadlineNs, jumpNs), timer.intervalNs);
    if (timer.action === TIMER_FD && timer.object !== null) {
      cancelRead(k, k.arena.at(TimerFd, timer.object.address));
    }
  }
}

/** The deadlines that calls compare with; their timers are armed anew with the others. */
function moveThreads(k: Kernel, jumpNs: number): void {
  forEachProcess(k, ({ tasks }) => {
    for (let i = 0; i < tasks.length; i++) {
      const task = tasks.get(i);
      if (task === null || !task.waitIsReal) continue;
      if (task.waitDeadlineNs !== 0) task.waitDeadlineNs = move(task.waitDeadlineNs, jumpNs);
    }
  });
}

function move(deadlineNs: number, jumpNs: number): number {
  return Math.min(Math.max(1, deadlineNs - jumpNs), FOREVER_NS);
}

/** TFD_TIMER_CANCEL_ON_SET. */
function cancelRead(k: Kernel, timerFd: TimerFd): void {
  if (!timerFd.cancelOnSet) return;
  timerFd.isCanceled = true;
  wakeFor(k, timerFd.queue, POLLIN);
}
