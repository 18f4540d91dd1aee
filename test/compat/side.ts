// How a program is started on each side: with the same variables, natively or by `catavmm run`.

import { catavmmCommand, getRuntime } from '../helpers/runtimes.ts';
import type { Side } from './results.ts';

/** What every program gets on both sides. */
export const environment: Readonly<Record<string, string>> = {
  PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
  HOME: '/root',
  LANG: 'C.UTF-8',
  TERM: 'dumb',
  PYTHONDONTWRITEBYTECODE: '1',
};

const memory = '3g';

/** The command that runs a program on a side; for at most so long in the sandbox. */
export function commandOn(
  side: Side, argv: readonly string[], timeoutMs: number, workdir: string = '/tmp',
): string[] {
  if (side === 'native') return ['/usr/bin/env', '-C', workdir, ...argv];
  const variables = Object.entries(environment).flatMap(([name, value]) =>
    ['-e', `${name}=${value}`]);
  const flags = ['-m', memory, '--timeout', `${timeoutMs}ms`, '-w', workdir, ...variables];
  return catavmmCommand(getRuntime('node'), ['run', ...flags, '--', ...argv], true);
}
