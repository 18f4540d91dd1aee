// What scripts/source-facts.mjs reads from the syntax trees of all TypeScript sources.

import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { getRuntime } from './runtimes.ts';
import { root } from './repository.ts';

export interface ImportFact {
  specifier: string;
  line: number;
  typeOnly: boolean;
  /** `import('…')` */
  lazy: boolean;
}

export interface SourceFacts {
  /** Relative to the repository. */
  path: string;
  imports: ImportFact[];
  functions: { name: string; line: number; lines: number }[];
  /** Calls of C functions without a SAFETY: comment. */
  unsafeCalls: { callee: string; line: number }[];
}

/** Facts about every file that the compiler compiles, sorted by path. */
export function readSourceFacts(): SourceFacts[] {
  const script = join(root, 'scripts/source-facts.mjs');
  const result = spawnSync(getRuntime('node').path, [script], {
    encoding: 'utf8',
    maxBuffer: 2 ** 28,
    timeout: 60_000,
  });
  if (result.status !== 0) throw new Error(`scripts/source-facts.mjs failed: ${result.stderr}`);
  return JSON.parse(result.stdout) as SourceFacts[];
}
