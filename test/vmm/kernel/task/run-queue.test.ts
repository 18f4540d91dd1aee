// The run list: who runs next, and that nobody waits longer than the others need to catch up.
import type { Kernel } from '../../../../vmm/kernel/kernel.ts';
import type { Task } from '../../../../vmm/kernel/records/task.ts';
import { makeTask } from '../../../../vmm/kernel/task/make-process.ts';
import {
  charge, dequeue, endSlice, enqueue, hasOthers, nextTask, rotate,
} from '../../../../vmm/kernel/task/run-queue.ts';
import { assert, seededRandom, suite } from '../../../harness.ts';
import { makeTestKernel } from '../../../helpers/kernel.ts';

const test = suite('vmm/kernel/task/run-queue');
const MS = 1e6;

/** Everyone in the list, the head first. Checks the links and the order. */
function listed(k: Kernel): Task[] {
  const head = nextTask(k);
  const tasks: Task[] = [];
  for (let task = head; task !== null && (task !== head || tasks.length === 0);) {
    tasks.push(task);
    const next: Task | null = task.runNext;
    assert.is(next?.runPrev, task);
    task = next;
  }
  for (let i = 2; i < tasks.length; i++) {
    const [before, after] = [tasks[i - 1] as Task, tasks[i] as Task];
    assert.ok(before.virtualNs <= after.virtualNs, `${before.virtualNs} before ${after.virtualNs}`);
  }
  return tasks;
}

/** A kernel with one thread more than `count` in its list. */
function withTasks(count: number, body: (k: Kernel, tasks: Task[]) => void): () => void {
  return () => {
    const t = makeTestKernel();
    const tasks = [t.task, ...Array.from({ length: count }, () => makeTask(t.k, t.process))];
    body(t.k, tasks);
    t.close();
  };
}

test('threads that compute take turns', withTasks(3, (k, tasks) => {
  for (let slice = 0; slice < 40; slice++) {
    assert.is(nextTask(k), tasks[slice % 4], `slice ${slice}`);
    charge(k, tasks[slice % 4] as Task, 4 * MS);
    endSlice(k);
    listed(k);
  }
}));

test('a thread that wakes takes the CPU from one that spins, and keeps it while it is behind',
  withTasks(1, (k, [spinner, sleeper]) => {
  dequeue(k, sleeper as Task);
  for (let slice = 0; slice < 100; slice++) {
    charge(k, spinner as Task, 4 * MS);
    endSlice(k);
  }
  enqueue(k, sleeper as Task);
  assert.is(nextTask(k), sleeper);
  assert.is(hasOthers(k), true);
  charge(k, spinner as Task, 1 * MS);
  charge(k, sleeper as Task, 1 * MS);
  endSlice(k);
  assert.is(nextTask(k), sleeper, 'a slice that began in the middle does not cost a turn');
  charge(k, sleeper as Task, 4 * MS);
  endSlice(k);
  assert.is(nextTask(k), spinner, 'sleeping long saves up no more than a slice');
  dequeue(k, spinner as Task);
  dequeue(k, sleeper as Task);
  assert.is(nextTask(k), null);
}));

test('threads that wake at once run in the order in which they woke',
  withTasks(4000, (k, tasks) => {
  const woken = tasks.slice(1);
  const start = performance.now();
  for (const task of woken) dequeue(k, task);
  charge(k, tasks[0] as Task, 100 * MS);
  for (const task of woken) enqueue(k, task);
  assert.equal(listed(k).map(({ tid }) => tid), [...woken, tasks[0] as Task].map(({ tid }) => tid));
  for (const task of woken) assert.is(task.virtualNs, 96 * MS, 'all have the same credit');
  assert.atMost(performance.now() - start, 2000, 'milliseconds');
}));

test('charge() of a thread that lost the CPU sorts it in anew', withTasks(3, (k, tasks) => {
  const [a, b, c, d] = tasks as [Task, Task, Task, Task];
  dequeue(k, d);
  for (const task of [a, b, c]) task.virtualNs = 10 * MS;
  enqueue(k, d);
  assert.equal(listed(k), [d, a, b, c]);
  charge(k, a, 3 * MS);
  assert.equal(listed(k), [d, b, c, a]);
}));

test('rotate() puts the head behind everybody', withTasks(2, (k, tasks) => {
  const [a, b, c] = tasks as [Task, Task, Task];
  charge(k, c, 8 * MS);
  rotate(k);
  assert.equal(listed(k), [b, c, a]);
}));

test('the list stays sorted, and who can run runs soon, whatever happens',
  withTasks(12, (k, tasks) => {
  const random = seededRandom();
  const waitedNs = new Map<Task, number>();
  // Of its slice; a slice ends at the latest when it is over.
  let turn: { task: Task | null; ns: number } = { task: null, ns: 0 };
  for (let step = 0; step < 5000; step++) {
    const task = random.pick(tasks);
    const ran = nextTask(k);
    if (ran !== null) {
      if (turn.task !== ran) turn = { task: ran, ns: 0 };
      const ns = random.int(0, 4 * MS - turn.ns);
      turn.ns += ns;
      charge(k, ran, ns);
      for (const other of listed(k)) waitedNs.set(other, (waitedNs.get(other) ?? 0) + ns);
      waitedNs.set(ran, 0);
      // All others run a slice and what they may be behind, at most.
      for (const [other, waited] of waitedNs) assert.atMost(waited, 13 * 12 * MS, `${other.tid}`);
    }
    const action = turn.ns > 3 * MS ? 3 : random.int(0, 3);
    if (action === 0) dequeue(k, task);
    else if (action === 1) enqueue(k, task);
    else {
      endSlice(k);
      turn = { task: null, ns: 0 };
    }
    if (task.runNext === null) waitedNs.delete(task);
    listed(k);
  }
}));

test.run();
