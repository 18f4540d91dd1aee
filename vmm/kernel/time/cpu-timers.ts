// What counts the process's CPU time: ITIMER_VIRTUAL, ITIMER_PROF and RLIMIT_CPU. They are looked
// at whenever timers are run, that is, at the end of each time slice; both timers count user and
// system time.
import { RLIMIT_CPU } from '../../abi/resource.ts';
import { SI_KERNEL, SIGKILL, SIGPROF, SIGVTALRM, SIGXCPU } from '../../abi/signal.ts';
import { ITIMER_VIRTUAL, NSEC_PER_SEC } from '../../abi/time.ts';
import type { Kernel } from '../kernel.ts';
import type { Process } from '../records/task.ts';
import { forEachProcess } from '../task/family.ts';
import { makeInfo, sendSignal } from '../signal/pending.ts';
import { hardLimit, setLimit, softLimit } from '../task/limits.ts';
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

/** Sends SIGVTALRM, SIGPROF and SIGXCPU when their time has come. */
export function runCpuTimers(k: Kernel): void {
  forEachProcess(k, (process) => { if (!process.exited) runTimersOf(k, process); });
}

function runTimersOf(k: Kernel, process: Process): void {
  const hasTimers = process.virtualTimerNs !== 0 || process.profTimerNs !== 0;
  const hasLimit = softLimit(process, RLIMIT_CPU) !== Infinity;
  if (!hasTimers && !hasLimit) return;
  const now = processCpuNs(k, process);
  if (hasLimit) checkLimit(k, process, now);
  if (isDue(process.virtualTimerNs, now)) {
    process.virtualTimerNs = nextTime(process.virtualTimerNs, process.virtualIntervalNs, now);
    sendSignal(k, process, makeInfo(SIGVTALRM, SI_KERNEL));
  }
  if (isDue(process.profTimerNs, now)) {
    process.profTimerNs = nextTime(process.profTimerNs, process.profIntervalNs, now);
    sendSignal(k, process, makeInfo(SIGPROF, SI_KERNEL));
  }
}

/** Linux: check_process_timers(). SIGXCPU at the soft limit and each second after, then SIGKILL. */
function checkLimit(k: Kernel, process: Process, now: number): void {
  // A limit of 0 counts as 1 s.
  const soft = Math.max(1, softLimit(process, RLIMIT_CPU));
  const hard = Math.max(1, hardLimit(process, RLIMIT_CPU));
  if (now >= hard * NSEC_PER_SEC) {
    sendSignal(k, process, makeInfo(SIGKILL, SI_KERNEL));
  } else if (now >= soft * NSEC_PER_SEC) {
    setLimit(process, RLIMIT_CPU, soft + 1, hardLimit(process, RLIMIT_CPU));
    sendSignal(k, process, makeInfo(SIGXCPU, SI_KERNEL));
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
