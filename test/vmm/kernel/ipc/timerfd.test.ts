// timerfd: one-shot, periodic and absolute timers, what read(2) counts, and refused arguments.
import { EAGAIN, EBADF, EFAULT, EINVAL, EPERM } from '../../../../vmm/abi/errno.ts';
import { POLLIN } from '../../../../vmm/abi/poll.ts';
import {
  CLOCK_BOOTTIME, CLOCK_BOOTTIME_ALARM, CLOCK_MONOTONIC, CLOCK_PROCESS_CPUTIME_ID, CLOCK_REALTIME,
  TFD_CLOEXEC, TFD_NONBLOCK, TFD_TIMER_ABSTIME, TFD_TIMER_CANCEL_ON_SET,
} from '../../../../vmm/abi/time.ts';
import { BLOCKED } from '../../../../vmm/kernel/syscalls/define.ts';
import { nextDeadlineNs, runTimers } from '../../../../vmm/kernel/time/timers.ts';
import { assert, suite } from '../../../harness.ts';
import { BAD_GVA, Driver } from './driver.ts';

const test = suite('vmm/kernel/ipc/timerfd');
const MS = 1_000_000;

class TimerDriver extends Driver {
  /** timerfd_settime(2) with (interval, value) as [sec, nsec] pairs. */
  set(
    fd: number,
    interval: [number, number],
    value: [number, number],
    flags: number = 0,
    oldGva: number = 0,
  ): number {
    const at = this.putU64(this.base, ...interval, ...value);
    return this.call('timerfd_settime', fd, flags, at, oldGva);
  }

  /** timerfd_gettime(2): [interval sec, nsec, value sec, nsec]. */
  left(fd: number): number[] {
    assert.is(this.call('timerfd_gettime', fd, this.base), 0);
    return this.setting(this.base);
  }

  setting(gva: number): number[] {
    const view = this.view(gva, 32);
    return [0, 8, 16, 24].map((offset) => Number(view.getBigInt64(offset, true)));
  }

  /** Lets time pass and timers fire. */
  pass(ns: number): void {
    this.t.clock.advance(ns);
    runTimers(this.t.k);
  }

  take(fd: number): number {
    const result = this.call('read', fd, this.base, 8);
    return result < 0 ? result : Number(this.view(this.base, 8).getBigUint64(0, true));
  }
}

test('a timer expires once, after its time, and not before', () => {
  const d = new TimerDriver();
  const fd = d.call('timerfd_create', CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
  assert.is(d.take(fd), -EAGAIN);
  assert.is(d.set(fd, [0, 0], [0, 10 * MS]), 0);
  d.pass(9 * MS);
  assert.is(d.poll(fd), 0);
  assert.equal(d.left(fd), [0, 0, 0, MS]);
  d.pass(1 * MS);
  assert.is(d.poll(fd), POLLIN);
  assert.is(d.take(fd), 1);
  assert.is(d.take(fd), -EAGAIN);
  assert.equal(d.left(fd), [0, 0, 0, 0]);
  d.end();
});

test('a periodic timer counts the periods that were missed', () => {
  const d = new TimerDriver();
  const fd = d.call('timerfd_create', CLOCK_BOOTTIME, TFD_NONBLOCK);
  d.set(fd, [0, 10 * MS], [0, 5 * MS]);
  d.pass(36 * MS);
  assert.is(d.take(fd), 4);
  assert.equal(d.left(fd), [0, 10 * MS, 0, 9 * MS]);
  d.pass(9 * MS);
  assert.is(d.take(fd), 1);
  d.set(fd, [0, 0], [0, 0]);
  assert.is(nextDeadlineNs(d.t.k), Infinity);
  d.end();
});

test('absolute times count on their clock; the past is due at once', () => {
  const d = new TimerDriver();
  const { clock } = d.t;
  const mono = d.call('timerfd_create', CLOCK_MONOTONIC, TFD_NONBLOCK);
  d.set(mono, [0, 0], [clock.nowNs / 1e9 + 2, 0], TFD_TIMER_ABSTIME);
  const real = d.call('timerfd_create', CLOCK_REALTIME, TFD_NONBLOCK);
  const flags = TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET;
  assert.is(d.set(real, [0, 0], [clock.realtime().sec + 3, 0], flags), 0);
  d.pass(1999 * MS);
  assert.is(d.take(mono), -EAGAIN);
  d.pass(1 * MS);
  assert.is(d.take(mono), 1);
  assert.is(d.take(real), -EAGAIN);
  d.pass(1000 * MS);
  assert.is(d.take(real), 1);
  d.set(mono, [0, 0], [0, 1], TFD_TIMER_ABSTIME);
  d.pass(0);
  assert.is(d.take(mono), 1);
  d.end();
});

test('setting a timer gives the old setting back and forgets expirations', () => {
  const d = new TimerDriver();
  const fd = d.call('timerfd_create', CLOCK_MONOTONIC, TFD_NONBLOCK);
  d.set(fd, [1, 5], [0, 4 * MS]);
  d.pass(4 * MS);
  assert.is(d.set(fd, [0, 0], [9, 0], 0, d.base + 64), 0);
  assert.equal(d.setting(d.base + 64), [1, 5, 1, 5]);
  assert.is(d.take(fd), -EAGAIN);
  d.end();
});

test('read() blocks until the timer expires', () => {
  const d = new TimerDriver();
  const fd = d.call('timerfd_create', CLOCK_MONOTONIC, 0);
  d.set(fd, [0, 0], [0, MS]);
  assert.is(d.call('read', fd, d.base, 8), BLOCKED);
  d.pass(MS);
  assert.is(d.again(), 8);
  assert.is(d.call('read', fd, d.base, 7), -EINVAL);
  d.end();
});

test('closing an armed timer disarms it', () => {
  const d = new TimerDriver();
  const fd = d.call('timerfd_create', CLOCK_MONOTONIC, 0);
  d.set(fd, [0, MS], [0, MS]);
  d.close(fd);
  assert.is(nextDeadlineNs(d.t.k), Infinity);
  d.pass(10 * MS);
  d.end();
});

test('wrong arguments fail as on Linux', () => {
  const d = new TimerDriver();
  const event = d.call('eventfd2', 0, 0);
  const fd = d.call('timerfd_create', CLOCK_MONOTONIC, 0);
  assert.is(d.call('timerfd_create', CLOCK_PROCESS_CPUTIME_ID, 0), -EINVAL);
  assert.is(d.call('timerfd_create', CLOCK_MONOTONIC, 1), -EINVAL);
  d.t.process.uid = 1000;
  assert.is(d.call('timerfd_create', CLOCK_BOOTTIME_ALARM, 0), -EPERM);
  assert.is(d.call('timerfd_settime', fd, 0, BAD_GVA, 0), -EFAULT);
  assert.is(d.set(fd, [0, 0], [0, 1_000_000_000]), -EINVAL);
  assert.is(d.set(fd, [-1, 0], [0, 1]), -EINVAL);
  assert.is(d.set(fd, [0, 0], [0, 1], 4), -EINVAL);
  assert.is(d.set(99, [0, 0], [0, 1]), -EBADF);
  assert.is(d.set(event, [0, 0], [0, 1]), -EINVAL);
  assert.is(d.call('timerfd_gettime', event, d.base), -EINVAL);
  assert.is(d.call('timerfd_gettime', fd, BAD_GVA), -EFAULT);
  d.end();
});

test.run();
