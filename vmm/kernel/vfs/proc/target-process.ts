// Whom a file of /proc is about. The argument of a process's file is its pid, that of a thread's
// its tid.
import type { Kernel } from '../../kernel.ts';
import type { Process, Task } from '../../records/task.ts';

/** The sandbox's process, or null before exec. */
export function procProcess(k: Kernel): Process | null {
  return k.root.process;
}

/**
 * The thread with this tid; for the pid of a process whose main thread has ended, its first thread.
 */
export function procTask(k: Kernel, tid: number): Task | null {
  const process = k.root.process;
  if (process === null) return null;
  for (let index = 0; index < process.tasks.length; index++) {
    const task = process.tasks.get(index);
    if (task !== null && task.tid === tid) return task;
  }
  return tid === process.pid ? process.tasks.get(0) : null;
}

/** Text up to the first NUL. */
export function textOf(bytes: Uint8Array): string {
  const end = bytes.indexOf(0);
  return new TextDecoder().decode(end < 0 ? bytes : bytes.subarray(0, end));
}
