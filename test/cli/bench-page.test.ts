// The report of `catavmm bench` as figures and as a page.
import { drawFigure, escapeXml, figureFile, unitsOf } from '../../cli/bench/figure.ts';
import type { BenchReport } from '../../cli/bench/mod.ts';
import { makePage } from '../../cli/bench/page.ts';
import { makeClaim, makeRow, type Row } from '../../cli/bench/report.ts';
import { makeScale, roundDown, roundUp } from '../../cli/bench/scale.ts';
import { assert, suite } from '../harness.ts';

const test = suite('test/cli/bench-page');

const rows: Row[] = [
  makeRow('C hello', 'native', 'us', [400, 500, 600]),
  makeRow('C hello', 'fork <&"', 'us', [300, 350, 900]),
  makeRow('C hello', 'native / fork', 'ratio', [1.2, 1.4]),
  makeRow('C hello', 'criu', 'us', [], 'apt-get install criu'),
];

function report(): BenchReport {
  const claims = [
    makeClaim('it is fast', 'at least', 1, rows[2]),
    makeClaim('it is small', 'at most', 1, rows[0]),
    makeClaim('it is known', 'at most', 1, rows[3]),
  ];
  const sharing = { seconds: 1.5, othersPercent: null, stealPercent: null };
  return {
    machine: {
      cpu: 'A <CPU>', cpus: 2, memoryMib: 1000, kernel: '6', kvm: 'PVM', virtual: true,
      runtime: 'node 22',
    } as BenchReport['machine'],
    date: '2026-01-01T00:00:00.000Z', runs: 3, quick: false, load: [0, 0],
    experiments: [
      { name: 'boots', title: 'boots', rows, claims, failure: null, ...sharing },
      { name: 'none', title: 'none', rows: [], claims: [], failure: 'no <KVM>', ...sharing },
    ],
    warnings: ['few runs'],
  };
}

test('round numbers are 1, 2 or 5 times a power of ten', () => {
  assert.equal([0.3, 1, 1.9, 20, 49, 51, 99_999].map(roundDown), [0.2, 1, 1, 20, 20, 50, 50_000]);
  assert.equal([0.3, 1, 1.9, 20, 49, 51, 99_999].map(roundUp), [0.5, 1, 2, 20, 50, 100, 100_000]);
});

test('an axis begins at 0, and is logarithmic where values span decades', () => {
  const linear = makeScale([3, 10]);
  assert.is(linear.isLog, false);
  assert.is(linear.place(0), 0);
  assert.equal(linear.ticks, [0, 2, 4, 6, 8, 10]);
  const log = makeScale([20, 30_000]);
  assert.is(log.isLog, true);
  assert.equal(log.ticks.map(Math.round), [10, 100, 1000, 10_000, 100_000]);
  assert.is(log.place(0), 0);
  assert.ok(Math.abs(log.place(1000) - 0.5) < 1e-9);
  assert.equal([makeScale([]), makeScale([0])].map(({ ticks }) => ticks.length > 1), [true, true]);
});

test('values stay within the axis, in order', () => {
  for (const values of [[1, 2, 3], [0.001, 5, 90_000], [7]]) {
    const scale = makeScale(values);
    const places = values.map((value) => scale.place(value));
    assert.ok(places.every((place) => place >= 0 && place <= 1), places.join());
    assert.equal(places, [...places].sort((a, b) => a - b));
  }
});

test('a figure has a line for each row that was measured', () => {
  assert.equal(unitsOf(rows), ['us', 'ratio']);
  const svg = drawFigure('boots', rows, 'us');
  assert.is(svg.match(/class="range"/g)?.length, 2);
  assert.match(svg, escapeXml('fork <&"'));
  assert.ok(!svg.includes('fork <&"'));
  assert.match(figureFile(svg), /^<svg [^>]*><style>/);
});

test('the page shows everything, also what was not measured and what does not hold', () => {
  const page = makePage(report());
  for (const part of [
    'A &lt;CPU&gt;', 'Not measured: no &lt;KVM&gt;', 'apt-get install criu', 'few runs',
    'class="holds"', 'class="fails"', 'class="open"', 'prefers-color-scheme: dark',
  ]) assert.match(page, part);
  assert.ok(!/<script|https?:\/\/(?!www\.w3\.org)/.test(page));
});

test.run();
