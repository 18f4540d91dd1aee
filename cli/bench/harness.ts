// Measuring things side by side. Contenders take turns within each round (A B C, A B C, …), so
// that whatever else the machine does meanwhile meets all of them alike, and two values of one
// round can be compared as a pair.
import type { BenchContext } from './report.ts';

/** What one turn measured, by name. Times in microseconds. */
export type Sample = Readonly<Record<string, number>>;

export interface Contender {
  name: string;
  /** @throws an error with one sentence when it cannot be measured: it is left out from then on */
  once(): Sample | Promise<Sample>;
}

/** What a contender measured. */
export interface Collected {
  /** One per round, in order. */
  samples: Sample[];
  /** Why it was left out; then `samples` is empty: what failed half-way is no result. */
  failure: string | null;
}

/**
 * Lets contenders take turns: `warmUps` rounds that do not count, then `runs` that do.
 * @param what for the progress line
 */
export async function takeTurns(
  contenders: readonly Contender[],
  { runs, warmUps, progress }: Pick<BenchContext, 'runs' | 'warmUps' | 'progress'>,
  what: string,
): Promise<Map<string, Collected>> {
  const collected = new Map<string, Collected>();
  for (const { name } of contenders) collected.set(name, { samples: [], failure: null });
  for (let round = -warmUps; round < runs; round++) {
    progress(what, round + warmUps, runs + warmUps);
    for (const contender of contenders) {
      const entry = collected.get(contender.name) as Collected;
      if (entry.failure !== null) continue;
      try {
        const sample = await contender.once();
        if (round >= 0) entry.samples.push(sample);
      } catch (error) {
        entry.failure = error instanceof Error ? error.message : String(error);
        entry.samples = [];
      }
    }
  }
  return collected;
}

/** The values of one name, from the samples that have it. */
export function valuesOf(collected: Collected | undefined, name: string): number[] {
  return (collected?.samples ?? []).flatMap((sample) => sample[name] ?? []);
}

/** The names in all samples, in the order in which they came first. */
export function namesOf(collected: Collected): string[] {
  return [...new Set(collected.samples.flatMap((sample) => Object.keys(sample)))];
}

/** Compares two contenders round by round; empty unless both were measured in every round. */
export function pairs(
  a: Collected | undefined,
  b: Collected | undefined,
  name: string,
  combine: (a: number, b: number) => number,
): number[] {
  const left = valuesOf(a, name);
  const right = valuesOf(b, name);
  if (left.length !== right.length) return [];
  return left.map((value, index) => combine(value, right[index] as number));
}
