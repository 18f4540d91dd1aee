// Sandboxes of a snapshot whose host has no random bytes: they do not come to life, or end when
// they ask for some (fail closed).

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { QueueConsole } from '../../../../vmm/boot/stdio/console.ts';
import { closeImage, openImage } from '../../../../vmm/boot/image/image-open.ts';
import { launchSnapshot } from '../../../../vmm/boot/run/launch.ts';
import { beginPhases } from '../../../../vmm/boot/run/phases.ts';
import { startSnapshot, type StartOptions } from '../../../../vmm/boot/restore/start-snapshot.ts';
import { HostError } from '../../../../vmm/host/errors.ts';
import type { EntropyPort } from '../../../../vmm/kernel/ports.ts';
import { Sandbox } from '../../../../vmm/sandbox.ts';
import { assert, kvmMissing, needs, suite } from '../../../harness.ts';
import { countDescriptors, countGuestMappings } from '../../../helpers/process-holdings.ts';
import { compileFixture, compilerMissing } from '../../../oracle/compile.ts';

const test = suite('vmm/boot/restore');
const testBoth = needs(test, kvmMissing() ?? compilerMissing());
const folder = mkdtempSync(join(tmpdir(), 'catavmm-restore-'));
test.after(() => rmSync(folder, { recursive: true }));

const ROUNDS = 8;

/** Gives `good` answers, then fails as host/entropy.ts does. */
function failingEntropy(good: number): EntropyPort {
  let left = good;
  return {
    fill: (target) => {
      if (left-- <= 0) throw new HostError('CATAVMM_HOST_CALL', 'the host gives no random bytes');
      target.set(crypto.getRandomValues(new Uint8Array(target.length)));
    },
  };
}

async function buildImage(): Promise<string> {
  const output = join(folder, 'unique.cfi');
  await Sandbox.build({ command: [compileFixture('unique')], output });
  return output;
}

testBoth('a boot without entropy fails, and leaves nothing behind', async () => {
  const image = openImage(await buildImage());
  const options = { entropy: failingEntropy(0) };
  const boot = (): void => {
    launchSnapshot(image, options, new QueueConsole(() => true), beginPhases());
  };
  assert.throws(boot, /no random bytes/);
  const before = [countDescriptors(), countGuestMappings()];
  for (let round = 0; round < ROUNDS; round++) assert.throws(boot, /no random bytes/);
  assert.is(countDescriptors(), before[0]);
  assert.ok(countGuestMappings() <= (before[1] as number) + 2);
  closeImage(image);
});

testBoth('a guest that asks for entropy which is not there ends, with a sentence', async () => {
  const image = openImage(await buildImage());
  for (const order of ['draw 1\n', 'exec\n']) {
    const console = new QueueConsole(() => true);
    console.push(new TextEncoder().encode(order));
    const options: StartOptions = { mode: 'cold', image: null, entropy: failingEntropy(1) };
    const session = startSnapshot(image, options, console, beginPhases()).start();
    const { code, reason, message } = await session.status;
    assert.equal({ code, reason }, { code: 125, reason: 'failed' }, order);
    assert.match(message ?? '', /no random bytes/);
    await session.closed;
  }
  closeImage(image);
});

test.run();
