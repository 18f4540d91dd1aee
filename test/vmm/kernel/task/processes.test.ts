// Processes begin, end and are waited for; nothing of them stays.
import { ECHILD, EACCES, EAGAIN, EINVAL, EPERM, ESRCH } from '../../../../vmm/abi/errno.ts';
import { CLONE_VFORK, CLONE_VM } from '../../../../vmm/abi/sched.ts';
import {
  CLD_EXITED, SIG_IGN, SIGCHLD, SIGCONT, SIGKILL, SIGSTOP, SIGTERM,
} from '../../../../vmm/abi/signal.ts';
import {
  P_ALL, WCONTINUED, WEXITED, WNOHANG, WNOWAIT, WSTOPPED, WUNTRACED,
} from '../../../../vmm/abi/wait.ts';
import type { Process, Task } from '../../../../vmm/kernel/records/task.ts';
import { deliverSignals } from '../../../../vmm/kernel/signal/deliver.ts';
import { pendingSet } from '../../../../vmm/kernel/signal/pending.ts';
import { signalBit } from '../../../../vmm/kernel/signal/set.ts';
import { BLOCKED } from '../../../../vmm/kernel/syscalls/define.ts';
import { findProcess } from '../../../../vmm/kernel/task/family.ts';
import { assert, suite } from '../../../harness.ts';
import { type Guest, MEMORY, withGuest } from './guest.ts';

const test = suite('vmm/kernel/task/processes');
const STATUS = MEMORY + 0x200;
const ACTION = MEMORY + 0x300;
const INFO = MEMORY + 0x400;

function fork(g: Guest, parent: Task = g.task): Task {
  return mainTask(g, g.callAs(parent, 'fork', []));
}

function mainTask(g: Guest, pid: number): Task {
  const task = findProcess(g.k, pid)?.tasks.get(0) ?? null;
  if (task === null) throw new Error(`no process ${pid}`);
  return task;
}

function exit(g: Guest, task: Task, code: number): void {
  g.callAs(task, 'exit_group', [code]);
}

/** wait4: the pid and the status, or the result alone. */
function wait(g: Guest, pid: number, options: number = 0, waiter: Task = g.task): number[] {
  const result = g.callAs(waiter, 'wait4', [pid, STATUS, options, 0]);
  return result > 0 ? [result, g.peek32(STATUS)] : [result];
}

/** What a test must leave as it was. */
function holdings(g: Guest): number[] {
  return [g.k.arena.usedBytes, g.k.frames.used, g.process.fds.slots.get(0)?.refs ?? 0];
}

function ignoreChildren(g: Guest): void {
  g.poke64(ACTION, SIG_IGN);
  g.poke64(ACTION + 8, 0);
  g.poke64(ACTION + 16, 0);
  g.poke64(ACTION + 24, 0);
  assert.is(g.call('rt_sigaction', [SIGCHLD, ACTION, 0, 8]), 0);
}

test('fork() makes a process like its parent, with memory of its own', withGuest((g) => {
  g.poke32(MEMORY, 1);
  g.process.umask = 0o077;
  const child = fork(g);
  assert.is(child.process.ppid, g.process.pid);
  assert.is(child.process.pgid, g.process.pgid);
  assert.is(child.process.umask, 0o077);
  assert.is(child.tid, child.process.pid);
  g.k.current = g.task;
  g.poke32(MEMORY, 2);
  g.k.current = child;
  assert.is(g.peek32(MEMORY), 1);
  g.poke32(MEMORY, 3);
  g.k.current = g.task;
  assert.is(g.peek32(MEMORY), 2);
}));

test('wait4() tells how a child ended, and then nothing is left of it', withGuest((g) => {
  g.poke32(STATUS, 0);
  const first = fork(g);
  exit(g, first, 0);
  wait(g, -1);
  const before = holdings(g);
  for (const code of [0, 1, 255, 256 + 7]) {
    const child = fork(g);
    const { pid } = child.process;
    assert.equal(wait(g, pid, WNOHANG), [0]);
    exit(g, child, code);
    assert.is(findProcess(g.k, pid)?.exited, true, 'a zombie');
    assert.equal(wait(g, -1), [pid, (code & 0xff) << 8]);
    assert.is(findProcess(g.k, pid), null);
  }
  assert.equal(wait(g, -1), [-ECHILD]);
  assert.equal(holdings(g), before);
}));

test('a process that is killed says by what', withGuest((g) => {
  const child = fork(g);
  const { pid } = child.process;
  assert.is(g.call('kill', [pid, SIGTERM]), 0);
  g.k.current = child;
  deliverSignals(g.k, child);
  assert.equal(wait(g, pid), [pid, SIGTERM]);
  const other = fork(g).process.pid;
  g.call('kill', [other, SIGKILL]);
  assert.equal(wait(g, other), [other, SIGKILL]);
}));

test('a parent that waits is woken, and hears SIGCHLD', withGuest((g) => {
  const child = fork(g);
  const { pid } = child.process;
  g.task.mask = signalBit(SIGCHLD);
  g.poke64(ACTION, 0x1234);
  assert.is(g.call('rt_sigaction', [SIGCHLD, ACTION, 0, 8]), 0);
  assert.is(g.call('wait4', [pid, STATUS, 0, 0]), BLOCKED);
  exit(g, child, 9);
  assert.is(pendingSet(g.task), signalBit(SIGCHLD));
  assert.is(g.process.pending?.code, CLD_EXITED);
  assert.is(g.process.pending?.value, 9);
  assert.is(g.resume(g.task), pid);
  assert.is(g.peek32(STATUS), 9 << 8);
}));

test('who ignores SIGCHLD has no zombies', withGuest((g) => {
  ignoreChildren(g);
  exit(g, fork(g), 0);
  wait(g, -1);
  const before = holdings(g);
  for (let i = 0; i < 5; i++) exit(g, fork(g), 0);
  assert.equal(wait(g, -1), [-ECHILD]);
  assert.equal(holdings(g), before);
}));

test('waitid() can leave the child waitable, and writes zeros when there is nothing',
  withGuest((g) => {
  const child = fork(g);
  const { pid } = child.process;
  g.poke32(INFO, 7);
  assert.is(g.call('waitid', [P_ALL, 0, INFO, WEXITED | WNOHANG, 0]), 0);
  assert.is(g.peek32(INFO), 0);
  exit(g, child, 3);
  for (const options of [WEXITED | WNOWAIT, WEXITED]) {
    assert.is(g.call('waitid', [P_ALL, 0, INFO, options, 0]), 0);
    const seen = [0, 8, 16, 24].map((offset) => g.peek32(INFO + offset));
    assert.equal(seen, [SIGCHLD, CLD_EXITED, pid, 3]);
  }
  assert.is(g.call('waitid', [P_ALL, 0, INFO, WEXITED, 0]), -ECHILD);
  assert.is(g.call('waitid', [P_ALL, 0, INFO, WNOHANG, 0]), -EINVAL);
}));

test('a zombie is no child to those who do not wait for ends, but one of its group',
  withGuest((g) => {
  const child = fork(g);
  const { pid } = child.process;
  assert.is(g.call('setpgid', [pid, pid]), 0);
  exit(g, child, 0);
  assert.is(g.call('waitid', [P_ALL, 0, INFO, WSTOPPED | WNOHANG, 0]), -ECHILD);
  assert.is(g.call('kill', [-pid, SIGTERM]), 0);
  assert.is(g.call('kill', [-1, SIGTERM]), 0);
  wait(g, pid);
  assert.is(g.call('kill', [-pid, SIGTERM]), -ESRCH);
  assert.is(g.call('kill', [-1, SIGTERM]), -ESRCH);
}));

test('stops and continuations are reported once', withGuest((g) => {
  const child = fork(g);
  const { pid } = child.process;
  g.call('kill', [pid, SIGSTOP]);
  g.k.current = child;
  deliverSignals(g.k, child);
  assert.equal(wait(g, pid, WNOHANG), [0], 'not asked for');
  assert.equal(wait(g, pid, WUNTRACED), [pid, SIGSTOP << 8 | 0x7f]);
  assert.equal(wait(g, pid, WUNTRACED | WNOHANG), [0]);
  g.call('kill', [pid, SIGCONT]);
  assert.equal(wait(g, pid, WCONTINUED), [pid, 0xffff]);
  assert.equal(wait(g, pid, WCONTINUED | WNOHANG), [0]);
}));

test('orphans become children of the first process', withGuest((g) => {
  const child = fork(g);
  const orphan = fork(g, child);
  const zombie = fork(g, child);
  const { pid } = zombie.process;
  exit(g, zombie, 5);
  exit(g, child, 0);
  assert.is(orphan.process.ppid, g.process.pid);
  const statuses = new Map([wait(g, -1), wait(g, -1)] as [number, number][]);
  assert.is(statuses.get(pid), 5 << 8);
  assert.equal(wait(g, -1, WNOHANG), [0], 'the orphan lives');
  const left = orphan.process.pid;
  exit(g, orphan, 6);
  assert.equal(wait(g, -1), [left, 6 << 8]);
}));

test('orphans go to the nearest subreaper, and may hear of their parent\'s death',
  withGuest((g) => {
  const reaper = fork(g);
  reaper.process.isSubreaper = true;
  const child = fork(g, reaper);
  const orphan = fork(g, child);
  orphan.process.parentDeathSignal = SIGTERM;
  exit(g, child, 0);
  assert.is(orphan.process.ppid, reaper.process.pid);
  assert.is(pendingSet(orphan), signalBit(SIGTERM));
}));

test('vfork() holds the parent until the child ends, and shares its memory', withGuest((g) => {
  assert.is(g.call('vfork', []), BLOCKED);
  const child = (g.process.children as Process).tasks.get(0) as Task;
  g.k.current = child;
  g.poke32(MEMORY, 77);
  const { pid } = child.process;
  exit(g, child, 1);
  assert.is(g.resume(g.task), pid);
  assert.is(g.peek32(MEMORY), 77);
  assert.is(g.process.mm?.sharers, 0);
  assert.equal(wait(g, pid), [pid, 1 << 8]);
}));

test('a signal does not end vfork()', withGuest((g) => {
  g.poke64(ACTION, 0x1234);
  g.call('rt_sigaction', [SIGTERM, ACTION, 0, 8]);
  assert.is(g.call('clone', [CLONE_VM | CLONE_VFORK | SIGCHLD, 0, 0, 0, 0]), BLOCKED);
  const child = (g.process.children as Process).tasks.get(0) as Task;
  g.callAs(child, 'kill', [g.process.pid, SIGTERM]);
  assert.is(g.resume(g.task), BLOCKED);
  exit(g, child, 0);
  assert.is(g.resume(g.task), child.process.pid);
}));

test('groups and sessions follow Linux\'s rules', withGuest((g) => {
  const child = fork(g);
  const { pid } = child.process;
  assert.is(g.call('setpgid', [pid, pid]), 0);
  assert.is(g.call('getpgid', [pid]), pid);
  assert.is(g.call('setpgid', [pid, 4000]), -EPERM, 'no such group in the session');
  assert.is(g.call('setpgid', [4000, 0]), -ESRCH);
  assert.is(g.call('setpgid', [pid, -1]), -EINVAL);
  assert.is(g.call('setpgid', [-1, 0]), -EINVAL, 'the group is -1 too');
  assert.is(g.callAs(child, 'setpgid', [g.process.pid, 0]), -ESRCH, 'not a child');
  assert.is(g.callAs(child, 'setsid', []), -EPERM, 'it leads a group');
  assert.is(g.call('setpgid', [pid, g.process.pgid]), 0);
  child.process.hasExeced = true;
  assert.is(g.call('setpgid', [pid, pid]), -EACCES);
  assert.is(g.callAs(child, 'setsid', []), pid);
  assert.is(g.call('getsid', [pid]), pid);
  assert.is(g.call('setpgid', [pid, pid]), -EPERM, 'another session');
}));

test('kill() reaches groups, and everybody but the first process and itself', withGuest((g) => {
  const [a, b, c] = [fork(g), fork(g), fork(g)];
  g.call('setpgid', [a.process.pid, a.process.pid]);
  g.call('setpgid', [b.process.pid, a.process.pid]);
  assert.is(g.call('kill', [-a.process.pid, SIGTERM]), 0);
  assert.equal([a, b, c].map(pendingSet), [signalBit(SIGTERM), signalBit(SIGTERM), 0n]);
  assert.is(g.callAs(c, 'kill', [-1, SIGCONT]), 0);
  assert.is(pendingSet(g.task), 0n);
  assert.is(g.call('kill', [-4000, SIGTERM]), -ESRCH);
  assert.is(g.call('kill', [4000, 0]), -ESRCH);
  c.process.uid = 1000;
  c.process.realUid = 1000;
  assert.is(g.callAs(c, 'kill', [g.process.pid, SIGTERM]), -EPERM);
}));

test('the number of threads of all processes is limited', withGuest((g) => {
  for (let i = 1; i < 8; i++) fork(g);
  assert.is(g.call('fork', []), -EAGAIN);
  exit(g, (g.process.children as Process).tasks.get(0) as Task, 0);
  assert.is(g.call('fork', []), -EAGAIN, 'a zombie counts');
  wait(g, -1);
  assert.ok(g.call('fork', []) > 0);
}, { limits: { threads: 8 } }));

test('a fork that finds no room leaves nothing behind', withGuest((g) => {
  const fill = (): void => {
    const pids: number[] = [];
    for (let pid = g.call('fork', []); pid > 0; pid = g.call('fork', [])) pids.push(pid);
    assert.ok(pids.length > 3, `${pids.length} forks`);
    for (const pid of pids) exit(g, mainTask(g, pid), 0);
    for (const _ of pids) wait(g, -1);
  };
  fill();
  const before = holdings(g);
  for (let round = 0; round < 3; round++) fill();
  assert.equal(holdings(g), before);
}, { tables: 128 }));

test.run();
