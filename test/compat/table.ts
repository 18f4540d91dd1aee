// The report: one row for each suite, and below the cases that differ.

import type { Compared, Counts } from './compare.ts';
import { countVerdicts } from './compare.ts';

export interface SuiteReport {
  name: string;
  cases: readonly Compared[];
  /** Set where the suite could not be run: what to do about it. */
  absent?: string;
}

function percent(counts: Counts): string {
  const all = counts.pass + counts.differs;
  return all === 0 ? '-' : `${(Math.floor(1000 * counts.pass / all) / 10).toFixed(1)} %`;
}

function row(name: string, counts: Counts): string {
  const numbers = [counts.pass + counts.differs, counts.pass, counts.differs, counts.notNative];
  return [name.padEnd(28), ...numbers.map((n) => String(n).padStart(9)),
    percent(counts).padStart(9)].join('');
}

const head = ['suite'.padEnd(28), ...['native', 'pass', 'differ', 'neither', '%']
  .map((word) => word.padStart(9))].join('');

/** The last line of a detail that says something. */
function lastLine(detail: string): string {
  const lines = detail.trim().split('\n').filter((line) => line.trim() !== '');
  return (lines.at(-1) ?? '').trim().slice(0, 110);
}

function listDiffering(report: SuiteReport): string[] {
  return report.cases.filter(({ verdict }) => verdict === 'differs')
    .map(({ id, guest, detail }) => `  ${id}: ${guest}: ${lastLine(detail)}`);
}

/** The whole report as text. */
export function formatReport(reports: readonly SuiteReport[]): string {
  const rows = reports.map((report) => report.absent === undefined
    ? row(report.name, countVerdicts(report.cases))
    : `${report.name.padEnd(28)}  NOT RUN: ${report.absent}`);
  const all = countVerdicts(reports.flatMap(({ cases }) => cases));
  const differing = reports.flatMap(listDiffering);
  return [
    head, ...rows, row('all', all), '',
    `Of the ${all.pass + all.differs} cases that pass natively as root, ` +
      `${percent(all)} pass in the sandbox.`,
    ...differing.length === 0 ? [] : ['', 'These differ:', ...differing],
  ].join('\n');
}
