// tune: the image means the same afterwards, and knows what its boots touch.

import { copyFileSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FuncImage } from '../../../../vmm/func-image.ts';
import { Sandbox } from '../../../../vmm/sandbox.ts';
import { ImageFile } from '../../../../vmm/boot/image/image-file.ts';
import { checkImageFile } from '../../../../vmm/boot/image/verify.ts';
import { assert, kvmMissing, needs, suite } from '../../../harness.ts';
import { runCatavmm, textOf } from '../../../oracle/process.ts';
import { pythonMissing } from '../../../oracle/python-missing.ts';

const test = suite('vmm/boot/tune');
const testPython = needs(test, kvmMissing() ?? pythonMissing());
const slow = { timeoutMs: 120_000 };
const folder = mkdtempSync(join(tmpdir(), 'catavmm-tune-'));
test.after(() => rmSync(folder, { recursive: true }));
const image = join(folder, 'app.cfi');

const program = [
  'import json, hashlib',
  'small = {i: str(i) for i in range(1000)}',
  'large = {i: hashlib.sha256(str(i).encode()).hexdigest() for i in range(30000)}',
  'request = json.loads(input())',
  'if request["n"] < 1000: print(small[request["n"]])',
  'else: print(len({k: v[:4] for k, v in large.items()}))',
].join('\n');

async function build(): Promise<void> {
  await Sandbox.build({ command: ['/usr/bin/python3', '-c', program], output: image });
}

async function answer(file: string, n: number): Promise<string> {
  const sandbox = await Sandbox.boot(file, { stdin: `{"n": ${n}}\n` });
  const { stdout, code, message } = await sandbox.output();
  await sandbox.close();
  assert.equal([code, message], [0, undefined]);
  return textOf(stdout);
}

testPython('a tuned image has the same pages, and what requests touch first', async () => {
  await build();
  const original = join(folder, 'original.cfi');
  copyFileSync(image, original);
  const result = await FuncImage.tune(image, { boots: 4, requests: ['{"n": 2000}'] });
  assert.is(result.boots, 4);
  assert.ok(result.hotFrames[1] > result.hotFrames[0] + 100, `${result.hotFrames} touched`);
  assert.equal(await checkImageFile(image), []);
  const diff = runCatavmm(['inspect', '--diff', '--json', original, image]);
  // Pages that were never touched and are zero may be in the image now.
  const reasons = (JSON.parse(textOf(diff.stdout)) as { reason: string }[]).map((d) => d.reason);
  assert.ok(reasons.every((reason) => reason === 'only-b'), [...new Set(reasons)].join());
  const [before, after] = [original, image].map((file) => new ImageFile(file).header);
  for (const key of ['program', 'entry', 'rootfs', 'cpu', 'clock', 'createdBy'] as const) {
    assert.equal(after?.[key], before?.[key], key);
  }
  for (const n of [7, 2000]) assert.is(await answer(image, n), await answer(original, n));
  assert.equal(readdirSync(folder).sort(), ['app.cfi', 'original.cfi']);
}, slow);

testPython('tuning twice changes little, and the command says what it did', async () => {
  await build();
  const input = join(folder, 'requests.txt');
  writeFileSync(input, '{"n": 1}\n{"n": 2}\n');
  const args = ['tune', '--json', '--boots', '2', '--input', input, image];
  const first = runCatavmm(args);
  assert.is(first.code, 0, textOf(first.stderr));
  const { hotFrames } = JSON.parse(textOf(first.stdout)) as { hotFrames: [number, number] };
  const second = runCatavmm(['tune', '--boots', '2', '--input', input, image]);
  assert.match(textOf(second.stderr), /Tuned .*app\.cfi after 2 boots: of [\d,]+ frames, \d+/);
  const { memory } = new ImageFile(image).header;
  assert.ok(Math.abs(memory.hotFrames - hotFrames[1]) < 100, `${memory.hotFrames}, ${hotFrames}`);
  assert.is(await answer(image, 3), '3\n');
}, slow);

testPython('an image on which others are based stays as it is', async () => {
  await build();
  const child = join(folder, 'child.cfi');
  await Sandbox.build({ from: image, entry: { kind: 'stdin' }, output: child });
  await assert.rejects(FuncImage.tune(image), /child\.cfi is based on .*app\.cfi/);
  const { frames } = await FuncImage.tune(child, { requests: ['{"n": 4}'] });
  assert.ok(frames < new ImageFile(image).header.memory.frames / 2);
  assert.is(await answer(child, 4), '4\n');
  await assert.rejects(FuncImage.tune(child, { boots: 0 }), /0 is not a number of boots/);
}, slow);

test.run();
