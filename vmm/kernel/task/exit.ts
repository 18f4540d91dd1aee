// The end of threads and of the process. (Signatures; the body follows.)
import type { Kernel } from '../kernel.ts';
import { type Process, TASK_DEAD, type Task } from '../records/task.ts';
import { dequeue } from './run-queue.ts';

/** Ends one thread (exit(2)); the last one ends the process with its code. */
export function exitTask(k: Kernel, task: Task, code: number): void {
  exitProcess(k, task.process, code, 0);
}

/** Ends the process: all threads are dead, `exited` is set. The first caller decides how. */
export function exitProcess(k: Kernel, process: Process, code: number, signal: number): void {
  if (process.exited) return;
  process.exited = true;
  process.exitCode = code & 0xff;
  process.exitSignal = signal;
  for (let i = 0; i < process.tasks.length; i++) {
    const task = process.tasks.get(i);
    if (task === null) continue;
    dequeue(k, task);
    task.state = TASK_DEAD;
  }
}
