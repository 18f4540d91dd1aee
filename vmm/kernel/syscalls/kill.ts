// Sending signals: kill(2), tgkill(2), sigqueue(3).
import { EFAULT, EINVAL, EPERM, ESRCH } from '../../abi/errno.ts';
import { SI_TKILL, SI_USER, SIGCONT } from '../../abi/signal.ts';
import type { Kernel } from '../kernel.ts';
import { readStruct } from '../mm/user-memory.ts';
import type { Process, Task } from '../records/task.ts';
import {
  makeInfo, sendSignal, sendSignalToTask, type SignalInfo,
} from '../signal/pending.ts';
import { isSignal } from '../signal/set.ts';
import { decodeSiginfo, SIGINFO_BYTES } from '../signal/siginfo.ts';
import { findProcess, findThread, forEachProcess, groupOf } from '../task/family.ts';
import { findTask } from '../task/make-process.ts';
import type { Args } from './args.ts';
import { type Family, full } from './define.ts';

function kill(k: Kernel, task: Task, a: Args): number {
  const pid = a.i32(0);
  const signal = a.i32(1);
  const { process } = task;
  const targets = processesNamed(k, process, pid);
  if (targets.length === 0) return -ESRCH;
  if (signal !== 0 && !isSignal(signal)) return -EINVAL;
  const permitted = targets.filter((target) => maySignal(process, target, signal));
  if (permitted.length === 0) return -EPERM;
  if (signal === 0) return 0;
  let result = 0;
  for (const target of permitted) {
    result = sendSignal(k, target, makeInfo(signal, SI_USER, process.pid, process.realUid));
  }
  return permitted.length > 1 ? 0 : result;
}

/** Whom kill's pid names: a process, the own group (0), all others (-1), a group. */
function processesNamed(k: Kernel, sender: Process, pid: number): Process[] {
  if (pid > 0) {
    // Linux: the tid of any thread names its process here.
    const target = findProcess(k, pid) ?? findThread(k, pid)?.process ?? null;
    return target === null ? [] : [target];
  }
  if (pid !== -1) return groupOf(k, pid === 0 ? sender.pgid : -pid);
  const others: Process[] = [];
  forEachProcess(k, (process) => {
    if (process !== sender && process !== k.root.process) others.push(process);
  });
  return others;
}

/** Linux: kill_ok_by_cred(), and SIGCONT within a session. */
export function maySignal(sender: Process, target: Process, signal: number): boolean {
  if (sender.uid === 0 || sender === target) return true;
  const { realUid, savedUid } = target;
  const ids = [sender.uid, sender.realUid];
  return ids.includes(realUid) || ids.includes(savedUid) ||
    signal === SIGCONT && sender.sid === target.sid;
}

function tkill(k: Kernel, task: Task, a: Args): number {
  const tid = a.i32(0);
  if (tid <= 0) return -EINVAL;
  return signalThread(k, task, tid, a.i32(1), null);
}

function tgkill(k: Kernel, task: Task, a: Args): number {
  const tgid = a.i32(0);
  const tid = a.i32(1);
  if (tgid <= 0 || tid <= 0) return -EINVAL;
  return signalThread(k, task, tid, a.i32(2), null, tgid);
}

/**
 * @param info what the guest wants to tell, or null for the sender alone
 * @param tgid the process that the thread must be of; 0 = any
 */
function signalThread(
  k: Kernel,
  sender: Task,
  tid: number,
  signal: number,
  info: SignalInfo | null,
  tgid: number = 0,
): number {
  const { process } = sender;
  const target = findTask(process, tid) ?? findThread(k, tid);
  if (target === null || tgid !== 0 && target.process.pid !== tgid) return -ESRCH;
  if (signal !== 0 && !isSignal(signal)) return -EINVAL;
  if (!maySignal(process, target.process, signal)) return -EPERM;
  if (signal === 0) return 0;
  const told = info ?? makeInfo(signal, SI_TKILL, process.pid, process.realUid);
  return sendSignalToTask(k, target, told);
}

function rtSigqueueinfo(k: Kernel, task: Task, a: Args): number {
  const pid = a.i32(0);
  const signal = a.i32(1);
  const info = readInfo(k, a.u64(2), signal);
  if (info === null) return -EFAULT;
  if (isReserved(info) && pid !== task.process.pid) return -EPERM;
  const [target] = pid <= 0 ? [] : processesNamed(k, task.process, pid);
  if (target === undefined) return -ESRCH;
  if (signal !== 0 && !isSignal(signal)) return -EINVAL;
  if (!maySignal(task.process, target, signal)) return -EPERM;
  return signal === 0 ? 0 : sendSignal(k, target, info);
}

function rtTgsigqueueinfo(k: Kernel, task: Task, a: Args): number {
  const tgid = a.i32(0);
  const tid = a.i32(1);
  const signal = a.i32(2);
  const info = readInfo(k, a.u64(3), signal);
  if (info === null) return -EFAULT;
  if (tgid <= 0 || tid <= 0) return -EINVAL;
  if (isReserved(info) && tgid !== task.process.pid) return -EPERM;
  return signalThread(k, task, tid, signal, info, tgid);
}

/** The guest's siginfo_t; null at a bad address. */
export function readInfo(k: Kernel, gva: number, signal: number): SignalInfo | null {
  const view = readStruct(k, gva, SIGINFO_BYTES);
  return view === null ? null : decodeSiginfo(view, 0, signal);
}

/** Codes that only the kernel, kill and tkill may use towards others. */
export function isReserved(info: SignalInfo): boolean {
  return info.code >= 0 || info.code === SI_TKILL;
}

export const killCalls: Family = {
  kill: full(kill),
  tkill: full(tkill),
  tgkill: full(tgkill),
  rt_sigqueueinfo: full(rtSigqueueinfo),
  rt_tgsigqueueinfo: full(rtTgsigqueueinfo),
};
