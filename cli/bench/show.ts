// The report as text for a terminal.
import type { Output } from '../output.ts';
import { formatTable } from '../output.ts';
import { formatBytes, formatCount, formatMicros } from '../sizes.ts';
import type { BenchReport, MeasuredExperiment } from './mod.ts';
import type { Claim, Row, Unit } from './report.ts';

/** A number with its unit; a dash where nothing was measured. */
export function formatValue(value: number | null, unit: Unit): string {
  if (value === null) return '–';
  if (unit === 'ratio') return `${value.toFixed(2)} ×`;
  if (unit === 'count') return formatCount(Math.round(value));
  const format = unit === 'bytes' ? formatBytes : formatMicros;
  return value < 0 ? `-${format(-value)}` : format(value);
}

/** Rows as a table; the group is named once. */
export function formatRows(rows: readonly Row[]): string {
  let group = '';
  const lines = rows.map((row) => {
    const shown = row.group === group ? '' : row.group;
    group = row.group;
    const numbers = [row.min, row.median, row.p99].map((value) => formatValue(value, row.unit));
    return [shown, row.name, String(row.runs), ...numbers, row.note];
  });
  return formatTable([['', '', 'runs', 'min', 'median', 'p99', ''], ...lines], [2, 3, 4, 5]);
}

/** `✔ an exit costs … : 1.12 × (at most 1.30 ×)`. */
export function formatClaim({ claim, unit, relation, limit, value, holds }: Claim): string {
  const mark = holds === null ? '·' : holds ? '✔' : '✘';
  const measured = value === null ? 'not measured' : formatValue(value, unit);
  return `${mark} ${claim}: ${measured} (${relation} ${formatValue(limit, unit)})`;
}

function showExperiment(experiment: MeasuredExperiment, output: Output): void {
  const { name, title, seconds, othersPercent, failure, rows, claims } = experiment;
  const others = othersPercent === null ? '' : `, others used ${othersPercent} % of a CPU`;
  output.print('');
  output.print(output.paint('bold', `${name}: ${title}`) + ` (${seconds.toFixed(1)} s${others})`);
  if (failure !== null) output.print(`  not measured: ${failure}`);
  if (rows.length > 0) output.print(formatRows(rows));
  for (const claim of claims) {
    const colour = claim.holds === null ? 'dim' : claim.holds ? 'green' : 'red';
    output.print(output.paint(colour, formatClaim(claim)));
  }
}

/** Prints the whole report. */
export function showReport(report: BenchReport, output: Output): void {
  const { machine, date, runs, load, warnings } = report;
  const nested = machine.virtual ? ', itself virtual' : '';
  const memory = `${formatCount(machine.memoryMib)} MiB`;
  output.print(`${machine.cpu}, ${machine.cpus} CPUs, ${memory}${nested}`);
  output.print(`Linux ${machine.kernel}, KVM ${machine.kvm}, ${machine.runtime}`);
  output.print(`${date}, ${runs} runs, load average ${load[0]} before, ${load[1]} after`);
  for (const experiment of report.experiments) showExperiment(experiment, output);
  if (warnings.length > 0) output.print('');
  for (const warning of warnings) output.print(output.paint('yellow', `! ${warning}`));
}
