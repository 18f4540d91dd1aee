// Sending signals: kill(2), tgkill(2), sigqueue(3). There is one process, its own process group.
import { EFAULT, EINVAL, EPERM, ESRCH } from '../../abi/errno.ts';
import { SI_TKILL, SI_USER } from '../../abi/signal.ts';
import type { Kernel } from '../kernel.ts';
import { readStruct } from '../mm/user-memory.ts';
import type { Process, Task } from '../records/task.ts';
import {
  makeInfo, sendSignal, sendSignalToTask, type SignalInfo,
} from '../signal/pending.ts';
import { isSignal } from '../signal/set.ts';
import { decodeSiginfo, SIGINFO_BYTES } from '../signal/siginfo.ts';
import { findTask } from '../task/make-process.ts';
import type { Args } from './args.ts';
import { type Family, full } from './define.ts';

function kill(k: Kernel, task: Task, a: Args): number {
  const pid = a.i32(0);
  const signal = a.i32(1);
  const { process } = task;
  if (!meansProcess(process, pid)) return -ESRCH;
  if (signal === 0) return 0;
  if (!isSignal(signal)) return -EINVAL;
  return sendSignal(k, process, makeInfo(signal, SI_USER, process.pid, process.realUid));
}

/** Whether kill's pid names the process; -1 is everybody but oneself. */
function meansProcess(process: Process, pid: number): boolean {
  if (pid === 0) return true;
  if (pid < -1) return -pid === process.pgid;
  // Linux: the tid of any thread names its process here.
  return pid === process.pid || pid > 0 && findTask(process, pid) !== null;
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
  if (tgid !== task.process.pid) return -ESRCH;
  return signalThread(k, task, tid, a.i32(2), null);
}

/** @param info what the guest wants to tell, or null for the sender alone */
function signalThread(
  k: Kernel,
  sender: Task,
  tid: number,
  signal: number,
  info: SignalInfo | null,
): number {
  const { process } = sender;
  const target = findTask(process, tid);
  if (target === null) return -ESRCH;
  if (signal === 0) return 0;
  if (!isSignal(signal)) return -EINVAL;
  const told = info ?? makeInfo(signal, SI_TKILL, process.pid, process.realUid);
  return sendSignalToTask(k, target, told);
}

function rtSigqueueinfo(k: Kernel, task: Task, a: Args): number {
  const pid = a.i32(0);
  const signal = a.i32(1);
  const info = readInfo(k, a.u64(2), signal);
  if (info === null) return -EFAULT;
  if (isReserved(info) && pid !== task.process.pid) return -EPERM;
  if (pid <= 0 || !meansProcess(task.process, pid)) return -ESRCH;
  if (signal === 0) return 0;
  if (!isSignal(signal)) return -EINVAL;
  return sendSignal(k, task.process, info);
}

function rtTgsigqueueinfo(k: Kernel, task: Task, a: Args): number {
  const tgid = a.i32(0);
  const tid = a.i32(1);
  const signal = a.i32(2);
  const info = readInfo(k, a.u64(3), signal);
  if (info === null) return -EFAULT;
  if (tgid <= 0 || tid <= 0) return -EINVAL;
  if (isReserved(info) && tgid !== task.process.pid) return -EPERM;
  if (tgid !== task.process.pid) return -ESRCH;
  return signalThread(k, task, tid, signal, info);
}

function readInfo(k: Kernel, gva: number, signal: number): SignalInfo | null {
  const view = readStruct(k, gva, SIGINFO_BYTES);
  return view === null ? null : decodeSiginfo(view, 0, signal);
}

/** Codes that only the kernel, kill and tkill may use towards others. */
function isReserved(info: SignalInfo): boolean {
  return info.code >= 0 || info.code === SI_TKILL;
}

export const killCalls: Family = {
  kill: full(kill),
  tkill: full(tkill),
  tgkill: full(tgkill),
  rt_sigqueueinfo: full(rtSigqueueinfo),
  rt_tgsigqueueinfo: full(rtTgsigqueueinfo),
};
