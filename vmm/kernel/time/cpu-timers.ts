// ITIMER_VIRTUAL and ITIMER_PROF: timers that count the process's CPU time. They are looked at whenever
// timers are run, that is, at the end of each time slice; both count user and system time.
import { SI_KERNEL, SIGPROF, SIGVTALRM } from '../../abi/signal.ts';
import { ITIMER_VIRTUAL } from '../../abi/time.ts';
import type { Kernel } from '../kernel.ts';
import type { Process } from '../records/task.ts';
import { makeInfo, sendSignal } from '../signal/pending.ts';
import { processCpuNs } from './clock.ts';

/** A timer's setting: time to the first expiration (0 = off) and the period, in ns. */
export interface TimerSetting {
  valueNs: number;
  intervalNs: number;
}

/** Time left and period of a timer. */
export function readCpuTimer(k: Kernel, process: Process, which: number): TimerSetting {
  const isVirtual = which === ITIMER_VIRTUAL;
  const atNs = isVirtual ? process.virtualTimerNs : process.profTimerNs;
  const intervalNs = isVirtual ? process.virtualIntervalNs : process.profIntervalNs;
  // One that is due but was not looked at yet is not off.
  const valueNs = atNs === 0 ? 0 : Math.max(1, atNs - processCpuNs(k, process));
  return { valueNs, intervalNs };
}

export function setCpuTimer(
  k: Kernel,
  process: Process,
  which: number,
  { valueNs, intervalNs }: TimerSetting,
): void {
  const atNs = valueNs === 0 ? 0 : processCpuNs(k, process) + valueNs;
  if (which === ITIMER_VIRTUAL) {
    process.virtualTimerNs = atNs;
    process.virtualIntervalNs = intervalNs;
  } else {
    process.profTimerNs = atNs;
    process.profIntervalNs = intervalNs;
  }
}

/** Sends SIGVTALRM and SIGPROF when their time has come. */
export function runCpuTimers(k: Kernel): void {
  const { process } = k.root;
  if (process === null || process.virtualTimerNs === 0 && process.profTimerNs === 0) return;
  const now = processCpuNs(k, process);
  if (isDue(process.virtualTimerNs, now)) {
    process.virtualTimerNs = nextTime(process.virtualTimerNs, process.virtualIntervalNs, now);
    sendSignal(k, process, makeInfo(SIGVTALRM, SI_KERNEL));
  }
  if (isDue(process.profTimerNs, now)) {
    process.profTimerNs = nextTime(process.profTimerNs, process.profIntervalNs, now);
    sendSignal(k, process, makeInfo(SIGPROF, SI_KERNEL));
  }
}

function isDue(atNs: number, now: number): boolean {
  return atNs !== 0 && atNs <= now;
}

/** The first time after `now`, or 0 for a timer without a period. */
function nextTime(atNs: number, intervalNs: number, now: number): number {
  if (intervalNs === 0) return 0;
  return atNs + (Math.floor((now - atNs) / intervalNs) + 1) * intervalNs;
}
