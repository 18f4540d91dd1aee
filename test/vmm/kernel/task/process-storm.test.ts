// Thousands of random steps of many processes: whatever they did, and however they ended, nothing
// of them stays when they have been waited for, and each child is reported once, as it ended.
import { EAGAIN, ECHILD, ENOMEM } from '../../../../vmm/abi/errno.ts';
import {
  CLONE_FS, CLONE_FILES, CLONE_SIGHAND, CLONE_THREAD, CLONE_VFORK, CLONE_VM,
} from '../../../../vmm/abi/sched.ts';
import {
  SIGCHLD, SIGCONT, SIGKILL, SIGSTOP, SIGTERM, SIGUSR1,
} from '../../../../vmm/abi/signal.ts';
import { WNOHANG } from '../../../../vmm/abi/wait.ts';
import { TASK_RUNNABLE, type Task } from '../../../../vmm/kernel/records/task.ts';
import type { Arena } from '../../../../vmm/kernel/state/arena.ts';
import type { Rec } from '../../../../vmm/kernel/state/record.ts';
import { deliverSignals } from '../../../../vmm/kernel/signal/deliver.ts';
import { findProcess, forEachProcess } from '../../../../vmm/kernel/task/family.ts';
import { assert, seededRandom, suite } from '../../../harness.ts';
import { type Guest, MEMORY, withGuest } from './guest.ts';

const test = suite('vmm/kernel/task/process-storm');
const THREAD = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD;
const MEMORY_BYTES = 0x10_0000;
const USER_BYTES = 0x7fff_ffff_f000;
const STATUS = MEMORY + 0x200;
const PIPE = MEMORY + 0x208;
const TIMER = MEMORY + 0x210;
const SPEC = MEMORY + 0x220;
const FUTEX = MEMORY + 0x300;
const PROCESSES_MOST = 40;
/** How many of what a process does to itself do it no harm. */
const SAFE_STEPS = 7;

/** How many records of each kind are in use. */
function watchRecords(arena: Arena): () => Record<string, number> {
  const { make, free } = arena;
  const kinds = new Map<number, string>();
  arena.make = function makeWatched(kind, tailBytes) {
    const made = make.call(arena, kind, tailBytes) as Rec;
    kinds.set(made.address, kind.name);
    return made as ReturnType<typeof kind.create>;
  };
  arena.free = function freeWatched(record) {
    kinds.delete(record.address);
    free.call(arena, record);
  };
  return () => {
    const counts: Record<string, number> = {};
    for (const name of [...kinds.values()].sort()) counts[name] = (counts[name] ?? 0) + 1;
    return counts;
  };
}

type Random = ReturnType<typeof seededRandom>;

/** Threads that can make a call now. */
function runnable(g: Guest): Task[] {
  const tasks: Task[] = [];
  forEachProcess(g.k, (process) => {
    for (let i = 0; i < process.tasks.length; i++) {
      const task = process.tasks.get(i);
      if (task !== null && task.state === TASK_RUNNABLE && !process.exited && !process.stopped) {
        tasks.push(task);
      }
    }
  });
  return tasks;
}

function pids(g: Guest): number[] {
  const found: number[] = [];
  forEachProcess(g.k, (process) => { if (process !== g.process) found.push(process.pid); });
  return found;
}

/** Brings up to date who was woken or signalled, as the run loop does before it enters a thread. */
function settle(g: Guest, task: Task): boolean {
  if (task.syscall >= 0) g.resume(task);
  if (task.state !== TASK_RUNNABLE || task.process.exited) return false;
  g.k.current = task;
  return deliverSignals(g.k, task) && task.state === TASK_RUNNABLE;
}

/** What a process does to its own memory, descriptors and timers. */
function live(g: Guest, task: Task, random: Random): void {
  g.k.current = task;
  const steps: readonly (() => void)[] = [
    () => g.callAs(task, 'getrandom', [MEMORY + 0x1000 * random.int(1, 200), 4, 0]),
    () => g.callAs(task, 'pipe2', [PIPE, 0]),
    () => g.callAs(task, 'close', [random.int(3, 8)]),
    () => g.callAs(task, 'dup2', [3, random.int(3, 40)]),
    () => g.callAs(task, 'eventfd2', [0, 0]),
    () => g.callAs(task, 'munmap', [MEMORY + 0x1000 * random.int(100, 200), 0x1000]),
    () => g.callAs(task, 'setpgid', [0, 0]),
    () => g.callAs(task, 'mmap', [0, 0x3000, 3, 0x22, -1, 0]),
    () => g.callAs(task, 'timer_create', [1, 0, TIMER]),
    () => {
      g.poke64(SPEC + 24, random.int(1, 10_000_000));
      g.callAs(task, 'timer_settime', [0, 0, SPEC, 0]);
    },
    () => g.callAs(task, 'setitimer', [0, SPEC, 0]),
    () => g.callAs(task, 'prctl', [1, random.int(1, 2) * 7]),
    () => g.callAs(task, 'prctl', [36, random.int(0, 1)]),
    () => g.callAs(task, 'setsid', []),
  ];
  // What the first process maps stays, and a timer's signal would end the sandbox with it.
  steps[random.int(0, (task === g.task ? SAFE_STEPS : steps.length) - 1)]?.();
}

function multiply(g: Guest, task: Task, random: Random): void {
  if (pids(g).length >= PROCESSES_MOST) return;
  const kinds = [SIGCHLD, SIGCHLD, 0, CLONE_VM | CLONE_VFORK | SIGCHLD, CLONE_VM | SIGCHLD, THREAD];
  const flags = random.pick(kinds);
  // The first process may not wait for a child in vfork: it is who cleans up.
  if (task === g.task && (flags & (CLONE_VFORK | CLONE_THREAD)) !== 0) return;
  const result = g.callAs(task, 'clone', [flags, 0, 0, 0, 0]);
  if (result < 0) assert.ok([-EAGAIN, -ENOMEM].includes(result) || task.state !== TASK_RUNNABLE);
}

function waitOrEnd(g: Guest, task: Task, random: Random): void {
  const which = random.int(0, 9);
  if (which < 3) g.callAs(task, 'wait4', [-1, STATUS, WNOHANG | 0x4000_0000, 0]);
  else if (task === g.task) return;
  else if (which < 5) g.callAs(task, 'exit_group', [random.int(0, 255)]);
  else if (which < 6) g.callAs(task, 'exit', [random.int(0, 255)]);
  else if (which < 7) g.callAs(task, 'futex', [FUTEX, 0, 0, 0, 0, 0]);
  else if (which < 8) g.callAs(task, 'wait4', [-1, STATUS, 0, 0]);
  else g.callAs(task, 'pause', []);
}

function signal(g: Guest, task: Task, random: Random): void {
  const others = pids(g);
  if (others.length === 0) return;
  const number = random.pick([SIGKILL, SIGTERM, SIGSTOP, SIGCONT, SIGCONT, SIGUSR1]);
  const pid = random.pick(others);
  // A group may be the first process's own.
  const isGroup = random.int(0, 4) === 0 && findProcess(g.k, pid)?.pgid !== g.process.pgid;
  g.callAs(task, 'kill', [isGroup ? -pid : pid, number]);
}

function step(g: Guest, random: Random): void {
  const task = random.pick(runnable(g));
  if (!settle(g, task)) return;
  const which = random.int(0, 9);
  if (which < 5) live(g, task, random);
  else if (which < 7) multiply(g, task, random);
  else if (which < 9) waitOrEnd(g, task, random);
  else signal(g, task, random);
  if (random.int(0, 20) === 0) g.advance(1_000_000);
}

/** The guest's memory, empty again; children that shared it may have mapped more. */
function mapAnew(g: Guest): void {
  assert.is(g.call('munmap', [0, USER_BYTES]), 0);
  assert.is(g.call('mmap', [MEMORY, MEMORY_BYTES, 3, 0x32, -1, 0]), MEMORY);
}

/** Ends everybody and waits for them: each is told of once. */
function cleanUp(g: Guest): void {
  for (;;) {
    g.k.current = g.task;
    for (const pid of pids(g)) g.call('kill', [pid, SIGKILL]);
    const before = new Set(pids(g));
    const result = g.call('wait4', [-1, STATUS, WNOHANG | 0x4000_0000, 0]);
    if (result === -ECHILD) break;
    assert.ok(result > 0 && before.has(result), `wait4 is ${result}`);
    assert.is(findProcess(g.k, result), null);
  }
  assert.equal(pids(g), []);
  g.call('close_range', [3, 4095, 0]);
  for (let timer = 0; timer < 64; timer++) g.call('timer_delete', [timer]);
  mapAnew(g);
}

for (const seed of [1, 2, 3, 4]) {
  test(`a storm of processes leaves nothing behind (seed ${seed})`, withGuest((g) => {
    const random = seededRandom(seed);
    g.poke32(MEMORY, 1);
    const records = watchRecords(g.k.arena);
    mapAnew(g);
    let before: Record<string, number> | null = null;
    for (let round = 0; round < 4; round++) {
      let most = 0;
      for (let i = 0; i < 1500; i++) {
        step(g, random);
        most = Math.max(most, pids(g).length);
      }
      assert.ok(most > 5, `${most} processes at once`);
      cleanUp(g);
      assert.is(g.k.frames.used, 0, 'frames');
      // The first round made what the first process keeps: queues, and a longer table of files.
      before ??= records();
      assert.equal(records(), before, `round ${round}`);
    }
  }, { tables: 1024, bankFrames: 8192 }));
}

test.run();
