// The report as one HTML page that needs nothing else: figures, tables, claims, surroundings.
import { formatCount } from '../sizes.ts';
import { drawFigure, escapeXml, figureStyle, unitsOf } from './figure.ts';
import type { BenchReport, MeasuredExperiment } from './mod.ts';
import type { Claim, Row } from './report.ts';
import { formatClaim, formatValue } from './show.ts';

const pageStyle = `
  :root { color-scheme: light dark; }
  body { font: 15px/1.5 system-ui, sans-serif; max-width: 900px; margin: 2em auto; padding: 0 1em; }
  .scroll { overflow-x: auto; }
  table { border-collapse: collapse; font-size: 13px; }
  td, th { padding: 2px 10px; text-align: right; white-space: nowrap; }
  td:nth-child(-n+2), th:nth-child(-n+2), td:last-child { text-align: left; }
  .holds { color: #1a7f37; } .fails { color: #c2271b; } .open { opacity: .7; }
  .warning { border-left: 4px solid #d29922; padding-left: 10px; }
  @media (prefers-color-scheme: dark) { .holds { color: #57c46f; } .fails { color: #ff8a7d; } }`;

function element(name: string, content: string, attributes: string = ''): string {
  return `<${name}${attributes === '' ? '' : ` ${attributes}`}>${content}</${name}>`;
}

function surroundings({ machine, date, runs, load }: BenchReport): string {
  const facts = [
    `${machine.cpu}, ${machine.cpus} CPUs, ${formatCount(machine.memoryMib)} MiB` +
      `${machine.virtual ? ', itself virtual' : ''}`,
    `Linux ${machine.kernel}, KVM ${machine.kvm}`,
    machine.runtime,
    `${date}, ${runs} runs, load average ${load[0]} before and ${load[1]} after`,
  ];
  return element('ul', facts.map((fact) => element('li', escapeXml(fact))).join(''));
}

function tableOf(rows: readonly Row[]): string {
  const head = ['', '', 'runs', 'min', 'median', 'p99', ''];
  const lines = rows.map((row) => {
    const numbers = [row.min, row.median, row.p99].map((value) => formatValue(value, row.unit));
    return [row.group, row.name, String(row.runs), ...numbers, row.note];
  });
  const toRow = (cells: readonly string[], name: string): string =>
    element('tr', cells.map((cell) => element(name, escapeXml(cell))).join(''));
  const all = [toRow(head, 'th'), ...lines.map((line) => toRow(line, 'td'))].join('');
  return element('details', element('summary', 'All numbers') +
    element('div', element('table', all), 'class="scroll"'));
}

function claimLine(claim: Claim): string {
  const kind = claim.holds === null ? 'open' : claim.holds ? 'holds' : 'fails';
  return element('li', escapeXml(formatClaim(claim)), `class="${kind}"`);
}

function section(experiment: MeasuredExperiment): string {
  const { name, title, rows, claims, failure, seconds } = experiment;
  const parts = [element('h2', escapeXml(`${name}: ${title}`), `id="${escapeXml(name)}"`)];
  if (failure !== null) parts.push(element('p', escapeXml(`Not measured: ${failure}`)));
  for (const unit of unitsOf(rows)) {
    parts.push(element('div', drawFigure(`${name}: ${title}`, rows, unit), 'class="scroll"'));
  }
  const missing = rows.filter(({ median }) => median === null);
  if (missing.length > 0) {
    parts.push(element('p', 'Not measured:'), element('ul', missing.map((row) =>
      element('li', escapeXml(`${row.group}, ${row.name}: ${row.note}`))).join('')));
  }
  if (claims.length > 0) parts.push(element('ul', claims.map(claimLine).join('')));
  if (rows.length > 0) parts.push(tableOf(rows));
  parts.push(element('p', `It took ${seconds.toFixed(1)} s.`, 'class="open"'));
  return element('section', parts.join('\n'));
}

/** The whole page. */
export function makePage(report: BenchReport): string {
  const warnings = report.warnings.map((text) =>
    element('p', escapeXml(text), 'class="warning"')).join('');
  const contents = report.experiments.map(({ name, title }) =>
    element('li', element('a', escapeXml(title), `href="#${escapeXml(name)}"`))).join('');
  const body = [
    element('h1', 'catavmm on this host'), surroundings(report), warnings,
    element('ol', contents), ...report.experiments.map(section),
  ].join('\n');
  return `<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n` +
    `<meta name="viewport" content="width=device-width">\n<title>catavmm bench</title>\n` +
    `<style>${pageStyle}${figureStyle}\n</style>\n${body}\n</html>\n`;
}
