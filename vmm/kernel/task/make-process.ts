// New processes and threads, as records with the values a fresh container starts with.
//
// The first process has the pid that its first thread's tid is; execve and boot fill in the rest.
import { NSEC_PER_USEC } from '../../abi/time.ts';
import type { Kernel } from '../kernel.ts';
import {
  Process, SignalActions, Task, TASK_RUNNABLE, TaskTable,
} from '../records/task.ts';
import { growTable } from '../state/containers.ts';
import { nowNs } from '../time/clock.ts';
import { holdDentry } from '../vfs/dentry.ts';
import { makeFdTable } from '../vfs/fd-table.ts';
import { forEachProcess } from './family.ts';
import { setDefaultLimits } from './limits.ts';
import { enqueue } from './run-queue.ts';

/** Linux: PID_MAX_LIMIT on 64-bit machines; tids are below it. */
export const PID_MAX = 4_194_304;
/** Where tids begin again after the highest one (Linux: RESERVED_PIDS). */
const RESERVED_PIDS = 300;
/** Linux: the default timer slack of a thread. */
const TIMER_SLACK_NS = 50 * NSEC_PER_USEC;
const FIRST_TASKS = 16;

/**
 * What root has in a container (docker's default set): CHOWN, DAC_OVERRIDE, FOWNER, FSETID, KILL,
 * SETGID, SETUID, SETPCAP, NET_BIND_SERVICE, NET_RAW, SYS_CHROOT, MKNOD, AUDIT_WRITE, SETFCAP.
 */
export const CONTAINER_CAPABILITIES: bigint = 0xa804_25fbn;

/**
 * Makes the sandbox's first process, without threads or an address space, and registers it in the
 * root.
 * Preconditions: the root is mounted (k.root.rootDentry).
 */
export function makeProcess(k: Kernel): Process {
  const { rootDentry } = k.root;
  if (rootDentry === null) throw new Error('makeProcess() needs a mounted root');
  const process = k.arena.make(Process);
  process.pid = takeTid(k);
  process.pgid = process.pid;
  process.sid = process.pid;
  process.tasks = k.arena.make(TaskTable, FIRST_TASKS * 4);
  process.fds = makeFdTable(k);
  process.root = holdDentry(k, rootDentry);
  process.cwd = holdDentry(k, rootDentry);
  process.umask = 0o022;
  process.actions = k.arena.make(SignalActions);
  process.startedNs = nowNs(k);
  process.dumpable = 1;
  process.capEffective = CONTAINER_CAPABILITIES;
  process.capPermitted = CONTAINER_CAPABILITIES;
  process.capBounding = CONTAINER_CAPABILITIES;
  setDefaultLimits(k, process);
  k.root.process = process;
  return process;
}

/** Makes a runnable thread with zeroed registers. The first one's tid is the pid. */
export function makeTask(k: Kernel, process: Process): Task {
  const { length } = process.tasks;
  process.tasks = growTable(TaskTable, process.tasks, length + 1);
  const task = k.arena.make(Task);
  task.tid = length === 0 ? process.pid : takeTid(k);
  task.process = process;
  task.state = TASK_RUNNABLE;
  task.syscall = -1;
  task.timerSlackNs = TIMER_SLACK_NS;
  process.tasks.set(length, task);
  process.tasks.length = length + 1;
  enqueue(k, task);
  return task;
}

/** The thread with this tid, or null. */
export function findTask(process: Process, tid: number): Task | null {
  const { tasks } = process;
  for (let i = 0; i < tasks.length; i++) {
    const task = tasks.get(i);
    if (task !== null && task.tid === tid) return task;
  }
  return null;
}

/** Whether a process, a thread, a group or a session has the number. */
function isTaken(k: Kernel, id: number): boolean {
  let isUsed = false;
  forEachProcess(k, (process) => {
    const { pid, pgid, sid } = process;
    if (pid === id || pgid === id || sid === id || findTask(process, id) !== null) isUsed = true;
  });
  return isUsed;
}

/** The next free pid or tid. Numbers are used again only after PID_MAX threads. */
export function takeTid(k: Kernel): number {
  const { root } = k;
  for (;;) {
    const serial = root.nextTid++;
    if (serial < PID_MAX) return serial;
    const tid = RESERVED_PIDS + serial % (PID_MAX - RESERVED_PIDS);
    if (!isTaken(k, tid)) return tid;
  }
}
