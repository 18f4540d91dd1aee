// What the cases of a suite gave, natively and in the sandbox, and where that is kept: one JSON
// file for each suite and side, so that a run that was stopped goes on where it was.

import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from '../helpers/repository.ts';

export type Side = 'native' | 'guest';

export interface CaseResult {
  /** `ok`, `skip`, `fail`, `error`, `hang`, `crash`, or what else a suite knows. */
  result: string;
  /** Why, where it is not `ok`. */
  detail: string;
}

export interface SideResults {
  /** False while cases are missing. */
  complete: boolean;
  cases: Record<string, CaseResult>;
}

/** The directory of kept results; git ignores it. */
export const keptDirectory: string = join(root, '.cache/compat');

function fileOf(suite: string, side: Side): string {
  return join(keptDirectory, `${suite}.${side}.json`);
}

/** Kept results; empty ones where there are none. */
export function readKept(suite: string, side: Side): SideResults {
  const file = fileOf(suite, side);
  if (!existsSync(file)) return { complete: false, cases: {} };
  return JSON.parse(readFileSync(file, 'utf8')) as SideResults;
}

/** Keeps results; a reader sees the old or the new file, never half of one. */
export function keep(suite: string, side: Side, results: SideResults): void {
  mkdirSync(keptDirectory, { recursive: true });
  const file = fileOf(suite, side);
  writeFileSync(`${file}.new`, JSON.stringify(results, null, 1));
  renameSync(`${file}.new`, file);
}
