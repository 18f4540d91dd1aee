// The host's kernel as the oracle: the same program natively and in the sandbox must write the same
// bytes to stdout and stderr and end with the same code.
//
// Both runs start in the same directory with the same files in it. What the guest writes there must
// not appear on the host: the directory is compared before and after.

import {
  chmodSync, lstatSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, readlinkSync,
  realpathSync, rmSync, utimesSync, writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { diffBytes } from '../harness.ts';
import { formatDiff, diffLines } from './line-diff.ts';
import { runCatavmm, runProcess, textOf } from './process.ts';
import type { Outcome } from './process.ts';

/** Contents by path relative to the working directory; an array is [content, mode]. */
export type Files = Readonly<Record<string, string | Uint8Array | readonly [string, number]>>;

export interface Comparison {
  argv: readonly string[];
  stdin?: string | Uint8Array;
  env?: Readonly<Record<string, string>>;
  files?: Files;
  /** For each of the two runs; default 20 s. */
  timeoutMs?: number;
  /** More flags of `catavmm run`. */
  flags?: readonly string[];
  /** Runs again when the outputs differ: for programs that look at the clock on a busy machine. */
  retries?: number;
  /** Changes both outputs before they are compared, to take out what is expected to differ. */
  normalise?: (text: string) => string;
}

export interface Compared {
  host: Outcome;
  guest: Outcome;
}

const timeoutMsDefault = 20_000;

/** What every program of the oracle gets, in this order. */
export const baseEnvironment: Readonly<Record<string, string>> = {
  PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
  HOME: '/root',
  FIXTURE: '1',
  PYTHONDONTWRITEBYTECODE: '1',
};

const MTIME_S = 1_700_000_000;

/** A new empty directory; real path, for programs ask for their working directory. */
export function makeScratch(): string {
  return mkdtempSync(join(realpathSync(tmpdir()), 'catavmm-oracle-'));
}

/** Puts files in an emptied directory. */
export function prepareFiles(folder: string, files: Files = {}): void {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { mode: 0o755 });
  for (const [path, value] of Object.entries(files)) {
    const target = join(folder, path);
    mkdirSync(dirname(target), { recursive: true });
    const [content, mode] = typeof value === 'string' || value instanceof Uint8Array
      ? [value, 0o644] : value;
    writeFileSync(target, content);
    // The same in both trees: programs print it.
    utimesSync(target, MTIME_S, MTIME_S);
    chmodSync(target, mode);
  }
}

/** Everything below a directory, as lines that change when it is changed. */
export function describeFolder(folder: string): string {
  const lines: string[] = [];
  function walk(path: string): void {
    for (const name of readdirSync(join(folder, path)).sort()) {
      const item = `${path}${name}`;
      const stat = lstatSync(join(folder, item));
      const content = stat.isFile() ? readFileSync(join(folder, item)).toString('latin1')
        : stat.isSymbolicLink() ? readlinkSync(join(folder, item)) : '';
      lines.push(`${item} ${stat.mode.toString(8)} ${stat.size} ${stat.mtimeMs} ${content}`);
      if (stat.isDirectory()) walk(`${item}/`);
    }
  }
  walk('');
  return lines.join('\n');
}

/**
 * Gives a program pipes for stdin and stdout, as a shell would; some runtimes give their children
 * sockets, which a program can tell. The exit code goes to the file $1.
 */
const pipedScript = 'code=$1; shift; exec 3>&2 2>/dev/null; ' +
  'cat | { (exec "$@" 2>&3 3>&-); echo $? >"$code"; } | cat';

/** Runs a program natively. `env -i` keeps the order of variables on every runtime. */
export function runNative(comparison: Comparison, cwd: string): Outcome {
  const env = { ...baseEnvironment, ...comparison.env };
  const variables = Object.entries(env).map(([name, value]) => `${name}=${value}`);
  const scratch = makeScratch();
  try {
    const codeFile = join(scratch, 'code');
    const command = ['/usr/bin/env', '-i', ...variables, ...comparison.argv];
    const outcome = runProcess(['/bin/sh', '-c', pipedScript, 'sh', codeFile, ...command], {
      cwd,
      ...(comparison.stdin === undefined ? {} : { stdin: comparison.stdin }),
      timeoutMs: comparison.timeoutMs ?? timeoutMsDefault,
    });
    if (outcome.hung) return outcome;
    return { ...outcome, code: Number(readFileSync(codeFile, 'utf8')) };
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

/** Flags of `catavmm run` and `build` for an environment. */
export function environmentFlags(env: Readonly<Record<string, string>> = {}): string[] {
  return Object.entries({ ...baseEnvironment, ...env })
    .flatMap(([name, value]) => ['-e', `${name}=${value}`]);
}

/** Runs a program in a sandbox, on the runtime of this test. */
export function runGuest(comparison: Comparison, cwd: string): Outcome {
  const flags = [...environmentFlags(comparison.env), ...comparison.flags ?? []];
  return runCatavmm(['run', ...flags, '--', ...comparison.argv], {
    cwd,
    ...(comparison.stdin === undefined ? {} : { stdin: comparison.stdin }),
    timeoutMs: comparison.timeoutMs ?? timeoutMsDefault,
  });
}

/** One line per difference; empty when both did the same. */
export function listDifferences(
  host: Outcome, guest: Outcome, normalise?: (text: string) => string,
): string[] {
  const isExact = normalise === undefined;
  const lines: string[] = [];
  if (host.hung) lines.push('the host\'s run did not end');
  if (guest.hung) lines.push('the sandbox\'s run did not end');
  if (host.code !== guest.code) lines.push(`exit code: host ${host.code}, guest ${guest.code}`);
  for (const stream of ['stdout', 'stderr'] as const) {
    const [a, b] = [host, guest].map((outcome) => {
      const text = textOf(outcome[stream]);
      return normalise === undefined ? text : normalise(text);
    }) as [string, string];
    const diff = diffLines(a, b);
    if (diff.length > 0) lines.push(`${stream} (- host, + guest):\n${formatDiff(diff)}`);
    else if (isExact && diffBytes(guest[stream], host[stream]) !== '') {
      lines.push(`${stream}: ${diffBytes(guest[stream], host[stream])}`);
    }
  }
  return lines;
}

function compareOnce(comparison: Comparison, cwd: string): Compared & { differences: string[] } {
  prepareFiles(cwd, comparison.files);
  const host = runNative(comparison, cwd);
  prepareFiles(cwd, comparison.files);
  const before = describeFolder(cwd);
  const guest = runGuest(comparison, cwd);
  const differences = listDifferences(host, guest, comparison.normalise);
  if (describeFolder(cwd) !== before) {
    differences.push(`the sandbox wrote outside:\n${describeFolder(cwd)}`);
  }
  return { host, guest, differences };
}

/**
 * Runs a program natively and in the sandbox and compares.
 * @throws with all differences
 */
export function compareWithHost(comparison: Comparison): Compared {
  const cwd = makeScratch();
  try {
    let result = compareOnce(comparison, cwd);
    for (let i = 0; i < (comparison.retries ?? 0) && result.differences.length > 0; i++) {
      // What hangs once is not busy but broken.
      if (result.guest.hung) break;
      result = compareOnce(comparison, cwd);
    }
    if (result.differences.length > 0) {
      const command = comparison.argv.join(' ');
      throw new Error(`${command}\n${result.differences.join('\n')}`);
    }
    return { host: result.host, guest: result.guest };
  } finally {
    rmSync(cwd, { recursive: true, force: true });
  }
}
