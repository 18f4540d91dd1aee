// Checkpoints of a Python program that counts, taken while it runs.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FuncImage } from '../../../../vmm/func-image.ts';
import type { CheckpointResult } from '../../../../vmm/options.ts';
import { Sandbox } from '../../../../vmm/sandbox.ts';
import { Template } from '../../../../vmm/template.ts';
import { ImageFile } from '../../../../vmm/boot/image/image-file.ts';
import { checkImageFile } from '../../../../vmm/boot/image/verify.ts';
import { assert, kvmMissing, needs, suite } from '../../../harness.ts';
import { runCatavmm, textOf } from '../../../oracle/process.ts';
import { pythonMissing } from '../../../oracle/python-missing.ts';

const test = suite('vmm/boot/checkpoint-file');
const testPython = needs(test, kvmMissing() ?? pythonMissing());
const slow = { timeoutMs: 120_000 };
const folder = mkdtempSync(join(tmpdir(), 'catavmm-checkpoint-'));
test.after(() => rmSync(folder, { recursive: true }));

const program = [
  'import sys, threading, time',
  'table = {i: str(i) for i in range(20000)}',
  'extra = threading.Thread(target=time.sleep, args=(3600,), daemon=True)',
  'extra.start()',
  'sys.stdin.readline()',
  'n = 0',
  'while n < 100000:',
  '    n += 1',
  '    assert table[n % 20000] == str(n % 20000)',
  '    print(n, flush=True)',
  '    sum(range(20000))',
].join('\n');
const command = ['/usr/bin/python3', '-c', program];
const live: Sandbox[] = [];
const image = join(folder, 'count.cfi');

/** A test whose sandboxes are closed after it. */
function testCounting(name: string, body: () => Promise<void>): void {
  testPython(name, async () => {
    await body();
    for (const sandbox of live.splice(0)) await sandbox.close();
  }, slow);
}

/** Reads what a sandbox counts, from now on. */
class Counting {
  readonly numbers: number[] = [];
  readonly #sandbox: Sandbox;
  #rest: string = '';

  constructor(sandbox: Sandbox) {
    this.#sandbox = sandbox;
    live.push(sandbox);
    void this.#pump();
  }

  async #pump(): Promise<void> {
    for await (const bytes of this.#sandbox.stdout as unknown as AsyncIterable<Uint8Array>) {
      const lines = (this.#rest + textOf(bytes)).split('\n');
      this.#rest = lines.pop() as string;
      this.numbers.push(...lines.map(Number));
    }
  }

  async waitFor(count: number): Promise<void> {
    for (let turns = 0; this.numbers.length < count; turns++) {
      if (turns > 20_000) throw new Error(`${this.numbers.length} numbers of ${count} came`);
      await new Promise((resolve) => { setTimeout(resolve, 1); });
    }
  }
}

/** Saves what has counted for a while, and sees it go on in boots of that. */
async function saveAndBoot(
  sandbox: Sandbox, file: string, start: number, options: { whole?: boolean } = {},
): Promise<CheckpointResult> {
  const counting = new Counting(sandbox);
  await counting.waitFor(20);
  const least = counting.numbers.at(-1) as number;
  const result = await sandbox.checkpoint(file, options);
  await counting.waitFor(counting.numbers.length + 20);
  await sandbox.close();
  assert.equal(counting.numbers, counting.numbers.map((_unused, index) => start + index));
  assert.equal(await checkImageFile(file), []);
  const after = new Counting(await Sandbox.boot(file));
  await after.waitFor(20);
  const first = after.numbers[0] as number;
  assert.ok(first > least && first <= (counting.numbers.at(-1) as number), `${least} to ${first}`);
  assert.equal(after.numbers, after.numbers.map((_unused, index) => first + index));
  return result;
}

async function ensureImage(): Promise<void> {
  await Sandbox.build({ command, output: image });
}

testCounting('a checkpoint of a run is a whole image', async () => {
  const file = join(folder, 'run.cfi');
  const sandbox = await Sandbox.run({ command, stdin: '\n' });
  const { frames, parentFrames } = await saveAndBoot(sandbox, file, 1);
  assert.is(parentFrames, 0);
  assert.ok(frames > 500, `${frames} frames`);
  const { header } = new ImageFile(file);
  assert.is(header.parent, null);
  assert.is(header.entry.kind, 'checkpoint');
  assert.equal(header.program.argv.map(textOf), command);
});

testCounting('a checkpoint of a boot is a layer over its image, and so on', async () => {
  await ensureImage();
  const file = join(folder, 'boot.cfi');
  const sandbox = await Sandbox.boot(image, { stdin: '\n' });
  const { frames, parentFrames } = await saveAndBoot(sandbox, file, 1);
  const { memory } = new ImageFile(image).header;
  assert.is(parentFrames, memory.frames);
  assert.ok(frames < memory.frames / 4, `${frames} of ${memory.frames} frames`);
  const later = await Sandbox.boot(file);
  const first = new Counting(later);
  await first.waitFor(1);
  const second = await later.checkpoint(join(folder, 'second.cfi'));
  await later.close();
  assert.is(second.parentFrames, frames + parentFrames);
  const again = new Counting(await Sandbox.boot(join(folder, 'second.cfi')));
  await again.waitFor(3);
  assert.ok((again.numbers[0] as number) > (first.numbers[0] as number));
});

testCounting('a checkpoint of a fork is a layer over the image of its template', async () => {
  await ensureImage();
  const open = await FuncImage.open(image);
  const template = await Template.from(open);
  const warm = await open.boot({ stdin: '\n' });
  await saveAndBoot(warm, join(folder, 'warm.cfi'), 1);
  const fork = await template.fork({ stdin: '\n' });
  const { frames, parentFrames } = await saveAndBoot(fork, join(folder, 'fork.cfi'), 1);
  assert.is(parentFrames, new ImageFile(image).header.memory.frames);
  assert.ok(frames < parentFrames / 4, `${frames} frames`);
  // A template of a sandbox that has counted holds what that one wrote.
  const running = await open.boot({ stdin: '\n' });
  const counting = new Counting(running);
  await counting.waitFor(10);
  const late = await Template.from(running);
  await running.close();
  const child = await late.fork();
  const start = new Counting(child);
  await start.waitFor(1);
  await child.checkpoint(join(folder, 'late.cfi'));
  const goesOn = new Counting(await Sandbox.boot(join(folder, 'late.cfi')));
  await goesOn.waitFor(5);
  assert.ok((goesOn.numbers[0] as number) > (start.numbers[0] as number));
  await child.close();
  for (const one of [late, template, open]) await one.close();
});

testCounting('a whole checkpoint needs no other image', async () => {
  await ensureImage();
  const elsewhere = mkdtempSync(join(folder, 'elsewhere-'));
  const sandbox = await Sandbox.boot(image, { stdin: '\n' });
  const file = join(elsewhere, 'alone.cfi');
  await assert.rejects(sandbox.checkpoint(file), /would not find its parent/);
  const { parentFrames } = await saveAndBoot(sandbox, file, 1, { whole: true });
  assert.is(parentFrames, 0);
  await assert.rejects(sandbox.checkpoint(file), /has ended/);
  const { stdout, code } = runCatavmm(['boot', '--timeout', '2s', file]);
  assert.is(code, 124);
  assert.match(textOf(stdout), /^\d+\n/);
});

test.run();
