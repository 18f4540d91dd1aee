// How large the state memory is: what one sandbox needs, or what many do.
import { expectOneSandbox, stateBytes } from '../../../../vmm/kernel/state/size.ts';
import { memory, STATE_BYTES } from '../../../../vmm/kernel/state/memory.ts';
import { BANK_BYTES_MAX, tableWindowBytes } from '../../../../vmm/machine/layout.ts';
import { ARENA_BYTES } from '../../../../vmm/kernel/make-kernel.ts';
import { assert, suite } from '../../../harness.ts';

const test = suite('vmm/kernel/state/size');

test('a memory of the size that was asked for is made', () => {
  assert.is(memory.buffer.byteLength, STATE_BYTES);
  assert.is(stateBytes(), STATE_BYTES);
  assert.ok(STATE_BYTES < 2 ** 31);
});

test('a process with one sandbox has room for the largest one and for its image', () => {
  expectOneSandbox();
  const bytes = stateBytes();
  assert.ok(bytes < STATE_BYTES / 2);
  assert.ok(bytes >= 4 * (ARENA_BYTES + tableWindowBytes(BANK_BYTES_MAX)));
  assert.is(memory.buffer.byteLength, STATE_BYTES);
});

test.run();
