// The start-up self-test: which invalidation this host needs, and that the machine is clean
// afterwards.
import { assert, needsKvm, suite } from '../../harness.ts';
import { giveRegion, takeRegion, u8 } from '../../../vmm/kernel/state/memory.ts';
import { Machine } from '../../../vmm/machine/machine.ts';
import { FIRST_GUEST_TABLE, TABLE_WINDOW_BYTES } from '../../../vmm/machine/layout.ts';
import { findInvalidationMethod } from '../../../vmm/machine/self-test.ts';
import { toRuns } from '../../../vmm/machine/translations.ts';

const test = suite('vmm/machine/self-test');
const testKvm = needsKvm(test);

testKvm('findInvalidationMethod() always gives one answer and leaves the machine clean', () => {
  const window = takeRegion(TABLE_WINDOW_BYTES);
  const machine = new Machine({
    bankBytes: 4 << 20,
    baseBytes: 0,
    baseline: 'host',
    tables: { bytes: u8.subarray(window.address, window.address + window.bytes) },
  });
  const first = findInvalidationMethod(machine);
  assert.ok(first === 'flush' || first === 'notifier');
  assert.is(findInvalidationMethod(machine), first);
  assert.ok(machine.bankView.subarray(0, 65536).every((byte) => byte === 0));
  const from = window.address + FIRST_GUEST_TABLE * 4096;
  const tables = u8.subarray(from, window.address + window.bytes);
  assert.ok(tables.every((byte) => byte === 0));
  machine.close();
  giveRegion(window);
});

test('toRuns() joins neighbouring pages and drops duplicates', () => {
  assert.equal(toRuns([]), []);
  assert.equal(toRuns([5]), [[5, 1]]);
  assert.equal(toRuns([3, 1, 2, 2, 9]), [[1, 3], [9, 1]]);
});

test.run();
