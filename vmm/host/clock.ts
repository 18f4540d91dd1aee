// Clocks of the host, in nanoseconds as numbers.
import { readFileSync } from 'node:fs';
import * as libc from './libc.ts';
import { takeScratch, type Scratch } from './scratch.ts';

export const CLOCK_REALTIME = 0;
export const CLOCK_MONOTONIC = 1;
export const CLOCK_PROCESS_CPUTIME_ID = 2;
export const CLOCK_THREAD_CPUTIME_ID = 3;

let scratch: Scratch | null = null;

const CLOCKSOURCE_FILE = '/sys/devices/system/clocksource/clocksource0/current_clocksource';
let tscHost: boolean | null = null;

/** Whether the host's clocks run by the time stamp counter, which a guest then can use as well. */
export function isTscHost(): boolean {
  tscHost ??= readClocksource() === 'tsc';
  return tscHost;
}

function readClocksource(): string {
  try {
    return readFileSync(CLOCKSOURCE_FILE, 'utf8').trim();
  } catch {
    // No sysfs: then nobody knows, and programs make calls.
    return '';
  }
}

/** clock_gettime as (seconds, nanoseconds). Ownership: one object, overwritten by the next call. */
export function readClock(clock: number): { sec: number; nsec: number } {
  scratch ??= takeScratch(16);
  // SAFETY: a struct timespec in scratch memory.
  libc.clockGettime(clock, scratch.address);
  time.sec = scratch.view.getUint32(0, true) + scratch.view.getInt32(4, true) * 0x1_0000_0000;
  time.nsec = scratch.view.getUint32(8, true);
  return time;
}

const time = { sec: 0, nsec: 0 };

/** CLOCK_MONOTONIC in ns; exact (the host's uptime is below 2^53 ns for 104 days) or to ~1 µs. */
export function monotonicNs(): number {
  const { sec, nsec } = readClock(CLOCK_MONOTONIC);
  return sec * 1e9 + nsec;
}
