// Job control: a stopped process has none of its threads in the run list (run-queue.ts refuses
// them).
import type { Kernel } from '../kernel.ts';
import { type Process, TASK_RUNNABLE, type Task } from '../records/task.ts';
import { dequeue, enqueue } from './run-queue.ts';

/** SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU by default. */
export function stopProcess(k: Kernel, process: Process): void {
  process.stopped = true;
  forEachRunnable(process, (task) => dequeue(k, task));
}

/** SIGCONT. */
export function continueProcess(k: Kernel, process: Process): void {
  if (!process.stopped) return;
  process.stopped = false;
  forEachRunnable(process, (task) => enqueue(k, task));
}

function forEachRunnable(process: Process, act: (task: Task) => void): void {
  for (let i = 0; i < process.tasks.length; i++) {
    const task = process.tasks.get(i);
    if (task !== null && task.state === TASK_RUNNABLE) act(task);
  }
}
