// The command line with `boot` alone. The built package starts boots from a bundle of this: half as
// much code to load (scripts/bundle.mjs).

import type { Environment } from './args.ts';
import { runWords } from './dispatch.ts';

/** As runCli() of cli.ts. Preconditions: `boot` comes first; one cold boot that is not traced. */
export function runCli(words: readonly string[], env: Environment): Promise<number> {
  return runWords(words, env, { boot: () => import('./commands/boot.ts') });
}
