// Threads begin and end.
import { E2BIG, EAGAIN, EFAULT, EINVAL, EPERM } from '../../../../vmm/abi/errno.ts';
import {
  CLONE_CHILD_CLEARTID, CLONE_CHILD_SETTID, CLONE_FILES, CLONE_FS, CLONE_NEWNET, CLONE_NEWNS,
  CLONE_PARENT_SETTID, CLONE_SETTLS, CLONE_SIGHAND, CLONE_SYSVSEM, CLONE_THREAD, CLONE_VM,
} from '../../../../vmm/abi/sched.ts';
import { SI_USER, SIGUSR1 } from '../../../../vmm/abi/signal.ts';
import { type Task, TASK_DEAD, TASK_RUNNABLE } from '../../../../vmm/kernel/records/task.ts';
import { makeInfo, sendSignalToTask } from '../../../../vmm/kernel/signal/pending.ts';
import { getReg, getRegBig, REG, setRegBig } from '../../../../vmm/kernel/syscalls/args.ts';
import { BLOCKED } from '../../../../vmm/kernel/syscalls/define.ts';
import { findTask, makeTask, PID_MAX } from '../../../../vmm/kernel/task/make-process.ts';
import { nextTask } from '../../../../vmm/kernel/task/run-queue.ts';
import { assert, suite } from '../../../harness.ts';
import { AFTER_SYSCALL, type Guest, MEMORY, withGuest } from './guest.ts';

const test = suite('vmm/kernel/task/clone');
const THREAD = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM;
const PTHREAD = THREAD | CLONE_SETTLS | CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID;
const CHILD_STACK = MEMORY + 0x8000;
const TLS = MEMORY + 0x9000;
const WORDS = MEMORY + 0x100;

function newThread(g: Guest, flags: number = PTHREAD): Task {
  const tid = g.call('clone', [flags >>> 0, CHILD_STACK, WORDS, WORDS + 4, TLS]);
  const task = findTask(g.process, tid);
  if (task === null) throw new Error(`clone: ${tid}`);
  return task;
}

test('clone() makes a thread with the parent\'s registers, mask, FPU and its own stack',
  withGuest((g) => {
  setRegBig(g.task, REG.r15, 0xdead_beef_0000_0001n);
  g.task.mask = 0x40n;
  g.task.name = new TextEncoder().encode('worker');
  g.k.ports.fpu.read()[200] = 99;
  const child = newThread(g);
  assert.is(readRax(g.task), child.tid);
  assert.is(getReg(child, REG.rax), 0);
  assert.is(getReg(child, REG.rsp), CHILD_STACK);
  assert.is(getReg(child, REG.rip), AFTER_SYSCALL);
  assert.is(getRegBig(child, REG.r15), 0xdead_beef_0000_0001n);
  assert.is(child.fsBase, TLS);
  assert.is(child.mask, 0x40n);
  assert.is(child.xsave?.data[200], 99);
  assert.equal(child.name, g.task.name);
  assert.is(child.syscall, -1);
  assert.is(child.state, TASK_RUNNABLE);
  assert.is(g.peek32(WORDS), child.tid, 'CLONE_PARENT_SETTID');
  assert.is(g.peek32(WORDS + 4), 0, 'no CLONE_CHILD_SETTID');
  assert.is(g.process.tasks.length, 2);
}));

function readRax(task: Task): number {
  return getReg(task, REG.rax);
}

test('clone() with CLONE_CHILD_SETTID writes the tid, and a bad address is nobody\'s error',
  withGuest((g) => {
  const child = newThread(g, PTHREAD | CLONE_CHILD_SETTID);
  assert.is(g.peek32(WORDS + 4), child.tid);
  const flags = (PTHREAD | CLONE_CHILD_SETTID) >>> 0;
  assert.ok(g.call('clone', [flags, CHILD_STACK, 8, 12, TLS]) > 0);
}));

test('clone() refuses what Linux refuses, and EAGAINs what shares too little or too much',
  withGuest((g) => {
  const rows: [flags: number, tls: number, result: number][] = [
    [THREAD & ~CLONE_SIGHAND, TLS, -EINVAL],
    [THREAD & ~CLONE_VM, TLS, -EINVAL],
    [CLONE_NEWNS | CLONE_FS, TLS, -EINVAL],
    [THREAD | CLONE_NEWNET, TLS, -EPERM],
    [CLONE_NEWNET | 17, TLS, -EPERM],
    [CLONE_FILES | 17, TLS, -EAGAIN],
    [CLONE_VM | CLONE_FS | 17, TLS, -EAGAIN],
    [THREAD & ~CLONE_FILES, TLS, -EAGAIN],
    [PTHREAD, 0x7fff_ffff_f000, -EPERM],
  ];
  for (const [flags, tls, result] of rows) {
    const args = [flags >>> 0, CHILD_STACK, WORDS, WORDS, tls];
    assert.is(g.call('clone', args), result, flags.toString(16));
  }
  assert.is(g.process.tasks.length, 1);
  assert.is(g.process.children, null);
}));

test('clone() stops at the thread limit', withGuest((g) => {
  for (let i = 1; i < 40; i++) newThread(g);
  assert.is(g.call('clone', [PTHREAD, CHILD_STACK, WORDS, WORDS, TLS]), -EAGAIN);
  g.callAs(g.process.tasks.get(39) as Task, 'exit', [0]);
  assert.ok(g.call('clone', [PTHREAD, CHILD_STACK, WORDS, WORDS, TLS]) > 0);
}, { limits: { threads: 40 } }));

function cloneArgs(g: Guest, fields: Partial<Record<string, number>>, bytes: number = 88): number {
  const names = ['flags', 'pidfd', 'child_tid', 'parent_tid', 'exit_signal', 'stack', 'stack_size',
    'tls', 'set_tid', 'set_tid_size', 'cgroup'];
  names.forEach((name, index) => g.poke64(MEMORY + index * 8, fields[name] ?? 0));
  return g.call('clone3', [MEMORY, bytes]);
}

test('clone3() takes stack and size, and checks its struct', withGuest((g) => {
  const good = { flags: PTHREAD, stack: CHILD_STACK - 0x1000, stack_size: 0x1000, tls: TLS,
    parent_tid: WORDS };
  const tid = cloneArgs(g, good);
  assert.is(getReg(findTask(g.process, tid) as Task, REG.rsp), CHILD_STACK);
  assert.ok(cloneArgs(g, good, 64) > 0, 'version 0 of the struct');
  const rows: [fields: Partial<Record<string, number>>, bytes: number, result: number][] = [
    [good, 63, -EINVAL],
    [good, 4097, -E2BIG],
    [{ ...good, exit_signal: 17 }, 88, -EINVAL],
    [{ ...good, stack: 0 }, 88, -EINVAL],
    [{ ...good, stack_size: 0 }, 88, -EINVAL],
    [{ ...good, flags: PTHREAD | 0x40_0000 }, 88, -EINVAL],
    [{ ...good, set_tid: 1 }, 88, -EINVAL],
    [{ ...good, set_tid: MEMORY, set_tid_size: 1 }, 88, -EPERM],
    [{ flags: CLONE_FS, exit_signal: 17 }, 88, -EAGAIN],
  ];
  for (const [fields, bytes, result] of rows) {
    assert.is(cloneArgs(g, fields, bytes), result, JSON.stringify(fields));
  }
  assert.is(g.call('clone3', [0x3000, 88]), -EFAULT);
  g.poke64(MEMORY + 88, 1);
  assert.is(cloneArgs(g, good, 96), -E2BIG, 'a newer field is not zero');
  g.poke64(MEMORY + 88, 0);
  assert.ok(cloneArgs(g, good, 96) > 0);
}));

test('exit() clears the tid word and wakes who joins', withGuest((g) => {
  const child = newThread(g, PTHREAD | CLONE_CHILD_SETTID);
  const word = WORDS + 4;
  assert.is(g.call('futex', [word, 0, child.tid, 0]), BLOCKED, 'pthread_join');
  g.callAs(child, 'exit', [3]);
  assert.is(child.state, TASK_DEAD);
  assert.is(g.peek32(word), 0);
  assert.is(g.resume(g.task), 0);
  assert.is(g.process.exited, false);
  assert.is(findTask(g.process, child.tid), null);
  assert.is(nextTask(g.k), g.task);
}));

test('exit() of the last thread ends the process with the main thread\'s code', withGuest((g) => {
  const child = newThread(g);
  g.call('exit', [7]);
  assert.is(g.process.exited, false);
  g.callAs(child, 'exit', [9]);
  assert.is(g.process.exited, true);
  assert.is(g.process.exitCode, 7);
  assert.is(g.process.exitSignal, 0);
}));

test('exit() frees what the thread held, over and over', withGuest((g) => {
  const round = (): void => {
    const child = newThread(g);
    sendSignalToTask(g.k, child, makeInfo(SIGUSR1, SI_USER));
    flushAndSleep(g, child);
    g.callAs(child, 'exit', [0]);
  };
  for (let i = 0; i < 4; i++) round();
  const used = g.k.arena.usedBytes;
  for (let i = 0; i < 200; i++) round();
  assert.is(g.k.arena.usedBytes, used);
  assert.is(g.process.queuedSignals, 0);
  assert.is(g.k.root.timers, null);
  assert.is(g.k.root.futexes, null);
}));

/** Gives the thread a wake timer of its own. */
function flushAndSleep(g: Guest, child: Task): void {
  child.mask = ~0n & 0xffff_ffff_ffff_ffffn;
  g.poke64(MEMORY, 0);
  g.poke64(MEMORY + 8, 1000);
  assert.is(g.callAs(child, 'nanosleep', [MEMORY, 0]), BLOCKED);
  g.advance(1000);
  g.resume(child);
}

test('exit_group() ends all threads, also those that wait', withGuest((g) => {
  const child = newThread(g);
  assert.is(g.call('futex', [WORDS + 8, 0, 0, 0]), BLOCKED);
  g.callAs(child, 'exit_group', [0x1ff]);
  assert.is(g.process.exited, true);
  assert.is(g.process.exitCode, 0xff);
  assert.is(g.task.state, TASK_DEAD);
  assert.is(nextTask(g.k), null);
  assert.is(g.k.root.futexes, null);
}));

test('makeTask() gives tids again only after PID_MAX, and none that is in use', withGuest((g) => {
  g.k.root.nextTid = PID_MAX - 1;
  assert.is(makeTask(g.k, g.process).tid, PID_MAX - 1);
  const next = makeTask(g.k, g.process).tid;
  assert.ok(next >= 300 && next < PID_MAX);
  g.k.root.nextTid = PID_MAX;
  assert.ok(makeTask(g.k, g.process).tid !== next);
}));

test.run();
