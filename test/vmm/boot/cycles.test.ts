// One process makes and closes sandboxes hundreds of times and holds no more than after the first.
// CATAVMM_CYCLES=10000 makes it that many.

import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { freeStateBytes } from '../../../vmm/kernel/state/memory.ts';
import { FuncImage } from '../../../vmm/func-image.ts';
import { Template } from '../../../vmm/template.ts';
import { Sandbox } from '../../../vmm/sandbox.ts';
import { assert, needsKvm, suite } from '../../harness.ts';
import {
  countDescriptors, countMappings, residentBytes,
} from '../../helpers/process-holdings.ts';
import { currentRuntimeName } from '../../helpers/runtimes.ts';
import { root } from '../../helpers/repository.ts';

const test = suite('vmm/boot/cycles');
const testKvm = needsKvm(test);
const folder = mkdtempSync(join(tmpdir(), 'catavmm-cycles-'));
test.after(() => rmSync(folder, { recursive: true }));

const hello = join(root, 'fixtures/hello/hello');
const volumes = [{ source: folder, target: '/mnt', readOnly: true }];
const WARM_UP = 100;
const CYCLES = Number(process.env['CATAVMM_CYCLES'] ?? 500);
const TIMEOUT_MS = 240_000 + CYCLES * 200;
/** What a runtime may add on its own account: a thread, a piece of its heap. */
const MAPPINGS_MOST = 16;
/** Resident memory goes up and down by 7 MiB within 6,000 forks, and ends where it began. */
const GROWTH_MOST = 16 * 1024 * 1024;

/** So often garbage is collected, or the heap would grow to the size that the engine likes. */
const COLLECT_EVERY = 25;

function collectGarbage(): void {
  (globalThis as { Bun?: { gc(force: boolean): void } }).Bun?.gc(true);
}

/** What the process holds once its garbage is collected. */
function measure(): Record<'descriptors' | 'mappings' | 'resident' | 'state', number> {
  collectGarbage();
  return {
    descriptors: countDescriptors(), mappings: countMappings(), resident: residentBytes(),
    state: freeStateBytes(),
  };
}

async function repeat(cycle: () => Promise<void>, count: number): Promise<void> {
  for (let round = 0; round < count; round++) {
    await cycle();
    if (round % COLLECT_EVERY === 0) collectGarbage();
  }
}

async function assertSteady(cycle: () => Promise<void>): Promise<void> {
  await repeat(cycle, WARM_UP);
  const before = measure();
  await repeat(cycle, CYCLES);
  const after = measure();
  assert.is(after.descriptors, before.descriptors, 'descriptors');
  assert.is(after.state, before.state, 'state memory');
  // How the heaps of V8 grow is not ours to say.
  if (currentRuntimeName() !== 'bun') return;
  assert.ok(after.mappings <= before.mappings + MAPPINGS_MOST, 'mappings');
  const growth = after.resident - before.resident;
  assert.ok(growth < GROWTH_MOST, `${growth} bytes more are in use`);
}

async function finish(sandbox: Sandbox): Promise<void> {
  const { code } = await sandbox.output();
  assert.is(code, 0);
  await sandbox.close();
}

testKvm('run() and close() can be repeated without end', async () => {
  const options = { command: [hello], volumes };
  await assertSteady(async () => finish(await Sandbox.run(options)));
}, { timeoutMs: TIMEOUT_MS });

const image = join(folder, 'hello.cfi');

async function ensureImage(): Promise<string> {
  if (!existsSync(image)) await Sandbox.build({ command: [hello], output: image });
  return image;
}

testKvm('boot() and close() can be repeated without end', async () => {
  const file = await ensureImage();
  await assertSteady(async () => finish(await Sandbox.boot(file)));
}, { timeoutMs: TIMEOUT_MS });

/** Waits for the machine of the last sandbox to be wiped. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 4; turn++) {
    await new Promise((resolve) => { setImmediate(resolve); });
  }
}

testKvm('warm boots on wiped machines can be repeated without end', async () => {
  const image = await FuncImage.open(await ensureImage(), { pool: { low: 0, high: 1 } });
  await assertSteady(async () => {
    await finish(await image.boot());
    await settle();
  });
  await image.close();
}, { timeoutMs: TIMEOUT_MS });

testKvm('forks on wiped machines can be repeated without end', async () => {
  const image = await FuncImage.open(await ensureImage());
  const template = await Template.from(image, { pool: { low: 0, high: 1 } });
  await image.close();
  await assertSteady(async () => {
    await finish(await template.fork());
    await settle();
  });
  await template.close();
}, { timeoutMs: TIMEOUT_MS });

test.run();
