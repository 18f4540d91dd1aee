// Page tables and entries: walks, page numbers, reports of stale entries.
import { assert, suite } from '../../../harness.ts';
import { makeTestKernel } from '../../../helpers/kernel.ts';
import {
  entryAt, frameOf, pfnAt, pfnOf, PTE_A, PTE_D, PTE_P, PTE_RW, PTE_US, setEntry,
} from '../../../../vmm/kernel/mm/pte.ts';
import {
  findEntry, makeEntry, reportStale, visitPresent,
} from '../../../../vmm/kernel/mm/tables.ts';
import { BASE_FRAME } from '../../../../vmm/kernel/ports.ts';
import { u32 } from '../../../../vmm/kernel/state/memory.ts';

const test = suite('kernel/mm/tables');

const addresses = [
  0x1000, 0x40_0000, 0x7fff_f000, 0x1_0000_0000, 0x80_0000_0000, 0x5555_5555_4000, 0x7fff_ffff_e000,
];

test('makeEntry() and findEntry() agree, and entries of different pages differ', () => {
  const t = makeTestKernel();
  const { tables } = t.k;
  const root = t.mm.rootTable;
  for (const gva of addresses) assert.is(findEntry(tables, root, gva), 0);
  const entries = addresses.map((gva) => makeEntry(tables, root, gva));
  assert.is(new Set(entries).size, addresses.length);
  addresses.forEach((gva, index) => assert.is(findEntry(tables, root, gva), entries[index]));
  t.close();
});

test('makeEntry() links tables as the CPU wants them', () => {
  const t = makeTestKernel();
  const { tables } = t.k;
  makeEntry(tables, t.mm.rootTable, 0x5555_5555_4000);
  const at = (tables.addressOf(t.mm.rootTable) + 0xaa * 8) >> 2;
  assert.is((u32[at] as number) & 0xfff, PTE_P | PTE_RW | PTE_US | PTE_A | PTE_D);
  assert.is(pfnAt(at), tables.window.pfn + t.mm.rootTable + 1);
  t.close();
});

test('makeEntry() says 0 when there are no tables left', () => {
  const t = makeTestKernel({ tables: 20 });
  const { tables } = t.k;
  assert.ok(makeEntry(tables, t.mm.rootTable, 0x1000) > 0);
  assert.is(makeEntry(tables, t.mm.rootTable, 0x80_0000_0000), 0);
  assert.ok(makeEntry(tables, t.mm.rootTable, 0x2000) > 0, 'existing tables are still good');
  t.close();
});

test('visitPresent() visits present pages of the range in order, across all levels', () => {
  const t = makeTestKernel();
  const { tables } = t.k;
  const root = t.mm.rootTable;
  for (const gva of addresses) setEntry(makeEntry(tables, root, gva), 5, PTE_P, false);
  const seen: number[] = [];
  visitPresent(tables, root, 0, 2 ** 47, (_at, gva) => seen.push(gva));
  assert.equal(seen, addresses);
  seen.length = 0;
  visitPresent(tables, root, 0x40_0000, 0x5555_5555_4000, (_at, gva) => seen.push(gva));
  assert.equal(seen, addresses.slice(1, 5));
  t.close();
});

test('setEntry() and pfnAt() keep page numbers beyond 32 bits', () => {
  const t = makeTestKernel();
  const at = makeEntry(t.k.tables, t.mm.rootTable, 0x1000);
  const pfn = 0x9_8765_4321;
  setEntry(at, pfn, PTE_P | PTE_US, false);
  assert.is(pfnAt(at), pfn);
  assert.is(entryAt(at), 0x8000_9876_5432_1005n);
  setEntry(at, pfn, PTE_P, true);
  assert.is(entryAt(at), 0x9876_5432_1001n);
  t.close();
});

test('pfnOf() and frameOf() map bank and base frames, and nothing else', () => {
  const t = makeTestKernel({ bankFrames: 64, baseFrames: 8 });
  const { frames } = t.k.ports;
  for (const id of [1, 63, BASE_FRAME, BASE_FRAME + 7]) {
    assert.is(frameOf(frames, pfnOf(frames, id)), id);
  }
  assert.is(frameOf(frames, frames.bankPfn), 0, 'frame 0 is never used');
  assert.is(frameOf(frames, frames.bankPfn + 64), 0);
  assert.is(frameOf(frames, frames.basePfn + 8), 0);
  assert.is(frameOf(frames, frames.basePfn - 1), 0);
  t.close();
});

test('reportStale() reports entries that were used, and only those', () => {
  const t = makeTestKernel();
  const gva = 0x5555_5555_4000;
  const at = makeEntry(t.k.tables, t.mm.rootTable, gva);
  setEntry(at, 0x10_0001, PTE_P | PTE_US, false);
  reportStale(t.k, at, gva);
  assert.is(t.stale.length, 0);
  setEntry(at, 0x10_0001, PTE_P | PTE_US | PTE_A, false);
  reportStale(t.k, at, gva);
  assert.is(t.stale.length, 1);
  const [call] = t.stale;
  assert.is(call?.gva, gva);
  assert.is(call?.oldPte, entryAt(at));
  assert.is(t.k.tables.addressOf(call?.tableIndex ?? 0) + (call?.entryIndex ?? 0) * 8, at * 4);
  t.close();
});

test.run();
