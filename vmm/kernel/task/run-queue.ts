// The run list: threads that can run, a circular doubly linked list through Task.runNext/runPrev
// whose head (Sandbox.runHead) is the next to run. Round robin; one vCPU.
import type { Kernel } from '../kernel.ts';
import type { Task } from '../records/task.ts';

/**
 * Puts a runnable task at the end of the list. No effect when it is in the list, or while its
 * process is stopped (task/stop.ts puts it back then).
 */
export function enqueue(k: Kernel, task: Task): void {
  if (task.runNext !== null || task.process.stopped) return;
  const head = k.root.runHead;
  if (head === null) {
    task.runNext = task;
    task.runPrev = task;
    k.root.runHead = task;
    return;
  }
  const tail = head.runPrev as Task;
  task.runNext = head;
  task.runPrev = tail;
  tail.runNext = task;
  head.runPrev = task;
}

/** Takes a task out of the list. No effect when it is not in it. */
export function dequeue(k: Kernel, task: Task): void {
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

/** Ends the turn of the head: the next one comes. */
export function rotate(k: Kernel): void {
  const head = k.root.runHead;
  if (head !== null) k.root.runHead = head.runNext;
}

/** Whether anybody else could run. */
export function hasOthers(k: Kernel): boolean {
  const head = k.root.runHead;
  return head !== null && head.runNext !== head;
}
