// Pending signals: sending, choosing who takes them, taking them out of the queues.
//
//   sendSignal ──► process.pending ─┐
//   sendSignalToTask ──► task.pending ─┴──► dequeueSignal (deliverSignals, sigtimedwait, signalfd)
//
// Standard signals (below SIGRTMIN) are queued at most once per queue, real-time ones as often as
// sent, up to RLIMIT_SIGPENDING. Both queues are in order of arrival.
//
// Invariant: process.queuedSignals is the number of entries in all of the process's queues.
import { EAGAIN } from '../../abi/errno.ts';
import { RLIMIT_SIGPENDING } from '../../abi/resource.ts';
import {
  SI_TIMER, SI_USER, SIGBUS, SIGCONT, SIGFPE, SIGILL, SIGKILL, SIGRTMIN, SIGSEGV, SIGSYS, SIGTRAP,
} from '../../abi/signal.ts';
import type { Kernel } from '../kernel.ts';
import {
  PendingSignal, type Process, TASK_BLOCKED, TASK_DEAD, type Task,
} from '../records/task.ts';
import { ArenaFullError } from '../state/arena.ts';
import { notifySignalFds } from '../ipc/signalfd.ts';
import { wake, wakeTask } from '../task/block.ts';
import { softLimit } from '../task/limits.ts';
import { exitProcess } from '../task/exit.ts';
import { continueProcess } from '../task/stop.ts';
import { reportContinue } from '../task/zombie.ts';
import { isIgnored } from './actions.ts';
import { DEFAULT_STOP, setOf, SIGNAL_BITS, signalBit } from './set.ts';

/** What siginfo tells of one signal; see records/task.ts PendingSignal. */
export interface SignalInfo {
  signal: number;
  /** SI_* or a code of the signal. */
  code: number;
  errno: number;
  pid: number;
  uid: number;
  value: number;
  sigval: bigint;
}

/** Signals that come from what the thread itself just did; they are taken first. */
const SYNCHRONOUS = setOf(SIGSEGV, SIGBUS, SIGILL, SIGTRAP, SIGFPE, SIGSYS);

/** A signal that carries no more than its sender. */
export function makeInfo(
  signal: number,
  code: number,
  pid: number = 0,
  uid: number = 0,
): SignalInfo {
  return { signal, code, errno: 0, pid, uid, value: 0, sigval: 0n };
}

/** Signals pending for the thread: its own and the process's. */
export function pendingSet(task: Task): bigint {
  return setOfQueue(task.pending) | setOfQueue(task.process.pending);
}

/** Whether `task` has a signal to take before it returns to the guest. */
export function hasDeliverableSignal(task: Task): boolean {
  if (task.pending === null && task.process.pending === null) return false;
  return (pendingSet(task) & ~task.mask) !== 0n;
}

/**
 * Sends a signal to a process; any thread that does not block it may take it.
 * @returns 0 (also when it is ignored), or -EAGAIN when the queue is full
 */
export function sendSignal(k: Kernel, process: Process, info: SignalInfo): number {
  const leader = process.tasks.get(0);
  return leader === null ? 0 : send(k, process, leader, false, info);
}

/** Sends a signal to one thread. Results as sendSignal. */
export function sendSignalToTask(k: Kernel, task: Task, info: SignalInfo): number {
  return task.state === TASK_DEAD ? 0 : send(k, task.process, task, true, info);
}

function send(
  k: Kernel,
  process: Process,
  task: Task,
  isPrivate: boolean,
  info: SignalInfo,
): number {
  const { signal } = info;
  if (process.exited) return 0;
  if (signal === SIGKILL) {
    exitProcess(k, process, 0, SIGKILL);
    return 0;
  }
  settleStopAndContinue(k, process, signal);
  // A blocked signal is kept: its action may change before it is unblocked.
  if ((task.mask & signalBit(signal)) === 0n && isIgnored(process, signal)) return 0;
  const result = queueSignal(k, process, isPrivate ? task : null, info);
  if (result !== 0) return result === -EAGAIN ? result : 0;
  announce(k, process, isPrivate ? task : chooseTask(process, signal), signal);
  return 0;
}

/** SIGCONT and the stop signals cancel each other; SIGCONT continues even when it is ignored. */
function settleStopAndContinue(k: Kernel, process: Process, signal: number): void {
  if (signal === SIGCONT) {
    flushSignals(k, process, DEFAULT_STOP);
    if (process.stopped) reportContinue(k, process);
    continueProcess(k, process);
  } else if ((DEFAULT_STOP & signalBit(signal)) !== 0n) {
    flushSignals(k, process, signalBit(SIGCONT));
  }
}

/** Wakes whoever the signal concerns. */
function announce(k: Kernel, process: Process, task: Task | null, signal: number): void {
  if (task !== null && task.state === TASK_BLOCKED && (task.mask & signalBit(signal)) === 0n) {
    wakeTask(k, task);
  }
  if (process.signalQueue !== null) wake(k, process.signalQueue);
  notifySignalFds(k, process);
}

/**
 * The thread that will take a signal of the process: one that does not block it, a running one
 * first. null when all of them block it.
 */
function chooseTask(process: Process, signal: number): Task | null {
  const bit = signalBit(signal);
  const { tasks } = process;
  let blocked: Task | null = null;
  for (let i = 0; i < tasks.length; i++) {
    const task = tasks.get(i);
    if (task === null || (task.mask & bit) !== 0n) continue;
    if (task.state !== TASK_BLOCKED) return task;
    blocked ??= task;
  }
  return blocked;
}

const ALREADY_QUEUED = 1;

/** Appends to the task's queue, or to the process's (task null). 0, ALREADY_QUEUED or -EAGAIN. */
export function queueSignal(
  k: Kernel,
  process: Process,
  task: Task | null,
  info: SignalInfo,
): number {
  const owner: Task | Process = task ?? process;
  const isRealTime = info.signal >= SIGRTMIN;
  const isFull = isRealTime && process.queuedSignals >= softLimit(process, RLIMIT_SIGPENDING);
  if (isFull && info.code !== SI_USER) return -EAGAIN;
  // Linux: beyond the limit a real-time signal of kill(2) loses its place, not its bit.
  if (!isRealTime || isFull) {
    if ((setOfQueue(owner.pending) & signalBit(info.signal)) !== 0n) return ALREADY_QUEUED;
  }
  try {
    append(owner, k.arena.make(PendingSignal), info);
  } catch (error) {
    if (error instanceof ArenaFullError) return -EAGAIN;
    throw error;
  }
  process.queuedSignals++;
  return 0;
}

function append(owner: Task | Process, entry: PendingSignal, info: SignalInfo): void {
  Object.assign(entry, info);
  let last = owner.pending;
  if (last === null) {
    owner.pending = entry;
    return;
  }
  while (last.next !== null) last = last.next;
  last.next = entry;
}

/**
 * Takes the next signal of the set `wanted` out of the thread's queue or the process's: synchronous
 * ones first, then by number. null when there is none.
 */
export function dequeueSignal(k: Kernel, task: Task, wanted: bigint): SignalInfo | null {
  return dequeueFrom(k, task.process, task, wanted & SIGNAL_BITS) ??
    dequeueFrom(k, task.process, task.process, wanted & SIGNAL_BITS);
}

function dequeueFrom(
  k: Kernel,
  process: Process,
  owner: Task | Process,
  wanted: bigint,
): SignalInfo | null {
  let best: PendingSignal | null = null;
  let bestRank = Infinity;
  for (let entry = owner.pending; entry !== null; entry = entry.next) {
    if ((wanted & signalBit(entry.signal)) === 0n) continue;
    const isFault = entry.code > SI_USER && (SYNCHRONOUS & signalBit(entry.signal)) !== 0n;
    const rank = isFault ? entry.signal - 100 : entry.signal;
    if (rank >= bestRank) continue;
    best = entry;
    bestRank = rank;
  }
  if (best === null) return null;
  const { signal, code, errno, pid, uid, value, sigval } = best;
  unlink(k, process, owner, best);
  if (code === SI_TIMER) noteOverruns(process, pid, uid);
  return { signal, code, errno, pid, uid, value, sigval };
}

/** timer_getoverrun(2) tells of the signal delivered last. */
function noteOverruns(process: Process, timerId: number, overruns: number): void {
  for (let timer = process.posixTimers; timer !== null; timer = timer.nextOfProcess) {
    if (timer.id === timerId) timer.overruns = overruns;
  }
}

function unlink(k: Kernel, process: Process, owner: Task | Process, entry: PendingSignal): void {
  if (owner.pending === entry) {
    owner.pending = entry.next;
  } else {
    let before = owner.pending;
    while (before !== null && before.next !== entry) before = before.next;
    if (before !== null) before.next = entry.next;
  }
  k.arena.free(entry);
  process.queuedSignals--;
}

/** Drops the signals of `set` from all queues of the process. */
export function flushSignals(k: Kernel, process: Process, set: bigint): void {
  flushQueue(k, process, process, set);
  for (let i = 0; i < process.tasks.length; i++) {
    const task = process.tasks.get(i);
    if (task !== null) flushQueue(k, process, task, set);
  }
}

/** Drops the signals of `set` from one queue. */
export function flushQueue(k: Kernel, process: Process, owner: Task | Process, set: bigint): void {
  let entry = owner.pending;
  while (entry !== null) {
    const { next }: PendingSignal = entry;
    if ((set & signalBit(entry.signal)) !== 0n) unlink(k, process, owner, entry);
    entry = next;
  }
}

/** The queued signal of a POSIX timer, or null. */
export function findTimerSignal(process: Process, timerId: number): PendingSignal | null {
  const found = findTimerEntry(process.pending, timerId);
  if (found !== null) return found;
  for (let i = 0; i < process.tasks.length; i++) {
    const entry = findTimerEntry(process.tasks.get(i)?.pending ?? null, timerId);
    if (entry !== null) return entry;
  }
  return null;
}

/** Takes back the queued signal of a POSIX timer, if any. */
export function withdrawTimerSignal(k: Kernel, process: Process, timerId: number): void {
  const inProcess = findTimerEntry(process.pending, timerId);
  if (inProcess !== null) unlink(k, process, process, inProcess);
  for (let i = 0; i < process.tasks.length; i++) {
    const task = process.tasks.get(i);
    const entry = findTimerEntry(task?.pending ?? null, timerId);
    if (task !== null && entry !== null) unlink(k, process, task, entry);
  }
}

function findTimerEntry(first: PendingSignal | null, timerId: number): PendingSignal | null {
  for (let entry = first; entry !== null; entry = entry.next) {
    if (entry.code === SI_TIMER && entry.pid === timerId) return entry;
  }
  return null;
}

function setOfQueue(first: PendingSignal | null): bigint {
  let set = 0n;
  for (let entry = first; entry !== null; entry = entry.next) set |= signalBit(entry.signal);
  return set;
}
