// Machines that are kept ready: for everybody who wishes them, whatever used ones lie beside them.

import {
  countReady, dropReadyZygotes, giveZygote, keepReady, prepareZygotes, takeZygote,
} from '../../../../vmm/boot/pool/zygote-pool.ts';
import {
  closeZygote, recycleZygote, type ZygoteOptions,
} from '../../../../vmm/boot/pool/zygote.ts';
import { FIRST_GUEST_TABLE, PAGE } from '../../../../vmm/machine/layout.ts';
import { PAGE_BYTES } from '../../../../vmm/machine/paging.ts';
import { setAnswer, STUB_CALLS, switchAnswers } from '../../../../vmm/machine/stub-calls.ts';
import { assert, needsKvm, suite } from '../../../harness.ts';

const test = suite('vmm/boot/zygote-pool');
const testKvm = needsKvm(test);
const options: ZygoteOptions = { memoryBytes: 16 * 1024 * 1024, baseBytes: 0, baseline: 'host' };
const used = { tablesEnd: FIRST_GUEST_TABLE + 1, framesEnd: 1 };
test.after(dropReadyZygotes);

/** Lets the pool make what it wants: one machine a turn. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 8; turn++) {
    await new Promise((resolve) => { setImmediate(resolve); });
  }
}

testKvm('keepReady() serves the largest wish, until the last one ends', async () => {
  const endSmall = keepReady(options, { low: 1, high: 1 });
  const endLarge = keepReady(options, { low: 2, high: 3 });
  await settle();
  assert.is(countReady(options), 3);
  endSmall();
  const taken = [takeZygote(options), takeZygote(options)];
  await settle();
  assert.is(countReady(options), 3, 'the end of one wish leaves the other');
  endLarge();
  for (const zygote of [...taken, takeZygote(options)]) giveZygote(zygote, used);
  await settle();
  assert.is(countReady(options), 2);
  dropReadyZygotes();
});

testKvm('a used machine keeps nothing of the calls that its stub answered', () => {
  const zygote = takeZygote(options, 'ours', 'a');
  const { machine: { tables } } = zygote;
  const wordAt = (page: number, offset: number): number =>
    tables.getUint32(page * PAGE_BYTES + offset, true);
  assert.ok(switchAnswers(tables, true));
  STUB_CALLS.forEach((_name, index) => setAnswer(tables, index, 7));
  tables.setUint32(PAGE.mask * PAGE_BYTES + 4092, 1, true);
  assert.ok(recycleZygote(zygote, used));
  STUB_CALLS.forEach((name, index) => {
    assert.is(wordAt(PAGE.answers, index * 8) + wordAt(PAGE.answers, index * 8 + 4), 0, name);
  });
  assert.is(wordAt(PAGE.mask, 4092), 0);
  assert.not(switchAnswers(tables, false), 'its calls leave');
  closeZygote(zygote);
});

testKvm('a used machine of somebody else is no ready one', async () => {
  const end = keepReady(options, { low: 2, high: 2 });
  await settle();
  const theirs = takeZygote(options, 'theirs', 'a');
  giveZygote(theirs, used);
  await settle();
  assert.is(countReady(options), 3);
  const first = takeZygote(options, 'ours', 'b');
  assert.not(first === theirs);
  await settle();
  const second = takeZygote(options, 'ours', 'b');
  assert.not(second === theirs);
  await settle();
  assert.is(countReady(options), 3, 'unused ones were made again');
  assert.is(takeZygote(options, 'theirs', 'a'), theirs);
  for (const zygote of [first, second, theirs]) giveZygote(zygote, used);
  end();
  dropReadyZygotes();
  prepareZygotes(options, 1, 0);
  assert.is(countReady(options), 1);
});

test.run();
