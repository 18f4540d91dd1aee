// What becomes of interrupted calls: again, again with the time left, or EINTR.
import { EINTR } from '../../../../vmm/abi/errno.ts';
import {
  SA_RESTART, SI_USER, SIGCONT, SIGTSTP, SIGUSR1, SIGWINCH,
} from '../../../../vmm/abi/signal.ts';
import { SYSCALL_NUMBERS } from '../../../../vmm/abi/syscall-numbers.ts';
import type { Task } from '../../../../vmm/kernel/records/task.ts';
import { TASK_BLOCKED } from '../../../../vmm/kernel/records/task.ts';
import { deliverSignals } from '../../../../vmm/kernel/signal/deliver.ts';
import { makeInfo, sendSignal, sendSignalToTask } from '../../../../vmm/kernel/signal/pending.ts';
import { settleCall } from '../../../../vmm/kernel/signal/restart.ts';
import { getReg, REG, setReg } from '../../../../vmm/kernel/syscalls/args.ts';
import { BLOCKED } from '../../../../vmm/kernel/syscalls/define.ts';
import { readResult } from '../../../../vmm/kernel/syscalls/dispatch.ts';
import { wakeTask } from '../../../../vmm/kernel/task/block.ts';
import { assert, suite } from '../../../harness.ts';
import { AFTER_SYSCALL, type Guest, MEMORY, withGuest } from '../task/guest.ts';

const test = suite('vmm/kernel/signal/restart');
const REQUEST = MEMORY;
const LEFT = MEMORY + 32;
const HANDLER = 0x50_0000;

test('settleCall() follows the table of restart codes', withGuest((g) => {
  const AGAIN = 'again';
  const rows: [code: number, handlerFlags: number | null, what: string | number][] = [
    [512, null, AGAIN], [512, SA_RESTART, AGAIN], [512, 0, -EINTR],
    [513, null, AGAIN], [513, SA_RESTART, AGAIN], [513, 0, AGAIN],
    [514, null, AGAIN], [514, SA_RESTART, -EINTR], [514, 0, -EINTR],
    [516, null, AGAIN], [516, SA_RESTART, -EINTR], [516, 0, -EINTR],
    [515, 0, -515], [4, null, -4],
  ];
  for (const [code, flags, what] of rows) {
    setReg(g.task, REG.rip, AFTER_SYSCALL);
    setReg(g.task, REG.rax, -code);
    g.task.syscall = 35;
    settleCall(g.task, flags);
    assert.is(g.task.syscall, -1);
    assert.is(getReg(g.task, REG.rip), what === AGAIN ? AFTER_SYSCALL - 2 : AFTER_SYSCALL,
      `${code}`);
    assert.is(readResult(g.task), what === AGAIN ? 35 : what, `${code}`);
    settleCall(g.task, null);
    g.task.restartDeadlineNs = 0;
  }
}));

function sleep(g: Guest, ns: number): number {
  g.poke64(REQUEST, 0);
  g.poke64(REQUEST + 8, ns);
  return g.call('nanosleep', [REQUEST, LEFT]);
}

/** Interrupts a sleep with a signal that comes to nothing once it is looked at. */
function disturb(g: Guest, task: Task): void {
  task.mask = 1n << BigInt(SIGWINCH - 1);
  sendSignalToTask(g.k, task, makeInfo(SIGWINCH, SI_USER));
  task.mask = 0n;
  wakeTask(g.k, task);
  g.resume(task);
}

test('nanosleep() ends at its first deadline however often it is restarted', withGuest((g) => {
  assert.is(sleep(g, 10_000), BLOCKED);
  for (let i = 1; i <= 3; i++) {
    g.advance(3000);
    disturb(g, g.task);
    assert.is(g.peek64(LEFT + 8), 10_000 - i * 3000, 'the time left is written as on Linux');
    assert.is(getReg(g.task, REG.rip), AFTER_SYSCALL - 2);
    assert.is(readResult(g.task), SYSCALL_NUMBERS['nanosleep']);
    assert.is(sleep(g, 10_000), BLOCKED, 'the guest makes the call again');
  }
  g.advance(999);
  assert.is(g.task.state, TASK_BLOCKED);
  g.advance(1);
  assert.is(g.resume(g.task), 0);
}));

test('a deadline kept for a restart does not reach another call', withGuest((g) => {
  assert.is(sleep(g, 10_000), BLOCKED);
  disturb(g, g.task);
  assert.ok(g.task.restartDeadlineNs > 0);
  // The call is made again, but this time it returns at once.
  g.poke64(REQUEST + 8, 2e9);
  assert.is(g.call('nanosleep', [REQUEST, LEFT]), -22);
  assert.is(g.task.restartDeadlineNs, 0);
  assert.is(sleep(g, 50_000), BLOCKED);
  g.advance(20_000);
  assert.is(g.task.state, TASK_BLOCKED);
}));

test('a handler that runs before the restarted call makes it fail', withGuest((g) => {
  handle(g, SIGUSR1, SA_RESTART);
  assert.is(sleep(g, 10_000), BLOCKED);
  disturb(g, g.task);
  sendSignal(g.k, g.process, makeInfo(SIGUSR1, SI_USER));
  deliverSignals(g.k, g.task);
  const rsp = getReg(g.task, REG.rsp);
  assert.is(getReg(g.task, REG.rip), HANDLER);
  assert.is(g.peek64(rsp + 8 + 40 + 104), -EINTR);
  assert.is(g.peek64(rsp + 8 + 40 + 128), AFTER_SYSCALL);
  assert.is(g.task.restartDeadlineNs, 0);
}));

test('nanosleep() goes on after SIGTSTP and SIGCONT', withGuest((g) => {
  assert.is(sleep(g, 10_000), BLOCKED);
  sendSignal(g.k, g.process, makeInfo(SIGTSTP, SI_USER));
  g.resume(g.task);
  assert.is(g.process.stopped, true);
  g.advance(4000);
  sendSignal(g.k, g.process, makeInfo(SIGCONT, SI_USER));
  assert.is(getReg(g.task, REG.rip), AFTER_SYSCALL - 2);
  assert.is(sleep(g, 10_000), BLOCKED);
  g.advance(6000);
  assert.is(g.resume(g.task), 0);
}));

function handle(g: Guest, signal: number, flags: number): void {
  g.poke64(MEMORY + 0x100, HANDLER);
  g.poke64(MEMORY + 0x108, flags | 0x400_0000);
  g.poke64(MEMORY + 0x110, 0x50_1000);
  g.poke64(MEMORY + 0x118, 0);
  assert.is(g.call('rt_sigaction', [signal, MEMORY + 0x100, 0, 8]), 0);
}

test.run();
