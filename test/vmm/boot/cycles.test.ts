// One process makes and closes sandboxes hundreds of times and holds no more than after the first.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
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
const CYCLES = 300;
const TIMEOUT_MS = 240_000;
/** What a runtime may add on its own account: a thread, a piece of its heap. */
const MAPPINGS_MOST = 16;
const GROWTH_MOST = 8 * 1024 * 1024;

/** So often garbage is collected, or the heap would grow to the size that the engine likes. */
const COLLECT_EVERY = 25;

function collectGarbage(): void {
  (globalThis as { Bun?: { gc(force: boolean): void } }).Bun?.gc(true);
}

/** What the process holds once its garbage is collected. */
function measure(): { descriptors: number; mappings: number; resident: number } {
  collectGarbage();
  return {
    descriptors: countDescriptors(), mappings: countMappings(), resident: residentBytes(),
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

testKvm('boot() and close() can be repeated without end', async () => {
  const output = join(folder, 'hello.cfi');
  await Sandbox.build({ command: [hello], output });
  await assertSteady(async () => finish(await Sandbox.boot(output)));
}, { timeoutMs: TIMEOUT_MS });

test.run();
