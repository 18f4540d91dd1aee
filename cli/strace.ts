// `--strace` and `--strace-summary`: each line as it comes, or counts at the end.
//
// Lines are as strace(1) writes them: `[pid 7] name(arguments) = result`, where the result of a
// failed call is `-1 ENAME (text)`. A call that waits gives two: `name(… <unfinished ...>` and
// `<... name resumed>) = result`; the second counts.

import { formatCount } from './sizes.ts';
import type { Output } from './output.ts';
import { formatTable } from './output.ts';

interface CallCount {
  calls: number;
  errors: Map<string, number>;
}

const callName = /^(?:\[pid\s+\d+\] )?(?:<\.\.\. (\w+) resumed>|(\w+)\()/;
const errorName = / = -1 (E\w+) \([^)]*\)$/;

/** Counts calls and errors by name. */
export class CallSummary {
  readonly #counts: Map<string, CallCount> = new Map();

  add(line: string): void {
    const match = callName.exec(line);
    const name = match?.[1] ?? match?.[2];
    if (name === undefined || line.endsWith('<unfinished ...>')) return;
    const error = errorName.exec(line)?.[1];
    const count = this.#counts.get(name) ?? { calls: 0, errors: new Map() };
    count.calls++;
    if (error !== undefined) count.errors.set(error, (count.errors.get(error) ?? 0) + 1);
    this.#counts.set(name, count);
  }

  /** A table, most frequent calls first. */
  format(): string {
    const sorted = [...this.#counts].sort(([a, x], [b, y]) => {
      return y.calls - x.calls || (a < b ? -1 : 1);
    });
    const total = sorted.reduce((sum, [, { calls }]) => sum + calls, 0);
    const rows = sorted.map(([name, { calls, errors }]) => [
      formatCount(calls), `${((calls / total) * 100).toFixed(1)}%`, name,
      [...errors].map(([error, count]) => `${error} ${formatCount(count)}`).join(', '),
    ]);
    return formatTable(
      [['calls', 'share', 'call', 'errors'], ...rows, [formatCount(total), '', 'total', '']],
      [0, 1],
    );
  }
}

/** What the sandbox calls for each line, and what to do when the guest has ended. */
export interface Tracing {
  strace?: (line: string) => void;
  finish(): void;
}

/** Sets up what the flags ask for. */
export function makeTracing(
  wanted: { lines: boolean; summary: boolean }, output: Output,
): Tracing {
  const { lines, summary } = wanted;
  if (!lines && !summary) return { finish: () => undefined };
  const counts = new CallSummary();
  return {
    strace: (line) => {
      if (summary) counts.add(line);
      if (lines) output.complain(line);
    },
    finish: () => { if (summary) output.complain(counts.format()); },
  };
}
