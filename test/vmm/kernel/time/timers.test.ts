// The timer list, and the calls that sleep, set alarms and read clocks.
import { EINTR, EINVAL } from '../../../../vmm/abi/errno.ts';
import { RLIMIT_CPU } from '../../../../vmm/abi/resource.ts';
import {
  SI_TIMER, SIGALRM, SIGKILL, SIGPROF, SIGUSR1, SIGVTALRM, SIGXCPU,
} from '../../../../vmm/abi/signal.ts';
import { TASK_BLOCKED, TASK_RUNNABLE } from '../../../../vmm/kernel/records/task.ts';
import { Timer, TIMER_WAKE_TASK } from '../../../../vmm/kernel/records/time.ts';
import { setMask } from '../../../../vmm/kernel/signal/mask.ts';
import { dequeueSignal, pendingSet } from '../../../../vmm/kernel/signal/pending.ts';
import { SIGNAL_BITS, signalBit } from '../../../../vmm/kernel/signal/set.ts';
import { setLimit } from '../../../../vmm/kernel/task/limits.ts';
import { BLOCKED } from '../../../../vmm/kernel/syscalls/define.ts';
import { nowNs, skipTo } from '../../../../vmm/kernel/time/clock.ts';
import {
  armTimer, disarmTimer, nextDeadlineNs, remainingNs, runTimers,
} from '../../../../vmm/kernel/time/timers.ts';
import { assert, seededRandom, suite } from '../../../harness.ts';
import { type Guest, MEMORY, withGuest } from '../task/guest.ts';

const test = suite('vmm/kernel/time/timers');

function makeTimer(g: Guest): Timer {
  const timer = g.k.arena.make(Timer);
  timer.action = TIMER_WAKE_TASK;
  return timer;
}

function armed(g: Guest): Timer[] {
  const list: Timer[] = [];
  let previous: Timer | null = null;
  for (let timer = g.k.root.timers; timer !== null; timer = timer.next) {
    assert.is(timer.previous, previous);
    assert.is(timer.isArmed, true);
    list.push(timer);
    previous = timer;
  }
  return list;
}

test('armTimer() keeps the list sorted, equal deadlines in the order they were armed',
  withGuest((g) => {
  const random = seededRandom(11);
  const timers = Array.from({ length: 60 }, () => makeTimer(g));
  let expected: { timer: Timer; deadline: number; order: number }[] = [];
  for (let order = 0; order < 400; order++) {
    const timer = random.pick(timers);
    expected = expected.filter((entry) => entry.timer !== timer);
    if (random.int(0, 3) === 0) {
      disarmTimer(g.k, timer);
    } else {
      const deadline = 2e9 + random.int(1, 20);
      armTimer(g.k, timer, deadline, 0);
      expected.push({ timer, deadline, order });
    }
    expected.sort((a, b) => a.deadline - b.deadline || a.order - b.order);
    assert.equal(armed(g).map((t) => t.address), expected.map((entry) => entry.timer.address));
    assert.is(nextDeadlineNs(g.k), expected[0]?.deadline ?? Infinity);
  }
}));

test('runTimers() fires what is due and leaves the rest', withGuest((g) => {
  const [a, b, c] = [makeTimer(g), makeTimer(g), makeTimer(g)];
  const now = nowNs(g.k);
  armTimer(g.k, a, now + 100, 0);
  armTimer(g.k, b, now + 101, 0);
  armTimer(g.k, c, now - 5, 0);
  g.advance(100);
  assert.equal(armed(g), [b]);
  assert.is(remainingNs(g.k, b), 1);
  assert.is(remainingNs(g.k, a), 0);
}));

test('runTimers() arms a periodic timer for the first deadline that is not past', withGuest((g) => {
  const timer = makeTimer(g);
  const start = nowNs(g.k);
  armTimer(g.k, timer, start + 10, 10);
  g.advance(35);
  assert.is(timer.deadlineNs, start + 40);
  g.advance(5);
  assert.is(timer.deadlineNs, start + 50);
  g.t.isBroken = true;
  armTimer(g.k, timer, start, 0.1);
  g.advance(1e9);
  assert.ok(timer.deadlineNs > nowNs(g.k), 'ends with any period');
}));

test('nanosleep() wakes its thread at the deadline, not before', withGuest((g) => {
  g.poke64(MEMORY, 1);
  g.poke64(MEMORY + 8, 500);
  assert.is(g.call('nanosleep', [MEMORY, 0]), BLOCKED);
  g.advance(1e9 + 499);
  assert.is(g.task.state, TASK_BLOCKED);
  g.advance(1);
  assert.is(g.task.state, TASK_RUNNABLE);
  assert.is(g.resume(g.task), 0);
}));

test('clock_nanosleep() sleeps until a point in time and checks its arguments', withGuest((g) => {
  const target = nowNs(g.k) + 700;
  g.poke64(MEMORY, Math.floor(target / 1e9));
  g.poke64(MEMORY + 8, target % 1e9);
  assert.is(g.call('clock_nanosleep', [1, 1, MEMORY, 0]), BLOCKED);
  g.advance(700);
  assert.is(g.resume(g.task), 0);
  assert.is(g.call('clock_nanosleep', [1, 1, MEMORY, 0]), 0, 'in the past');
  assert.is(g.call('clock_nanosleep', [3, 0, MEMORY, 0]), -EINVAL, 'CLOCK_THREAD_CPUTIME_ID');
  assert.is(g.call('clock_nanosleep', [4, 0, MEMORY, 0]), -95, 'CLOCK_MONOTONIC_RAW');
  assert.is(g.call('clock_nanosleep', [77, 0, MEMORY, 0]), -EINVAL);
  g.poke64(MEMORY + 8, 1e9);
  assert.is(g.call('clock_nanosleep', [1, 0, MEMORY, 0]), -EINVAL);
  assert.is(g.call('clock_nanosleep', [1, 0, 16, 0]), -14);
}));

test('nanosleep() of no time returns at once', withGuest((g) => {
  const other = g.addTask();
  g.poke64(MEMORY, 0);
  g.poke64(MEMORY + 8, 0);
  assert.is(g.call('nanosleep', [MEMORY, 0]), 0);
  assert.is(g.k.root.runHead, other, 'the others had their turn');
}));

test('alarm() sends SIGALRM and rounds what was left', withGuest((g) => {
  setMask(g.k, g.task, SIGNAL_BITS);
  assert.is(g.call('alarm', [10]), 0);
  g.advance(9.6e9);
  assert.is(g.call('alarm', [1]), 1, '0.4 s are not nothing');
  g.advance(0.4e9);
  assert.is(g.call('alarm', [3]), 1);
  g.advance(0.5e9);
  assert.is(g.call('alarm', [3]), 3, '2.5 s are rounded up');
  assert.is(pendingSet(g.task), 0n);
  g.advance(3e9);
  assert.is(pendingSet(g.task), signalBit(SIGALRM));
  assert.is(g.call('alarm', [0]), 0);
  assert.is(g.k.root.timers, null);
}));

test('setitimer() repeats, getitimer() tells the time left', withGuest((g) => {
  setMask(g.k, g.task, SIGNAL_BITS);
  const [set, old] = [MEMORY, MEMORY + 64];
  [0, 2000, 0, 5000].forEach((value, index) => g.poke64(set + index * 8, value));
  assert.is(g.call('setitimer', [0, set, old]), 0);
  assert.is(g.peek64(old + 24), 0);
  g.advance(1_000_000);
  assert.is(g.call('getitimer', [0, old]), 0);
  assert.equal([0, 8, 16, 24].map((at) => g.peek64(old + at)), [0, 2000, 0, 4000]);
  for (let i = 0; i < 3; i++) {
    g.advance(i === 0 ? 4_000_000 : 2_000_000);
    assert.is(dequeueSignal(g.k, g.task, SIGNAL_BITS)?.signal, SIGALRM);
  }
  g.poke64(set + 24, 1_000_000);
  assert.is(g.call('setitimer', [0, set, 0]), -EINVAL);
  assert.is(g.call('setitimer', [3, 0, 0]), -EINVAL);
  assert.is(g.call('setitimer', [0, 0, 0]), 0, 'Linux takes a null pointer for zero');
  assert.is(g.k.root.timers, null);
}));

test('setitimer() interrupts a thread that waits', withGuest((g) => {
  [0x50_0000, 0x400_0000, 0x50_1000, 0].forEach((value, i) => g.poke64(MEMORY + i * 8, value));
  g.call('rt_sigaction', [SIGALRM, MEMORY, 0, 8]);
  g.call('alarm', [1]);
  assert.is(g.call('pause', []), BLOCKED);
  g.advance(1e9);
  g.resume(g.task);
  const rsp = Number(new DataView(g.task.regs.slice().buffer).getBigUint64(48, true));
  assert.is(g.peek64(rsp + 8 + 40 + 104), -EINTR);
}));

test('setitimer() of CPU time expires when the process has used it', withGuest((g) => {
  setMask(g.k, g.task, SIGNAL_BITS);
  [0, 20, 0, 100].forEach((value, index) => g.poke64(MEMORY + index * 8, value));
  g.call('getrusage', [0, MEMORY + 64]);
  for (const [which, signal] of [[1, SIGVTALRM], [2, SIGPROF]] as const) {
    assert.is(g.call('setitimer', [which, MEMORY, 0]), 0);
    // The test's clock gives the process half of the time that passes.
    g.advance(199_000);
    assert.is(pendingSet(g.task), 0n);
    assert.is(g.call('getitimer', [which, MEMORY + 64]), 0);
    assert.equal([0, 8, 16, 24].map((at) => g.peek64(MEMORY + 64 + at)), [0, 20, 0, 1]);
    g.advance(1000);
    assert.is(dequeueSignal(g.k, g.task, SIGNAL_BITS)?.signal, signal);
    g.advance(90_000);
    assert.is(dequeueSignal(g.k, g.task, SIGNAL_BITS)?.signal, signal, 'missed periods count once');
    assert.is(dequeueSignal(g.k, g.task, SIGNAL_BITS), null);
    assert.is(g.call('setitimer', [which, 0, 0]), 0);
  }
  g.advance(1e9);
  assert.is(pendingSet(g.task), 0n);
}));

test('runTimers() enforces RLIMIT_CPU', withGuest((g) => {
  setMask(g.k, g.task, SIGNAL_BITS);
  setLimit(g.process, RLIMIT_CPU, 0, 3);
  g.call('getrusage', [0, MEMORY]);
  g.advance(1.9e9);
  assert.is(pendingSet(g.task), 0n);
  g.advance(0.1e9);
  assert.is(dequeueSignal(g.k, g.task, SIGNAL_BITS)?.signal, SIGXCPU, 'a second, for 0');
  g.advance(1e9);
  assert.is(pendingSet(g.task), 0n);
  g.advance(1e9);
  assert.is(dequeueSignal(g.k, g.task, SIGNAL_BITS)?.signal, SIGXCPU, 'a second later again');
  g.advance(2e9);
  assert.is(g.process.exitSignal, SIGKILL);
}));

function createTimer(g: Guest, notify: number, signal: number, tid: number = 0): number {
  g.poke64(MEMORY + 0x100, 0x1122_3344_5566_7788n);
  g.poke32(MEMORY + 0x108, signal);
  g.poke32(MEMORY + 0x10c, notify);
  g.poke32(MEMORY + 0x110, tid);
  return g.call('timer_create', [1, MEMORY + 0x100, MEMORY + 0x200]);
}

function setTimer(g: Guest, id: number, valueNs: number, intervalNs: number, flags = 0): number {
  const parts = [Math.floor(intervalNs / 1e9), intervalNs % 1e9, Math.floor(valueNs / 1e9),
    valueNs % 1e9];
  parts.forEach((value, index) => g.poke64(MEMORY + 0x300 + index * 8, value));
  return g.call('timer_settime', [id, flags, MEMORY + 0x300, MEMORY + 0x340]);
}

test('timer_settime() signals with the value, counts overruns while the signal waits',
  withGuest((g) => {
  setMask(g.k, g.task, SIGNAL_BITS);
  assert.is(createTimer(g, 0, 40), 0);
  const id = g.peek32(MEMORY + 0x200);
  assert.is(setTimer(g, id, 1000, 1000), 0);
  g.advance(3500);
  g.advance(1000);
  const info = dequeueSignal(g.k, g.task, SIGNAL_BITS);
  assert.is(info?.signal, 40);
  assert.is(info?.code, SI_TIMER);
  assert.is(info?.sigval, 0x1122_3344_5566_7788n);
  assert.is(info?.uid, 3, 'four expirations, one signal');
  assert.is(g.call('timer_getoverrun', [id]), 3);
  assert.is(dequeueSignal(g.k, g.task, SIGNAL_BITS), null);
  g.advance(1000);
  assert.is(dequeueSignal(g.k, g.task, SIGNAL_BITS)?.uid, 0);
  assert.is(g.call('timer_getoverrun', [id]), 0);
  assert.is(g.call('timer_gettime', [id, MEMORY + 0x340]), 0);
  assert.equal([8, 24].map((at) => g.peek64(MEMORY + 0x340 + at)), [1000, 500]);
}));

test('timer_delete() takes the queued signal with it', withGuest((g) => {
  setMask(g.k, g.task, SIGNAL_BITS);
  createTimer(g, 0, SIGUSR1);
  const id = g.peek32(MEMORY + 0x200);
  setTimer(g, id, 1000, 0);
  g.advance(1000);
  assert.is(pendingSet(g.task), signalBit(SIGUSR1));
  assert.is(g.call('timer_delete', [id]), 0);
  assert.is(pendingSet(g.task), 0n);
  for (const call of ['timer_delete', 'timer_getoverrun', 'timer_gettime']) {
    assert.is(g.call(call, [id, MEMORY]), -EINVAL);
  }
  assert.is(setTimer(g, id, 1, 0), -EINVAL);
  assert.is(g.process.posixTimers, null);
}));

test('timer_create() with SIGEV_THREAD_ID signals that thread only, and nobody when it has ended',
  withGuest((g) => {
  const other = g.addTask();
  setMask(g.k, g.task, SIGNAL_BITS);
  setMask(g.k, other, SIGNAL_BITS);
  assert.is(createTimer(g, 4, SIGUSR1, other.tid), 0);
  const id = g.peek32(MEMORY + 0x200);
  setTimer(g, id, 1000, 1000);
  g.advance(1000);
  assert.is(pendingSet(g.task), 0n);
  assert.is(pendingSet(other), signalBit(SIGUSR1));
  g.callAs(other, 'exit', [0]);
  g.advance(1000);
  assert.is(pendingSet(g.task), 0n);
}));

test('timer_create() checks its sigevent and clock', withGuest((g) => {
  assert.is(createTimer(g, 0, 0), -EINVAL);
  assert.is(createTimer(g, 0, 65), -EINVAL);
  assert.is(createTimer(g, 1, 0), 0, 'SIGEV_NONE needs no signal');
  assert.is(createTimer(g, 4, SIGUSR1, 99), -EINVAL);
  assert.is(createTimer(g, 9, SIGUSR1), -EINVAL);
  assert.is(g.call('timer_create', [1, 0, 16]), -14);
  assert.is(g.call('timer_create', [44, 0, MEMORY]), -EINVAL);
  assert.is(g.call('timer_create', [2, 0, MEMORY]), -95);
}));

test('runTimers() moves a deterministic clock only when no thread can run', withGuest((g) => {
  g.k.root.deterministic = true;
  const start = nowNs(g.k);
  g.advance(1e9);
  assert.is(nowNs(g.k), start, 'host time does not count');
  g.call('getpid', []);
  assert.is(nowNs(g.k), start + 1000, 'a call takes a microsecond');
  g.poke64(MEMORY, 100);
  g.poke64(MEMORY + 8, 0);
  const other = g.addTask();
  assert.is(g.call('nanosleep', [MEMORY, 0]), BLOCKED);
  runTimers(g.k);
  assert.is(nowNs(g.k), start + 2000, 'the other thread runs');
  assert.is(g.callAs(other, 'pause', []), BLOCKED);
  runTimers(g.k);
  assert.is(g.resume(g.task), 0);
  assert.is(nowNs(g.k), start + 2000 + 100e9, 'the deadline, however many calls there were');
  assert.is(skipTo(g.k, start), true, 'the past changes nothing');
  assert.is(nowNs(g.k), start + 2000 + 100e9);
  g.k.root.deterministic = false;
  assert.is(skipTo(g.k, Infinity), false);
}));

test('a fault in the guest\'s memory is EFAULT for every call that takes a time', withGuest((g) => {
  const bad = 0x3000;
  const calls: [string, number[]][] = [
    ['clock_gettime', [1, bad]], ['clock_getres', [1, bad]], ['gettimeofday', [bad, 0]],
    ['gettimeofday', [0, bad]], ['time', [bad]], ['times', [bad]], ['nanosleep', [bad, 0]],
    ['adjtimex', [bad]], ['getitimer', [0, bad]], ['setitimer', [0, bad, 0]],
  ];
  for (const [name, args] of calls) assert.is(g.call(name, args), -14, name);
}));

test('clock_gettime() knows Linux\'s clocks', withGuest((g) => {
  const now = g.t.clock.nowNs;
  for (const clock of [1, 4, 6, 7, 9]) {
    assert.is(g.call('clock_gettime', [clock, MEMORY]), 0, `clock ${clock}`);
    assert.is(g.peek64(MEMORY) * 1e9 + g.peek64(MEMORY + 8), now);
  }
  for (const clock of [0, 5, 8, 11]) {
    assert.is(g.call('clock_gettime', [clock, MEMORY]), 0, `clock ${clock}`);
    assert.is(g.peek64(MEMORY), g.t.clock.realtime().sec);
  }
  // Time before the first charge belongs to nobody; later it is the current thread's.
  g.call('clock_gettime', [2, MEMORY]);
  assert.equal([g.peek64(MEMORY), g.peek64(MEMORY + 8)], [0, 0]);
  g.t.clock.advance(200);
  g.call('clock_gettime', [3, MEMORY]);
  assert.equal([g.task.cpuNs, g.process.cpuNs], [100, 100]);
  g.process.cpuNs = 3e9 + 5;
  g.task.cpuNs = 7;
  for (const clock of [2, ~0 << 3 | 2, ~g.process.pid << 3 | 2]) {
    assert.is(g.call('clock_gettime', [clock, MEMORY]), 0, `clock ${clock}`);
    assert.equal([g.peek64(MEMORY), g.peek64(MEMORY + 8)], [3, 5]);
  }
  for (const clock of [3, ~g.task.tid << 3 | 6]) {
    assert.is(g.call('clock_gettime', [clock, MEMORY]), 0, `clock ${clock}`);
    assert.equal([g.peek64(MEMORY), g.peek64(MEMORY + 8)], [0, 7]);
  }
  for (const clock of [10, 12, 16, 99, ~500 << 3 | 2, -1]) {
    assert.is(g.call('clock_gettime', [clock, MEMORY]), -EINVAL, `clock ${clock}`);
  }
  assert.is(g.call('clock_settime', [0, MEMORY]), -1);
  assert.is(g.call('clock_settime', [1, MEMORY]), -EINVAL);
}));

test.run();
