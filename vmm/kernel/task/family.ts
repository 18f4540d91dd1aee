// The tree of processes. The sandbox's first process is the root of it: orphans become its
// children, and when it ends, the sandbox does.
//
//   Process.children ─► newest child ─► nextSibling ─► …        zombies included, until waited for
//
// A process that ended and that nobody will wait for (`isGone`) stays linked until its parent's
// next call that looks at children: whoever handles its last call still holds its records.
import type { Kernel } from '../kernel.ts';
import { processOf } from '../kernel.ts';
import type { Mm } from '../records/mm.ts';
import type { Process, Task } from '../records/task.ts';

/** Visits every process that is not gone, zombies included, parents before their children. */
export function forEachProcess(k: Kernel, visit: (process: Process) => void): void {
  const waiting: Process[] = k.root.process === null ? [] : [k.root.process];
  for (let process = waiting.pop(); process !== undefined; process = waiting.pop()) {
    if (!process.isGone) visit(process);
    forEachChild(process, (child) => { waiting.push(child); });
  }
}

/** The address spaces of the sandbox, each once, the first process's first. */
export function listSpaces(k: Kernel): Mm[] {
  const spaces: Mm[] = [];
  forEachProcess(k, ({ mm }) => {
    if (mm !== null && !spaces.includes(mm)) spaces.push(mm);
  });
  return spaces;
}

/** Visits the children of a process, gone ones included. */
export function forEachChild(process: Process, visit: (child: Process) => void): void {
  let child = process.children;
  while (child !== null) {
    const next: Process | null = child.nextSibling;
    visit(child);
    child = next;
  }
}

/** The process with this pid, a zombie perhaps; null when there is none. */
export function findProcess(k: Kernel, pid: number): Process | null {
  if (k.root.process?.pid === pid) return k.root.process;
  let found: Process | null = null;
  forEachProcess(k, (process) => { if (process.pid === pid) found = process; });
  return found;
}

/** The thread with this tid in any process; null when there is none. */
export function findThread(k: Kernel, tid: number): Task | null {
  let found: Task | null = null;
  forEachProcess(k, (process) => { found ??= threadOf(process, tid); });
  return found;
}

function threadOf({ tasks }: Process, tid: number): Task | null {
  for (let i = 0; i < tasks.length; i++) {
    const task = tasks.get(i);
    if (task !== null && task.tid === tid) return task;
  }
  return null;
}

/** Processes of a group; a zombie is one of it until it is waited for. */
export function groupOf(k: Kernel, pgid: number): Process[] {
  const members: Process[] = [];
  forEachProcess(k, (process) => { if (process.pgid === pgid) members.push(process); });
  return members;
}

/** Whether a group of that number is in the session. */
export function isGroupOfSession(k: Kernel, pgid: number, sid: number): boolean {
  let found = false;
  forEachProcess(k, (process) => {
    if (process.pgid === pgid && process.sid === sid) found = true;
  });
  return found;
}

/** Threads of all processes, or of those of one real user. */
export function countThreads(k: Kernel, uid?: number): number {
  let count = 0;
  forEachProcess(k, ({ tasks, exited, realUid }) => {
    if (uid === undefined || uid === realUid) count += exited ? 1 : tasks.length;
  });
  return count;
}

/** Makes `child` the newest child of `parent`. */
export function linkChild(parent: Process, child: Process): void {
  child.parent = parent;
  child.ppid = parent.pid;
  child.nextSibling = parent.children;
  parent.children = child;
}

/** Takes a child out of its parent's list. */
export function unlinkChild(child: Process): void {
  const { parent } = child;
  if (parent === null) return;
  if (parent.children === child) {
    parent.children = child.nextSibling;
  } else {
    let before = parent.children;
    while (before !== null && before.nextSibling !== child) before = before.nextSibling;
    if (before !== null) before.nextSibling = child.nextSibling;
  }
  child.nextSibling = null;
  child.parent = null;
}

/** Who takes the children of a process that ends: the nearest subreaper, else the first process. */
export function reaperOf(k: Kernel, process: Process): Process {
  for (let at = process.parent; at !== null; at = at.parent) {
    if (at.isSubreaper && !at.exited) return at;
  }
  return processOf(k);
}
