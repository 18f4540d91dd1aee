// Writes a machine's clock page (abi/clock-page.ts): the VMM's side of the vDSO. The guest is not
// running meanwhile; one that was stopped while it read sees another sequence when it goes on.
import {
  CLOCK_PAGE_BASE, CLOCK_PAGE_CLOCKS, CLOCK_PAGE_COUNT, CLOCK_PAGE_RATE, CLOCK_PAGE_SEQUENCE,
  CLOCK_PAGE_TSC,
} from '../abi/clock-page.ts';
import { PAGE } from './layout.ts';
import { PAGE_BYTES } from './paging.ts';

const AT = PAGE.clock * PAGE_BYTES;

export interface ClockReading {
  /** The guest's time stamp counter. */
  tsc: bigint;
  /** Nanoseconds per tick, times 2^32. */
  rate: bigint;
  /** By clock id: nanoseconds at `tsc`; null for a clock that is not to be read here. */
  bases: readonly (bigint | null)[];
}

/** @param tables the machine's table window */
export function writeClockPage(tables: DataView, { tsc, rate, bases }: ClockReading): void {
  let clocks = 0;
  for (let clock = 0; clock < CLOCK_PAGE_COUNT; clock++) {
    const base = bases[clock] ?? null;
    if (base === null) continue;
    clocks |= 1 << clock;
    tables.setBigUint64(AT + CLOCK_PAGE_BASE + clock * 8, base, true);
  }
  tables.setBigUint64(AT + CLOCK_PAGE_TSC, tsc, true);
  tables.setBigUint64(AT + CLOCK_PAGE_RATE, rate, true);
  tables.setUint32(AT + CLOCK_PAGE_CLOCKS, clocks, true);
  // Low bits of a counter that ticks all the time: another one after each change and on each
  // machine.
  tables.setUint32(AT + CLOCK_PAGE_SEQUENCE, Number(tsc & 0xffff_ffffn) | 1, true);
}

/** Makes every read of a clock a system call again. */
export function clearClockPage(tables: DataView): void {
  for (const field of [CLOCK_PAGE_SEQUENCE, CLOCK_PAGE_CLOCKS]) {
    tables.setUint32(AT + field, 0, true);
  }
}
