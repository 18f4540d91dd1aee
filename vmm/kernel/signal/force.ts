// Signals that a thread gets for what it did: exceptions, bad frames. They cannot be escaped.
import { BUS_ADRERR, SEGV_ACCERR, SEGV_MAPERR, SIGBUS, SIGSEGV } from '../../abi/signal.ts';
import type { Kernel } from '../kernel.ts';
import { TASK_DEAD, type Task } from '../records/task.ts';
import { exitProcess } from '../task/exit.ts';
import { isIgnored, resetAction } from './actions.ts';
import { setMask } from './mask.ts';
import { flushQueue, makeInfo, queueSignal } from './pending.ts';
import { signalBit } from './set.ts';

const PAGE_FAULT = 14;
/** Page fault error code of a read at CPL 3 of a page that is not there. */
const USER_READ = 4;

/**
 * Sends a signal that the thread cannot block or ignore: if it does, the default action is put back
 * and ends the process. deliverSignals() delivers it.
 * @param code a SEGV_*, BUS_*, FPE_*… code or SI_KERNEL
 * @param address si_addr; negative in the kernel's half
 * @param errorCode the page fault's, for the handler's sigcontext
 */
export function forceSignal(
  k: Kernel,
  task: Task,
  signal: number,
  code: number,
  address: number,
  errorCode: number = USER_READ,
): void {
  if (isPageFault(signal, code)) {
    task.faultVector = PAGE_FAULT;
    task.faultError = errorCode;
    task.faultAddress = address;
  }
  const { process } = task;
  if (process.exited || task.state === TASK_DEAD) return;
  const bit = signalBit(signal);
  const isBlocked = (task.mask & bit) !== 0n;
  if (isBlocked || isIgnored(process, signal)) {
    resetAction(process, signal);
    if (isBlocked) setMask(k, task, task.mask & ~bit);
  }
  // The new one counts, not one that somebody sent before.
  flushQueue(k, process, task, bit);
  const info = makeInfo(signal, code);
  info.value = address;
  if (queueSignal(k, process, task, info) < 0) exitProcess(k, process, 0, signal);
}

function isPageFault(signal: number, code: number): boolean {
  return signal === SIGSEGV && (code === SEGV_MAPERR || code === SEGV_ACCERR) ||
    signal === SIGBUS && code === BUS_ADRERR;
}
