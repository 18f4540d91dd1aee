// Compiles the C fixtures, once for all runtimes and runs: the program lies in
// fixtures/build/<name>-<variant>-<digest>/, the digest covers sources, flags and compiler.
//
// Invariant: a program appears at its place complete (rename), for two test processes may want the
// same one at the same time.

import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { root } from '../helpers/repository.ts';

export type Variant = 'static' | 'dynamic' | 'static-pie';

const flags: Readonly<Record<Variant, readonly string[]>> = {
  static: ['-static', '-no-pie'],
  dynamic: ['-pie'],
  'static-pie': ['-static-pie'],
};
const common = ['-std=gnu11', '-O1', '-w', '-pthread'];
const headers = ['fixtures/c/fixture.h', 'fixtures/helpers/c/catavmm.h'];
const buildFolder = join(root, 'fixtures/build');

let compiler: string | undefined | null = null;

/** The compiler's version, or undefined. */
function findCompiler(): string | undefined {
  if (compiler !== null) return compiler;
  const [machine, version] = ['-dumpmachine', '-dumpfullversion'].map((question) => {
    const result = spawnSync('gcc', [question], { encoding: 'utf8' });
    return result.status === 0 ? result.stdout.trim() : '';
  }) as [string, string];
  compiler = machine.startsWith('x86_64') ? `${machine} ${version}` : undefined;
  return compiler;
}

/** Why C fixtures cannot be compiled here, or undefined when they can. */
export function compilerMissing(): string | undefined {
  return findCompiler() === undefined ? 'needs gcc for x86-64 to compile fixtures/c' : undefined;
}

function digestOf(source: string, variant: Variant): string {
  const hash = createHash('sha256').update(`${findCompiler()} ${common} ${flags[variant]}`);
  for (const path of [source, ...headers]) hash.update(readFileSync(join(root, path)));
  return hash.digest('hex').slice(0, 12);
}

/**
 * The path of `fixtures/c/<name>.c` as a program.
 * @throws with the compiler's messages when it does not compile
 */
export function compileFixture(name: string, variant: Variant = 'dynamic'): string {
  const source = `fixtures/c/${name}.c`;
  const folder = join(buildFolder, `${name}-${variant}-${digestOf(source, variant)}`);
  const program = join(folder, name);
  if (existsSync(program)) return program;
  mkdirSync(folder, { recursive: true });
  const scratch = mkdtempSync(join(buildFolder, 'tmp-'));
  try {
    const out = join(scratch, name);
    const result = spawnSync('gcc', [
      ...common, ...flags[variant], '-o', out, join(root, source), '-lm',
    ], { encoding: 'utf8', timeout: 120_000 });
    if (result.status !== 0) throw new Error(`gcc ${source}: ${result.stderr}`);
    renameSync(out, program);
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
  return program;
}

/** Path of a file below fixtures/. */
export function fixturePath(path: string): string {
  return join(root, 'fixtures', path);
}
