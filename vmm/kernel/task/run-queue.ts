// The run list: threads that can run, a circular doubly linked list through Task.runNext/runPrev,
// sorted by virtual time (the CPU time a thread has had); its head (Sandbox.runHead) runs. One
// vCPU.
//
//   head ─► least virtual time ─► … ─► most ─┐      a slice ends: the head is charged and sorted in
//    ▲                                        │      anew; a woken thread enters near the front, so
//    └────────────────────────────────────────┘      that one that spins cannot delay it by a slice
//
// Invariant: a thread in the list never waits longer than the time the others need to catch up with
// it.
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
  task.virtualNs = Math.max(task.virtualNs, head.virtualNs - CREDIT_NS);
  const mayPreempt = task.virtualNs + GRANULARITY_NS < head.virtualNs;
  insertSorted(k, head, task, mayPreempt);
}

/** Links `task` before the first one with more virtual time; before the head only if allowed. */
function insertSorted(k: Kernel, head: Task, task: Task, mayPreempt: boolean): void {
  let before = mayPreempt ? head : head.runNext as Task;
  while (before !== head && before.virtualNs <= task.virtualNs) before = before.runNext as Task;
  if (before === head && mayPreempt) k.root.runHead = task;
  const previous = before.runPrev as Task;
  task.runNext = before;
  task.runPrev = previous;
  previous.runNext = task;
  before.runPrev = task;
}

/** Takes a task out of the list. No effect when it is not in it. */
export function dequeue(k: Kernel, task: Task): void {
  const { runNext, runPrev } = task;
  if (runNext === null || runPrev === null) return;
  k.root.virtualNs = Math.max(k.root.virtualNs, task.virtualNs);
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

/** Charges the head with the CPU time it has had, without ending its turn. */
export function charge(task: Task, ns: number): void {
  task.virtualNs += ns;
}

/** Ends a time slice: the head goes where its virtual time puts it. */
export function endSlice(k: Kernel): void {
  const head = k.root.runHead;
  if (head === null || head.runNext === head) return;
  dequeue(k, head);
  enqueue(k, head);
  // Equal times: the head has had its turn.
  if (k.root.runHead === head) k.root.runHead = head.runNext;
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
