// build, boot, inspect and verify as processes, with the program that the demo uses; and signals on
// their way through `run`.

import { spawn, spawnSync } from 'node:child_process';
import {
  copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { assert, needsKvm, suite } from '../harness.ts';
import { root } from '../helpers/repository.ts';
import { catavmmCommand, currentRuntimeName, getRuntime } from '../helpers/runtimes.ts';

const test = suite('cli/boot');
const testKvm = needsKvm(test);
const slow = { timeoutMs: 120_000 };
const runtime = getRuntime(currentRuntimeName());
const hello = join(root, 'fixtures/hello/hello');
const directory = mkdtempSync(join(tmpdir(), 'catavmm-boot-'));
const image = join(directory, 'hello.cfi');
const ready = 'hello: 664579 primes below 10000000 are ready\n';
test.after(() => rmSync(directory, { recursive: true }));

interface Outcome {
  code: number | null;
  stdout: string;
  stderr: string;
}

function catavmm(args: string[], input: string = ''): Outcome {
  const [program = '', ...rest] = catavmmCommand(runtime, args);
  const result = spawnSync(program, rest, {
    encoding: 'utf8', input, timeout: 100_000, cwd: directory,
  });
  return { code: result.status, stdout: result.stdout, stderr: result.stderr };
}

/** Builds the image that the tests share, once. */
function ensureImage(): void {
  if (existsSync(image)) return;
  const { code, stdout, stderr } = catavmm(['build', '--json', '-o', image, '--', hello]);
  assert.is(code, 0, stderr);
  const { output, entry, frames } = JSON.parse(stdout) as {
    output: string; entry: string; frames: number;
  };
  assert.is(output, image);
  assert.is(entry, 'explicit');
  assert.ok(frames > 100, `${frames} frames`);
  assert.is(stderr, ready, 'what the program prints while it initialises goes to stderr');
}

testKvm('boot goes on from the entry point, with the output and exit code of the guest', () => {
  ensureImage();
  for (const [input, answer] of [
    ['104729\n', 'hello: 104729 is prime number 10000\n'],
    ['Ada\n', 'hello, Ada!\n'],
    ['', 'hello, world!\n'],
  ] as const) {
    const { code, stdout, stderr } = catavmm(['boot', image], input);
    assert.is(stderr, '');
    assert.is(stdout, answer);
    assert.is(code, 0);
  }
}, slow);

testKvm('boot works from another directory and with an empty rootfs when nothing is needed', () => {
  ensureImage();
  const other = join(directory, 'other');
  mkdirSync(other);
  copyFileSync(image, join(other, 'moved.cfi'));
  const words = ['boot', '--rootfs', other, '--verify', join(other, 'moved.cfi')];
  const { code, stdout, stderr } = catavmm(words, 'Ada\n');
  assert.is(code, 0, stderr);
  assert.is(stdout, 'hello, Ada!\n');
}, slow);

testKvm('boot writes a report with phases', () => {
  ensureImage();
  const path = join(directory, 'report.json');
  assert.is(catavmm(['boot', '--report', path, image], 'Ada\n').code, 0);
  const report = JSON.parse(readFileSync(path, 'utf8')) as {
    runtime: string;
    mode: string;
    image: string;
    boots: Record<string, number | Record<string, number>>[];
  };
  assert.match(report.runtime, runtime.name);
  assert.is(report.mode, 'cold');
  assert.is(report.image, image);
  const [boot] = report.boots;
  assert.ok(boot);
  for (const key of ['firstInstructionUs', 'firstOutputUs', 'endUs', 'exits']) {
    assert.ok((boot[key] as number) > 0, key);
  }
  assert.ok(Object.keys(boot['phases'] as object).includes('objects'));
}, slow);

testKvm('build shows system calls when it is asked to', () => {
  const traced = join(directory, 'traced.cfi');
  const { code, stderr } = catavmm(['build', '--strace', '-o', traced, '--', hello]);
  assert.is(code, 0, stderr);
  assert.match(stderr, /^arch_prctl\(|^brk\(|^write\(1, /m);
}, slow);

testKvm('boot has a sentence for a report that cannot be written', () => {
  ensureImage();
  const { code, stderr } = catavmm(['boot', '--report', '/nonesuch/report.json', image], 'Ada\n');
  assert.is(code, 125);
  assert.match(stderr, /^catavmm: The report cannot be written: /);
}, slow);

testKvm('inspect shows what is in an image', () => {
  ensureImage();
  const { code, stdout } = catavmm(['inspect', image]);
  assert.is(code, 0);
  for (const text of [hello, 'explicit', 'sandbox', 'relations', 'cpuid', 'stdio', '0x1000']) {
    assert.ok(stdout.includes(text), text);
  }
  const json = JSON.parse(catavmm(['inspect', '--json', image]).stdout) as {
    header: { program: { argv: string[] }; memory: { frames: number } };
    objects: { kind: string; count: number }[];
  };
  assert.equal(json.header.program.argv, [hello]);
  assert.is(json.objects.find(({ kind }) => kind === 'process')?.count, 1);
}, slow);

testKvm('inspect --diff finds no difference between deterministic builds', () => {
  const [a, b] = ['a.cfi', 'b.cfi'].map((name) => join(directory, name)) as [string, string];
  for (const path of [a, b]) {
    const built = catavmm(['build', '-o', path, '--deterministic', '--', hello]);
    assert.is(built.code, 0, built.stderr);
  }
  const same = catavmm(['inspect', '--diff', a, b]);
  assert.is(same.code, 0, same.stdout);
  assert.ok(readFileSync(a).equals(readFileSync(b)), 'the files are the same');
  ensureImage();
  const other = catavmm(['inspect', '--diff', '--json', a, image]);
  assert.ok(Array.isArray(JSON.parse(other.stdout)));
}, slow);

testKvm('verify accepts a good image and names the section of a damaged one', () => {
  ensureImage();
  const good = catavmm(['verify', '--json', image]);
  assert.equal(JSON.parse(good.stdout), { image, ok: true, findings: [] });
  assert.is(good.code, 0);
  const bytes = readFileSync(image);
  bytes[bytes.length - 5000] = (bytes[bytes.length - 5000] as number) ^ 1;
  const bad = join(directory, 'bad.cfi');
  writeFileSync(bad, bytes);
  const { code, stdout } = catavmm(['verify', bad]);
  assert.is(code, 1);
  assert.match(stdout, /frames: The func-image is damaged/);
  assert.is(catavmm(['boot', '--verify', bad], 'Ada\n').code, 125);
}, slow);

testKvm('boot refuses a cut image with one sentence', () => {
  ensureImage();
  const cut = join(directory, 'cut.cfi');
  writeFileSync(cut, readFileSync(image).subarray(0, 40_000));
  const { code, stdout, stderr } = catavmm(['boot', cut], 'Ada\n');
  assert.is(code, 125);
  assert.is(stdout, '');
  assert.match(stderr, /^catavmm: The func-image is truncated: .*\.\n$/);
}, slow);

testKvm('build leaves the old image alone when the entry is not reached', () => {
  const path = join(directory, 'kept.cfi');
  writeFileSync(path, 'old');
  const { code, stderr } = catavmm(['build', '-o', path, '--', '/bin/true']);
  assert.is(code, 125);
  assert.match(stderr, 'before its func-entry point');
  assert.match(stderr, 'hint:');
  assert.is(readFileSync(path, 'utf8'), 'old');
}, slow);

testKvm('build takes an entry by line, and training requests', () => {
  const path = join(directory, 'line.cfi');
  const words = ['build', '-o', path, '--entry', 'line=are ready', '--', hello];
  const built = catavmm(words);
  assert.is(built.code, 0, built.stderr);
  assert.is(catavmm(['boot', path], '7\n').stdout, 'hello: 7 is prime number 4\n');
  const short = join(directory, 'requests.txt');
  writeFileSync(short, 'one\n');
  const few = catavmm(['build', '-o', path, '--train', '2', '--train-input', short, '--', hello]);
  assert.is(few.code, 2);
  assert.match(few.stderr, 'has 1 lines, not 2');
}, slow);

/** Starts a guest that waits, sends signals to catavmm, and gives catavmm's exit code. */
function signalGuest(script: string, signals: NodeJS.Signals[]): Promise<number | null> {
  const words = catavmmCommand(runtime, ['run', '--', '/bin/sh', '-c', script]);
  const [program = '', ...rest] = words;
  const child = spawn(program, rest, { stdio: ['pipe', 'pipe', 'ignore'], cwd: directory });
  let output = '';
  child.stdout.on('data', (data: Buffer) => {
    output += data.toString();
    // Each line of the guest asks for the next signal. Not child.kill(): after it, Deno takes every
    // end of the child for an end by that signal.
    const lines = output.split('\n').length - 1;
    for (; lines > sent && sent < signals.length; sent++) {
      process.kill(child.pid as number, signals[sent]);
    }
  });
  let sent = 0;
  return new Promise((resolve) => { child.on('exit', (code) => resolve(code)); });
}

testKvm('SIGINT and SIGTERM reach the guest', async () => {
  const waiting = 'echo ready; read line';
  assert.is(await signalGuest(waiting, ['SIGINT']), 130);
  assert.is(await signalGuest(waiting, ['SIGTERM']), 143);
  assert.is(await signalGuest("trap 'exit 7' TERM; echo ready; read line", ['SIGTERM']), 7);
}, slow);

testKvm('the second SIGINT kills a guest that ignores the first', async () => {
  const script = "trap 'echo no' INT; echo ready; while :; do read line; done";
  assert.is(await signalGuest(script, ['SIGINT', 'SIGINT']), 137);
}, slow);

test.run();
