// The file of an image is deleted, replaced, truncated or written to while sandboxes of it run: at
// most those end, with one sentence, and everybody else lives on.

import {
  closeSync, copyFileSync, mkdtempSync, openSync, renameSync, rmSync, statSync, truncateSync,
  utimesSync, writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FuncImage } from '../../../vmm/func-image.ts';
import type { Output } from '../../../vmm/sandbox.ts';
import { Sandbox } from '../../../vmm/sandbox.ts';
import { Template } from '../../../vmm/template.ts';
import { assert, needsKvm, suite } from '../../harness.ts';
import { root } from '../../helpers/repository.ts';
import { textOf } from '../../oracle/process.ts';

const test = suite('vmm/boot/image-faults');
const testKvm = needsKvm(test);
const slow = { timeoutMs: 120_000 };
const folder = mkdtempSync(join(tmpdir(), 'catavmm-faults-'));
test.after(() => rmSync(folder, { recursive: true }));

const hello = join(root, 'fixtures/hello/hello');
const original = join(folder, 'original.cfi');
const answer = 'hello: 104729 is prime number 10000\n';

/** A sandbox whose stdin comes later. */
interface Waiting {
  sandbox: Sandbox;
  feed(): Promise<Output>;
}

async function start(
  boot: (stdin: ReadableStream<Uint8Array>) => Promise<Sandbox>,
): Promise<Waiting> {
  let controller!: ReadableStreamDefaultController<Uint8Array>;
  const stdin = new ReadableStream<Uint8Array>({ start: (given) => { controller = given; } });
  const sandbox = await boot(stdin);
  // It runs up to its read.
  await new Promise((resolve) => { setTimeout(resolve, 20); });
  return {
    sandbox,
    feed: async () => {
      controller.enqueue(new TextEncoder().encode('104729\n'));
      controller.close();
      const output = await sandbox.output();
      await sandbox.close();
      return output;
    },
  };
}

let isBuilt = false;

async function copyImage(name: string): Promise<string> {
  if (!isBuilt) await Sandbox.build({ command: [hello], output: original });
  isBuilt = true;
  const copy = join(folder, name);
  copyFileSync(original, copy);
  return copy;
}

function assertGood({ stdout, code, message }: Output): void {
  assert.equal([textOf(stdout), code, message], [answer, 0, undefined]);
}

/** Cold, warm and forked sandboxes of a file, waiting for their stdin. */
async function startAll(
  file: string,
): Promise<{ waiting: Waiting[]; image: FuncImage; template: Template }> {
  const image = await FuncImage.open(file);
  const template = await Template.from(image);
  const waiting = [
    await start((stdin) => Sandbox.boot(file, { stdin })),
    await start((stdin) => image.boot({ stdin })),
    await start((stdin) => template.fork({ stdin })),
  ];
  return { waiting, image, template };
}

testKvm('sandboxes go on when their file is deleted, new ones say that it is gone', async () => {
  const file = await copyImage('deleted.cfi');
  const { waiting, image, template } = await startAll(file);
  rmSync(file);
  await assert.rejects(Sandbox.boot(file), /The func-image .*deleted\.cfi does not exist\./);
  for (const one of waiting) assertGood(await one.feed());
  assertGood(await (await start((stdin) => image.boot({ stdin }))).feed());
  assertGood(await (await start((stdin) => template.fork({ stdin }))).feed());
  await template.close();
  await image.close();
}, slow);

testKvm('sandboxes go on when their file is replaced by another one', async () => {
  const file = await copyImage('replaced.cfi');
  const { waiting, image, template } = await startAll(file);
  const other = join(folder, 'other.cfi');
  await Sandbox.build({ command: ['/bin/sh', '-c', 'read x; echo other $x'], output: other });
  renameSync(other, file);
  const fresh = await (await start((stdin) => Sandbox.boot(file, { stdin }))).feed();
  assert.is(textOf(fresh.stdout), 'other 104729\n');
  for (const one of waiting) assertGood(await one.feed());
  assertGood(await (await start((stdin) => image.boot({ stdin }))).feed());
  await template.close();
  await image.close();
}, slow);

/** What is done to the file of those that wait; a bystander has a file of its own. */
async function harm(name: string, act: (file: string) => void, expected: RegExp): Promise<void> {
  const file = await copyImage(`${name}.cfi`);
  const { waiting, image, template } = await startAll(file);
  const bystander = await start((stdin) => Sandbox.boot(original, { stdin }));
  act(file);
  for (const one of waiting) {
    const { code, reason, message } = await one.feed();
    assert.is(code, 125);
    assert.is(reason, 'failed');
    assert.match(message ?? '', expected);
  }
  await assert.rejects(image.boot(), /was truncated or written to while it was in use/);
  await assert.rejects(template.fork(), /was truncated or written to while it was in use/);
  assertGood(await bystander.feed());
  await template.close();
  await image.close();
  assertGood(await (await start((stdin) => Sandbox.boot(original, { stdin }))).feed());
}

testKvm('sandboxes whose file is truncated end with 125, others live on', async () => {
  const expected = /^The func-image.* truncated.*\.$/;
  await harm('truncated', (file) => truncateSync(file, 4096), expected);
  await harm('half', (file) => truncateSync(file, statSync(file).size / 2 & ~4095), expected);
}, slow);

testKvm('sandboxes whose file is written to end with 125, others live on', async () => {
  await harm('written', (file) => {
    const fd = openSync(file, 'r+');
    const { size } = statSync(file);
    const noise = new Uint8Array(4096).fill(0x90);
    for (let at = size / 2 & ~4095; at < size; at += 4096) writeSync(fd, noise, 0, 4096, at);
    closeSync(fd);
    // The clock of the file system may not have moved since the copy.
    utimesSync(file, new Date(), new Date());
  }, /^The func-image.* (truncated|contradicts).*\.$/);
}, slow);

test.run();
