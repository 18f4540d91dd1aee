// The guest's clocks, as nanoseconds in a number: exact below 2^53, which is 104 days, for
// ports.clock starts at a small origin.
//
// Deterministic mode (--deterministic): time is a function of the system calls made so far, a fixed
// start plus one microsecond per call. Idle time is skipped, not waited for: see skipTo().
//
// Invariant: nowNs() never goes backwards within a sandbox's life, boots included.
import { NSEC_PER_SEC } from '../../abi/time.ts';
import type { Kernel } from '../kernel.ts';
import type { Process, Task } from '../records/task.ts';

/** CLOCK_MONOTONIC when a deterministic sandbox starts. */
const FIXED_START_NS = NSEC_PER_SEC;
/** CLOCK_REALTIME then is 2024-01-01T00:00:00Z plus the monotonic time. */
const FIXED_EPOCH_SEC = 1_704_067_200;
const NS_PER_CALL = 1000;

/** A point in time, `struct timespec`. */
export interface Moment {
  sec: number;
  nsec: number;
}

/** Guest CLOCK_MONOTONIC (also BOOTTIME and their variants), in ns. */
export function nowNs(k: Kernel): number {
  const { root } = k;
  if (root.deterministic) {
    return FIXED_START_NS + root.syscallCount * NS_PER_CALL + root.monotonicOffsetNs;
  }
  return k.ports.clock.monotonicNs() + root.monotonicOffsetNs;
}

/** Guest CLOCK_REALTIME. */
export function realtime(k: Kernel): Moment {
  if (!k.root.deterministic) return k.ports.clock.realtime();
  const moment = toMoment(nowNs(k));
  moment.sec += FIXED_EPOCH_SEC;
  return moment;
}

/**
 * Called when a program has asked for the time of day or since the start: the next times it need
 * not ask. Only then, because it costs more than one call, and many programs never ask.
 */
export function shareClock(k: Kernel): void {
  if (!k.root.deterministic) k.ports.clock.share(k.root.monotonicOffsetNs);
}

/** The CLOCK_MONOTONIC time, in ns, at which CLOCK_REALTIME is `at`. */
export function realToMonotonicNs(k: Kernel, at: Moment): number {
  const now = realtime(k);
  return nowNs(k) + (at.sec - now.sec) * NSEC_PER_SEC + (at.nsec - now.nsec);
}

/** What threads are charged by: a clock of the host, or, in deterministic mode, the calls made. */
export function runNs(k: Kernel): number {
  const { root } = k;
  return root.deterministic ? root.syscallCount * NS_PER_CALL : k.ports.clock.monotonicNs();
}

/** CPU time of the process. */
export function processCpuNs(k: Kernel, process: Process): number {
  if (k.root.deterministic) return nowNs(k) - process.startedNs;
  chargeCpu(k);
  return process.cpuNs;
}

/** CPU time of one thread. */
export function taskCpuNs(k: Kernel, task: Task): number {
  if (k.root.deterministic) return nowNs(k) - task.process.startedNs;
  chargeCpu(k);
  return task.cpuNs;
}

/**
 * Charges the CPU time since it was last called to the thread on the vCPU and to the process.
 * Called when a clock is read; the run loop calls it too where threads change, which makes their
 * shares right.
 */
export function chargeCpu(k: Kernel): void {
  const { root, current } = k;
  const seenNs = k.ports.clock.cpuNs();
  // After a boot the host's count starts anew; what it had before belongs to nobody in the guest.
  const spentNs = root.cpuSeenNs === 0 ? 0 : Math.max(0, seenNs - root.cpuSeenNs);
  root.cpuSeenNs = seenNs;
  if (current !== null) current.cpuNs += spentNs;
  const process = current?.process ?? root.process;
  if (process !== null) process.cpuNs += spentNs;
}

/**
 * When all threads wait until `deadlineNs`: in deterministic mode makes it that time and returns
 * true; else the caller has to wait.
 */
export function skipTo(k: Kernel, deadlineNs: number): boolean {
  if (!k.root.deterministic) return false;
  k.root.monotonicOffsetNs += Math.max(0, deadlineNs - nowNs(k));
  return true;
}

/** Splits nanoseconds (≥ 0). */
export function toMoment(ns: number): Moment {
  const sec = Math.floor(ns / NSEC_PER_SEC);
  return { sec, nsec: Math.floor(ns - sec * NSEC_PER_SEC) };
}

/** Longest representable wait; longer timeouts are cut to it (Linux: KTIME_MAX). */
export const FOREVER_NS: number = 2 ** 53;

/** Joins to nanoseconds, at most FOREVER_NS. */
export function toNs(sec: number, nsec: number): number {
  return Math.min(sec * NSEC_PER_SEC + nsec, FOREVER_NS);
}
