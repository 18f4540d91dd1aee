// Tests the harness itself: byte differences, errors, timeouts, skips, misuse.
//
// Files that must fail are written to a temporary directory and run by this runtime in a
// process of their own, for a failing suite would fail this one.

import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { assert, diffBytes, needs, seededRandom, suite } from './harness.ts';

const test = suite('test/harness');
const directory = mkdtempSync(join(tmpdir(), 'catavmm-harness-'));
const isSource = import.meta.url.endsWith('.ts');
const denoConfig = fileURLToPath(new URL('../deno.json', import.meta.url));
const harnessUrl = new URL(isSource ? './harness.ts' : './harness.js', import.meta.url).href;

interface Outcome {
  code: number | null;
  output: string;
  report: { passed: number; failed: number; skipped: { name: string; reason: string }[] };
}

let runs = 0;

/** Runs the text of a test file with this runtime. */
function runFile(body: string): Outcome {
  const path = join(directory, `case-${runs++}.${isSource ? 'ts' : 'mjs'}`);
  const reportPath = `${path}.json`;
  writeFileSync(path, `import { assert, needs, suite } from '${harnessUrl}';\n${body}\n`);
  const args = 'Deno' in globalThis ? ['run', '-A', '--config', denoConfig, path] : [path];
  const result = spawnSync(process.execPath, args, {
    encoding: 'utf8',
    timeout: 60_000,
    env: { ...process.env, CATAVMM_TEST_REPORT: reportPath, CATAVMM_TEST_NAME: '' },
  });
  const report = JSON.parse(readFileSync(reportPath, 'utf8')) as Outcome['report'];
  return { code: result.status, output: result.stdout + result.stderr, report };
}

test.after(() => rmSync(directory, { recursive: true }));

test('diffBytes() shows offset and lengths when bytes differ', () => {
  const diff = diffBytes(Uint8Array.of(1, 2, 3), Uint8Array.of(1, 9));
  assert.match(diff, /first difference at 0x1; actual has 3 bytes, expected 2/);
  assert.match(diff, /expected 0x0000 {2}01 09 --/);
  assert.is(diffBytes(Uint8Array.of(7), Uint8Array.of(7)), '');
});

test('assert.throws() and rejects() look at the error', async () => {
  const fail = (): never => { throw new RangeError('out of pages'); };
  assert.throws(fail, 'pages');
  assert.throws(fail, RangeError);
  assert.throws(() => assert.throws(fail, TypeError), /wrong error/);
  assert.throws(() => assert.throws(() => 1), /did not throw/);
  await assert.rejects(Promise.reject(new Error('no')), /no/);
  await assert.rejects(assert.rejects(Promise.resolve(1)), /did not reject/);
});

test('assert.atMost() refuses NaN', () => {
  assert.atMost(1, 1);
  assert.throws(() => assert.atMost(NaN, 1));
  assert.throws(() => assert.atMost(2, 1));
});

test('seededRandom() repeats its sequence for a seed', () => {
  const first = seededRandom(7);
  const second = seededRandom(first.seed);
  for (let index = 0; index < 100; index++) assert.is(first.u32(), second.u32());
  const values = new Set(Array.from({ length: 1000 }, () => first.int(3, 5)));
  assert.equal([...values].sort(), [3, 4, 5]);
});

test('a passing file exits 0 and counts its skips with reasons', () => {
  const { code, output, report } = runFile(`
    const test = suite('x');
    test('a', () => assert.ok(true));
    needs(test, 'no moon')('b', () => {});
    test.run();`);
  assert.is(code, 0, output);
  assert.equal(report, { passed: 1, failed: 0, skipped: [{ name: 'x: b', reason: 'no moon' }] });
  assert.match(output, /SKIPPED x: b: no moon/);
});

test('a failing test exits 1', () => {
  const { code, report } = runFile(`
    const test = suite('x');
    test('a', () => assert.equal({ a: 1n }, { a: 2n }));
    test('b', () => { throw 'text'; });
    test.run();`);
  assert.is(code, 1);
  assert.equal(report, { passed: 0, failed: 2, skipped: [] });
});

test('a test that never settles exits 1 after its timeout', () => {
  const { code, output, report } = runFile(`
    const test = suite('x');
    test('a', () => new Promise(() => {}), { timeoutMs: 50 });
    test.run();`);
  assert.is(code, 1, output);
  assert.is(report.failed, 1);
  assert.match(output, /not settled after 50 ms/);
});

test('a suite without run() exits 1', () => {
  const { code, output } = runFile(`const test = suite('x'); test('a', () => {});`);
  assert.is(code, 1);
  assert.match(output, /not run\(\)/);
});

test('a file without tests exits 1', () => {
  const { code, output } = runFile(`suite('x').run();`);
  assert.is(code, 1);
  assert.match(output, /no test/);
});

test('a failing before hook exits 1', () => {
  const { code, output, report } = runFile(`
    const test = suite('x');
    test.before(() => { throw new Error('no fixture'); });
    test('a', () => {});
    test.run();`);
  assert.is(code, 1);
  assert.ok(report.failed > 0);
  assert.match(output, /no fixture/);
});

test('process.exit(0) inside a test does not pass the file', () => {
  const { code, output } = runFile(`
    const test = suite('x');
    test('a', () => process.exit(0));
    test.run();`);
  assert.is(code, 1, output);
});

test('a leaked timer ends the process with 1', () => {
  const { code, output } = runFile(`
    const test = suite('x');
    test('a', () => { setInterval(() => {}, 1000); });
    test.run();`);
  assert.is(code, 1);
  assert.match(output, /something leaks/);
});

test('needs() registers the test itself when nothing is missing', () => {
  assert.is(needs(test, undefined), test);
});

test.run();
