// Copying to and from the guest: page borders, bad addresses, strings.
import { assert, suite } from '../../../harness.ts';
import { makeTestKernel, type TestKernel } from '../../../helpers/kernel.ts';
import { MAP_ANONYMOUS, MAP_FIXED, MAP_PRIVATE } from '../../../../vmm/abi/mman.ts';
import { mapRegion, protectRegion } from '../../../../vmm/kernel/mm/map.ts';
import {
  clearUser, copyIn, copyOut, readString, readStruct, readU32, readU64, USER_END, writeU32,
  writeU64,
} from '../../../../vmm/kernel/mm/user-memory.ts';

const test = suite('kernel/mm/user-memory');
const PAGE = 4096;
const BASE = 0x1000_0000;

/** Four pages at BASE: writable, writable, read-only, PROT_NONE; nothing behind. */
function start(): TestKernel {
  const t = makeTestKernel();
  const flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED;
  mapRegion(t.k, { gva: BASE, bytes: 4 * PAGE, prot: 3, flags });
  copyOut(t.k, BASE, new Uint8Array(4 * PAGE).fill(0x41));
  protectRegion(t.k, BASE + 2 * PAGE, PAGE, 1);
  protectRegion(t.k, BASE + 3 * PAGE, PAGE, 0);
  return t;
}

test('copyIn() and copyOut() stop where the guest itself could not go on', () => {
  const t = start();
  const buffer = new Uint8Array(4 * PAGE);
  assert.is(copyIn(t.k, BASE + 100, buffer), 3 * PAGE - 100);
  assert.is(copyOut(t.k, BASE + 100, buffer), 2 * PAGE - 100);
  assert.is(clearUser(t.k, BASE + PAGE, 2 * PAGE), PAGE);
  const bad = [0, -1, -PAGE, BASE + 3 * PAGE, BASE + 4 * PAGE, USER_END, 2 ** 47, 2 ** 63, NaN];
  for (const gva of bad) {
    assert.is(copyIn(t.k, gva, buffer), 0, `copyIn at ${gva}`);
    assert.is(copyOut(t.k, gva, buffer), 0, `copyOut at ${gva}`);
  }
  assert.is(copyIn(t.k, 0, new Uint8Array(0)), 0);
  t.close();
});

test('numbers keep their value across a page border', () => {
  const t = start();
  const at = BASE + PAGE - 3;
  assert.ok(writeU32(t.k, at, -2));
  assert.is(readU32(t.k, at), 0xffff_fffe);
  assert.ok(writeU64(t.k, at, -2));
  assert.is(readStruct(t.k, at, 8)?.getBigInt64(0, true), -2n);
  assert.ok(writeU64(t.k, at, 2 ** 52 + 5));
  assert.is(readU64(t.k, at), 2 ** 52 + 5);
  assert.not(writeU32(t.k, BASE + 2 * PAGE - 2, 1));
  assert.is(readU32(t.k, BASE + 3 * PAGE - 2), -1);
  assert.is(readStruct(t.k, BASE + 3 * PAGE - 2, 8), null);
  t.close();
});

test('readString() ends at NUL, at the limit, or at a bad page', () => {
  const t = start();
  const text = (value: Uint8Array | null | undefined): string | null | undefined =>
    value instanceof Uint8Array ? new TextDecoder().decode(value) : value;
  copyOut(t.k, BASE + PAGE - 2, new TextEncoder().encode('hello\0'));
  assert.is(text(readString(t.k, BASE + PAGE - 2, 100)), 'hello');
  assert.is(text(readString(t.k, BASE + PAGE - 2, 6)), 'hello');
  assert.is(readString(t.k, BASE + PAGE - 2, 5), undefined);
  assert.is(text(readString(t.k, BASE + PAGE + 3, 100)), '');
  assert.is(readString(t.k, BASE + 2 * PAGE, 5 * PAGE), null, 'no NUL before PROT_NONE');
  assert.is(readString(t.k, 0, 100), null);
  t.close();
});

test.run();
