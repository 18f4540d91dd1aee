// Points of CLOCK_REALTIME across a boot: the monotonic clock stands still, the other one jumps.
import { CLOCK_MONOTONIC, CLOCK_REALTIME, TFD_TIMER_ABSTIME, TFD_TIMER_CANCEL_ON_SET } from
  '../../../../vmm/abi/time.ts';
import { getTimerFd, makeTimerFd, setTimerFd, timerFdOf } from
  '../../../../vmm/kernel/ipc/timerfd.ts';
import type { TimerFd } from '../../../../vmm/kernel/records/ipc.ts';
import { nowNs, realtime } from '../../../../vmm/kernel/time/clock.ts';
import { runTimers } from '../../../../vmm/kernel/time/timers.ts';
import { clockWasSet, saveClocks } from '../../../../vmm/kernel/time/wall-timers.ts';
import { assert, suite } from '../../../harness.ts';
import { makeTestKernel, type TestKernel } from '../../../helpers/kernel.ts';

const test = suite('vmm/kernel/time/wall-timers');

/** A timer that expires in 100 s, on its clock. */
function arm({ k }: TestKernel, clock: number, flags: number): TimerFd {
  const timerFd = timerFdOf(k, makeTimerFd(k, clock, 0)) as TimerFd;
  const { sec, nsec } = realtime(k);
  const at = (flags & TFD_TIMER_ABSTIME) === 0 ? { sec: 100, nsec: 0 } : { sec: sec + 100, nsec };
  setTimerFd(k, timerFd, flags, 0, at);
  return timerFd;
}

/** Seconds that are left. */
function left({ k }: TestKernel, timerFd: TimerFd): number {
  return Math.round(getTimerFd(k, timerFd).valueNs / 1e9);
}

/** What a boot does `sec` seconds after the save. */
function bootAfter(t: TestKernel, sec: number): void {
  saveClocks(t.k);
  const before = nowNs(t.k);
  t.clock.advance(sec * 1e9);
  t.k.root.monotonicOffsetNs -= sec * 1e9;
  assert.is(nowNs(t.k), before);
  clockWasSet(t.k);
}

test('clockWasSet() moves only what waits for a time of day', () => {
  const t = makeTestKernel();
  const timers = [
    arm(t, CLOCK_MONOTONIC, 0), arm(t, CLOCK_REALTIME, 0),
    arm(t, CLOCK_REALTIME, TFD_TIMER_ABSTIME),
  ];
  bootAfter(t, 30);
  assert.equal(timers.map((timer) => left(t, timer)), [100, 100, 70]);
  bootAfter(t, 5);
  assert.equal(timers.map((timer) => left(t, timer)), [100, 100, 65]);
  t.close();
});

test('clockWasSet() makes due what has passed, and moves back with the host\'s clock', () => {
  const t = makeTestKernel();
  const timer = arm(t, CLOCK_REALTIME, TFD_TIMER_ABSTIME);
  saveClocks(t.k);
  t.clock.realSec -= 50;
  clockWasSet(t.k);
  assert.is(left(t, timer), 150);
  bootAfter(t, 1000);
  runTimers(t.k);
  assert.is(timer.expirations, 1);
  t.close();
});

test('clockWasSet() cancels reads of timers that asked for it', () => {
  const t = makeTestKernel();
  const flags = TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET;
  const [plain, cancelled] = [
    arm(t, CLOCK_REALTIME, TFD_TIMER_ABSTIME), arm(t, CLOCK_REALTIME, flags),
  ];
  bootAfter(t, 1);
  assert.equal([plain.isCanceled, cancelled.isCanceled], [false, true]);
  t.close();
});

test('clockWasSet() leaves a deterministic sandbox alone', () => {
  const t = makeTestKernel();
  t.k.root.deterministic = true;
  const timer = arm(t, CLOCK_REALTIME, TFD_TIMER_ABSTIME);
  saveClocks(t.k);
  t.clock.advance(30e9);
  clockWasSet(t.k);
  assert.is(left(t, timer), 100);
  t.close();
});

test.run();
