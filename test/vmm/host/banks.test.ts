// Banks: cut out of few views, zero for each owner, their memory gone when they are given back.

import { readFileSync } from 'node:fs';
import { type Bank, giveBank, takeBank } from '../../../vmm/host/banks.ts';
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

test('banks lie apart, begin on 2 MiB, and share few buffers', () => {
  const sizes = [512, 3, 512, 64, 1000, 1];
  const banks = sizes.map((mib) => takeBank(mib * MIB));
  for (const [index, { address, bytes, view }] of banks.entries()) {
    assert.is(bytes, (sizes[index] as number) * MIB);
    assert.is(view.length, bytes);
    assert.is(address % (2 * MIB), 0);
    view[0] = index + 1;
    view[bytes - 1] = index + 1;
  }
  const sorted = [...banks].sort((a, b) => a.address - b.address);
  sorted.slice(1).forEach((bank, index) => {
    const before = sorted[index] as Bank;
    assert.ok(before.address + before.bytes <= bank.address);
  });
  banks.forEach(({ view, bytes }, index) => {
    assert.is(view[0], index + 1);
    assert.is(view[bytes - 1], index + 1);
  });
  assert.atMost(new Set(banks.map(({ view }) => view.buffer)).size, 3);
  banks.forEach(giveBank);
});

test('a bank that was given back is out of reach, and zero for the next owner', () => {
  const kept = takeBank(16 * MIB);
  const bank = takeBank(16 * MIB);
  bank.view.fill(7, 0, 4096);
  giveBank(bank);
  assert.match(accessOf(bank.address), '---p');
  const next = takeBank(16 * MIB);
  assert.is(next.address, bank.address);
  assert.is(next.view[0], 0);
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
