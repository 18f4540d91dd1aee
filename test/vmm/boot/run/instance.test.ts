// Closing a sandbox: once or twice, it takes nothing away from the next one.

import { closeSync, fstatSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { QueueConsole } from '../../../../vmm/boot/stdio/console.ts';
import { closeInstance, type Instance } from '../../../../vmm/boot/run/instance.ts';
import { launchProgram } from '../../../../vmm/boot/run/launch.ts';
import { beginPhases } from '../../../../vmm/boot/run/phases.ts';
import { assert, needsKvm, suite } from '../../../harness.ts';
import { listFreeDescriptors } from '../../../helpers/process-holdings.ts';
import { root } from '../../../helpers/repository.ts';

const test = suite('vmm/boot/instance');
const testKvm = needsKvm(test);

function launch(): Instance {
  const command = [join(root, 'fixtures/hello/hello')];
  return launchProgram({ command }, new QueueConsole(() => true), beginPhases());
}

testKvm('closeInstance() twice gives nothing back twice', () => {
  // The second one keeps the first one's memory apart from the rest that is free.
  const [first, second] = [launch(), launch()];
  closeInstance(first);
  closeInstance(first);
  const others = [second, launch(), launch()];
  const regions = others.flatMap(({ k, zygote }) => [k.arena.region, zygote.tables]);
  regions.sort((a, b) => a.address - b.address);
  regions.forEach((region, index) => {
    const next = regions[index + 1];
    if (next !== undefined) assert.ok(region.address + region.bytes <= next.address);
  });
  closeInstance(first);
  for (const other of others) assert.ok(other.k.root.process !== null);
  others.forEach(closeInstance);
});

testKvm('closeInstance() twice leaves descriptors that others have opened since alone', () => {
  const instance = launch();
  closeInstance(instance);
  const fds = listFreeDescriptors(8).map(() => openSync('/dev/null', 'r'));
  closeInstance(instance);
  for (const fd of fds) {
    assert.ok(fstatSync(fd).isCharacterDevice());
    closeSync(fd);
  }
});

test.run();
