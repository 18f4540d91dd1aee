// Arithmetic of signal sets (bit n-1 = signal n) and the default actions of signals.
import {
  SIGCHLD, SIGCONT, SIGKILL, SIGRTMAX, SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU, SIGURG, SIGWINCH,
} from '../../abi/signal.ts';

/** All 64 signals. */
export const SIGNAL_BITS: bigint = (1n << 64n) - 1n;

/** By signal number; 0 is no signal. */
const BITS: readonly bigint[] =
  Array.from({ length: 65 }, (_, n) => n === 0 ? 0n : 1n << BigInt(n - 1));

/** The set of one signal (1..64); the empty set for other numbers. */
export function signalBit(signal: number): bigint {
  return BITS[signal] ?? 0n;
}

export function setOf(...signals: readonly number[]): bigint {
  return signals.reduce((set, signal) => set | signalBit(signal), 0n);
}

/** Whether `signal` is one that can be sent (1..64). */
export function isSignal(signal: number): boolean {
  return signal >= 1 && signal <= SIGRTMAX;
}

/** Signals that do nothing by default (Linux: SIG_KERNEL_IGNORE_MASK). */
export const DEFAULT_IGNORED: bigint = setOf(SIGCONT, SIGCHLD, SIGWINCH, SIGURG);
/** Signals that stop the process by default (Linux: SIG_KERNEL_STOP_MASK). */
export const DEFAULT_STOP: bigint = setOf(SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU);
/** Signals whose action cannot be changed. */
export const UNCHANGEABLE: bigint = setOf(SIGKILL, SIGSTOP);
