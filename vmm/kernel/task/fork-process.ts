// A new process: fork(2), vfork(2), and clone(2) without CLONE_THREAD. Its memory is a copy that
// shares frames until somebody writes (mm/fork-space.ts), or, for vfork and posix_spawn, the
// parent's own until it execs or ends.
import {
  CLONE_CHILD_CLEARTID, CLONE_CHILD_SETTID, CLONE_CLEAR_SIGHAND, CLONE_PARENT,
  CLONE_PARENT_SETTID, CLONE_SETTLS, CLONE_VFORK, CLONE_VM,
} from '../../abi/sched.ts';
import { type Kernel, processOf } from '../kernel.ts';
import { releaseMm } from '../mm/address-space.ts';
import { forkMm } from '../mm/fork-space.ts';
import { writeU32 } from '../mm/user-memory.ts';
import type { Mm } from '../records/mm.ts';
import { Process, SignalActions, type Task, TaskTable } from '../records/task.ts';
import { type Bytes, makeBytes, makeWords, type Words } from '../state/containers.ts';
import type { Rec } from '../state/record.ts';
import { resetActionsForExec } from '../signal/actions.ts';
import { REG, setReg } from '../syscalls/args.ts';
import { nowNs } from '../time/clock.ts';
import { holdDentry } from '../vfs/dentry.ts';
import { copyFdTable } from '../vfs/fd-table.ts';
import { copyTask, type CloneRequest } from './clone.ts';
import { linkChild } from './family.ts';
import { takeTid } from './make-process.ts';
import { dequeue } from './run-queue.ts';
import { freeProcess, sweepGone } from './zombie.ts';

/** What a child has from its parent, number by number. */
const INHERITED = [
  'pgid', 'sid', 'umask', 'uid', 'gid', 'dumpable', 'noNewPrivileges', 'realUid', 'savedUid',
  'fsUid', 'realGid', 'savedGid', 'fsGid', 'capEffective', 'capPermitted', 'capInheritable',
  'capBounding', 'capAmbient', 'keepCaps', 'personality', 'hugePagesDisabled',
] as const;
const FIRST_TASKS = 4;

/**
 * Makes a child of `parent`'s process with one thread, a copy of `parent`.
 * @throws ArenaFullError when records or page tables run out; nothing of it is left then
 */
export function forkProcess(k: Kernel, parent: Task, request: CloneRequest): Process {
  const { flags } = request;
  sweepGone(k, parent.process);
  sweepGone(k, processOf(k));
  const child = copyProcess(k, parent.process);
  try {
    child.mm = copyMm(k, parent.process.mm, (flags & CLONE_VM) !== 0);
    if (Math.floor(flags / CLONE_CLEAR_SIGHAND) % 2 === 1) resetActionsForExec(child);
    const task = copyTask(k, parent, child);
    startThread(k, parent, task, request);
  } catch (error) {
    const started = child.tasks.get(0);
    if (started !== null) dequeue(k, started);
    if (child.mm !== null) releaseMm(k, child.mm);
    freeProcess(k, child);
    throw error;
  }
  child.childSignal = request.exitSignal;
  child.holdsParent = (flags & CLONE_VFORK) !== 0;
  const { parent: grandparent } = parent.process;
  const isSibling = (flags & CLONE_PARENT) !== 0 && grandparent !== null;
  linkChild(isSibling ? grandparent : parent.process, child);
  return child;
}

/** The process without threads and memory. @throws ArenaFullError, with nothing left of it */
function copyProcess(k: Kernel, parent: Process): Process {
  const made: Rec[] = [];
  const keep = <T extends Rec | null>(record: T): T => {
    if (record !== null) made.push(record);
    return record;
  };
  try {
    const child = keep(k.arena.make(Process));
    child.tasks = keep(k.arena.make(TaskTable, FIRST_TASKS * 4));
    child.actions = keep(k.arena.make(SignalActions));
    child.cmdline = keep(copyBytes(k, parent.cmdline));
    child.environ = keep(copyBytes(k, parent.environ));
    child.groups = keep(copyWords(k, parent.groups));
    child.fds = copyFdTable(k, parent.fds);
    inheritAll(k, child, parent);
    return child;
  } catch (error) {
    for (const record of made) k.arena.free(record);
    throw error;
  }
}

function inheritAll(k: Kernel, child: Process, parent: Process): void {
  child.pid = takeTid(k);
  for (const field of INHERITED) inherit(child, parent, field);
  child.actions.actions = parent.actions.actions;
  child.root = holdDentry(k, parent.root);
  child.cwd = holdDentry(k, parent.cwd);
  child.exe = parent.exe === null ? null : holdDentry(k, parent.exe);
  child.limits = parent.limits;
  child.startedNs = nowNs(k);
}

function inherit<F extends typeof INHERITED[number]>(
  child: Process, parent: Process, field: F,
): void {
  child[field] = parent[field];
}

function copyBytes(k: Kernel, bytes: Bytes | null): Bytes | null {
  return bytes === null ? null : makeBytes(k.arena, bytes.data);
}

function copyWords(k: Kernel, words: Words | null): Words | null {
  if (words === null) return null;
  const copy = makeWords(k.arena, words.data.length);
  copy.length = words.length;
  copy.data.set(words.data);
  return copy;
}

function copyMm(k: Kernel, mm: Mm | null, isShared: boolean): Mm | null {
  if (mm === null || !isShared) return mm === null ? null : forkMm(k, mm);
  mm.sharers++;
  return mm;
}

/** The child's first steps, in the order of copy_process() and schedule_tail(). */
function startThread(k: Kernel, parent: Task, task: Task, request: CloneRequest): void {
  const flags = request.flags | 0;
  setReg(task, REG.rax, 0);
  if (request.stack !== 0) setReg(task, REG.rsp, request.stack);
  if ((flags & CLONE_SETTLS) !== 0) task.fsBase = request.tls;
  if ((flags & CLONE_CHILD_CLEARTID) !== 0) task.clearChildTid = request.childTid;
  if ((flags & (CLONE_VM | CLONE_VFORK)) !== CLONE_VM) {
    task.altStack = parent.altStack;
    task.altStackBytes = parent.altStackBytes;
    task.altStackFlags = parent.altStackFlags;
  }
  // Linux does not look whether these two succeed.
  if ((flags & CLONE_PARENT_SETTID) !== 0) writeU32(k, request.parentTid, task.tid);
  if ((flags & CLONE_CHILD_SETTID) !== 0) {
    inProcessOf(k, task, () => writeU32(k, request.childTid, task.tid));
  }
}

/** Does something with the memory of another process. The FPU is not touched meanwhile. */
export function inProcessOf(k: Kernel, task: Task, act: () => void): void {
  const { current } = k;
  k.current = task;
  try {
    act();
  } finally {
    k.current = current;
  }
}
