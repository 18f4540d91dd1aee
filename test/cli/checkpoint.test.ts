// --checkpoint: SIGUSR1 saves a guest of `run` or `boot`, which goes on; boots go on from there.

import { spawn, spawnSync } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { assert, needsKvm, suite } from '../harness.ts';
import { catavmmCommand, currentRuntimeName, getRuntime } from '../helpers/runtimes.ts';

const test = suite('cli/checkpoint');
const testKvm = needsKvm(test);
const slow = { timeoutMs: 120_000 };
const runtime = getRuntime(currentRuntimeName());
const directory = mkdtempSync(join(tmpdir(), 'catavmm-checkpoint-'));
test.after(() => rmSync(directory, { recursive: true }));

function commandOf(args: string[]): [program: string, rest: string[]] {
  const [program = '', ...rest] = catavmmCommand(runtime, args);
  return [program, rest];
}

type Outcome = [code: number | null, out: string, err: string];

function catavmm(args: string[], input: string = ''): Outcome {
  const { status, stdout, stderr } = spawnSync(...commandOf(args), {
    encoding: 'utf8', input, timeout: 100_000, cwd: directory,
  });
  return [status, stdout, stderr];
}

/** A catavmm that runs. */
class Running {
  readonly #child: ChildProcess;
  readonly #ended: Promise<unknown[]>;
  #text: [out: string, err: string] = ['', ''];

  constructor(args: string[]) {
    this.#child = spawn(...commandOf(args), { cwd: directory });
    this.#ended = once(this.#child, 'close');
    this.#child.stdout?.on('data', (data) => { this.#text[0] += String(data); });
    this.#child.stderr?.on('data', (data) => { this.#text[1] += String(data); });
  }

  async waitFor(stream: 0 | 1, pattern: RegExp): Promise<void> {
    const untilMs = performance.now() + 30_000;
    while (!pattern.test(this.#text[stream])) {
      assert.ok(performance.now() < untilMs, `no ${pattern}: ${this.#text.join('\n')}`);
      await new Promise((resolve) => { setTimeout(resolve, 5); });
    }
  }

  /** Gives the guest a line, and waits for what it says. */
  async answer(line: string): Promise<void> {
    this.#child.stdin?.write(`${line}\n`);
    await this.waitFor(0, new RegExp(`\\d ${line}\n`));
  }

  /** Not child.kill(): after it, Deno takes every end of the child for an end by that signal. */
  signal(): void {
    process.kill(this.#child.pid as number, 'SIGUSR1');
  }

  async finish(input: string): Promise<[code: unknown, out: string, err: string]> {
    this.#child.stdin?.end(input);
    const [code] = await this.#ended;
    return [code, ...this.#text];
  }
}

const SCRIPT = 'n=0; echo ready; while read line; do n=$((n+1)); echo "$n $line"; done';

testKvm('run and boot save the guest at SIGUSR1, and it goes on', async () => {
  const run = new Running(['run', '--checkpoint', 'a.cfi', '--', 'sh', '-c', SCRIPT]);
  await run.waitFor(0, /ready/);
  run.signal();
  await run.waitFor(1, /Saved a\.cfi: .* frames\.\n/);
  assert.equal((await run.finish('x\n')).slice(0, 2), [0, 'ready\n1 x\n']);
  assert.equal(catavmm(['boot', 'a.cfi'], 'y\nz\n'), [0, '1 y\n2 z\n', '']);

  const boot = new Running(['boot', '--checkpoint', 'b.cfi', 'a.cfi']);
  await boot.answer('x');
  boot.signal();
  await boot.waitFor(1, /Saved b\.cfi/);
  boot.signal();
  await boot.waitFor(1, /Saved b\.cfi[^]*Saved b\.cfi/);
  assert.equal((await boot.finish('z\n')).slice(0, 2), [0, '1 x\n2 z\n']);
  assert.equal(catavmm(['boot', 'b.cfi'], 'y\n'), [0, '2 y\n', '']);
  assert.match(catavmm(['inspect', 'b.cfi'])[1], /parent +\S*a\.cfi, /);
  assert.equal(readdirSync(directory).sort(), ['a.cfi', 'b.cfi']);
}, slow);

testKvm('a guest that cannot be saved goes on, and stderr says why', async () => {
  const secret = new Running([
    'run', '--json', '-e', 'API_TOKEN=x', '--checkpoint', 'c.cfi', '--', 'sh', '-c', SCRIPT]);
  await secret.waitFor(0, /ready/);
  secret.signal();
  await secret.waitFor(1, /CATAVMM_SECRETS/);
  assert.equal((await secret.finish('x\n')).slice(0, 2), [0, 'ready\n1 x\n']);
  const itself = new Running(['boot', '--checkpoint', 'a.cfi', 'a.cfi']);
  await itself.answer('x');
  itself.signal();
  await itself.waitFor(1, /a\.cfi would replace the image that it is based on\.\n/);
  assert.equal((await itself.finish('')).slice(0, 2), [0, '1 x\n']);
  const elsewhere = new Running(['boot', '--checkpoint', '/tmp/none.cfi', 'a.cfi']);
  await elsewhere.answer('x');
  elsewhere.signal();
  await elsewhere.waitFor(1, /would not find its parent/);
  assert.is((await elsewhere.finish(''))[0], 0);
  assert.not(existsSync(join(directory, 'c.cfi')));
}, slow);

test('--checkpoint is for one boot, and needs a file', () => {
  for (const args of [['-n', '2'], ['--mode', 'fork'], ['--checkpoint=']]) {
    const [code, , err] = catavmm(['boot', '--checkpoint', 'x.cfi', ...args, 'a.cfi']);
    assert.is(code, 2, err);
    assert.match(err, /--checkpoint/);
  }
});

test.run();
