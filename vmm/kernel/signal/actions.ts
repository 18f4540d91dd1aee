// What a process does with each signal: `struct kernel_sigaction` per signal, in Process.actions.
//
//   0 handler u64 | 8 flags u64 | 16 restorer u64 | 24 mask u64          (32 bytes; <asm/signal.h>)
import { SIG_DFL, SIG_IGN } from '../../abi/signal.ts';
import { type Process, SIGNAL_COUNT, SignalActions } from '../records/task.ts';
import { readUsize } from '../../abi/layout.ts';
import { u8, view } from '../state/memory.ts';
import { DEFAULT_IGNORED, signalBit } from './set.ts';

/** Bytes of `struct kernel_sigaction`. */
export const ACTION_BYTES = 32;
const ACTIONS = SignalActions.offset('actions');

/** An action. Addresses beyond 2^53 are inexact, which no valid one is. */
export interface SignalAction {
  handler: number;
  flags: number;
  restorer: number;
  mask: bigint;
}

/** The action for `signal` (1..64). */
export function readAction(process: Process, signal: number): SignalAction {
  const at = actionAddress(process, signal);
  return {
    handler: readUsize(view, at),
    flags: view.getUint32(at + 8, true),
    restorer: readUsize(view, at + 16),
    mask: view.getBigUint64(at + 24, true),
  };
}

/** The action's handler: SIG_DFL, SIG_IGN or an address. */
export function handlerOf(process: Process, signal: number): number {
  return readUsize(view, actionAddress(process, signal));
}

/** A live view of the 32 bytes of an action. */
export function actionBytes(process: Process, signal: number): Uint8Array {
  const at = actionAddress(process, signal);
  return u8.subarray(at, at + ACTION_BYTES);
}

/** Puts the default action back. */
export function resetAction(process: Process, signal: number): void {
  view.setBigUint64(actionAddress(process, signal), 0n, true);
}

/** Whether the signal does nothing when it is delivered: SIG_IGN, or by default. */
export function isIgnored(process: Process, signal: number): boolean {
  const handler = handlerOf(process, signal);
  if (handler === SIG_DFL) return (DEFAULT_IGNORED & signalBit(signal)) !== 0n;
  return handler === SIG_IGN;
}

/** What execve does: handlers become the default, ignored signals stay ignored. */
export function resetActionsForExec(process: Process): void {
  for (let signal = 1; signal <= SIGNAL_COUNT; signal++) {
    const ignored = handlerOf(process, signal) === SIG_IGN;
    actionBytes(process, signal).fill(0);
    if (ignored) actionBytes(process, signal)[0] = SIG_IGN;
  }
}

function actionAddress(process: Process, signal: number): number {
  return process.actions.address + ACTIONS + (signal - 1) * ACTION_BYTES;
}
