// The end of threads and of processes.
//
// Order: a thread that ends releases its robust futexes, then clears its tid word and wakes who
// waits for it (pthread_join), as Linux's mm_release() does.
// Ownership: the record of a thread that ended stays until the next one ends (Process.deadTask),
// for the dispatcher and the run loop still hold it; when the process ends all records stay until
// its parent has waited for it (zombie.ts).
import { FUTEX_BITSET_MATCH_ANY } from '../../abi/futex.ts';
import { leaveTerminal } from '../ipc/pty.ts';
import type { Kernel } from '../kernel.ts';
import { writeU32 } from '../mm/user-memory.ts';
import { type Process, TASK_DEAD, type Task } from '../records/task.ts';
import { flushQueue } from '../signal/pending.ts';
import { offerPending } from '../signal/mask.ts';
import { SIGNAL_BITS } from '../signal/set.ts';
import { disarmTimer } from '../time/timers.ts';
import { removeWaiters } from './block.ts';
import { dropFutexWaiter, wakeFutex } from './futex.ts';
import { releaseRobustList } from './robust-list.ts';
import { dequeue } from './run-queue.ts';
import { becomeZombie } from './zombie.ts';

/**
 * Ends one thread (exit(2)); the last one ends the process, with the code of the main thread.
 * The task must not run any more; its record stays readable until another thread ends.
 */
export function exitTask(k: Kernel, task: Task, code: number): void {
  const { process } = task;
  if (process.exited || task.state === TASK_DEAD) return;
  if (task.tid === process.pid) process.exitCode = code & 0xff;
  releaseRobustList(k, task);
  clearChildTid(k, task);
  if (process.tasks.length === 1) {
    exitProcess(k, process, process.exitCode, 0);
    return;
  }
  stopWaiting(k, task);
  flushQueue(k, process, task, SIGNAL_BITS);
  forgetInTimers(process, task);
  removeFromTable(process, task);
  offerPending(k, task);
  reap(k, process);
  process.deadTask = task;
}

/** Ends a process: all threads are dead, `exited` is set. The first caller decides how. */
export function exitProcess(k: Kernel, process: Process, code: number, signal: number): void {
  if (process.exited) return;
  process.exited = true;
  process.exitCode = code & 0xff;
  process.exitSignal = signal;
  for (let i = 0; i < process.tasks.length; i++) {
    const task = process.tasks.get(i);
    if (task !== null) stopWaiting(k, task);
  }
  if (process.realTimer !== null) disarmTimer(k, process.realTimer);
  for (let timer = process.posixTimers; timer !== null; timer = timer.nextOfProcess) {
    disarmTimer(k, timer);
  }
  leaveTerminal(k, process);
  // With the first process the sandbox ends, and all that it holds.
  if (process !== k.root.process) becomeZombie(k, process);
}

/** Takes a thread out of every list that could wake or run it. */
function stopWaiting(k: Kernel, task: Task): void {
  dequeue(k, task);
  dropFutexWaiter(k, task);
  removeWaiters(k, task);
  if (task.waitTimer !== null) {
    disarmTimer(k, task.waitTimer);
    k.arena.free(task.waitTimer);
    task.waitTimer = null;
  }
  task.state = TASK_DEAD;
}

/** CLONE_CHILD_CLEARTID, set_tid_address(2). A bad address is nobody's business any more. */
function clearChildTid(k: Kernel, task: Task): void {
  const gva = task.clearChildTid;
  if (gva === 0 || task.process.tasks.length === 1) return;
  task.clearChildTid = 0;
  writeU32(k, gva, 0);
  wakeFutex(k, task, gva, true, 1, FUTEX_BITSET_MATCH_ANY);
}

/** Timers that signal this thread (SIGEV_THREAD_ID) expire unnoticed from now on. */
function forgetInTimers(process: Process, task: Task): void {
  for (let timer = process.posixTimers; timer !== null; timer = timer.nextOfProcess) {
    if (timer.task === task) timer.task = null;
  }
}

/** Keeps the order of the others, which /proc/self/task shows. */
function removeFromTable(process: Process, task: Task): void {
  const { tasks } = process;
  let kept = 0;
  for (let i = 0; i < tasks.length; i++) {
    const other = tasks.get(i);
    if (other !== task) tasks.set(kept++, other);
  }
  for (let i = kept; i < tasks.length; i++) tasks.set(i, null);
  tasks.length = kept;
}

function reap(k: Kernel, process: Process): void {
  const dead = process.deadTask;
  if (dead === null) return;
  process.deadTask = null;
  if (k.current === dead) k.current = null;
  if (dead.xsave !== null) k.arena.free(dead.xsave);
  k.arena.free(dead);
}
