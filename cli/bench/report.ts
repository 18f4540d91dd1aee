// What a bench run gives: rows of numbers, and claims that are held against them.
//
// Invariant: a number in a row was measured in this run. What could not be measured is null, and
// the note says why and what would make it possible.

/** Times are in microseconds; a ratio has no unit. */
export type Unit = 'us' | 'bytes' | 'count' | 'ratio';

export interface Row {
  /** What the row belongs to, for example a program. */
  group: string;
  name: string;
  unit: Unit;
  /** How many values there were; 0 when nothing was measured. */
  runs: number;
  min: number | null;
  median: number | null;
  /** Nearest rank: below 100 runs the greatest value. */
  p99: number | null;
  /** Why there is no number, or what the number is about. */
  note: string;
}

/** A limit from the project's own goals. `holds` is null when its value was not measured. */
export interface Claim {
  claim: string;
  unit: Unit;
  relation: 'at most' | 'at least';
  limit: number;
  value: number | null;
  holds: boolean | null;
}

export interface ExperimentResult {
  rows: Row[];
  claims: Claim[];
}

/** What an experiment is told. */
export interface BenchContext {
  /** Measured repetitions of everything. */
  runs: number;
  /** Repetitions before them that do not count. */
  warmUps: number;
  /** Work within a repetition may be cut to what shows that it works. */
  quick: boolean;
  /** Temporary files go here; it is removed at the end. */
  directory: string;
  /** Says what is being done. */
  progress(text: string, done: number, total: number): void;
}

export interface Experiment {
  /** For --only. */
  name: string;
  title: string;
  run(context: BenchContext): Promise<ExperimentResult>;
}

export interface Summary {
  min: number;
  median: number;
  p99: number;
}

/** @throws RangeError without a value */
export function summarise(values: readonly number[]): Summary {
  const sorted = [...values].sort((a, b) => a - b);
  const [min] = sorted;
  if (min === undefined) throw new RangeError('no values');
  const at = (index: number): number => sorted[index] as number;
  const middle = sorted.length >> 1;
  const median = sorted.length % 2 === 1 ? at(middle) : (at(middle - 1) + at(middle)) / 2;
  return { min, median, p99: at(Math.ceil(sorted.length * 0.99) - 1) };
}

/** A row of measured values; without values it says `note`. */
export function makeRow(
  group: string, name: string, unit: Unit, values: readonly number[], note: string = '',
): Row {
  if (values.length === 0) {
    return { group, name, unit, runs: 0, min: null, median: null, p99: null, note };
  }
  return { group, name, unit, runs: values.length, ...summarise(values), note };
}

/** Holds a limit against a row's median. */
export function makeClaim(
  claim: string, relation: Claim['relation'], limit: number, row: Row | undefined,
): Claim {
  const value = row?.median ?? null;
  const holds = value === null ? null : relation === 'at most' ? value <= limit : value >= limit;
  return { claim, unit: row?.unit ?? 'us', relation, limit, value, holds };
}
