// A figure of an experiment as SVG: a line per row from the least value to the 99th percentile, a
// mark at the median. It follows the reader's choice of a dark or a light page.
import { formatValue } from './show.ts';
import type { Row, Unit } from './report.ts';
import { makeScale, type Scale } from './scale.ts';

const WIDTH = 860;
const LABEL_WIDTH = 300;
const VALUE_WIDTH = 110;
const PLOT_WIDTH = WIDTH - LABEL_WIDTH - VALUE_WIDTH;
const ROW_HEIGHT = 24;
const GROUP_HEIGHT = 26;
const TOP = 14;
const AXIS_HEIGHT = 46;
const NAME_CHARS_MOST = 42;

const AXIS_NAMES: Readonly<Record<Unit, string>> = {
  us: 'time', bytes: 'memory', count: 'number', ratio: 'how many times as much',
};

/** Styles of a figure; in a page of several they stand once. */
export const figureStyle: string = `
  .figure { color: #1b1f24; font: 13px system-ui, sans-serif; }
  .figure text { fill: currentColor; }
  .figure .soft { opacity: .65; }
  .figure .grid { stroke: currentColor; opacity: .15; }
  .figure .range { stroke: #3b7dd8; stroke-width: 6; stroke-linecap: round; opacity: .45; }
  .figure .median { fill: #3b7dd8; }
  .figure .group { font-weight: 600; }
  @media (prefers-color-scheme: dark) {
    .figure { color: #e4e8ee; }
    .figure .range { stroke: #7db2ff; }
    .figure .median { fill: #7db2ff; }
  }`;

/** Text in XML. */
export function escapeXml(text: string): string {
  const names: Readonly<Record<string, string>> =
    { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', '\'': '&#39;' };
  return text.replace(/[&<>"']/g, (sign) => names[sign] ?? sign);
}

function shorten(text: string): string {
  return text.length <= NAME_CHARS_MOST ? text : `${text.slice(0, NAME_CHARS_MOST - 1)}…`;
}

/** The units of which there is something to show, in the order in which they come. */
export function unitsOf(rows: readonly Row[]): Unit[] {
  return [...new Set(rows.filter(({ median }) => median !== null).map(({ unit }) => unit))];
}

/**
 * One figure of all rows of a unit.
 * @param title for readers that cannot see it
 */
export function drawFigure(title: string, rows: readonly Row[], unit: Unit): string {
  const shown = rows.filter((row) => row.unit === unit && row.median !== null);
  const scale = makeScale(shown.flatMap(rangeOf));
  const parts: string[] = [];
  let y = TOP;
  let group: string | null = null;
  for (const row of shown) {
    if (row.group !== group) {
      group = row.group;
      y += GROUP_HEIGHT;
      parts.push(text(8, y - 8, shorten(group), 'class="group"'));
    }
    parts.push(drawRow(row, y, scale));
    y += ROW_HEIGHT;
  }
  const height = y + AXIS_HEIGHT;
  const box = `viewBox="0 0 ${WIDTH} ${height}"`;
  return `<svg xmlns="http://www.w3.org/2000/svg" class="figure" ${box} ` +
    `width="${WIDTH}" height="${height}" role="img" aria-label="${escapeXml(title)}">` +
    `${drawAxis(scale, unit, y)}${parts.join('')}</svg>`;
}

/** A figure as a file of its own. */
export function figureFile(svg: string): string {
  return svg.replace('>', `><style>${figureStyle}</style>`);
}

function x(scale: Scale, value: number): number {
  return Math.round((LABEL_WIDTH + scale.place(value) * PLOT_WIDTH) * 10) / 10;
}

function text(at: number, y: number, content: string, more: string = ''): string {
  return `<text x="${at}" y="${y}" ${more}>${escapeXml(content)}</text>`;
}

/** Least, median and 99th percentile; some rows have only a median. */
function rangeOf({ min, median, p99 }: Row): [number, number, number] {
  const middle = median ?? 0;
  return [min ?? middle, middle, p99 ?? middle];
}

function drawRow(row: Row, y: number, scale: Scale): string {
  const middle = y + ROW_HEIGHT / 2;
  const [min, median, p99] = rangeOf(row);
  const label = formatValue(median, row.unit);
  const about = `${row.group}, ${row.name}: ${label} (${formatValue(min, row.unit)} to ` +
    `${formatValue(p99, row.unit)})${row.note === '' ? '' : `; ${row.note}`}`;
  return `<g><title>${escapeXml(about)}</title>` +
    text(LABEL_WIDTH - 12, middle + 4, shorten(row.name), 'text-anchor="end"') +
    `<line class="range" x1="${x(scale, min)}" x2="${x(scale, p99)}" y1="${middle}" ` +
    `y2="${middle}"/><circle class="median" cx="${x(scale, median)}" cy="${middle}" r="5"/>` +
    `${text(WIDTH - 8, middle + 4, label, 'text-anchor="end" class="soft"')}</g>`;
}

function drawAxis(scale: Scale, unit: Unit, bottom: number): string {
  const ticks = scale.ticks.map((value) => {
    const at = x(scale, value);
    return `<line class="grid" x1="${at}" x2="${at}" y1="${TOP}" y2="${bottom}"/>` +
      text(at, bottom + 16, tickLabel(value, unit), 'text-anchor="middle" class="soft"');
  });
  const name = `${AXIS_NAMES[unit]}${scale.isLog ? ', logarithmic' : ''}: ` +
    'least to 99th percentile, dot at the median';
  const middle = LABEL_WIDTH + PLOT_WIDTH / 2;
  return ticks.join('') + text(middle, bottom + 36, name, 'text-anchor="middle" class="soft"');
}

/** `1.0 ms` as a mark is `1 ms`. */
function tickLabel(value: number, unit: Unit): string {
  if (value === 0) return '0';
  return formatValue(value, unit).replace(/\.0+(?= )/, '');
}
