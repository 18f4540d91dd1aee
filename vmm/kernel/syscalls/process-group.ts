// Process groups and sessions: setpgid(2), setsid(2) and what tells of them (credentials(7)).
import { EACCES, EINVAL, EPERM, ESRCH } from '../../abi/errno.ts';
import type { Kernel } from '../kernel.ts';
import type { Process, Task } from '../records/task.ts';
import { findProcess, groupOf, isGroupOfSession } from '../task/family.ts';
import type { Args } from './args.ts';
import { type Family, full } from './define.ts';

function getpgrp(_k: Kernel, task: Task): number {
  return task.process.pgid;
}

function getpgid(k: Kernel, task: Task, a: Args): number {
  return processNamed(k, task, a.i32(0))?.pgid ?? -ESRCH;
}

function getsid(k: Kernel, task: Task, a: Args): number {
  return processNamed(k, task, a.i32(0))?.sid ?? -ESRCH;
}

function processNamed(k: Kernel, task: Task, pid: number): Process | null {
  return pid === 0 ? task.process : findProcess(k, pid);
}

/** The checks of Linux, in its order. */
function setpgid(k: Kernel, task: Task, a: Args): number {
  const pid = a.i32(0);
  const wanted = a.i32(1) === 0 ? pid : a.i32(1);
  const { process } = task;
  if (wanted < 0) return -EINVAL;
  const target = processNamed(k, task, pid);
  if (target === null) return -ESRCH;
  if (target !== process) {
    if (target.parent !== process) return -ESRCH;
    if (target.sid !== process.sid) return -EPERM;
    if (target.hasExeced) return -EACCES;
  }
  if (target.sid === target.pid) return -EPERM;
  const pgid = wanted === 0 ? target.pid : wanted;
  if (pgid !== target.pid && !isGroupOfSession(k, pgid, process.sid)) return -EPERM;
  target.pgid = pgid;
  return 0;
}

function setsid(k: Kernel, task: Task): number {
  const { process } = task;
  const { pid } = process;
  if (process.sid === pid || groupOf(k, pid).length > 0) return -EPERM;
  process.sid = pid;
  process.pgid = pid;
  return pid;
}

export const processGroupCalls: Family = {
  getpgrp: full(getpgrp),
  getpgid: full(getpgid),
  setpgid: full(setpgid),
  getsid: full(getsid),
  setsid: full(setsid),
};
