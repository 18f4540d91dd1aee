// Launching: what a launch takes it gives back, whether the sandbox comes to life or not.

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { QueueConsole } from '../../../../vmm/boot/stdio/console.ts';
import { closeInstance } from '../../../../vmm/boot/run/instance.ts';
import { launchProgram } from '../../../../vmm/boot/run/launch.ts';
import { beginPhases } from '../../../../vmm/boot/run/phases.ts';
import type { ProgramOptions } from '../../../../vmm/options.ts';
import { assert, needsKvm, suite } from '../../../harness.ts';
import { countDescriptors, countGuestMappings } from '../../../helpers/process-holdings.ts';
import { root } from '../../../helpers/repository.ts';

const test = suite('vmm/boot/launch');
const testKvm = needsKvm(test);
const folder = mkdtempSync(join(tmpdir(), 'catavmm-launch-'));
test.after(() => rmSync(folder, { recursive: true }));

const hello = join(root, 'fixtures/hello/hello');
const text = join(folder, 'text');
mkdirSync(join(folder, 'data'));
writeFileSync(text, 'no program', { mode: 0o755 });

/** More launches than the state memory could hold if each lost its records. */
const ROUNDS = 24;

function launch(options: ProgramOptions): void {
  closeInstance(launchProgram(options, new QueueConsole(() => true), beginPhases()));
}

const data = { source: join(folder, 'data'), target: '/mnt/data', readOnly: false };
const file = { source: text, target: '/mnt/text', readOnly: false };
const volumes = [data, file];

testKvm('launchProgram() with volumes leaves nothing behind when the sandbox is closed', () => {
  launch({ command: [hello], volumes });
  const before = [countDescriptors(), countGuestMappings()];
  for (let round = 0; round < ROUNDS; round++) launch({ command: [hello], volumes });
  assert.is(countDescriptors(), before[0]);
  assert.ok(countGuestMappings() <= (before[1] as number) + 2);
});

testKvm('launchProgram() leaves nothing behind when it fails', () => {
  const cases: [string, ProgramOptions, RegExp][] = [
    ['rootfs', { command: [hello], rootfs: join(folder, 'missing') }, /cannot be opened/],
    ['program', { command: ['/no/such/program'], volumes }, /there is no such program/],
    ['text', { command: [text], volumes }, /cannot be executed/],
    ['cwd', { command: [hello], cwd: '/no/such/directory', volumes }, /does not exist/],
    ['source', {
      command: [hello],
      volumes: [...volumes, { ...data, source: join(folder, 'missing'), target: '/x' }],
    }, /does not exist/],
    ['target', { command: [hello], volumes: [...volumes, { ...data, target: '/' }] }, /no place/],
    ['memory', { command: [hello], memory: 2 ** 40, volumes }, /memory/],
  ];
  for (const [what, options, message] of cases) {
    assert.throws(() => launch(options), message, what);
    const before = [countDescriptors(), countGuestMappings()];
    for (let round = 0; round < ROUNDS; round++) assert.throws(() => launch(options), message);
    assert.is(countDescriptors(), before[0], `descriptors: ${what}`);
    assert.ok(countGuestMappings() <= (before[1] as number) + 2, `mappings: ${what}`);
  }
});

test.run();
