// Two sides of a suite become one verdict for each case, and the verdicts counts.

import type { CaseResult, SideResults } from './results.ts';

export type Verdict =
  /** Passes on both sides. */
  | 'pass'
  /** Passes natively, and not in the sandbox. */
  | 'differs'
  /** Does not pass natively either: says nothing about the sandbox. */
  | 'not native';

export interface Compared {
  id: string;
  verdict: Verdict;
  native: string;
  guest: string;
  detail: string;
}

const missing: CaseResult = { result: 'missing', detail: 'the case was not run' };

/** True where a result counts as a pass; a test that expects to fail is one. */
export function isPass(result: string): boolean {
  return result === 'ok' || result === 'expected failure';
}

/** A verdict for each case of either side, in the native order. */
export function compareSides(native: SideResults, guest: SideResults): Compared[] {
  const ids = new Set([...Object.keys(native.cases), ...Object.keys(guest.cases)]);
  return [...ids].map((id) => {
    const a = native.cases[id] ?? missing;
    const b = guest.cases[id] ?? missing;
    const verdict = !isPass(a.result) ? 'not native' : isPass(b.result) ? 'pass' : 'differs';
    return { id, verdict, native: a.result, guest: b.result, detail: b.detail };
  });
}

export interface Counts {
  pass: number;
  differs: number;
  notNative: number;
}

/** How many cases have which verdict. */
export function countVerdicts(cases: readonly Compared[]): Counts {
  const count = (verdict: Verdict): number =>
    cases.filter((item) => item.verdict === verdict).length;
  return { pass: count('pass'), differs: count('differs'), notNative: count('not native') };
}
