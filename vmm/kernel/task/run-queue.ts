// The run list: threads that can run, a circular doubly linked list through Task.runNext/runPrev,
// sorted by virtual time (the CPU time a thread has had); its head (Sandbox.runHead) runs. One
// vCPU.
//
//   head ─► least virtual time ─► … ─► most ─┐      a slice ends: the head is charged and sorted in
//    ▲                                        │      anew; a woken thread enters near the front, so
//    └────────────────────────────────────────┘      that one that spins cannot delay it by a slice
//
// Invariant: behind the head, virtual times do not fall. The head's may be more than the next one's
// by GRANULARITY_NS and by its slice, until that ends. So a thread in the list never waits longer
// than the others need to catch up with it.
import type { Kernel } from '../kernel.ts';
import type { Task } from '../records/task.ts';

/** How far a woken thread may be behind the others: it cannot save up time by sleeping. */
const CREDIT_NS = 4e6;
/** A woken thread takes the CPU from the head only when it is this far behind it. */
const GRANULARITY_NS = 1e6;

/**
 * Sorts a runnable task in. No effect when it is in the list, or while its process is stopped
 * (task/stop.ts puts it back then).
 */
export function enqueue(k: Kernel, task: Task): void {
  if (task.runNext !== null || task.process.stopped) return;
  const head = k.root.runHead;
  if (head === null) {
    task.virtualNs = Math.max(task.virtualNs, k.root.virtualNs);
    task.runNext = task;
    task.runPrev = task;
    k.root.runHead = task;
    return;
  }
  advance(k, head);
  task.virtualNs = Math.max(task.virtualNs, k.root.virtualNs - CREDIT_NS);
  if (task.virtualNs + GRANULARITY_NS < head.virtualNs) linkAsHead(k, head, task);
  else insertBehind(head, task);
}

/** The list's own time follows its head, but never goes back: credit is given once. */
function advance(k: Kernel, head: Task): void {
  k.root.virtualNs = Math.max(k.root.virtualNs, head.virtualNs);
}

function linkAsHead(k: Kernel, head: Task, task: Task): void {
  linkBefore(head, task);
  k.root.runHead = task;
  settle(k, task, head);
}

/** Sorts in anew a thread behind the head that has had more CPU time than the next one. */
function settle(k: Kernel, head: Task, task: Task): void {
  const next = task.runNext as Task;
  if (next === head || next.virtualNs >= task.virtualNs) return;
  unlink(k, task);
  insertBehind(head, task);
}

/**
 * Links `task` behind the head and behind everyone with no more virtual time. Searches from both
 * ends: one that wakes belongs near the front, one whose slice is over near the end, and of many
 * that wake at once each belongs behind the last.
 */
function insertBehind(head: Task, task: Task): void {
  const { virtualNs } = task;
  let front = head.runNext as Task;
  let back = head.runPrev as Task;
  for (;;) {
    if (front === head || front.virtualNs > virtualNs) {
      linkBefore(front, task);
      return;
    }
    if (back === head || back.virtualNs <= virtualNs) {
      linkBefore(back.runNext as Task, task);
      return;
    }
    front = front.runNext as Task;
    back = back.runPrev as Task;
  }
}

function linkBefore(next: Task, task: Task): void {
  const previous = next.runPrev as Task;
  task.runNext = next;
  task.runPrev = previous;
  previous.runNext = task;
  next.runPrev = task;
}

/** Takes a task out of the list. No effect when it is not in it. */
export function dequeue(k: Kernel, task: Task): void {
  if (task.runNext === null) return;
  if (task === k.root.runHead) advance(k, task);
  unlink(k, task);
}

function unlink(k: Kernel, task: Task): void {
  const { runNext, runPrev } = task;
  if (runNext === null || runPrev === null) return;
  if (runNext === task) {
    k.root.runHead = null;
  } else {
    runPrev.runNext = runNext;
    runNext.runPrev = runPrev;
    if (k.root.runHead === task) k.root.runHead = runNext;
  }
  task.runNext = null;
  task.runPrev = null;
}

/** The task whose turn it is, or null when all are blocked. */
export function nextTask(k: Kernel): Task | null {
  return k.root.runHead;
}

/**
 * Charges a thread with the CPU time it has had, without ending its turn. One that another has
 * taken the CPU from is sorted in anew.
 */
export function charge(k: Kernel, task: Task, ns: number): void {
  task.virtualNs += ns;
  const head = k.root.runHead;
  if (head !== null && task !== head && task.runNext !== null) settle(k, head, task);
}

/**
 * Ends a time slice: the head goes where its virtual time puts it, behind those with the same.
 * Order: it has been charged with the slice, or it may stay the head for ever.
 */
export function endSlice(k: Kernel): void {
  const task = k.root.runHead;
  if (task === null || task.runNext === task) return;
  unlink(k, task);
  const head = k.root.runHead as Task;
  if (task.virtualNs < head.virtualNs) linkAsHead(k, head, task);
  else insertBehind(head, task);
}

/** sched_yield(2): the head goes behind everybody else. */
export function rotate(k: Kernel): void {
  const head = k.root.runHead;
  if (head === null || head.runNext === head) return;
  head.virtualNs = Math.max(head.virtualNs, (head.runPrev as Task).virtualNs);
  k.root.runHead = head.runNext;
}

/** Whether anybody else could run. */
export function hasOthers(k: Kernel): boolean {
  const head = k.root.runHead;
  return head !== null && head.runNext !== head;
}
