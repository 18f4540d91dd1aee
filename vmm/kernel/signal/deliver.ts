// Delivery of signals before a thread returns to the guest. (Signatures; the body follows.)
import type { Kernel } from '../kernel.ts';
import type { Task } from '../records/task.ts';

/**
 * Called before each return of `task` to the guest: settles an interrupted call, takes signals.
 * @returns whether the thread may go on: false when the process ended or stopped
 */
export function deliverSignals(_k: Kernel, task: Task): boolean {
  return !task.process.exited;
}

/** Sends a signal that the thread cannot block or ignore (an exception). */
export function forceSignal(
  _k: Kernel,
  _task: Task,
  _signal: number,
  _code: number,
  _address: number,
): void {}

/** Turns a CPU exception of the guest into the signal Linux sends for it. */
export function signalOfException(
  _k: Kernel,
  _task: Task,
  _vector: number,
  _errorCode: number,
  _address: number,
): void {}
