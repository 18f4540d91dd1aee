// The processes of saved records: a family passes whatever it does, and each way in which processes
// can be at odds with each other is found.
import { checkRecords } from '../../../../vmm/boot/image/image-records.ts';
import {
  FutexWaiter, type Process, type Task, Waiter,
} from '../../../../vmm/kernel/records/task.ts';
import { Timer } from '../../../../vmm/kernel/records/time.ts';
import type { Table } from '../../../../vmm/kernel/state/containers.ts';
import { giveRegion, takeRegion, u32, u8 } from '../../../../vmm/kernel/state/memory.ts';
import { saveObjects } from '../../../../vmm/kernel/state/save.ts';
import { makeWaitQueue } from '../../../../vmm/kernel/task/block.ts';
import { assert, suite } from '../../../harness.ts';
import { type Guest, withGuest } from '../../kernel/task/guest.ts';

const test = suite('vmm/boot/image/image-processes');

interface Family {
  g: Guest;
  first: Process;
  older: Process;
  younger: Process;
  grandchild: Process;
}

function fork(g: Guest, parent: Task): Process {
  const pid = g.callAs(parent, 'fork', []);
  let child = parent.process.children;
  while (child !== null && child.pid !== pid) child = child.nextSibling;
  assert.ok(child !== null);
  return child;
}

function mainThread({ tasks }: Process): Task {
  return tasks.get(0) as Task;
}

function makeFamily(g: Guest): Family {
  const older = fork(g, g.task);
  const younger = fork(g, g.task);
  return { g, first: g.process, older, younger, grandchild: fork(g, mainThread(older)) };
}

/** Saves the records as they are and checks them as those of an image. */
function check({ g }: Family): void {
  const { objects, relations, count } = saveObjects(g.k.root);
  const region = takeRegion(objects.length + relations.byteLength);
  try {
    u8.set(objects, region.address);
    u32.set(relations, (region.address + objects.length) >> 2);
    checkRecords({ address: region.address, bytes: objects.length },
      { address: region.address + objects.length, bytes: relations.byteLength },
      { root: 0, count });
  } finally {
    giveRegion(region);
  }
}

test('a family is accepted, with zombies, orphans, vfork and threads', withGuest((g) => {
  const family = makeFamily(g);
  check(family);
  g.addTask();
  assert.ok(g.callAs(mainThread(family.younger), 'vfork', []) !== 0);
  check(family);
  g.callAs(mainThread(family.older), 'exit_group', [3]);
  check(family);
  g.call('wait4', [family.older.pid, 0, 0, 0]);
  check(family);
}));

const faults: Readonly<Record<string, [change: (f: Family) => void, what: RegExp]>> = {
  'its own ancestor': [({ first, grandchild }) => {
    first.parent = grandchild;
    grandchild.children = first;
  }, /list|chain|end/],
  'a sibling twice': [({ first, younger }) => {
    younger.nextSibling = younger;
    first.children = younger;
  }, /list/],
  'another parent': [({ younger, older }) => { younger.parent = older; }, /list|owner/],
  'the first process has a parent': [({ g, older, first }) => {
    g.k.root.process = older;
    first.children = null;
    older.parent = first;
  }, /has a parent/],
  'a process that is nobody\'s child': [({ first, older, grandchild }) => {
    older.children = null;
    grandchild.parent = null;
    mainThread(first).waiters = null;
    first.tasks.set(1, mainThread(grandchild));
  }, /nobody's child/],
  'a thread of another process': [({ older, younger }) => {
    mainThread(older).process = younger;
  }, /not in one process/],
  'a thread in two tables': [({ older, younger }) => {
    younger.tasks.set(1, mainThread(older));
  }, /not in one process/],
  'a thread in no table': [({ older }) => {
    (older.tasks as Table<Task>).set(0, null);
  }, /in no process/],
  'threads in common': [({ older, younger }) => { younger.tasks = older.tasks; }, /two owners/],
  'descriptors in common': [({ older, younger }) => { younger.fds = older.fds; }, /two owners/],
  'open files in common': [({ older, younger }) => {
    younger.fds.closeOnExec = older.fds.closeOnExec;
  }, /two owners/],
  'actions in common': [({ older, younger }) => {
    younger.actions = older.actions;
  }, /two owners/],
  'memory in common that counts one user': [({ older, younger }) => {
    younger.mm = older.mm;
  }, /counts its users/],
  'a timer of another process': [({ g, older, younger }) => {
    older.realTimer = g.k.arena.make(Timer);
    older.realTimer.process = younger;
  }, /is nobody's/],
  'a timer of another thread': [({ g, older, younger }) => {
    mainThread(older).waitTimer = g.k.arena.make(Timer);
    (mainThread(older).waitTimer as Timer).task = mainThread(younger);
  }, /not its thread's/],
  'a thread in a queue that it does not know of': [({ g, older, younger }) => {
    const queue = makeWaitQueue(g.k);
    const waiter = g.k.arena.make(Waiter);
    waiter.queue = queue;
    waiter.task = mainThread(younger);
    queue.first = waiter;
    older.signalQueue = queue;
  }, /nobody knows/],
  'a futex of another thread': [({ g, older, younger }) => {
    const futex = g.k.arena.make(FutexWaiter);
    futex.task = mainThread(younger);
    mainThread(older).futex = futex;
  }, /nobody knows/],
  'too many users': [({ older }) => {
    if (older.mm !== null) older.mm.sharers = 1;
  }, /counts its users/],
};

for (const [what, [change, expected]] of Object.entries(faults)) {
  test(`what an image cannot say: ${what}`, withGuest((g) => {
    const family = makeFamily(g);
    const { arena: { region, usedBytes } } = g.k;
    const before = u8.slice(region.address, region.address + usedBytes);
    change(family);
    assert.throws(() => check(family), expected);
    u8.set(before, region.address);
  }));
}

test.run();
