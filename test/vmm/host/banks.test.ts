// Banks: apart from each other, seen as far as they are used, zero for each owner, their memory
// gone when they are given back.

import { readFileSync } from 'node:fs';
import { type Bank, giveBank, takeBank, viewBank } from '../../../vmm/host/banks.ts';
import { assert, suite } from '../../harness.ts';

const test = suite('vmm/host/banks');
const MIB = 2 ** 20;

/** Access to the mapping that an address lies in, as /proc/self/maps writes it. */
function accessOf(address: number): string {
  for (const line of readFileSync('/proc/self/maps', 'latin1').split('\n')) {
    const match = /^([0-9a-f]+)-([0-9a-f]+) (\S+)/.exec(line);
    if (match === null) continue;
    const [low, high] = [parseInt(match[1] as string, 16), parseInt(match[2] as string, 16)];
    if (address >= low && address < high) return match[3] as string;
  }
  return 'nothing';
}

test('banks lie apart, begin on 2 MiB, and are seen whole', () => {
  const sizes = [512, 3, 512, 64, 1000, 1];
  const banks = sizes.map((mib) => takeBank(mib * MIB));
  for (const [index, bank] of banks.entries()) {
    const { address, bytes } = bank;
    assert.is(bytes, (sizes[index] as number) * MIB);
    assert.is(address % (2 * MIB), 0);
    const view = viewBank(bank, bytes);
    assert.is(view.length, bytes);
    view[0] = index + 1;
    view[bytes - 1] = index + 1;
  }
  const sorted = [...banks].sort((a, b) => a.address - b.address);
  sorted.slice(1).forEach((bank, index) => {
    const before = sorted[index] as Bank;
    assert.ok(before.address + before.bytes <= bank.address);
  });
  banks.forEach((bank, index) => {
    const view = viewBank(bank, bank.bytes);
    assert.is(view[0], index + 1);
    assert.is(view[bank.bytes - 1], index + 1);
  });
  banks.forEach(giveBank);
});

test('views are short at first, show the same memory, and never more than the bank', () => {
  const bank = takeBank(100 * MIB);
  const short = viewBank(bank, 1);
  assert.atMost(short.length, 8 * MIB);
  const longer = viewBank(bank, short.length + 1);
  assert.ok(longer.length > short.length);
  longer[1] = 5;
  assert.is(short[1], 5);
  assert.is(viewBank(bank, longer.length), longer);
  assert.is(viewBank(bank, bank.bytes).length, bank.bytes);
  assert.throws(() => viewBank(bank, bank.bytes + 1), RangeError);
  giveBank(bank);
  const smaller = takeBank(3 * MIB);
  assert.is(smaller.address, bank.address);
  assert.is(viewBank(smaller, 0).length, smaller.bytes);
  giveBank(smaller);
});

test('a bank that was given back is out of reach, and zero for the next owner', () => {
  const kept = takeBank(16 * MIB);
  const bank = takeBank(16 * MIB);
  viewBank(bank, 4096).fill(7, 0, 4096);
  giveBank(bank);
  assert.match(accessOf(bank.address), '---p');
  const next = takeBank(16 * MIB);
  assert.is(next.address, bank.address);
  assert.is(viewBank(next, 1)[0], 0);
  giveBank(next);
  giveBank(kept);
});

test('what was given back in any order becomes whole again', () => {
  const before = takeBank(200 * MIB);
  giveBank(before);
  for (const order of [[0, 1, 2], [2, 1, 0], [1, 0, 2], [0, 2, 1]]) {
    const banks = [0, 1, 2].map(() => takeBank(60 * MIB));
    for (const index of order) giveBank(banks[index] as Bank);
    const whole = takeBank(200 * MIB);
    assert.is(whole.address, before.address);
    giveBank(whole);
  }
  assert.throws(() => giveBank({ address: 4096, bytes: 4096 }), RangeError);
});

test.run();
