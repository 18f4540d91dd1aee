// The command line with all its commands.

import type { Environment } from './args.ts';
import { type Loaders, runWords } from './dispatch.ts';

const loaders: Required<Loaders> = {
  run: () => import('./commands/run.ts'),
  build: () => import('./commands/build.ts'),
  boot: () => import('./commands/boot.ts'),
  tune: () => import('./commands/tune.ts'),
  inspect: () => import('./commands/inspect.ts'),
  verify: () => import('./commands/verify.ts'),
  syscalls: () => import('./commands/syscalls.ts'),
  doctor: () => import('./commands/doctor.ts'),
  bench: () => import('./commands/bench.ts'),
  completion: () => import('./commands/completion.ts'),
};

/** Runs a command line. Takes what follows the program's name, returns the exit code. */
export function runCli(words: readonly string[], env: Environment): Promise<number> {
  return runWords(words, env, loaders);
}
