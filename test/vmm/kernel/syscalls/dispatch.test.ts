// The dispatcher with a table of one fake call: results, blocking and resuming, restarts, failures.
import { assert, suite } from '../../../harness.ts';
import { makeTestKernel, type TestKernel } from '../../../helpers/kernel.ts';
import { CATAVMM_BASE } from '../../../../vmm/abi/catavmm.ts';
import { EAGAIN, ENOMEM, ENOSYS } from '../../../../vmm/abi/errno.ts';
import { TASK_BLOCKED, TASK_DEAD, TASK_RUNNABLE } from '../../../../vmm/kernel/records/task.ts';
import { ERESTARTNOINTR } from '../../../../vmm/kernel/signal/restart.ts';
import { ArenaFullError, StateCorruptError } from '../../../../vmm/kernel/state/arena.ts';
import { getReg, getRegBig, REG, setReg, setRegBig } from '../../../../vmm/kernel/syscalls/args.ts';
import { SyscallCounter } from '../../../../vmm/kernel/syscalls/counter.ts';
import {
  BLOCKED, ERESTART_RESTARTBLOCK, ERESTARTNOHAND, ERESTARTSYS, full, type Handler, missing,
  NO_RESULT,
} from '../../../../vmm/kernel/syscalls/define.ts';
import {
  dispatchSyscall, pendingRestart, readResult, resumeSyscall,
} from '../../../../vmm/kernel/syscalls/dispatch.ts';
import { SyscallTable } from '../../../../vmm/kernel/syscalls/table.ts';
import { block, makeWaitQueue, wake } from '../../../../vmm/kernel/task/block.ts';

const READ = 0;
const GETPID = 39;
const test = suite('vmm/kernel/syscalls/dispatch');

/** A kernel whose only call is `read`, done by `handler`, with that call in the registers. */
function prepare(
  handler: Handler,
): { t: TestKernel; table: SyscallTable; counter: SyscallCounter } {
  const t = makeTestKernel();
  const counter = new SyscallCounter();
  Object.assign(t.k, { counters: counter });
  setReg(t.task, REG.rax, READ);
  const table = new SyscallTable({ fake: { read: full(handler) } }, { getpid: missing(EAGAIN) });
  return { t, table, counter };
}

test('dispatchSyscall() hands over arguments and stores the result', () => {
  const { t, table, counter } = prepare((_k, task, a) => {
    assert.is(task.syscall, READ);
    return a.u64(0) + a.u64(1) + a.u64(2) + a.u64(3) + a.u64(4) + a.u64(5);
  });
  const registers = [REG.rdi, REG.rsi, REG.rdx, REG.r10, REG.r8, REG.r9];
  registers.forEach((register, index) => setReg(t.task, register, 10 ** index));
  assert.is(dispatchSyscall(t.k, t.task, table), 111111);
  assert.is(getReg(t.task, REG.rax), 111111);
  assert.is(t.task.syscall, -1);
  assert.is(t.k.root.syscallCount, 1);
  assert.is(counter.callsOf(READ), 1);
  t.close();
});

test('dispatchSyscall() stores -errno as 64-bit two\'s complement and counts the error', () => {
  const { t, table, counter } = prepare(() => -EAGAIN);
  dispatchSyscall(t.k, t.task, table);
  assert.is(getRegBig(t.task, REG.rax), 0xffff_ffff_ffff_fff5n);
  assert.is(readResult(t.task), -EAGAIN);
  assert.is(counter.list()[0]?.errors, 1);
  t.close();
});

test('dispatchSyscall() stores an address whole', () => {
  const { t, table, counter } = prepare(() => 0x7fff_1234_5000);
  dispatchSyscall(t.k, t.task, table);
  assert.is(getReg(t.task, REG.rax), 0x7fff_1234_5000);
  assert.is(counter.list()[0]?.errors, 0);
  t.close();
});

test('dispatchSyscall() looks at the low half of rax', () => {
  const { t, table } = prepare(() => 1);
  setRegBig(t.task, REG.rax, 0xdead_beef_0000_0000n);
  assert.is(dispatchSyscall(t.k, t.task, table), 1);
  t.close();
});

test('dispatchSyscall() answers ENOSYS for numbers that are no call', () => {
  const { t, table, counter } = prepare(() => 1);
  for (const nr of [340, 470, CATAVMM_BASE + 9, 0x4000_0000, 0x7fff_ffff, 0xffff_ffff, -1]) {
    setReg(t.task, REG.rax, nr);
    assert.is(dispatchSyscall(t.k, t.task, table), -ENOSYS, String(nr));
    assert.is(readResult(t.task), -ENOSYS);
    assert.is(t.task.syscall, -1);
  }
  assert.is(counter.list().length, 1, 'all in one line of the counter');
  assert.equal(t.events, [{ kind: 'unknown-call', detail: 'number 340' }]);
  t.close();
});

test('dispatchSyscall() reports the first of each missing call', () => {
  const { t, table } = prepare(() => 1);
  for (let i = 0; i < 2; i++) {
    setReg(t.task, REG.rax, GETPID);
    assert.is(dispatchSyscall(t.k, t.task, table), -EAGAIN);
  }
  assert.equal(t.events, [{ kind: 'missing-call', detail: 'getpid' }]);
  t.close();
});

test('dispatchSyscall() makes ENOMEM of a full arena', () => {
  const { t, table } = prepare(() => {
    throw new ArenaFullError('full');
  });
  assert.is(dispatchSyscall(t.k, t.task, table), -ENOMEM);
  assert.is(readResult(t.task), -ENOMEM);
  t.close();
});

test('dispatchSyscall() lets other exceptions through', () => {
  const { t, table } = prepare(() => {
    throw new StateCorruptError('broken');
  });
  assert.throws(() => dispatchSyscall(t.k, t.task, table), StateCorruptError);
  t.close();
});

test('dispatchSyscall() leaves the registers alone for NO_RESULT', () => {
  const { t, table } = prepare((_k, task) => {
    setReg(task, REG.rax, 77);
    return NO_RESULT;
  });
  assert.is(dispatchSyscall(t.k, t.task, table), NO_RESULT);
  assert.is(getReg(t.task, REG.rax), 77);
  assert.is(t.task.syscall, -1);
  t.close();
});

test('dispatchSyscall() leaves a task that ended alone', () => {
  const { t, table } = prepare((_k, task) => {
    task.state = TASK_DEAD;
    return 5;
  });
  assert.is(dispatchSyscall(t.k, t.task, table), NO_RESULT);
  assert.is(getReg(t.task, REG.rax), READ);
  t.close();
});

test('resumeSyscall() executes a woken call again with what it kept', () => {
  const { t, table, counter } = prepare((k, task) => {
    task.waitProgress += 10;
    return task.waitProgress === 30 ? task.waitProgress : block(k, task, [queue]);
  });
  const queue = makeWaitQueue(t.k);
  assert.is(dispatchSyscall(t.k, t.task, table), BLOCKED);
  assert.is(t.task.state, TASK_BLOCKED);
  assert.is(t.task.syscall, READ);
  assert.is(getReg(t.task, REG.rax), READ, 'registers are as the guest left them');
  wake(t.k, queue);
  assert.is(t.task.state, TASK_RUNNABLE);
  assert.is(resumeSyscall(t.k, t.task, table), BLOCKED);
  wake(t.k, queue);
  assert.is(resumeSyscall(t.k, t.task, table), 30);
  assert.is(t.task.syscall, -1);
  assert.is(t.task.waitProgress, 0);
  assert.is(queue.first, null);
  assert.is(counter.callsOf(READ), 1, 'counted once');
  t.close();
});

test('resumeSyscall() disarms the deadline when the call finishes', () => {
  const { t, table } = prepare((k, task) => {
    if (task.waitState === 1) return 0;
    task.waitState = 1;
    task.waitArgument = 3;
    task.waitDeadlineNs = 5e9;
    return block(k, task, [queue]);
  });
  const queue = makeWaitQueue(t.k);
  dispatchSyscall(t.k, t.task, table);
  assert.is(t.task.waitTimer?.isArmed, true);
  wake(t.k, queue);
  resumeSyscall(t.k, t.task, table);
  assert.is(t.task.waitTimer?.isArmed, false);
  const { waitDeadlineNs, waitState, waitArgument } = t.task;
  assert.equal([waitDeadlineNs, waitState, waitArgument], [0, 0, 0]);
  assert.is(t.k.root.timers, null);
  t.close();
});

test('dispatchSyscall() begins with empty wait fields', () => {
  const { t, table } = prepare((_k, task) => {
    return task.waitDeadlineNs + task.waitProgress + task.waitState + task.waitArgument;
  });
  t.task.waitDeadlineNs = 1;
  t.task.waitProgress = 2;
  t.task.waitState = 3;
  t.task.waitArgument = 4;
  assert.is(dispatchSyscall(t.k, t.task, table), 0);
  t.close();
});

for (const code of [ERESTARTSYS, ERESTARTNOINTR, ERESTARTNOHAND, ERESTART_RESTARTBLOCK]) {
  test(`dispatchSyscall() keeps restart code ${code} for the delivery of signals`, () => {
    let executed = 0;
    const { t, table, counter } = prepare((_k, task) => {
      executed++;
      task.waitState = 9;
      return -code;
    });
    assert.is(dispatchSyscall(t.k, t.task, table), -code);
    assert.is(readResult(t.task), -code);
    assert.is(t.task.syscall, READ);
    assert.is(pendingRestart(t.task), code);
    assert.is(t.task.waitState, 0);
    assert.is(counter.list()[0]?.errors, 0, 'not an error yet');
    assert.is(resumeSyscall(t.k, t.task, table), -code);
    assert.is(executed, 1, 'not executed again before the signal is settled');
    t.close();
  });
}

test('pendingRestart() is 0 for a task that waits and for one in user code', () => {
  const { t } = prepare(() => 0);
  t.task.syscall = READ;
  assert.is(pendingRestart(t.task), 0);
  t.task.syscall = -1;
  setReg(t.task, REG.rax, -ERESTARTSYS);
  assert.is(pendingRestart(t.task), 0);
  t.close();
});

test.run();
