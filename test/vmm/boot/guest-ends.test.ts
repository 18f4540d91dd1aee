// Guests that exit, crash or are killed, at whatever moment: the process and everybody else live
// on, and nothing of them stays.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FuncImage } from '../../../vmm/func-image.ts';
import type { Status } from '../../../vmm/options.ts';
import { Sandbox } from '../../../vmm/sandbox.ts';
import { Template } from '../../../vmm/template.ts';
import { assert, kvmMissing, needs, suite } from '../../harness.ts';
import { countDescriptors } from '../../helpers/process-holdings.ts';
import { textOf } from '../../oracle/process.ts';
import { pythonMissing } from '../../oracle/python-missing.ts';

const test = suite('vmm/boot/guest-ends');
const testPython = needs(test, kvmMissing() ?? pythonMissing());
const slow = { timeoutMs: 120_000 };
const folder = mkdtempSync(join(tmpdir(), 'catavmm-ends-'));
test.after(() => rmSync(folder, { recursive: true }));
const output = join(folder, 'end.cfi');

const program = [
  'import ctypes, os, signal, sys, time',
  'word = input()',
  'if word == "crash": ctypes.string_at(8)',
  'if word == "abort": os.abort()',
  'if word == "term": os.kill(os.getpid(), signal.SIGTERM)',
  'if word == "exit": os._exit(7)',
  'if word == "spin":',
  '    while True: pass',
  'print(word, flush=True)',
].join('\n');
const KILLS = 24;
/** Machines that are ready come and go; less than one for each that is killed. */
const POOL_DESCRIPTORS = 12;
const command = ['/usr/bin/python3', '-c', program];

type Start = (stdin: string) => Promise<Sandbox>;

async function endOf(sandbox: Sandbox): Promise<[code: number, signal: string | null]> {
  const { code, signal } = await sandbox.status;
  await sandbox.close();
  return [code, signal];
}

/** Runs `body` with each way to start a sandbox. */
async function withStarts(body: (start: Start, name: string) => Promise<void>): Promise<void> {
  await Sandbox.build({ command, output });
  const image = await FuncImage.open(output);
  const template = await Template.from(image);
  const starts: Record<string, Start> = {
    run: (stdin) => Sandbox.run({ command, stdin }),
    cold: (stdin) => Sandbox.boot(output, { stdin }),
    warm: (stdin) => image.boot({ stdin }),
    fork: (stdin) => template.fork({ stdin }),
  };
  for (const [name, start] of Object.entries(starts)) await body(start, name);
  await template.close();
  await image.close();
}

testPython('exits and crashes are statuses, and the next sandbox is as good as ever', async () => {
  await withStarts(async (start, name) => {
    for (const [word, code, signal] of [
      ['exit', 7, null], ['crash', 139, 'SIGSEGV'], ['abort', 134, 'SIGABRT'],
      ['term', 143, 'SIGTERM'],
    ] as const) {
      assert.equal(await endOf(await start(`${word}\n`)), [code, signal], `${name}: ${word}`);
    }
    const good = await start('hello\n');
    assert.is(textOf((await good.output()).stdout), 'hello\n');
    await good.close();
  });
}, slow);

testPython('sandboxes can be killed at any moment', async () => {
  await withStarts(async (start, name) => {
    const bystander = await start('');
    const before = countDescriptors();
    for (let delay = 0; delay < KILLS; delay++) {
      const sandbox = await start('spin\n');
      if (delay % 3 > 0) await new Promise((resolve) => { setTimeout(resolve, delay); });
      sandbox.kill();
      assert.equal(await endOf(sandbox), [137, 'SIGKILL'], name);
    }
    await bystander.close();
    assert.ok(countDescriptors() <= before + POOL_DESCRIPTORS, `${name}: descriptors`);
  });
}, slow);

testPython('timeouts and aborts end a sandbox in each phase', async () => {
  await withStarts(async (start) => {
    const sandbox = await start('spin\n');
    await sandbox.close();
  });
  const image = await FuncImage.open(output);
  for (const timeoutMs of [1, 5, 20]) {
    const sandbox = await image.boot({ stdin: 'spin\n', timeoutMs });
    const { code, reason }: Status = await sandbox.status;
    assert.equal([code, reason], [124, 'timeout']);
    await sandbox.close();
  }
  const reason = new Error('no longer wanted');
  await assert.rejects(image.boot({ signal: AbortSignal.abort(reason) }), /no longer wanted/);
  const later = await image.boot({ stdin: 'spin\n', signal: AbortSignal.timeout(10) });
  await assert.rejects(later.status, /./);
  await later.close();
  await image.close();
}, slow);

testPython('a program that ends or hangs before its func-entry point leaves no image', async () => {
  const no = join(folder, 'no.cfi');
  for (const [source, pattern] of [
    ['import os; os._exit(3)', /exited with code 3 before/],
    ['import os; os.abort()', /was killed by signal 6 before/],
    ['import ctypes; ctypes.string_at(8)', /was killed by signal 11 before/],
    ['while True: pass', /did not reach its func-entry point in time/],
  ] as const) {
    await assert.rejects(Sandbox.build({
      command: ['/usr/bin/python3', '-c', source], output: no, timeoutMs: 500,
    }), pattern);
    await assert.rejects(Sandbox.boot(no), /does not exist/);
  }
}, slow);

test.run();
