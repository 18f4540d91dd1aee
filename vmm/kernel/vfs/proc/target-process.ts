// Whom a file of /proc is about. The argument of a process's file is its pid, that of a thread's
// its tid; that of a descriptor's is both the pid and the descriptor.
import type { Kernel } from '../../kernel.ts';
import type { Process, Task } from '../../records/task.ts';
import { findProcess, findThread, forEachProcess } from '../../task/family.ts';

/** Descriptors are below it (KernelLimits.descriptors). */
const DESCRIPTORS = 65536;

/** The process that reads, or null before exec. */
export function readingProcess(k: Kernel): Process | null {
  return k.current?.process ?? k.root.process;
}

/** The process with this pid, or with a thread of this tid; null when it is gone. */
export function procProcess(k: Kernel, id: number): Process | null {
  return findProcess(k, id) ?? findThread(k, id)?.process ?? null;
}

/**
 * The thread with this tid; for the pid of a process whose main thread has ended, its first thread.
 */
export function procTask(k: Kernel, tid: number): Task | null {
  return findThread(k, tid) ?? findProcess(k, tid)?.tasks.get(0) ?? null;
}

/** All processes, in the order of their pids. */
export function procProcesses(k: Kernel): Process[] {
  const found: Process[] = [];
  forEachProcess(k, (process) => { found.push(process); });
  return found.sort((a, b) => a.pid - b.pid);
}

/** CPU time that the guest has had. */
export function cpuNsOfAll(k: Kernel): number {
  return procProcesses(k).reduce((sum, { cpuNs, childrenCpuNs }) => sum + cpuNs + childrenCpuNs, 0);
}

/** The argument of the file of descriptor `fd` of a process. */
export function descriptorArgument(pid: number, fd: number): number {
  return pid * DESCRIPTORS + fd;
}

export function descriptorOf(argument: number): { pid: number; fd: number } {
  return { pid: Math.floor(argument / DESCRIPTORS), fd: argument % DESCRIPTORS };
}

/** Text up to the first NUL. */
export function textOf(bytes: Uint8Array): string {
  const end = bytes.indexOf(0);
  return new TextDecoder().decode(end < 0 ? bytes : bytes.subarray(0, end));
}
