// Time slices of deterministic mode: the same calls give the same switches.
import { assert, suite } from '../../../harness.ts';
import { FixedSlices } from '../../../../vmm/boot/run/fixed-slices.ts';
import { charge, endSlice, nextTask } from '../../../../vmm/kernel/task/run-queue.ts';
import { withGuest } from '../../kernel/task/guest.ts';

const test = suite('vmm/boot/fixed-slices');

test('isOver() ends a slice after 4000 calls and not before', withGuest((g) => {
  g.k.root.deterministic = true;
  const other = g.addTask();
  const slices = new FixedSlices();
  for (let call = 0; call <= 4000; call++) {
    g.k.root.syscallCount++;
    assert.is(slices.isOver(g.k, g.task), call === 4000, `call ${call}`);
    slices.afterHostSlice(g.k, g.task);
    assert.is(nextTask(g.k), g.task, `call ${call}`);
  }
  charge(g.k, g.task, 4e6);
  endSlice(g.k);
  assert.is(nextTask(g.k), other);
  assert.is(slices.isOver(g.k, other), false);
}));

test('afterHostSlice() lets others run when a thread makes no calls', withGuest((g) => {
  g.k.root.deterministic = true;
  const other = g.addTask();
  const third = g.addTask();
  const slices = new FixedSlices();
  const seen = new Set([nextTask(g.k)]);
  for (let slice = 0; slice < 100; slice++) {
    const task = nextTask(g.k);
    assert.ok(task);
    assert.is(slices.isOver(g.k, task), false);
    slices.afterHostSlice(g.k, task);
    if (slice === 20) assert.equal([...seen], [g.task]);
    seen.add(nextTask(g.k));
  }
  assert.ok(seen.has(other) && seen.has(third));
}));

test.run();
