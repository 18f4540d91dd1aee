// The bench as a smoke test: every experiment runs, and nothing but measurements becomes a number.
// How fast anything was is not judged here.

import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pairs, takeTurns, valuesOf } from '../../cli/bench/harness.ts';
import { describeMachine, watchSharing } from '../../cli/bench/machine-info.ts';
import { experiments, runBench } from '../../cli/bench/mod.ts';
import type { MeasuredExperiment } from '../../cli/bench/mod.ts';
import { commandOn, findCommandFile, findRuntime, projectFile } from '../../cli/bench/places.ts';
import { writeCallLoop } from '../../cli/bench/call-loop.ts';
import { makeClaim, makeRow, summarise } from '../../cli/bench/report.ts';
import type { Row } from '../../cli/bench/report.ts';
import { formatClaim, formatRows, formatValue } from '../../cli/bench/show.ts';
import { parseOnly } from '../../cli/commands/bench.ts';
import { parseElf } from '../../formats/elf.ts';
import { assert, needsKvm, suite } from '../harness.ts';
import { currentRuntimeName } from '../helpers/runtimes.ts';

const test = suite('cli/bench');
const testKvm = needsKvm(test);
const slow = { timeoutMs: 240_000 };
const silent = { runs: 2, warmUps: 1, progress: () => undefined };

test('summarise() gives the least, the middle and the nearest-rank 99th percentile', () => {
  assert.equal(summarise([3, 1, 2]), { min: 1, median: 2, p99: 3 });
  assert.equal(summarise([4, 1, 2, 3]), { min: 1, median: 2.5, p99: 4 });
  const hundred = Array.from({ length: 200 }, (_unused, index) => index + 1);
  assert.equal(summarise(hundred), { min: 1, median: 100.5, p99: 198 });
  assert.throws(() => summarise([]), RangeError);
});

test('takeTurns() goes round by round and counts no warm-up', async () => {
  const order: string[] = [];
  const contenders = ['a', 'b'].map((name) => ({
    name, once: () => ({ us: order.push(name) }),
  }));
  const collected = await takeTurns(contenders, silent, 'test');
  assert.is(order.join(''), 'ababab');
  assert.equal(valuesOf(collected.get('a'), 'us'), [3, 5]);
  assert.equal(pairs(collected.get('b'), collected.get('a'), 'us', (b, a) => b - a), [1, 1]);
});

test('takeTurns() keeps nothing of a contender that failed half-way', async () => {
  let turns = 0;
  const failing = { name: 'a', once: () => {
    if (++turns === 3) throw new Error('it broke');
    return { us: 1 };
  } };
  const good = { name: 'b', once: () => ({ us: 2 }) };
  const collected = await takeTurns([failing, good], { ...silent, runs: 4 }, 'test');
  assert.equal(collected.get('a'), { samples: [], failure: 'it broke' });
  assert.is(turns, 3);
  assert.is(collected.get('b')?.samples.length, 4);
  assert.equal(pairs(collected.get('a'), collected.get('b'), 'us', (a, b) => a / b), []);
});

test('a row without values has no numbers, and a claim on it holds neither way', () => {
  const row = makeRow('group', 'name', 'us', [], 'why');
  assert.equal(row, {
    group: 'group', name: 'name', unit: 'us', runs: 0, min: null, median: null, p99: null,
    note: 'why',
  });
  assert.is(makeClaim('x', 'at most', 5, row).holds, null);
  assert.is(makeClaim('x', 'at most', 5, undefined).holds, null);
  const measured = makeRow('group', 'name', 'us', [5, 6, 7]);
  assert.is(makeClaim('x', 'at most', 6, measured).holds, true);
  assert.is(makeClaim('x', 'at least', 6.1, measured).holds, false);
});

test('tables show a dash where nothing was measured', () => {
  assert.is(formatValue(null, 'us'), '–');
  assert.is(formatValue(1.234, 'ratio'), '1.23 ×');
  assert.is(formatValue(-1500, 'us'), '-1.5 ms');
  assert.is(formatValue(1234, 'count'), '1,234');
  assert.is(formatValue(-1536, 'bytes'), '-1.5 KiB');
  const rows = [makeRow('g', 'a', 'us', [1, 2, 3]), makeRow('g', 'b', 'us', [], 'no compiler')];
  const lines = formatRows(rows).split('\n');
  assert.match(lines[1] ?? '', /^g +a +3 +1\.0 µs +2\.0 µs +3\.0 µs$/);
  assert.match(lines[2] ?? '', /^ +b +0 +– +– +– +no compiler$/);
  const claim = makeClaim('it is fast', 'at most', 10, rows[1]);
  assert.is(formatClaim(claim), '· it is fast: not measured (at most 10 µs)');
});

test('--only takes names of experiments, separated by commas', () => {
  assert.is(parseOnly(undefined), undefined);
  assert.equal(parseOnly('exit, wasm'), ['exit', 'wasm']);
  assert.throws(() => parseOnly('exits'), /There is no experiment "exits"/);
  assert.equal(experiments.map(({ name }) => name), [
    'exit', 'wasm', 'timeline', 'process', 'boots', 'density', 'recovery',
  ]);
});

test('the machine is described, and who else used it', () => {
  const machine = describeMachine();
  assert.match(machine.runtime, new RegExp(`^${currentRuntimeName()} \\d`));
  assert.ok(machine.cpus >= 1 && machine.memoryMib > 0);
  const stop = watchSharing();
  const untilMs = performance.now() + 300;
  while (performance.now() < untilMs);
  const { seconds, othersPercent } = stop();
  assert.ok(seconds >= 0.3, `${seconds} s`);
  // What was burnt here is ours; others may use what is left of the machine.
  assert.ok(othersPercent !== null && othersPercent <= machine.cpus * 100, `${othersPercent} %`);
});

test('the runtimes that are found are binaries, not scripts that start one', () => {
  const runtime = findRuntime(currentRuntimeName());
  assert.is(runtime?.name, currentRuntimeName());
  const command = commandOn({ name: 'deno', path: '/d', version: '2.9.0' }, 'x.ts');
  assert.equal(command, ['/d', 'run', '-A', '--quiet', 'x.ts']);
  assert.match(findCommandFile('source') ?? '', /cli\/main\.ts$/);
  assert.is(projectFile('no/such/file'), undefined);
});

test('the loop of a call is an ELF program', () => {
  const directory = mkdtempSync(join(tmpdir(), 'catavmm-bench-test-'));
  try {
    const { entry, phdrs } = parseElf(readFileSync(writeCallLoop(directory, 'getpid', 5)));
    assert.is(phdrs.length, 1);
    assert.is(entry, 0x40_0000 + 64 + 56);
  } finally {
    rmSync(directory, { recursive: true });
  }
});

/** Every row is measured or says why not; gives the experiment back. */
async function measureQuickly(name: string): Promise<MeasuredExperiment> {
  const report = await runBench({ only: [name], runs: 2, quick: true });
  const [experiment] = report.experiments;
  assert.is(experiment?.failure, null);
  assert.ok(report.warnings.some((warning) => warning.startsWith('quick')));
  for (const row of experiment?.rows ?? []) {
    const where = `${row.group}: ${row.name}`;
    if (row.runs === 0) assert.ok(row.median === null && row.note !== '', where);
    else assert.ok(Number.isFinite(row.median), where);
  }
  return experiment as MeasuredExperiment;
}

function find({ rows }: MeasuredExperiment, group: string, name: string): Row {
  const row = rows.find((candidate) => candidate.group === group && candidate.name === name);
  if (row === undefined) throw new Error(`no row ${group}: ${name}`);
  return row;
}

function assertMeasured(row: Row): void {
  assert.ok(row.runs > 0, `${row.group}: ${row.name} was not measured: ${row.note}`);
}

test('wasm is measured without KVM', async () => {
  const experiment = await measureQuickly('wasm');
  assertMeasured(find(experiment, 'relocate 100,000 relations', 'WebAssembly'));
  assert.is(experiment.claims.length, 1);
  assert.is(typeof experiment.claims[0]?.holds, 'boolean');
}, slow);

testKvm('exit is measured, beside the C program where there is a compiler', async () => {
  const experiment = await measureQuickly('exit');
  const group = 'one round trip';
  assertMeasured(find(experiment, group, 'machine'));
  for (const name of ['kernel', 'stub', 'stub / kernel', 'native']) {
    assertMeasured(find(experiment, group, name));
  }
  const c = find(experiment, group, 'C program');
  if (c.runs === 0) assert.match(c.note, 'apt-get install gcc');
  else assertMeasured(find(experiment, group, 'machine / C'));
}, slow);

testKvm('timeline is measured, phase by phase', async () => {
  const experiment = await measureQuickly('timeline');
  for (const what of ['run', 'build', 'boot, first', 'boot, later']) {
    assertMeasured(find(experiment, `hello (static C): ${what}`, 'end'));
  }
  const names = ['phase prepare', 'phase open', 'first instruction', 'first output', 'exits'];
  for (const name of names) {
    assertMeasured(find(experiment, 'hello (static C): boot, later', name));
  }
}, slow);

testKvm('recovery is measured', async () => {
  const experiment = await measureQuickly('recovery');
  if (experiment.rows.length === 0) return;
  const group = 'records of a saved sandbox';
  for (const name of ['separated', 'one by one', 'one by one / separated', 'objects']) {
    assertMeasured(find(experiment, group, name));
  }
  assert.is(experiment.claims.length, 3);
}, slow);

testKvm('density is measured, with idle sandboxes in worker processes', async () => {
  const experiment = await measureQuickly('density');
  for (const level of ['0 live', '100 live']) {
    assertMeasured(find(experiment, level, 'call to first output'));
    assertMeasured(find(experiment, level, 'of it in the worker'));
  }
  assertMeasured(find(experiment, '100 live', 'memory of one idle'));
  assert.is(find(experiment, '100 live', 'sandboxes').median, 100);
  assert.is(experiment.claims[0]?.holds, null, '1,000 are not reached');
}, slow);

testKvm('process is measured, and what is missing says how to get it', async () => {
  const experiment = await measureQuickly('process');
  const group = 'hello (static C)';
  const name = currentRuntimeName();
  assertMeasured(find(experiment, group, 'native'));
  assertMeasured(find(experiment, group, `empty on ${name}`));
  assertMeasured(find(experiment, group, `boot on ${name}`));
  assertMeasured(find(experiment, group, `boot on ${name} - empty`));
  const runsc = find(experiment, group, 'runsc');
  if (runsc.runs === 0) assert.ok(runsc.note !== '');
  assert.is(experiment.claims.length, 12);
}, slow);

test.run();
