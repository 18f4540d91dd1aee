// Futexes with threads that really call, block, wake and time out.
import {
  EAGAIN, EDEADLK, EFAULT, EINTR, EINVAL, ENOSYS, EPERM, ESRCH, ETIMEDOUT,
} from '../../../../vmm/abi/errno.ts';
import {
  FUTEX_CLOCK_REALTIME, FUTEX_CMP_REQUEUE, FUTEX_LOCK_PI, FUTEX_OP_ADD, FUTEX_OP_CMP_EQ,
  FUTEX_OP_CMP_GT, FUTEX_OP_OPARG_SHIFT, FUTEX_OP_OR, FUTEX_OP_SET, FUTEX_PRIVATE_FLAG,
  FUTEX_REQUEUE, FUTEX_TRYLOCK_PI, FUTEX_UNLOCK_PI, FUTEX_WAIT, FUTEX_WAIT_BITSET, FUTEX_WAITERS,
  FUTEX_WAKE, FUTEX_WAKE_BITSET, FUTEX_WAKE_OP,
} from '../../../../vmm/abi/futex.ts';
import {
  MAP_ANONYMOUS, MAP_FIXED, MAP_SHARED, PROT_READ, PROT_WRITE,
} from '../../../../vmm/abi/mman.ts';
import { SI_USER, SIGUSR1, SIGWINCH } from '../../../../vmm/abi/signal.ts';
import { mapRegion } from '../../../../vmm/kernel/mm/map.ts';
import type { Task } from '../../../../vmm/kernel/records/task.ts';
import { TASK_BLOCKED, TASK_RUNNABLE } from '../../../../vmm/kernel/records/task.ts';
import { setMask } from '../../../../vmm/kernel/signal/mask.ts';
import { makeInfo, sendSignalToTask } from '../../../../vmm/kernel/signal/pending.ts';
import { signalBit } from '../../../../vmm/kernel/signal/set.ts';
import { getReg, REG } from '../../../../vmm/kernel/syscalls/args.ts';
import { BLOCKED } from '../../../../vmm/kernel/syscalls/define.ts';
import { wakeTask } from '../../../../vmm/kernel/task/block.ts';
import { assert, suite } from '../../../harness.ts';
import { type Guest, MEMORY, withGuest } from './guest.ts';

const test = suite('vmm/kernel/task/futex');
const WORD = MEMORY;
const OTHER = MEMORY + 64;
const TIMEOUT = MEMORY + 128;
const PRIVATE = FUTEX_PRIVATE_FLAG;

function waitAs(g: Guest, task: Task, word: number, bits = 0): number {
  return bits === 0
    ? g.callAs(task, 'futex', [word, FUTEX_WAIT | PRIVATE, 0, 0])
    : g.callAs(task, 'futex', [word, FUTEX_WAIT_BITSET | PRIVATE, 0, 0, 0, bits]);
}

function threads(g: Guest, count: number): Task[] {
  return Array.from({ length: count }, () => g.addTask());
}

function states(tasks: readonly Task[]): string {
  return tasks.map((task) => task.state === TASK_BLOCKED ? 'b' : 'r').join('');
}

test('futex() FUTEX_WAIT returns EAGAIN when the word has changed', withGuest((g) => {
  g.poke32(WORD, 7);
  assert.is(g.call('futex', [WORD, FUTEX_WAIT, 8, 0]), -EAGAIN);
  assert.is(g.task.futex, null);
}));

test('futex() checks its address as Linux does', withGuest((g) => {
  assert.is(g.call('futex', [WORD + 2, FUTEX_WAIT, 0, 0]), -EINVAL);
  assert.is(g.call('futex', [0x1000, FUTEX_WAIT | PRIVATE, 0, 0]), -EFAULT);
  assert.is(g.call('futex', [0x1000, FUTEX_WAKE, 1]), -EFAULT, 'shared: the mapping is looked up');
  assert.is(g.call('futex', [0x1000, FUTEX_WAKE | PRIVATE, 1]), 0, 'private: an address is enough');
  assert.is(g.call('futex', [-4096n, FUTEX_WAKE | PRIVATE, 1]), -EFAULT);
  assert.is(g.call('futex', [WORD, 99, 0]), -ENOSYS);
}));

test('futex() FUTEX_WAKE wakes the oldest waiters first', withGuest((g) => {
  const [a, b, c] = threads(g, 3) as [Task, Task, Task];
  for (const task of [b, a, c]) assert.is(waitAs(g, task, WORD), BLOCKED);
  assert.is(g.call('futex', [WORD, FUTEX_WAKE | PRIVATE, 2]), 2);
  assert.is(states([a, b, c]), 'rrb');
  assert.is(g.resume(b), 0);
  assert.is(g.resume(a), 0);
  assert.is(g.call('futex', [WORD, FUTEX_WAKE | PRIVATE, 0]), 1, 'Linux: 0 wakes one');
  assert.is(g.call('futex', [WORD, FUTEX_WAKE | PRIVATE, 9]), 0);
}));

test('futex() keeps private and shared waiters of one address apart', withGuest((g) => {
  const waiter = g.addTask();
  assert.is(g.callAs(waiter, 'futex', [WORD, FUTEX_WAIT, 0, 0]), BLOCKED);
  assert.is(g.call('futex', [WORD, FUTEX_WAKE | PRIVATE, 1]), 0);
  assert.is(g.call('futex', [WORD, FUTEX_WAKE, 1]), 1);
}));

test('futex() finds a waiter through another mapping of the same shared memory', withGuest((g) => {
  const request = {
    gva: MEMORY + 0x40_0000, bytes: 0x2000, prot: PROT_READ | PROT_WRITE,
    flags: MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED,
  };
  assert.is(mapRegion(g.k, request), request.gva);
  const vma = g.process.mm?.vmas;
  let inode = null;
  for (let i = 0; i < (vma?.length ?? 0); i++) {
    if (vma?.get(i)?.start === request.gva) inode = vma.get(i)?.inode ?? null;
  }
  assert.ok(inode !== null, 'shared anonymous memory has a hidden inode');
  const again = { ...request, gva: request.gva + 0x10_0000, bytes: 0x1000, inode,
    fileOffset: 0x1000 };
  assert.is(mapRegion(g.k, { ...again, flags: MAP_SHARED | MAP_FIXED }), again.gva);
  const waiter = g.addTask();
  assert.is(g.callAs(waiter, 'futex', [request.gva + 0x1008, FUTEX_WAIT, 0, 0]), BLOCKED);
  assert.is(g.call('futex', [again.gva + 8, FUTEX_WAKE, 1]), 1);
}));

test('futex() FUTEX_WAKE_BITSET wakes only who waits for one of its bits', withGuest((g) => {
  const [a, b, c] = threads(g, 3) as [Task, Task, Task];
  waitAs(g, a, WORD, 0b001);
  waitAs(g, b, WORD, 0b110);
  waitAs(g, c, WORD, 0x8000_0000);
  assert.is(g.call('futex', [WORD, FUTEX_WAKE_BITSET | PRIVATE, 9, 0, 0, 0b100]), 1);
  assert.is(states([a, b, c]), 'brb');
  assert.is(g.call('futex', [WORD, FUTEX_WAKE_BITSET | PRIVATE, 9, 0, 0, 0x8000_0001]), 2);
  assert.is(g.call('futex', [WORD, FUTEX_WAKE_BITSET | PRIVATE, 9, 0, 0, 0]), -EINVAL);
  assert.is(g.call('futex', [WORD, FUTEX_WAIT_BITSET | PRIVATE, 0, 0, 0, 0]), -EINVAL);
}));

test('futex() FUTEX_WAIT times out after a relative time', withGuest((g) => {
  g.poke64(TIMEOUT, 0);
  g.poke64(TIMEOUT + 8, 5000);
  assert.is(g.call('futex', [WORD, FUTEX_WAIT | PRIVATE, 0, TIMEOUT]), BLOCKED);
  g.advance(4999);
  assert.is(g.task.state, TASK_BLOCKED);
  g.advance(1);
  assert.is(g.resume(g.task), -ETIMEDOUT);
  assert.is(g.k.root.futexes, null);
  assert.is(g.k.root.timers, null);
}));

test('futex() FUTEX_WAIT_BITSET takes a point in time of either clock', withGuest((g) => {
  const now = g.t.clock.nowNs;
  g.poke64(TIMEOUT, Math.floor((now + 1000) / 1e9));
  g.poke64(TIMEOUT + 8, (now + 1000) % 1e9);
  assert.is(g.call('futex', [WORD, FUTEX_WAIT_BITSET | PRIVATE, 0, TIMEOUT, 0, 1]), BLOCKED);
  g.advance(1000);
  assert.is(g.resume(g.task), -ETIMEDOUT);
  assert.is(g.call('futex', [WORD, FUTEX_WAIT_BITSET | PRIVATE, 0, TIMEOUT, 0, 1]), -ETIMEDOUT,
    'past');
  const real = g.t.clock.realtime();
  g.poke64(TIMEOUT, real.sec);
  g.poke64(TIMEOUT + 8, real.nsec + 7);
  const operation = FUTEX_WAIT_BITSET | PRIVATE | FUTEX_CLOCK_REALTIME;
  assert.is(g.call('futex', [WORD, operation, 0, TIMEOUT, 0, 1]), BLOCKED);
  g.advance(7);
  assert.is(g.resume(g.task), -ETIMEDOUT);
  assert.is(g.call('futex', [WORD, FUTEX_WAIT | FUTEX_CLOCK_REALTIME, 0, TIMEOUT]), -ENOSYS);
}));

test('futex() refuses bad timeouts', withGuest((g) => {
  g.poke64(TIMEOUT, 0);
  g.poke64(TIMEOUT + 8, 1e9);
  assert.is(g.call('futex', [WORD, FUTEX_WAIT, 0, TIMEOUT]), -EINVAL);
  g.poke64(TIMEOUT, -1);
  g.poke64(TIMEOUT + 8, 0);
  assert.is(g.call('futex', [WORD, FUTEX_WAIT, 0, TIMEOUT]), -EINVAL);
  assert.is(g.call('futex', [WORD, FUTEX_WAIT, 0, 8]), -EFAULT);
}));

test('futex() stays in the list after a wake-up that was not for it', withGuest((g) => {
  assert.is(waitAs(g, g.task, WORD), BLOCKED);
  wakeTask(g.k, g.task);
  assert.is(g.resume(g.task), BLOCKED);
  const other = g.addTask();
  assert.is(g.callAs(other, 'futex', [WORD, FUTEX_WAKE | PRIVATE, 1]), 1);
  assert.is(g.resume(g.task), 0);
}));

test('futex() takes a wake-up although a signal came in between', withGuest((g) => {
  const waiter = g.addTask();
  waitAs(g, waiter, WORD);
  assert.is(g.call('futex', [WORD, FUTEX_WAKE | PRIVATE, 1]), 1);
  sendSignalToTask(g.k, waiter, makeInfo(SIGWINCH, SI_USER));
  assert.is(g.resume(waiter), 0);
}));

test('futex() is restarted with the time left when no handler runs', withGuest((g) => {
  g.poke64(TIMEOUT, 0);
  g.poke64(TIMEOUT + 8, 10_000);
  setMask(g.k, g.task, signalBit(SIGWINCH));
  assert.is(g.call('futex', [WORD, FUTEX_WAIT | PRIVATE, 0, TIMEOUT]), BLOCKED);
  sendSignalToTask(g.k, g.task, makeInfo(SIGWINCH, SI_USER));
  assert.is(g.task.state, TASK_BLOCKED, 'a blocked signal disturbs nobody');
  g.advance(4000);
  g.task.mask = 0n;
  wakeTask(g.k, g.task);
  g.resume(g.task);
  assert.is(g.k.root.futexes, null, 'the wait is over until the call is made again');
  assert.is(g.call('futex', [WORD, FUTEX_WAIT | PRIVATE, 0, TIMEOUT]), BLOCKED);
  g.advance(5999);
  assert.is(g.task.state, TASK_BLOCKED);
  g.advance(1);
  assert.is(g.resume(g.task), -ETIMEDOUT);
}));

test('futex() FUTEX_REQUEUE moves waiters behind those who wait there', withGuest((g) => {
  const [a, b, c, d] = threads(g, 4) as [Task, Task, Task, Task];
  for (const task of [a, b, c]) waitAs(g, task, WORD);
  waitAs(g, d, OTHER);
  assert.is(g.call('futex', [WORD, FUTEX_REQUEUE | PRIVATE, 1, 1, OTHER]), 2);
  assert.is(states([a, b, c, d]), 'rbbb');
  assert.is(g.call('futex', [OTHER, FUTEX_WAKE | PRIVATE, 1]), 1);
  assert.is(states([a, b, c, d]), 'rbbr', 'd waited there before b came');
  assert.is(g.call('futex', [OTHER, FUTEX_WAKE | PRIVATE, 9]), 1);
  assert.is(g.call('futex', [WORD, FUTEX_WAKE | PRIVATE, 9]), 1);
}));

test('futex() FUTEX_REQUEUE onto itself ends', withGuest((g) => {
  const [a, b] = threads(g, 2) as [Task, Task];
  waitAs(g, a, WORD);
  waitAs(g, b, WORD);
  assert.is(g.call('futex', [WORD, FUTEX_REQUEUE | PRIVATE, 0, 1000, WORD]), 2);
  assert.is(g.call('futex', [WORD, FUTEX_WAKE | PRIVATE, 9]), 2);
}));

test('futex() FUTEX_CMP_REQUEUE compares first and wakes a pthread condition variable',
  withGuest((g) => {
  const all = threads(g, 8);
  for (const task of all) waitAs(g, task, WORD);
  g.poke32(WORD, 5);
  assert.is(g.call('futex', [WORD, FUTEX_CMP_REQUEUE | PRIVATE, 1, 99, OTHER, 4]), -EAGAIN);
  assert.is(g.call('futex', [WORD, FUTEX_CMP_REQUEUE | PRIVATE, -1, 99, OTHER, 5]), -EINVAL);
  assert.is(g.call('futex', [WORD, FUTEX_CMP_REQUEUE | PRIVATE, 1, 99, OTHER, 5]), 8);
  assert.is(states(all), 'rbbbbbbb');
  for (let i = 1; i < 8; i++) {
    assert.is(g.call('futex', [OTHER, FUTEX_WAKE | PRIVATE, 1]), 1);
    assert.is(g.resume(all[i] as Task), 0);
  }
}));

function encodeOp(operation: number, operand: number, comparison: number,
  compared: number): number {
  return (operation << 28 | comparison << 24 | (operand & 0xfff) << 12 | compared & 0xfff) >>> 0;
}

test('futex() FUTEX_WAKE_OP changes the second word and wakes by its old value', withGuest((g) => {
  const rows: [encoded: number, before: number, after: number, woken: number][] = [
    [encodeOp(FUTEX_OP_SET, 0, FUTEX_OP_CMP_GT, 1), 2, 0, 2],
    [encodeOp(FUTEX_OP_SET, 0, FUTEX_OP_CMP_GT, 1), 1, 0, 1],
    [encodeOp(FUTEX_OP_ADD, -1, FUTEX_OP_CMP_EQ, 0), 0, 0xffff_ffff, 2],
    [encodeOp(FUTEX_OP_OR | FUTEX_OP_OPARG_SHIFT, 4, FUTEX_OP_CMP_EQ, -1), 0xffff_ffff,
      0xffff_ffff, 2],
    [encodeOp(FUTEX_OP_OR | FUTEX_OP_OPARG_SHIFT, 4, FUTEX_OP_CMP_EQ, -1), 1, 17, 1],
  ];
  for (const [encoded, before, after, woken] of rows) {
    const [a, b] = threads(g, 2) as [Task, Task];
    waitAs(g, a, WORD);
    g.poke32(OTHER, 0);
    waitAs(g, b, OTHER);
    g.poke32(OTHER, before);
    const args = [WORD, FUTEX_WAKE_OP | PRIVATE, 1, 1, OTHER, encoded];
    assert.is(g.call('futex', args), woken, encoded.toString(16));
    assert.is(g.peek32(OTHER), after);
    g.call('futex', [OTHER, FUTEX_WAKE | PRIVATE, 9]);
  }
  const bad = [WORD, FUTEX_WAKE_OP | PRIVATE, 1, 1, OTHER, encodeOp(7, 0, 0, 0)];
  assert.is(g.call('futex', bad), -ENOSYS);
}));

test('futex() FUTEX_LOCK_PI hands the lock to the oldest waiter', withGuest((g) => {
  const [a, b] = threads(g, 2) as [Task, Task];
  assert.is(g.call('futex', [WORD, FUTEX_LOCK_PI | PRIVATE, 0, 0]), 0);
  assert.is(g.peek32(WORD), g.task.tid);
  assert.is(g.call('futex', [WORD, FUTEX_LOCK_PI | PRIVATE, 0, 0]), -EDEADLK);
  assert.is(g.callAs(a, 'futex', [WORD, FUTEX_TRYLOCK_PI | PRIVATE, 0, 0]), -EAGAIN);
  assert.is(g.callAs(a, 'futex', [WORD, FUTEX_LOCK_PI | PRIVATE, 0, 0]), BLOCKED);
  assert.is(g.callAs(b, 'futex', [WORD, FUTEX_LOCK_PI | PRIVATE, 0, 0]), BLOCKED);
  assert.is(g.peek32(WORD), (g.task.tid | FUTEX_WAITERS) >>> 0);
  assert.is(g.call('futex', [WORD, FUTEX_WAKE | PRIVATE, 1]), -EINVAL);
  assert.is(g.call('futex', [WORD, FUTEX_UNLOCK_PI | PRIVATE]), 0);
  assert.is(g.peek32(WORD), (a.tid | FUTEX_WAITERS) >>> 0);
  assert.is(g.resume(a), 0);
  assert.is(g.call('futex', [WORD, FUTEX_UNLOCK_PI | PRIVATE]), -EPERM);
  assert.is(g.callAs(a, 'futex', [WORD, FUTEX_UNLOCK_PI | PRIVATE]), 0);
  assert.is(g.peek32(WORD), b.tid);
  assert.is(g.resume(b), 0);
  assert.is(g.callAs(b, 'futex', [WORD, FUTEX_UNLOCK_PI | PRIVATE]), 0);
  assert.is(g.peek32(WORD), 0);
  g.poke32(WORD, 4242);
  assert.is(g.call('futex', [WORD, FUTEX_LOCK_PI | PRIVATE, 0, 0]), -ESRCH);
}));

test('futex() gives EINTR to a waiter whose handler has no SA_RESTART', withGuest((g) => {
  const handler = new Uint8Array(32);
  const view = new DataView(handler.buffer);
  view.setBigUint64(0, 0x50_0000n, true);
  view.setBigUint64(8, 0x400_0000n, true);
  g.poke(MEMORY + 0x200, handler);
  assert.is(g.call('rt_sigaction', [SIGUSR1, MEMORY + 0x200, 0, 8]), 0);
  assert.is(waitAs(g, g.task, WORD), BLOCKED);
  sendSignalToTask(g.k, g.task, makeInfo(SIGUSR1, SI_USER));
  assert.is(g.task.state, TASK_RUNNABLE);
  g.resume(g.task);
  assert.is(g.k.root.futexes, null);
  // rax is the handler's now; the interrupted one is in the frame, at sigcontext.rax.
  const frame = getReg(g.task, REG.rsp);
  assert.is(g.peek64(frame + 8 + 40 + 104), -EINTR);
}));

test.run();
