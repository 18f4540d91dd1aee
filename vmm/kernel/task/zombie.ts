// The end of a process beside the first: what it held goes at once, its record when its parent has
// waited for it (Linux: do_exit, exit_notify, release_task).
import {
  CLD_CONTINUED, CLD_EXITED, CLD_KILLED, CLD_STOPPED, SA_NOCLDSTOP, SA_NOCLDWAIT, SI_USER,
  SIG_IGN, SIGCHLD, SIGCONT,
} from '../../abi/signal.ts';
import type { Kernel } from '../kernel.ts';
import { releaseMm } from '../mm/address-space.ts';
import type { Process, Task } from '../records/task.ts';
import { handlerOf, readAction } from '../signal/actions.ts';
import { flushSignals, makeInfo, sendSignal } from '../signal/pending.ts';
import { SIGNAL_BITS } from '../signal/set.ts';
import { deletePosixTimer } from '../time/posix-timers.ts';
import { dropDentry } from '../vfs/dentry.ts';
import { closeAllFds } from '../vfs/fd-table.ts';
import { freeQueue } from '../ipc/anon-file.ts';
import { emptyPidFd, tellPidFd } from '../ipc/pidfd.ts';
import { makeWaitQueue, wake, wakeTask } from './block.ts';
import { forEachChild, forEachProcess, linkChild, reaperOf, unlinkChild } from './family.ts';
import { inProcessOf } from './fork-process.ts';
import { releaseRobustList } from './robust-list.ts';

/**
 * A process whose threads are dead gives back what it held and tells its parent.
 * Preconditions: `exited` is set; it is not the sandbox's first.
 */
export function becomeZombie(k: Kernel, process: Process): void {
  const { tasks, mm } = process;
  for (let i = 0; i < tasks.length; i++) {
    const task = tasks.get(i);
    if (task !== null) inProcessOf(k, task, () => releaseRobustList(k, task));
  }
  closeAllFds(k, process);
  endTimers(k, process);
  flushSignals(k, process, SIGNAL_BITS);
  process.mm = null;
  if (mm !== null) releaseMm(k, mm);
  letParentGo(k, process);
  giveChildrenAway(k, process);
  tellParent(k, process);
  tellPidFd(k, process);
}

function endTimers(k: Kernel, process: Process): void {
  while (process.posixTimers !== null) deletePosixTimer(k, process, process.posixTimers);
  if (process.realTimer !== null) k.arena.free(process.realTimer);
  process.realTimer = null;
}

/**
 * The thread that waits in vfork(2) for this process goes on: it has execed or ended. Whoever else
 * is woken finds that its call has to wait on.
 */
export function letParentGo(k: Kernel, process: Process): void {
  if (!process.holdsParent) return;
  process.holdsParent = false;
  forEachProcess(k, ({ tasks }) => {
    for (let i = 0; i < tasks.length; i++) {
      const task = tasks.get(i);
      if (task !== null && task.waitArgument === process.pid) wakeTask(k, task);
    }
  });
}

/** Wakes threads that wait for a child. Takes no memory: a process can always end. */
function wakeWaiting(k: Kernel, parent: Process): void {
  if (parent.childQueue !== null) wake(k, parent.childQueue);
}

/** Where a process's threads wait for its children; made when the first one does. */
export function childQueueOf(k: Kernel, process: Process): NonNullable<Process['childQueue']> {
  process.childQueue ??= makeWaitQueue(k);
  return process.childQueue;
}

function giveChildrenAway(k: Kernel, process: Process): void {
  const reaper = reaperOf(k, process);
  forEachChild(process, (child) => {
    unlinkChild(child);
    linkChild(reaper, child);
    child.childSignal = SIGCHLD;
    if (child.parentDeathSignal !== 0 && !child.exited) {
      sendSignal(k, child, makeInfo(child.parentDeathSignal, SI_USER, process.pid));
    }
    if (child.exited && !child.isGone) tellParent(k, child);
  });
}

/** Linux: do_notify_parent. Who ignores SIGCHLD does not wait for its children. */
function tellParent(k: Kernel, process: Process): void {
  const { parent, childSignal } = process;
  if (parent === null) return;
  if (childSignal === SIGCHLD && leavesChildren(parent)) process.isGone = true;
  if (childSignal !== 0 && handlerOf(parent, childSignal) !== SIG_IGN) {
    const isKilled = process.exitSignal !== 0;
    sendSignal(k, parent, {
      ...makeInfo(childSignal, isKilled ? CLD_KILLED : CLD_EXITED, process.pid, process.realUid),
      value: isKilled ? process.exitSignal : process.exitCode,
    });
  }
  wakeWaiting(k, parent);
}

function leavesChildren(parent: Process): boolean {
  const { handler, flags } = readAction(parent, SIGCHLD);
  return handler === SIG_IGN || (flags & SA_NOCLDWAIT) !== 0;
}

/** A process was stopped by `signal`: its parent hears of it. */
export function reportStop(k: Kernel, process: Process, signal: number): void {
  process.stopReport = signal;
  process.continueReport = false;
  tellOfStop(k, process, CLD_STOPPED, signal);
}

/** A stopped process goes on. */
export function reportContinue(k: Kernel, process: Process): void {
  process.stopReport = 0;
  process.continueReport = true;
  tellOfStop(k, process, CLD_CONTINUED, SIGCONT);
}

function tellOfStop(k: Kernel, process: Process, code: number, value: number): void {
  const { parent } = process;
  if (parent === null) return;
  if ((readAction(parent, SIGCHLD).flags & SA_NOCLDSTOP) === 0) {
    sendSignal(k, parent, { ...makeInfo(SIGCHLD, code, process.pid, process.realUid), value });
  }
  wakeWaiting(k, parent);
}

/** Takes a zombie out of the tree and frees it. Preconditions: it is not the current process. */
export function reapProcess(k: Kernel, process: Process): void {
  const { parent } = process;
  if (parent !== null) parent.childrenCpuNs += process.cpuNs + process.childrenCpuNs;
  unlinkChild(process);
  freeProcess(k, process);
}

/** Frees what nobody will wait for. Preconditions: as reapProcess(). */
export function sweepGone(k: Kernel, parent: Process): void {
  forEachChild(parent, (child) => {
    if (child.isGone && k.current?.process !== child) reapProcess(k, child);
  });
}

/** Frees the records of a process that has no memory, children or parent. */
export function freeProcess(k: Kernel, process: Process): void {
  const { arena } = k;
  const { tasks, fds, cmdline, environ, groups, exe } = process;
  closeAllFds(k, process);
  emptyPidFd(k, process);
  for (let i = 0; i < tasks.length; i++) freeTask(k, tasks.get(i));
  if (process.deadTask !== null) freeTask(k, process.deadTask);
  for (const queue of [process.childQueue, process.signalQueue]) {
    if (queue !== null) freeQueue(k, queue);
  }
  for (const dentry of [process.root, process.cwd, exe]) {
    if (dentry !== null) dropDentry(k, dentry);
  }
  for (const record of [cmdline, environ, groups, process.actions, tasks]) {
    if (record !== null) arena.free(record);
  }
  arena.free(fds.slots);
  arena.free(fds.closeOnExec);
  arena.free(fds);
  arena.free(process);
}

function freeTask(k: Kernel, task: Task | null): void {
  if (task === null) return;
  if (task.xsave !== null) k.arena.free(task.xsave);
  k.arena.free(task);
}
