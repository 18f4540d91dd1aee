// A timeline: how long each phase of a run or boot took, in microseconds.

export interface Phases {
  /** performance.now() at the beginning. */
  readonly startMs: number;
  /** Ends the current phase under this name and begins the next. */
  mark(name: string): void;
  /** Microseconds by phase, in order. */
  readonly us: Record<string, number>;
}

/** A timeline that begins now. */
export function beginPhases(startMs: number = performance.now()): Phases {
  let lastMs = startMs;
  const us: Record<string, number> = {};
  return {
    startMs,
    us,
    mark: (name) => {
      const nowMs = performance.now();
      us[name] = (us[name] ?? 0) + Math.round((nowMs - lastMs) * 1000);
      lastMs = nowMs;
    },
  };
}
