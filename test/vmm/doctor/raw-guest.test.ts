// The guest that `catavmm bench` times exits with: it answers, and leaves nothing when it fails.

import { RawGuest } from '../../../vmm/doctor/raw-guest.ts';
import { HostError } from '../../../vmm/host/errors.ts';
import { STATE_BYTES, giveRegion, takeRegion } from '../../../vmm/kernel/state/memory.ts';
import { TABLE_WINDOW_BYTES } from '../../../vmm/machine/layout.ts';
import { assert, needsKvm, suite } from '../../harness.ts';
import {
  countDescriptors, listFreeDescriptors, withDescriptorLimit,
} from '../../helpers/process-holdings.ts';

const test = suite('vmm/doctor/raw-guest');
const testKvm = needsKvm(test);

testKvm('RawGuest answers calls, as often as one is made', () => {
  for (let round = 0; round < 3; round++) {
    const guest = new RawGuest();
    for (let step = 0; step < 10; step++) guest.step();
    guest.close();
  }
});

testKvm('RawGuest leaves nothing behind when the host gives no machine', () => {
  new RawGuest().close();
  const before = countDescriptors();
  const [first, second] = listFreeDescriptors(2) as [number, number];
  // More often than the state memory has table windows.
  const rounds = Math.ceil(STATE_BYTES / TABLE_WINDOW_BYTES) + 1;
  for (const end of [first, second]) {
    for (let round = 0; round < rounds; round++) {
      withDescriptorLimit(end, () => assert.throws(() => new RawGuest(), HostError));
    }
  }
  assert.is(countDescriptors(), before);
  giveRegion(takeRegion(STATE_BYTES - TABLE_WINDOW_BYTES));
});

test.run();
