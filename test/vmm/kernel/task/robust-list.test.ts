// Locks whose owner died, and lists that a hostile guest made.
import { EINVAL, ESRCH } from '../../../../vmm/abi/errno.ts';
import {
  FUTEX_LOCK_PI, FUTEX_OWNER_DIED, FUTEX_WAITERS, ROBUST_LIST_LIMIT,
} from '../../../../vmm/abi/futex.ts';
import type { Task } from '../../../../vmm/kernel/records/task.ts';
import { TASK_DEAD } from '../../../../vmm/kernel/records/task.ts';
import { BLOCKED } from '../../../../vmm/kernel/syscalls/define.ts';
import { assert, suite } from '../../../harness.ts';
import { type Guest, MEMORY, withGuest } from './guest.ts';

const test = suite('vmm/kernel/task/robust-list');
const HEAD = MEMORY;
const OUT = MEMORY + 0x80;
/** Lock n: a list entry, its word 32 bytes behind. */
const lockAt = (n: number): number => MEMORY + 0x1000 + n * 64;
const WORD_OFFSET = 32;

/** Links locks into the list of `owner`, which then makes set_robust_list. */
function link(g: Guest, owner: Task, locks: readonly number[], pending: number = 0): void {
  const entries = [...locks, HEAD];
  g.poke64(HEAD, entries[0] as number);
  g.poke64(HEAD + 8, WORD_OFFSET);
  g.poke64(HEAD + 16, pending);
  locks.forEach((entry, i) => g.poke64(entry - entry % 2, entries[i + 1] as number));
  assert.is(g.callAs(owner, 'set_robust_list', [HEAD, 24]), 0);
}

function wordOf(n: number): number {
  return lockAt(n) + WORD_OFFSET;
}

test('exit() marks the locks that the thread holds and wakes one waiter each', withGuest((g) => {
  const owner = g.addTask();
  link(g, owner, [lockAt(0), lockAt(1), lockAt(2)]);
  g.poke32(wordOf(0), owner.tid);
  g.poke32(wordOf(1), owner.tid | FUTEX_WAITERS);
  g.poke32(wordOf(2), g.task.tid | FUTEX_WAITERS);
  const value = (owner.tid | FUTEX_WAITERS) >>> 0;
  assert.is(g.call('futex', [wordOf(1), 0, value, 0]), BLOCKED);
  g.callAs(owner, 'exit', [0]);
  assert.is(g.peek32(wordOf(0)), FUTEX_OWNER_DIED);
  assert.is(g.peek32(wordOf(1)), (FUTEX_OWNER_DIED | FUTEX_WAITERS) >>> 0);
  assert.is(g.peek32(wordOf(2)), (g.task.tid | FUTEX_WAITERS) >>> 0, 'another\'s lock');
  assert.is(g.resume(g.task), 0);
}));

test('exit() treats the pending operation: locked, or unlocked without a wake-up',
  withGuest((g) => {
  const owner = g.addTask();
  link(g, owner, [lockAt(0)], lockAt(0));
  g.poke32(wordOf(0), owner.tid);
  g.callAs(owner, 'exit', [0]);
  assert.is(g.peek32(wordOf(0)), FUTEX_OWNER_DIED);
  const second = g.addTask();
  link(g, second, [], lockAt(1));
  g.poke32(wordOf(1), 0);
  assert.is(g.call('futex', [wordOf(1), 0, 0, 0]), BLOCKED);
  g.callAs(second, 'exit', [0]);
  assert.is(g.resume(g.task), 0);
  assert.is(g.peek32(wordOf(1)), 0);
}));

test('exit() hands over a priority-inheritance lock', withGuest((g) => {
  const owner = g.addTask();
  link(g, owner, [lockAt(0) + 1]);
  g.poke32(wordOf(0), owner.tid);
  assert.is(g.call('futex', [wordOf(0), FUTEX_LOCK_PI, 0, 0]), BLOCKED);
  g.callAs(owner, 'exit', [0]);
  assert.is(g.resume(g.task), 0);
  assert.is(g.peek32(wordOf(0)), g.task.tid | FUTEX_OWNER_DIED);
}));

test('exit() survives every kind of broken list', () => {
  const breaks: [string, (g: Guest, owner: Task) => void][] = [
    ['the head is not mapped', (g, owner) => g.callAs(owner, 'set_robust_list', [0x5000, 24])],
    ['the head is no address', (g, owner) => g.callAs(owner, 'set_robust_list', [-8n, 24])],
    ['an entry is not mapped', (g) => g.poke64(HEAD, 0x5000)],
    ['a word is not aligned', (g) => g.poke64(HEAD + 8, 33)],
    ['the offset is absurd', (g) => g.poke64(HEAD + 8, 2n ** 62n)],
    ['the list is a ring without the head', (g) => g.poke64(lockAt(0), lockAt(0))],
    ['the pending entry is not mapped', (g) => g.poke64(HEAD + 16, 0x5000)],
  ];
  for (const [what, spoil] of breaks) {
    withGuest((g) => {
      const owner = g.addTask();
      link(g, owner, [lockAt(0)]);
      g.poke32(wordOf(0), owner.tid);
      spoil(g, owner);
      g.callAs(owner, 'exit', [0]);
      assert.is(owner.state, TASK_DEAD, what);
      assert.is(g.process.exited, false, what);
    })();
  }
});

test('exit() looks at no more than ROBUST_LIST_LIMIT locks', withGuest((g) => {
  const owner = g.addTask();
  const locks = Array.from({ length: ROBUST_LIST_LIMIT + 1 }, (_, n) => lockAt(n));
  for (const lock of locks) g.poke32(lock + WORD_OFFSET, owner.tid);
  link(g, owner, locks);
  g.callAs(owner, 'exit', [0]);
  assert.is(g.peek32(wordOf(ROBUST_LIST_LIMIT - 1)), FUTEX_OWNER_DIED);
  assert.is(g.peek32(wordOf(ROBUST_LIST_LIMIT)), owner.tid);
}));

test('set_robust_list() and get_robust_list() check their arguments', withGuest((g) => {
  assert.is(g.call('set_robust_list', [HEAD, 23]), -EINVAL);
  assert.is(g.call('set_robust_list', [HEAD, 24]), 0);
  assert.is(g.call('get_robust_list', [0, OUT, OUT + 8]), 0);
  assert.equal([g.peek64(OUT), g.peek64(OUT + 8)], [HEAD, 24]);
  assert.is(g.call('get_robust_list', [999, OUT, OUT + 8]), -ESRCH);
  assert.is(g.call('get_robust_list', [0, 8, OUT]), -14);
}));

test.run();
