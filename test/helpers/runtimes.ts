// The runtimes a test can start processes with, and how each starts our command line.
//
// scripts/test.mjs passes what it found in the environment; a test that is run by itself asks
// scripts/runtimes.mjs the same question.

import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import process from 'node:process';
import { root } from './repository.ts';

export type RuntimeName = 'node' | 'bun' | 'deno';

export interface Runtime {
  readonly name: RuntimeName;
  /** Absolute path of the binary. */
  readonly path: string;
  readonly version: string;
}

type Found = Record<RuntimeName, { path: string; version: string }>;

export const runtimeNames: readonly RuntimeName[] = ['node', 'bun', 'deno'];

function findRuntimes(): Found {
  const given = process.env['CATAVMM_TEST_RUNTIMES'];
  if (given !== undefined && given !== '') return JSON.parse(given) as Found;
  const script = join(root, 'scripts/runtimes.mjs');
  const result = spawnSync('node', [script], { encoding: 'utf8' });
  if (result.status !== 0) throw new Error(`scripts/runtimes.mjs failed: ${result.stderr}`);
  return JSON.parse(result.stdout) as Found;
}

let found: Found | undefined;

/** A runtime by name. */
export function getRuntime(name: RuntimeName): Runtime {
  found ??= findRuntimes();
  return { name, ...found[name] };
}

/** All three. */
export function allRuntimes(): Runtime[] {
  return runtimeNames.map(getRuntime);
}

/** The name of the runtime that runs this test. */
export function currentRuntimeName(): RuntimeName {
  if ('Bun' in globalThis) return 'bun';
  return 'Deno' in globalThis ? 'deno' : 'node';
}

/** True when this test runs from TypeScript source, false when from dist. */
export const isSource: boolean = import.meta.url.endsWith('.ts');

/** `[command, …arguments]` that runs a JavaScript (on Bun and Deno also TypeScript) file. */
export function commandFor(runtime: Runtime, file: string, ...args: string[]): string[] {
  const flags = runtime.name === 'deno' ? ['run', '-A', '--quiet'] : [];
  return [runtime.path, ...flags, file, ...args];
}

/**
 * `[command, …arguments]` that starts `catavmm` on a runtime: the source on Bun and Deno, the
 * built command on Node (and on all of them with `built`).
 */
export function catavmmCommand(runtime: Runtime, args: string[], built: boolean = false): string[] {
  const fromDist = built || runtime.name === 'node';
  const file = join(root, fromDist ? 'dist/cli/main.cjs' : 'cli/main.ts');
  return commandFor(runtime, file, ...args);
}
