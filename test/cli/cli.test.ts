// The command as a process: streams, exit codes, JSON, on the runtime that runs this test.

import { spawnSync } from 'node:child_process';
import {
  closeSync, mkdtempSync, openSync, readFileSync, readdirSync, rmSync, writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { commands } from '../../cli/spec.ts';
import { assert, needsKvm, suite } from '../harness.ts';
import { readJson } from '../helpers/repository.ts';
import { catavmmCommand, currentRuntimeName, getRuntime } from '../helpers/runtimes.ts';

const test = suite('cli/cli');
const slow = { timeoutMs: 60_000 };
const runtime = getRuntime(currentRuntimeName());
const directory = mkdtempSync(join(tmpdir(), 'catavmm-cli-'));
test.after(() => rmSync(directory, { recursive: true }));

interface Outcome {
  code: number | null;
  stdout: string;
  stderr: string;
}

function catavmm(args: string[], env: Record<string, string> = {}, input: string = ''): Outcome {
  const [program = '', ...rest] = catavmmCommand(runtime, args);
  const { PATH, HOME } = process.env;
  const result = spawnSync(program, rest, {
    encoding: 'utf8',
    env: { PATH, HOME, ...env },
    input,
    timeout: 50_000,
    cwd: directory,
  });
  return { code: result.status, stdout: result.stdout, stderr: result.stderr };
}

test('--help goes to stdout and succeeds, for every command', () => {
  for (const words of [['--help'], ...commands.map(({ name }) => [name, '-h'])]) {
    const { code, stdout, stderr } = catavmm(words);
    assert.is(code, 0, words.join(' '));
    assert.match(stdout, 'Examples:');
    assert.is(stderr, '');
  }
}, slow);

test('without a command, the overview goes to stderr and the exit code is 2', () => {
  const { code, stdout, stderr } = catavmm([]);
  assert.is(code, 2);
  assert.is(stdout, '');
  assert.match(stderr, 'Commands:');
}, slow);

test('--version says what runs', () => {
  const { version } = readJson<{ version: string }>('package.json');
  assert.match(catavmm(['--version']).stdout, `catavmm ${version}`);
  const { code, stdout } = catavmm(['--version', '--json']);
  assert.is(code, 0);
  const versions = JSON.parse(stdout) as Record<string, string>;
  assert.equal(Object.keys(versions), ['catavmm', 'runtime', 'koffi', 'kernel']);
  assert.is(versions['catavmm'], version);
  assert.is(versions['runtime'], `${runtime.name} ${runtime.version}`);
  assert.match(versions['koffi'] ?? '', /^\d+\.\d+\.\d+/);
  assert.match(versions['kernel'] ?? '', /^Linux \d/);
}, slow);

/** Whether the dynamic linker loads koffi's binary while a command line runs. */
function loadsKoffi(words: string[]): boolean {
  const traces = mkdtempSync(join(directory, 'ld-'));
  catavmm(words, { LD_DEBUG: 'files', LD_DEBUG_OUTPUT: join(traces, 'trace') });
  return readdirSync(traces).some((name) => {
    return readFileSync(join(traces, name), 'utf8').includes('koffi.node');
  });
}

test('--help, --version and mistakes load no FFI', () => {
  assert.ok(loadsKoffi(['doctor']), 'LD_DEBUG must show what is loaded');
  for (const words of [['--help'], ['run', '--help'], ['--version'], ['boto']]) {
    assert.not(loadsKoffi(words), words.join(' '));
  }
}, slow);

test('a mistake is one sentence and one hint on stderr, with exit code 2', () => {
  const { code, stdout, stderr } = catavmm(['run', '--memry', '1g', 'true']);
  assert.is(code, 2);
  assert.is(stdout, '');
  const sentence = 'catavmm: catavmm run has no flag --memry.';
  assert.is(stderr, `${sentence}\n  hint: Did you mean --memory?\n`);
  assert.is(catavmm(['boot', '--memory', '512', 'x.cfi']).code, 2);
  assert.is(catavmm(['build', 'true']).code, 2);
}, slow);

test('--json makes errors objects', () => {
  const rows: [words: string[], code: number, name: string][] = [
    [['--json', 'bot'], 2, 'CATAVMM_USAGE'],
    [['verify', '--json', 'missing.cfi'], 125, 'CATAVMM_IMAGE_MISSING'],
    [['inspect', 'missing.cfi', '--json'], 125, 'CATAVMM_IMAGE_MISSING'],
    [
      ['build', '--json', '-o', 'x.cfi', '--train-input', 'missing', 'true'],
      125, 'CATAVMM_FILE_ENOENT',
    ],
  ];
  for (const [words, code, name] of rows) {
    const outcome = catavmm(words);
    assert.is(outcome.code, code, words.join(' '));
    assert.is(outcome.stdout, '');
    const error = JSON.parse(outcome.stderr) as Record<string, string>;
    assert.equal(Object.keys(error), ['code', 'message', 'hint']);
    assert.is(error['code'], name);
  }
}, slow);

test('a bad image is one sentence, never a stack', () => {
  writeFileSync(join(directory, 'bad.cfi'), 'this is no image');
  for (const words of [['boot'], ['inspect'], ['verify']]) {
    const { code, stdout, stderr } = catavmm([...words, 'bad.cfi']);
    assert.is(code, words[0] === 'verify' ? 1 : 125, words[0]);
    assert.match(stdout + stderr, 'not a func-image');
    assert.not((stdout + stderr).includes('    at '));
  }
}, slow);

test('colours appear only when they are wanted', () => {
  assert.not(catavmm(['bot']).stderr.includes('\x1b'));
  assert.ok(catavmm(['bot'], { FORCE_COLOR: '1' }).stderr.includes('\x1b'));
  assert.not(catavmm(['bot', '--no-color'], { FORCE_COLOR: '1' }).stderr.includes('\x1b'));
  assert.not(catavmm(['bot'], { FORCE_COLOR: '1', NO_COLOR: '1' }).stderr.includes('\x1b'));
}, slow);

test('syscalls lists the table, by family and as JSON', () => {
  const { code, stdout } = catavmm(['syscalls', '--json']);
  assert.is(code, 0);
  const calls = JSON.parse(stdout) as { nr: number; name: string; support: string }[];
  assert.ok(calls.length > 330, `${calls.length} calls`);
  assert.equal(calls.find(({ name }) => name === 'write')?.nr, 1);
  const some = catavmm(['syscalls', '--family', 'epoll']);
  assert.match(some.stdout, /233 +epoll_ctl +epoll +full/);
  assert.not(some.stdout.includes(' write '));
  assert.is(catavmm(['syscalls', '--family', 'nonesuch']).code, 2);
}, slow);

test('output that nobody reads ends the command quietly', () => {
  const words = catavmmCommand(runtime, ['syscalls']).map((word) => `'${word}'`).join(' ');
  const script = `${words} | head -n 1`;
  const { stdout, stderr } = spawnSync('bash', ['-c', script], { encoding: 'utf8' });
  assert.is(stdout.trim().split('\n').length, 1);
  assert.is(stderr, '');
}, slow);

test('output to a full device is not an endless loop', () => {
  const full = openSync('/dev/full', 'w');
  const [program = '', ...rest] = catavmmCommand(runtime, ['syscalls']);
  const { status } = spawnSync(program, rest, { stdio: ['ignore', full, 'ignore'] });
  closeSync(full);
  assert.is(status, 125);
}, slow);

test('doctor has a row for each check and says whether sandboxes can run', () => {
  const { code, stdout } = catavmm(['doctor', '--json']);
  const { usable, checks } = JSON.parse(stdout) as {
    usable: boolean; checks: { group: string; name: string; state: string }[];
  };
  assert.is(code, usable ? 0 : 1);
  assert.ok(checks.some(({ name }) => name === '/dev/kvm'));
  assert.is(usable, checks.every(({ state }) => state !== 'bad'));
  assert.is(catavmm(['doctor', '--quiet']).stdout, '');
}, slow);

const testKvm = needsKvm(test);

testKvm('run gives stdin, stdout, stderr and the exit code of the guest', () => {
  const script = 'read line; echo "out $line"; echo err >&2; exit 42';
  const { code, stdout, stderr } = catavmm(['run', '--', '/bin/sh', '-c', script], {}, 'in\n');
  assert.is(stderr, 'err\n');
  assert.is(stdout, 'out in\n');
  assert.is(code, 42);
}, slow);

testKvm('run gives the guest only the environment that was asked for', () => {
  const words = ['run', '-e', 'A=1', '-e', 'B', '--', '/usr/bin/env'];
  const { code, stdout } = catavmm(words, { B: 'two', SECRET: 'x' });
  assert.is(code, 0);
  const lines = stdout.trim().split('\n').filter((line) => !/^(PATH|_|PWD|SHLVL)=/.test(line));
  assert.equal(lines.sort(), ['A=1', 'B=two', 'HOME=/root']);
}, slow);

testKvm('run has exit codes for what cannot be started, killed and timed out', () => {
  assert.is(catavmm(['run', 'no-such-program']).code, 127);
  assert.is(catavmm(['run', '/etc/passwd']).code, 126);
  assert.is(catavmm(['run', '/bin/sh', '-c', 'kill -TERM $$']).code, 143);
  const late = catavmm(['run', '--timeout', '300ms', '/bin/sh', '-c', 'while :; do :; done']);
  assert.is(late.code, 124);
  assert.match(late.stderr, 'killed after 300ms');
}, slow);

testKvm('run writes a report and counts system calls', () => {
  const report = join(directory, 'report.json');
  const words = ['run', '--report', report, '-c', '--', '/bin/echo', 'hi'];
  const { code, stdout, stderr } = catavmm(words);
  assert.is(code, 0, stderr);
  assert.is(stdout, 'hi\n');
  assert.match(stderr, /calls +share +call/);
  assert.match(stderr, /\bwrite\b/);
  const { mode, boots } = JSON.parse(readFileSync(report, 'utf8')) as {
    mode: string; boots: { exits: number }[];
  };
  assert.is(mode, 'run');
  assert.ok((boots[0]?.exits ?? 0) > 0);
}, slow);

test.run();
