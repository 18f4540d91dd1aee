// `catavmm boot --mode … -n N` as a process.

import { spawnSync } from 'node:child_process';
import {
  closeSync, existsSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readStdin } from '../../cli/stdin.ts';
import type { Report } from '../../vmm/options.ts';
import { assert, needsKvm, suite } from '../harness.ts';
import { root } from '../helpers/repository.ts';
import { catavmmCommand, currentRuntimeName, getRuntime } from '../helpers/runtimes.ts';

const test = suite('cli/boot-many');
const testKvm = needsKvm(test);
const slow = { timeoutMs: 120_000 };
const runtime = getRuntime(currentRuntimeName());
const hello = join(root, 'fixtures/hello/hello');
const directory = mkdtempSync(join(tmpdir(), 'catavmm-boot-many-'));
const image = join(directory, 'hello.cfi');
const shell = join(directory, 'shell.cfi');
test.after(() => rmSync(directory, { recursive: true }));

interface Outcome {
  code: number | null;
  stdout: string;
  stderr: string;
}

function catavmm(
  args: string[], input: string = '', env: Record<string, string> = {}, built: boolean = false,
): Outcome {
  const [program = '', ...rest] = catavmmCommand(runtime, args, built);
  const result = spawnSync(program, rest, {
    encoding: 'utf8', input, timeout: 100_000, cwd: directory, env: { ...process.env, ...env },
  });
  return { code: result.status, stdout: result.stdout, stderr: result.stderr };
}

function build(path: string, ...command: string[]): void {
  if (existsSync(path)) return;
  const { code, stderr } = catavmm(['build', '-o', path, '--', ...command]);
  assert.is(code, 0, stderr);
}

for (const mode of ['cold', 'warm', 'fork'] as const) {
  testKvm(`boot --mode ${mode} -n 3 gives each boot all of stdin, and outputs in order`, () => {
    build(image, hello);
    const path = join(directory, `${mode}.json`);
    const words = ['boot', '--mode', mode, '-n', '3', '--report', path, image];
    const { code, stdout, stderr } = catavmm(words, '104729\n');
    assert.is(stderr, '');
    assert.is(stdout, 'hello: 104729 is prime number 10000\n'.repeat(3));
    assert.is(code, 0);
    const report = JSON.parse(readFileSync(path, 'utf8')) as Report;
    assert.is(report.mode, mode);
    assert.is(report.image, image);
    assert.is(report.boots.length, 3);
    for (const { firstOutputUs, endUs } of report.boots) assert.ok((firstOutputUs ?? 0) <= endUs);
  }, slow);
}

testKvm('boot --mode without --count boots once, from the command as it is built too', () => {
  build(image, hello);
  for (const mode of ['warm', 'fork']) {
    for (const built of [false, true]) {
      const { code, stdout, stderr } = catavmm(['boot', '--mode', mode, image], 'Ada\n', {}, built);
      assert.is(stderr, '');
      assert.is(stdout, 'hello, Ada!\n');
      assert.is(code, 0);
    }
  }
  const words = ['boot', '--quiet', image];
  const env = { CATAVMM_COUNT: '2', CATAVMM_MODE: 'fork' };
  assert.is(catavmm(words, 'Ada\n', env, true).stdout, 'hello, Ada!\n'.repeat(2));
}, slow);

testKvm('boot -n gives the first exit code that is not 0, and goes on', () => {
  const script = join(directory, 'script.sh');
  writeFileSync(script, 'read a; read b; echo "$a $b"; exit $b');
  build(shell, '/bin/sh', script);
  const { code, stdout } = catavmm(['boot', '--mode', 'fork', '-n', '2', shell], 'x\n7\n');
  assert.is(stdout, 'x 7\nx 7\n');
  assert.is(code, 7);
}, slow);

testKvm('boot -n with --timeout kills each of them', () => {
  const loop = join(directory, 'loop.cfi');
  build(loop, '/bin/sh', '-c', 'read a; echo $a; while :; do :; done');
  const words = ['boot', '-n', '2', '--mode', 'warm', '--timeout', '300ms', loop];
  const { code, stdout, stderr } = catavmm(words, 'x\n');
  assert.is(stdout, 'x\nx\n');
  assert.is(code, 124);
  assert.is(stderr, 'catavmm: killed after 300ms.\n'.repeat(2));
}, slow);

test('boot refuses counts and modes that are none', () => {
  for (const words of [['-n', '0'], ['-n', 'x'], ['--mode', 'hot']]) {
    assert.is(catavmm(['boot', ...words, image]).code, 2, words.join(' '));
  }
});

test('readStdin() reads to the end, and has a sentence for too much', () => {
  const path = join(directory, 'input');
  const bytes = new Uint8Array(200_000).map((_unused, index) => index);
  writeFileSync(path, bytes);
  for (const most of [200_000, 199_999]) {
    const fd = openSync(path, 'r');
    try {
      if (most === 200_000) assert.ok(Buffer.from(readStdin(fd, most)).equals(bytes));
      else assert.throws(() => readStdin(fd, most), /stdin is more than/);
    } finally {
      closeSync(fd);
    }
  }
});

test.run();
