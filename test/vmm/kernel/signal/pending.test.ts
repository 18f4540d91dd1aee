// Sending, choosing and taking signals, and the calls about masks and waiting for signals.
import { EAGAIN, EINTR, EINVAL, EPERM, ESRCH } from '../../../../vmm/abi/errno.ts';
import { RLIMIT_SIGPENDING } from '../../../../vmm/abi/resource.ts';
import {
  SI_QUEUE, SI_TKILL, SI_USER, SIG_IGN, SIGCHLD, SIGCONT, SIGINT, SIGKILL, SIGRTMIN, SIGSTOP,
  SIGTERM,
  SIGTSTP, SIGUSR1, SIGUSR2, SIGWINCH,
} from '../../../../vmm/abi/signal.ts';
import { TASK_BLOCKED, TASK_DEAD, TASK_RUNNABLE } from '../../../../vmm/kernel/records/task.ts';
import { deliverSignals } from '../../../../vmm/kernel/signal/deliver.ts';
import { setMask } from '../../../../vmm/kernel/signal/mask.ts';
import {
  dequeueSignal, hasDeliverableSignal, makeInfo, pendingSet, sendSignal, sendSignalToTask,
} from '../../../../vmm/kernel/signal/pending.ts';
import { setOf, SIGNAL_BITS, signalBit } from '../../../../vmm/kernel/signal/set.ts';
import { BLOCKED } from '../../../../vmm/kernel/syscalls/define.ts';
import { setLimit } from '../../../../vmm/kernel/task/limits.ts';
import { nextTask } from '../../../../vmm/kernel/task/run-queue.ts';
import { assert, suite } from '../../../harness.ts';
import { type Guest, MEMORY, withGuest } from '../task/guest.ts';

const test = suite('vmm/kernel/signal/pending');
const SCRATCH = MEMORY;
const RT = SIGRTMIN + 3;

function setHandler(g: Guest, signal: number, handler: number): number {
  g.poke64(SCRATCH, handler);
  g.poke64(SCRATCH + 8, 0x400_0000);
  g.poke64(SCRATCH + 16, 0x50_1000);
  g.poke64(SCRATCH + 24, 0);
  return g.call('rt_sigaction', [signal, SCRATCH, 0, 8]);
}

function blockAll(g: Guest): void {
  setMask(g.k, g.task, SIGNAL_BITS);
}

test('sendSignal() queues a standard signal once and a real-time one as often as sent',
  withGuest((g) => {
  blockAll(g);
  for (let i = 0; i < 3; i++) {
    sendSignal(g.k, g.process, makeInfo(SIGUSR1, SI_USER, i));
    sendSignal(g.k, g.process, makeInfo(RT, SI_QUEUE, i));
  }
  assert.is(g.process.queuedSignals, 4);
  const first = dequeueSignal(g.k, g.task, SIGNAL_BITS);
  assert.is(first?.signal, SIGUSR1);
  assert.is(first?.pid, 0, 'the first of them counts');
  const order = [0, 1, 2].map(() => dequeueSignal(g.k, g.task, SIGNAL_BITS)?.pid);
  assert.equal(order, [0, 1, 2]);
  assert.is(dequeueSignal(g.k, g.task, SIGNAL_BITS), null);
  assert.is(g.process.queuedSignals, 0);
}));

test('sendSignal() says EAGAIN when the queue of real-time signals is full', withGuest((g) => {
  blockAll(g);
  setLimit(g.process, RLIMIT_SIGPENDING, 2, 2);
  assert.is(sendSignal(g.k, g.process, makeInfo(RT, SI_QUEUE)), 0);
  assert.is(sendSignal(g.k, g.process, makeInfo(RT, SI_QUEUE)), 0);
  assert.is(sendSignal(g.k, g.process, makeInfo(RT, SI_QUEUE)), -EAGAIN);
  assert.is(sendSignal(g.k, g.process, makeInfo(RT, SI_USER)), 0, 'kill(2) never fails');
  assert.is(sendSignal(g.k, g.process, makeInfo(RT + 1, SI_USER)), 0);
  assert.is(sendSignal(g.k, g.process, makeInfo(SIGUSR1, SI_USER)), 0);
  assert.is(g.process.queuedSignals, 4);
}));

test('sendSignal() drops an ignored signal unless it is blocked', withGuest((g) => {
  for (const signal of [SIGCHLD, SIGWINCH]) {
    sendSignal(g.k, g.process, makeInfo(signal, SI_USER));
    assert.is(pendingSet(g.task), 0n);
  }
  setHandler(g, SIGUSR1, SIG_IGN);
  sendSignal(g.k, g.process, makeInfo(SIGUSR1, SI_USER));
  assert.is(pendingSet(g.task), 0n);
  blockAll(g);
  sendSignal(g.k, g.process, makeInfo(SIGUSR1, SI_USER));
  sendSignal(g.k, g.process, makeInfo(SIGCHLD, SI_USER));
  assert.is(pendingSet(g.task), setOf(SIGUSR1, SIGCHLD));
  setMask(g.k, g.task, 0n);
  assert.is(deliverSignals(g.k, g.task), true, 'unblocked, they come to nothing');
  assert.is(pendingSet(g.task), 0n);
}));

test('rt_sigaction() discards pending signals that become ignored', withGuest((g) => {
  blockAll(g);
  sendSignal(g.k, g.process, makeInfo(SIGUSR1, SI_USER));
  sendSignalToTask(g.k, g.task, makeInfo(SIGUSR1, SI_USER));
  setHandler(g, SIGUSR1, SIG_IGN);
  assert.is(pendingSet(g.task), 0n);
  assert.is(g.process.queuedSignals, 0);
}));

test('sendSignal() wakes a thread that does not block the signal', withGuest((g) => {
  const [a, b] = [g.addTask(), g.addTask()];
  setHandler(g, SIGUSR1, 0x50_0000);
  setMask(g.k, g.task, signalBit(SIGUSR1));
  setMask(g.k, a, signalBit(SIGUSR1));
  assert.is(g.callAs(a, 'pause', []), BLOCKED);
  assert.is(g.callAs(b, 'pause', []), BLOCKED);
  sendSignal(g.k, g.process, makeInfo(SIGUSR1, SI_USER));
  assert.is(a.state, TASK_BLOCKED);
  assert.is(b.state, TASK_RUNNABLE);
  assert.is(hasDeliverableSignal(a), false);
  assert.is(hasDeliverableSignal(b), true);
}));

test('setMask() offers a pending signal to a thread that can take it', withGuest((g) => {
  const other = g.addTask();
  setHandler(g, SIGUSR1, 0x50_0000);
  assert.is(g.callAs(other, 'pause', []), BLOCKED);
  sendSignal(g.k, g.process, makeInfo(SIGUSR1, SI_USER));
  assert.is(other.state, TASK_BLOCKED, 'the running thread was chosen');
  setMask(g.k, g.task, signalBit(SIGUSR1));
  assert.is(other.state, TASK_RUNNABLE);
}));

test('exit() leaves signals of the process to the others', withGuest((g) => {
  const [first, second] = [g.addTask(), g.addTask()];
  setHandler(g, SIGUSR1, 0x50_0000);
  setMask(g.k, g.task, signalBit(SIGUSR1));
  assert.is(g.callAs(second, 'pause', []), BLOCKED);
  sendSignal(g.k, g.process, makeInfo(SIGUSR1, SI_USER));
  assert.is(second.state, TASK_BLOCKED);
  g.callAs(first, 'exit', [0]);
  assert.is(first.state, TASK_DEAD);
  assert.is(second.state, TASK_RUNNABLE);
}));

test('sendSignal() ends the process at SIGKILL whatever is blocked', withGuest((g) => {
  const other = g.addTask();
  g.callAs(other, 'pause', []);
  blockAll(g);
  sendSignal(g.k, g.process, makeInfo(SIGKILL, SI_USER));
  assert.is(g.process.exited, true);
  assert.is(g.process.exitSignal, SIGKILL);
  assert.is(other.state, TASK_DEAD);
  assert.is(nextTask(g.k), null);
}));

test('deliverSignals() ends the process by a default action', withGuest((g) => {
  sendSignal(g.k, g.process, makeInfo(SIGTERM, SI_USER));
  assert.is(deliverSignals(g.k, g.task), false);
  assert.is(g.process.exitSignal, SIGTERM);
  assert.is(g.task.state, TASK_DEAD);
}));

test('SIGSTOP takes all threads off the run list until SIGCONT', withGuest((g) => {
  const [runs, sleeps] = [g.addTask(), g.addTask()];
  assert.is(g.callAs(sleeps, 'futex', [MEMORY + 64, 0, 0, 0]), BLOCKED);
  sendSignal(g.k, g.process, makeInfo(SIGSTOP, SI_USER));
  assert.is(deliverSignals(g.k, g.task), false);
  assert.is(nextTask(g.k), null);
  sendSignal(g.k, g.process, makeInfo(SIGUSR2, SI_USER));
  assert.is(nextTask(g.k), null, 'other signals wait');
  sendSignal(g.k, g.process, makeInfo(SIGCONT, SI_USER));
  assert.is(g.process.stopped, false);
  assert.is(nextTask(g.k), g.task);
  assert.is(g.task.runNext, runs);
}));

test('SIGCONT and stop signals cancel each other in the queues', withGuest((g) => {
  blockAll(g);
  sendSignal(g.k, g.process, makeInfo(SIGTSTP, SI_USER));
  sendSignalToTask(g.k, g.task, makeInfo(SIGTSTP, SI_USER));
  sendSignal(g.k, g.process, makeInfo(SIGCONT, SI_USER));
  assert.is(pendingSet(g.task), signalBit(SIGCONT));
  sendSignal(g.k, g.process, makeInfo(SIGTSTP, SI_USER));
  assert.is(pendingSet(g.task), signalBit(SIGTSTP));
}));

test('rt_sigprocmask() never blocks SIGKILL and SIGSTOP and checks its arguments',
  withGuest((g) => {
  g.poke64(SCRATCH, -1);
  assert.is(g.call('rt_sigprocmask', [2, SCRATCH, SCRATCH + 8, 8]), 0);
  assert.is(g.peek64(SCRATCH + 8), 0);
  assert.is(g.task.mask, SIGNAL_BITS & ~setOf(SIGKILL, SIGSTOP));
  g.poke64(SCRATCH, signalBit(SIGUSR1));
  assert.is(g.call('rt_sigprocmask', [1, SCRATCH, 0, 8]), 0);
  assert.is(g.task.mask & signalBit(SIGUSR1), 0n);
  assert.is(g.call('rt_sigprocmask', [3, SCRATCH, 0, 8]), -EINVAL);
  assert.is(g.call('rt_sigprocmask', [3, 0, 0, 8]), 0, 'how counts only with a set');
  assert.is(g.call('rt_sigprocmask', [0, SCRATCH, 0, 16]), -EINVAL);
  assert.is(g.call('rt_sigprocmask', [0, 8, 0, 8]), -14);
}));

test('rt_sigaction() refuses SIGKILL, SIGSTOP and bad numbers, and forgets unknown flags',
  withGuest((g) => {
  for (const signal of [0, 65, -1, SIGKILL, SIGSTOP]) {
    assert.is(setHandler(g, signal, 0x50_0000), -EINVAL, `${signal}`);
  }
  assert.is(g.call('rt_sigaction', [SIGKILL, 0, SCRATCH, 8]), 0);
  g.poke64(SCRATCH, 0x1234);
  g.poke64(SCRATCH + 8, 0x400 | 0x800_0000);
  g.poke64(SCRATCH + 24, -1);
  assert.is(g.call('rt_sigaction', [SIGUSR1, SCRATCH, 0, 8]), 0);
  assert.is(g.call('rt_sigaction', [SIGUSR1, 0, SCRATCH, 8]), 0);
  assert.is(g.peek64(SCRATCH + 8), 0x800_0000, 'SA_UNSUPPORTED is how programs probe');
  assert.is(BigInt.asUintN(64, BigInt(g.peek64(SCRATCH + 24))) & 0x100n, 0n);
}));

test('rt_sigpending() shows what is pending and blocked', withGuest((g) => {
  setMask(g.k, g.task, setOf(SIGUSR1, SIGUSR2));
  sendSignal(g.k, g.process, makeInfo(SIGUSR1, SI_USER));
  sendSignalToTask(g.k, g.task, makeInfo(SIGUSR2, SI_USER));
  assert.is(g.call('rt_sigpending', [SCRATCH, 8]), 0);
  assert.is(g.peek64(SCRATCH), Number(setOf(SIGUSR1, SIGUSR2)));
  assert.is(g.call('rt_sigpending', [SCRATCH, 9]), -EINVAL);
}));

test('rt_sigtimedwait() takes a pending signal, waits for one, times out', withGuest((g) => {
  setMask(g.k, g.task, signalBit(SIGUSR1));
  g.poke64(SCRATCH, signalBit(SIGUSR1));
  g.poke64(SCRATCH + 16, 0);
  g.poke64(SCRATCH + 24, 0);
  assert.is(g.call('rt_sigtimedwait', [SCRATCH, 0, SCRATCH + 16, 8]), -EAGAIN,
    'no time: only a look');
  g.poke64(SCRATCH + 24, 1000);
  assert.is(g.call('rt_sigtimedwait', [SCRATCH, SCRATCH + 64, SCRATCH + 16, 8]), BLOCKED);
  sendSignal(g.k, g.process, makeInfo(SIGUSR1, SI_TKILL, 77));
  assert.is(g.resume(g.task), SIGUSR1);
  assert.is(g.peek32(SCRATCH + 64), SIGUSR1);
  assert.is(g.peek32(SCRATCH + 64 + 16), 77);
  assert.is(g.call('rt_sigtimedwait', [SCRATCH, 0, SCRATCH + 16, 8]), BLOCKED);
  g.advance(1000);
  assert.is(g.resume(g.task), -EAGAIN);
}));

test('rt_sigtimedwait() is interrupted by another signal', withGuest((g) => {
  setHandler(g, SIGUSR2, 0x50_0000);
  setMask(g.k, g.task, signalBit(SIGUSR1));
  g.poke64(SCRATCH, signalBit(SIGUSR1));
  assert.is(g.call('rt_sigtimedwait', [SCRATCH, 0, 0, 8]), BLOCKED);
  sendSignal(g.k, g.process, makeInfo(SIGUSR2, SI_USER));
  g.resume(g.task);
  const rsp = Number(new DataView(g.task.regs.slice().buffer).getBigUint64(48, true));
  assert.is(g.peek64(rsp + 8 + 40 + 104), -EINTR);
}));

test('rt_sigsuspend() lets the handler run under the new mask and puts the old one back',
  withGuest((g) => {
  setHandler(g, SIGUSR1, 0x50_0000);
  const old = setOf(SIGUSR1, SIGINT);
  setMask(g.k, g.task, old);
  sendSignal(g.k, g.process, makeInfo(SIGINT, SI_USER));
  g.poke64(SCRATCH, signalBit(SIGINT));
  assert.is(g.call('rt_sigsuspend', [SCRATCH, 8]), BLOCKED);
  assert.is(g.task.mask, signalBit(SIGINT));
  sendSignal(g.k, g.process, makeInfo(SIGUSR1, SI_USER));
  g.resume(g.task);
  const regs = new DataView(g.task.regs.slice().buffer);
  const rsp = Number(regs.getBigUint64(48, true));
  assert.is(regs.getBigUint64(128, true), 0x50_0000n);
  assert.is(g.peek64(rsp + 8 + 40 + 104), -EINTR);
  assert.is(g.peek64(rsp + 8 + 296), Number(old), 'uc_sigmask is the mask from before the call');
  assert.is(g.task.hasSavedMask, false);
}));

test('a temporary mask does not outlive a call that was not interrupted', withGuest((g) => {
  g.poke64(SCRATCH, 0);
  setMask(g.k, g.task, signalBit(SIGINT));
  sendSignal(g.k, g.process, makeInfo(SIGINT, SI_USER));
  // No descriptors, no time: ppoll returns 0 although SIGINT is pending under its mask.
  g.poke64(SCRATCH + 16, 0);
  g.poke64(SCRATCH + 24, 0);
  assert.is(g.call('ppoll', [0, 0, SCRATCH + 16, SCRATCH, 8]), 0);
  assert.is(g.process.exited, false);
  assert.is(g.task.mask, signalBit(SIGINT));
}));

test('kill() and its relatives find the process and its threads', withGuest((g) => {
  const other = g.addTask();
  const { pid } = g.process;
  g.process.pgid = 20;
  const rows: [string, (number | bigint)[], number][] = [
    ['kill', [pid, 0], 0],
    ['kill', [0, 0], 0],
    ['kill', [other.tid, 0], 0],
    ['kill', [pid + 500, 0], -ESRCH],
    ['kill', [-1, 0], -ESRCH],
    ['kill', [-20, 0], 0],
    ['kill', [-21, 0], -ESRCH],
    ['kill', [pid, 65], -EINVAL],
    ['tkill', [0, 0], -EINVAL],
    ['tkill', [other.tid, 0], 0],
    ['tkill', [9999, 0], -ESRCH],
    ['tgkill', [pid, other.tid, 0], 0],
    ['tgkill', [pid + 1, other.tid, 0], -ESRCH],
    ['tgkill', [pid, other.tid, -1], -EINVAL],
    ['tgkill', [0, other.tid, 0], -EINVAL],
    ['rt_sigqueueinfo', [pid, 0, SCRATCH], 0],
    ['rt_sigqueueinfo', [pid, 0, 8], -14],
    ['rt_tgsigqueueinfo', [pid, other.tid, 0, SCRATCH], 0],
    ['rt_tgsigqueueinfo', [pid + 1, other.tid, 0, SCRATCH], -EPERM],
  ];
  for (const [name, args, result] of rows) {
    assert.is(g.call(name, args), result, `${name}(${args.join(', ')})`);
  }
}));

test('tgkill() reaches only the thread it names', withGuest((g) => {
  const other = g.addTask();
  setMask(g.k, other, signalBit(SIGUSR1));
  assert.is(g.call('tgkill', [g.process.pid, other.tid, SIGUSR1]), 0);
  assert.is(pendingSet(g.task), 0n);
  assert.is(pendingSet(other), signalBit(SIGUSR1));
  const info = dequeueSignal(g.k, other, SIGNAL_BITS);
  assert.is(info?.code, SI_TKILL);
  assert.is(info?.pid, g.process.pid);
}));

test.run();
