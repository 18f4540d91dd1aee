// Blocking without closures. A handler that cannot finish calls block() and returns what it
// returns. wake() makes the tasks of a queue runnable; the scheduler then executes the whole call
// again. What a call must remember between executions is in the task: waitDeadlineNs, waitProgress,
// waitState, …
//
//   handler ── not ready ──► block(k, task, queues) ──► BLOCKED          (task leaves the run list)
//      ▲                                                   │
//      └────────── executed again ◄── wake(k, queue) / deadline / signal
//
// Invariant: a task has waiters only while it is TASK_BLOCKED.
import type { Kernel } from '../kernel.ts';
import { TASK_BLOCKED, TASK_RUNNABLE, type Task, Waiter, WaitQueue } from '../records/task.ts';
import { BLOCKED, ERESTART_RESTARTBLOCK, ERESTARTSYS } from '../syscalls/define.ts';
import { hasDeliverableSignal } from '../signal/pending.ts';
import { armTimer, disarmTimer } from '../time/timers.ts';
import { TIMER_WAKE_TASK, Timer } from '../records/time.ts';
import { dequeue, enqueue } from './run-queue.ts';
import { notifyEpollItem } from '../ipc/epoll-ready.ts';

/**
 * Makes `task` wait for a wake-up of any of `queues`, or for `task.waitDeadlineNs` when that is not
 * 0.
 * @param interruption restart code to return when a signal is pending (ERESTART*, or EINTR)
 * @returns BLOCKED, or -interruption at once when a signal is deliverable
 */
export function block(
  k: Kernel,
  task: Task,
  queues: readonly WaitQueue[],
  interruption: number = ERESTARTSYS,
): number {
  if (task.restartDeadlineNs !== 0) resumeDeadline(task);
  if (hasDeliverableSignal(task)) {
    // The deadline outlives the interruption, for the call may be restarted (signal/restart.ts).
    if (interruption === ERESTART_RESTARTBLOCK) task.restartDeadlineNs = task.waitDeadlineNs;
    return -interruption;
  }
  if (task.waitDeadlineNs !== 0) armWakeTimer(k, task);
  try {
    for (const queue of queues) addWaiter(k, queue, task);
  } catch (error) {
    removeWaiters(k, task);
    if (task.waitTimer !== null) disarmTimer(k, task.waitTimer);
    throw error;
  }
  task.state = TASK_BLOCKED;
  dequeue(k, task);
  return BLOCKED;
}

/**
 * Makes `task` wait for wakeTask(), whatever signals come; the caller looks again whether it has
 * what it waits for. Takes no memory.
 */
export function blockUninterruptibly(k: Kernel, task: Task): number {
  task.state = TASK_BLOCKED;
  dequeue(k, task);
  return BLOCKED;
}

/** Wakes every task in `queue` and tells every epoll instance that is interested. */
export function wake(k: Kernel, queue: WaitQueue): void {
  // Waking a task unlinks all of its entries, neighbours included, so the list is read first.
  const tasks: Task[] = [];
  for (let waiter = queue.first; waiter !== null; waiter = waiter.next) {
    if (waiter.item !== null) notifyEpollItem(k, waiter.item);
    else if (waiter.task !== null) tasks.push(waiter.task);
  }
  for (const task of tasks) wakeTask(k, task);
}

/** Makes one blocked task runnable; its call is executed again. */
export function wakeTask(k: Kernel, task: Task): void {
  if (task.state !== TASK_BLOCKED) return;
  removeWaiters(k, task);
  if (task.waitTimer !== null) disarmTimer(k, task.waitTimer);
  task.state = TASK_RUNNABLE;
  enqueue(k, task);
}

export function makeWaitQueue(k: Kernel): WaitQueue {
  return k.arena.make(WaitQueue);
}

/** Links an entry for `task` (or, with `item` set by the caller afterwards, for epoll). */
export function addWaiter(k: Kernel, queue: WaitQueue, task: Task | null): Waiter {
  const waiter = k.arena.make(Waiter);
  waiter.queue = queue;
  waiter.task = task;
  waiter.next = queue.first;
  if (queue.first !== null) queue.first.previous = waiter;
  queue.first = waiter;
  if (task !== null) {
    waiter.nextOfOwner = task.waiters;
    task.waiters = waiter;
  }
  return waiter;
}

/** Unlinks and frees one entry. */
export function removeWaiter(k: Kernel, waiter: Waiter): void {
  const { next, previous, queue } = waiter;
  if (previous === null) queue.first = next;
  else previous.next = next;
  if (next !== null) next.previous = previous;
  k.arena.free(waiter);
}

/** Unlinks all entries of a task. */
export function removeWaiters(k: Kernel, task: Task): void {
  let waiter = task.waiters;
  task.waiters = null;
  while (waiter !== null) {
    const next: Waiter | null = waiter.nextOfOwner;
    removeWaiter(k, waiter);
    waiter = next;
  }
}

/** A restarted call has computed a new deadline; the one of its first life counts. */
function resumeDeadline(task: Task): void {
  if (task.waitDeadlineNs !== 0) {
    task.waitDeadlineNs = Math.min(task.waitDeadlineNs, task.restartDeadlineNs);
  }
  task.restartDeadlineNs = 0;
  task.restartRip = 0;
}

function armWakeTimer(k: Kernel, task: Task): void {
  let timer = task.waitTimer;
  if (timer === null) {
    timer = k.arena.make(Timer);
    timer.action = TIMER_WAKE_TASK;
    timer.task = task;
    task.waitTimer = timer;
  }
  timer.isReal = task.waitIsReal;
  armTimer(k, timer, task.waitDeadlineNs, 0);
}
