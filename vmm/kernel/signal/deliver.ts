// Delivery of signals, the last thing before a thread returns to the guest.
//
//   dequeue ─► ignored: next │ stops, ends: return │ handler: settle the call, push a frame
//   nothing left ─► settle the call without a handler, put a temporary mask back
import { EINTR } from '../../abi/errno.ts';
import {
  SA_NODEFER, SA_RESETHAND, SI_KERNEL, SIG_DFL, SIG_IGN, SIGSEGV,
} from '../../abi/signal.ts';
import type { Kernel } from '../kernel.ts';
import { TASK_DEAD, type Task } from '../records/task.ts';
import { exitProcess } from '../task/exit.ts';
import { stopProcess } from '../task/stop.ts';
import { reportStop } from '../task/zombie.ts';
import { readAction, resetAction, type SignalAction } from './actions.ts';
import { forceSignal } from './force.ts';
import { pushFrame } from './frame.ts';
import { restoreMask, setMask } from './mask.ts';
import { dequeueSignal, type SignalInfo } from './pending.ts';
import { callResult, settleCall, wasInterrupted } from './restart.ts';
import { DEFAULT_IGNORED, DEFAULT_STOP, signalBit } from './set.ts';

export { signalOfException } from './exceptions.ts';
export { forceSignal } from './force.ts';

/**
 * Called before each return of `task` to the guest: settles an interrupted call, takes signals.
 * Preconditions: the task is runnable and no call of it is left to be executed.
 * @returns whether the thread may go on: false when the process ended or stopped
 */
export function deliverSignals(k: Kernel, task: Task): boolean {
  const { process } = task;
  if (process.exited || task.state === TASK_DEAD) return false;
  if (process.stopped) return false;
  if (task.hasSavedMask && !isInterruption(task)) restoreMask(k, task);
  while (task.pending !== null || process.pending !== null) {
    const info = dequeueSignal(k, task, ~task.mask);
    if (info === null) break;
    const action = readAction(process, info.signal);
    if (action.handler === SIG_IGN) continue;
    if (action.handler !== SIG_DFL) {
      runHandler(k, task, info, action);
    } else if (!actByDefault(k, task, info.signal)) {
      return false;
    }
    if (process.exited) return false;
  }
  settleCall(task, null);
  if (task.hasSavedMask) restoreMask(k, task);
  return true;
}

/**
 * Whether the call ended because of a signal; only then its temporary mask lasts until delivery.
 */
function isInterruption(task: Task): boolean {
  return task.syscall >= 0 && wasInterrupted(task) || callResult(task) === -EINTR;
}

/** The default action; false when the thread does not go on. */
function actByDefault(k: Kernel, task: Task, signal: number): boolean {
  const bit = signalBit(signal);
  if ((DEFAULT_IGNORED & bit) !== 0n) return true;
  if ((DEFAULT_STOP & bit) === 0n) {
    exitProcess(k, task.process, 0, signal);
    return false;
  }
  // When it is continued, the call is made again; SIGCONT's handler, if any, makes it fail.
  settleCall(task, null);
  if (task.hasSavedMask) restoreMask(k, task);
  stopProcess(k, task.process);
  reportStop(k, task.process, signal);
  return false;
}

function runHandler(k: Kernel, task: Task, info: SignalInfo, action: SignalAction): void {
  const { process } = task;
  const { signal } = info;
  settleCall(task, action.flags);
  if ((action.flags & SA_RESETHAND) !== 0) resetAction(process, signal);
  const oldMask = task.hasSavedMask ? task.savedMask : task.mask;
  if (!pushFrame(k, task, info, action, oldMask)) {
    // Linux: force_sigsegv(). When SIGSEGV's own handler has no stack, it is the end.
    if (signal === SIGSEGV) resetAction(process, SIGSEGV);
    forceSignal(k, task, SIGSEGV, SI_KERNEL, 0);
    return;
  }
  task.hasSavedMask = false;
  const own = (action.flags & SA_NODEFER) !== 0 ? 0n : signalBit(signal);
  setMask(k, task, task.mask | action.mask | own);
}
