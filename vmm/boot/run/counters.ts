// What a run or boot did, for reports: exits, faults, calls, thread switches.

export interface RunCounters {
  exits: number;
  faults: number;
  syscalls: number;
  slices: number;
  switches: number;
  /** performance.now() at the first exit, 0 before it. */
  firstExitMs: number;
}

export function makeCounters(): RunCounters {
  return { exits: 0, faults: 0, syscalls: 0, slices: 0, switches: 0, firstExitMs: 0 };
}
