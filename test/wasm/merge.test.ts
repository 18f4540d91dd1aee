// Tests wasm/merge: release, debug and reference against each other and against plain Maps.

import { createMerge } from '../../wasm/merge.ts';
import type { Merge, TableTree } from '../../wasm/merge.ts';
import { createReferenceMerge } from '../../wasm/reference/merge.ts';
import { tableFaults } from '../../wasm/tables.ts';
import type { FrameWindows } from '../../wasm/tables.ts';
import { assert, seededRandom, suite } from '../harness.ts';
import type { Random } from '../harness.ts';
import {
  A, assertSame, compileDebug, copyMemory, D, entryAt, leafEntry, makeMemory, mapPage, NX, P, PS,
  putEntry, readTree, RW, SHARED, US,
} from './helpers.ts';
import type { GrowingTree } from './helpers.ts';

const test = suite('wasm/merge');
const debugModule = await compileDebug('merge');

type Create = (memory: WebAssembly.Memory) => Merge;
const variants: Record<string, Create> = {
  release: (memory) => createMerge(memory),
  debug: (memory) => createMerge(memory, debugModule),
  reference: createReferenceMerge,
};

const tablesPfn = 0xfff0_0000;
const frames: FrameWindows =
  { bankPfn: 0x10_0000, bankFrames: 300, basePfn: 0x20_0000, baseFrames: 500 };
const dstAt = 0x10000;
const privAt = 0x40000;
const baseAt = 0x70000;
const memoryBytes = 0xa0000;
const capacity = 48;
const dst = { tables: dstAt, firstIndex: 5, capacity };

interface Leaf {
  vpn: number;
  entry: bigint;
}

/** A tree as pack() numbers it: its leaves are entered in virtual-address order. */
function makeTree(
  memory: WebAssembly.Memory, tables: number, firstIndex: number, leaves: Leaf[],
): TableTree {
  const tree: GrowingTree = { memory, tables, pfn: tablesPfn + firstIndex, count: 1 };
  const ordered = [...leaves].sort((a, b) => a.vpn - b.vpn);
  for (const { vpn, entry } of ordered) mapPage(tree, vpn, entry);
  return { tables, count: tree.count, firstIndex };
}

const bank = (index: number, flags: bigint = RW): bigint =>
  leafEntry(frames.bankPfn + index, P | US | flags);
const base = (index: number, flags: bigint = 0n): bigint =>
  leafEntry(frames.basePfn + index, P | US | flags);

const baseLeaves: Leaf[] = [
  { vpn: 0, entry: base(0) }, { vpn: 1, entry: base(1, SHARED | NX) },
  { vpn: 600, entry: base(2) }, { vpn: 2 ** 35 - 1, entry: base(499) },
];
const privLeaves: Leaf[] = [
  { vpn: 1, entry: bank(1) }, { vpn: 2, entry: bank(2, RW | NX | A | D) },
  { vpn: 2 ** 18, entry: bank(3) }, { vpn: 2 ** 27 + 1, entry: bank(299) },
];
const noTree: TableTree = { tables: 0, count: 0, firstIndex: 0 };

const readDst = (memory: WebAssembly.Memory): Map<number, bigint> =>
  readTree(memory, { tables: dstAt, pfn: tablesPfn + dst.firstIndex });

const byPage = (leaves: Leaf[]): [number, bigint][] =>
  leaves.map(({ vpn, entry }): [number, bigint] => [vpn, entry]).sort((a, b) => a[0] - b[0]);

/** What must come out: base's leaves, then priv's over them. */
function overlayLeaves(under: Leaf[], over: Leaf[]): [number, bigint][] {
  return [...new Map([...byPage(under), ...byPage(over)])].sort((a, b) => a[0] - b[0]);
}

for (const [name, create] of Object.entries(variants)) {
  test(`mergeTable() takes the private entry where it is present (${name})`, () => {
    const random = seededRandom(5);
    const memory = makeMemory(memoryBytes);
    for (let index = 0; index < 512; index++) {
      for (const table of [privAt, baseAt]) {
        const entry = BigInt(random.u32()) << 32n | BigInt(random.u32());
        putEntry(memory, table + index * 8, entry);
      }
    }
    const expected = makeMemory(memoryBytes);
    for (let at = 0; at < 4096; at += 8) {
      const own = entryAt(memory, privAt + at);
      putEntry(expected, at, own & P ? own : entryAt(memory, baseAt + at));
    }
    for (const target of [dstAt, privAt, baseAt]) {
      const copy = copyMemory(memory);
      create(copy).mergeTable(target, privAt, baseAt);
      assertSame(new Uint8Array(copy.buffer, target, 4096),
        new Uint8Array(expected.buffer, 0, 4096), `into 0x${target.toString(16)}`);
      assert.is(entryAt(copy, target + 4096), 0n);
    }
  });

  test(`mergeTree() lays private leaves over base's (${name})`, () => {
    for (const [privFirst, baseFirst] of [[5, 5], [0, 0], [9, 1]] as [number, number][]) {
      const memory = makeMemory(memoryBytes);
      const under = makeTree(memory, baseAt, baseFirst, baseLeaves);
      const over = makeTree(memory, privAt, privFirst, privLeaves);
      new Uint8Array(memory.buffer, dstAt, capacity * 4096).fill(0xee);
      const merge = create(memory);
      assert.is(merge.check(under, tablesPfn, frames), null);
      assert.is(merge.check(over, tablesPfn, frames), null);
      // Priv adds two tables for page 2^18 and three for page 2^27.
      const count = merge.mergeTree(dst, over, under, tablesPfn);
      assert.is(count, under.count + 2 + 3);
      assert.equal([...readDst(memory)], overlayLeaves(baseLeaves, privLeaves));
      const kernelHalf = new Uint8Array(memory.buffer, dstAt + 2048, 2048);
      assert.ok(kernelHalf.every((byte) => byte === 0xee), 'the kernel half is untouched');
      // Base's tables keep their index.
      const leafTable = dstAt + 3 * 4096;
      assert.is(entryAt(memory, leafTable), base(0));
    }
  });

  test(`mergeTree() in place, and with either tree empty (${name})`, () => {
    const memory = makeMemory(memoryBytes);
    const merge = create(memory);
    const over = makeTree(memory, privAt, 0, privLeaves);
    const under = makeTree(memory, dstAt, 5, baseLeaves);
    assert.ok(merge.mergeTree(dst, over, under, tablesPfn) > under.count);
    assert.equal([...readDst(memory)], overlayLeaves(baseLeaves, privLeaves));

    assert.is(merge.mergeTree(dst, over, noTree, tablesPfn), over.count);
    assert.equal([...readDst(memory)], byPage(privLeaves));
    assert.is(merge.mergeTree(dst, noTree, noTree, tablesPfn), 1);
    assert.equal([...readDst(memory)], []);

    // A move only: the tree at dst counts from 9 and is to count from 5.
    new Uint8Array(memory.buffer, dstAt, capacity * 4096).fill(0);
    const moving = makeTree(memory, dstAt, 9, baseLeaves);
    assert.is(merge.mergeTree(dst, noTree, moving, tablesPfn), moving.count);
    assert.equal([...readDst(memory)], byPage(baseLeaves));
  });

  test(`mergeTree() lets a merged path keep what either tree allows (${name})`, () => {
    const memory = makeMemory(memoryBytes);
    const under = makeTree(memory, baseAt, 5, [{ vpn: 0, entry: base(0) }]);
    const over = makeTree(memory, privAt, 5, [{ vpn: 1, entry: bank(1) }]);
    putEntry(memory, baseAt, entryAt(memory, baseAt) & ~RW | NX);
    putEntry(memory, baseAt + 4096, entryAt(memory, baseAt + 4096) | NX);
    putEntry(memory, privAt + 4096, entryAt(memory, privAt + 4096) | NX);
    assert.is(create(memory).mergeTree(dst, over, under, tablesPfn), 4);
    assert.is(entryAt(memory, dstAt), leafEntry(tablesPfn + 6, P | RW | US | A));
    assert.is(entryAt(memory, dstAt + 4096), leafEntry(tablesPfn + 7, P | RW | US | A | NX));
  });

  test(`mergeTree() refuses trees that leave their memory or do not fit (${name})`, () => {
    const cases: [what: string, code: number, at: number, pfn: number][] = [
      ['priv outside below', -1, privAt, tablesPfn + 4],
      ['priv outside above', -1, privAt, tablesPfn + 5 + 13],
      ['priv to its own root', -1, privAt, tablesPfn + 5],
      ['priv modulo 2^32', -1, privAt, 2 ** 32 + tablesPfn + 6],
      ['base outside above', -1, baseAt, tablesPfn + 5 + 30],
      ['base to its own root', -1, baseAt, tablesPfn + 5],
    ];
    for (const [what, code, at, pfn] of cases) {
      const memory = makeMemory(memoryBytes);
      const under = makeTree(memory, baseAt, 5, baseLeaves);
      const over = makeTree(memory, privAt, 5, privLeaves);
      putEntry(memory, at, leafEntry(pfn, P | RW | US));
      const merge = create(memory);
      assert.is(merge.mergeTree(dst, over, under, tablesPfn), code, what);
      assert.match(merge.fault(code).sentence, tableFaults[code] as string);
    }
    const memory = makeMemory(memoryBytes);
    const under = makeTree(memory, baseAt, 5, baseLeaves);
    const over = makeTree(memory, privAt, 5, privLeaves);
    const merge = create(memory);
    const count = merge.mergeTree(dst, over, under, tablesPfn);
    assert.is(merge.mergeTree({ ...dst, capacity: count }, over, under, tablesPfn), count);
    for (const narrow of [count - 1, under.count - 1, 0]) {
      assert.is(merge.mergeTree({ ...dst, capacity: narrow }, over, under, tablesPfn), -5);
    }
    // Every slot of priv's directory points to one table.
    const pointer = entryAt(memory, privAt + 4096);
    for (let slot = 0; slot < 512; slot++) putEntry(memory, privAt + 4096 + slot * 8, pointer);
    assert.is(merge.mergeTree(dst, over, under, tablesPfn), -4);
  });
}

/** Changes to the base tree, and what check() must say. */
const hostile: [what: string, code: number, at: number, entry: bigint][] = [
  ['a pointer outside', -1, 0x0, leafEntry(tablesPfn + 5 + 9, P | RW | US)],
  ['a pointer below', -1, 0x0, leafEntry(tablesPfn + 4, P | RW | US)],
  ['a pointer modulo 2^32', -1, 0x0, leafEntry(2 ** 32 + tablesPfn + 6, P | RW | US)],
  ['a pointer to the root', -12, 0x0, leafEntry(tablesPfn + 5, P | RW | US)],
  ['a second pointer to a table', -12, 0x2008, leafEntry(tablesPfn + 8, P | RW | US)],
  ['tables out of walk order', -12, 0x0, leafEntry(tablesPfn + 10, P | RW | US)],
  ['a path left out', -13, 255 * 8, 0n],
  ['a large page', -3, 0x2000, leafEntry(frames.basePfn, P | US | PS)],
  ['a leaf with bit 7', -3, 0x3008, base(1, PS)],
  ['a leaf that the kernel may write', -8, 0x3008, leafEntry(frames.bankPfn, P | RW)],
  ['a pointer for the kernel', -8, 0x1000, leafEntry(tablesPfn + 7, P | RW)],
  ['a global leaf', -9, 0x3008, base(1, 0x100n)],
  ['a leaf with a protection key', -9, 0x3008, base(1, 1n << 59n)],
  ['a leaf with an unused bit', -9, 0x3008, base(1, 0x400n)],
  ['an uncached leaf', -9, 0x3008, base(1, 0x10n)],
  ['a shared pointer', -9, 0x1000, leafEntry(tablesPfn + 7, P | RW | US | SHARED)],
  ['an absent entry that is not 0', -9, 0x3018, 0x1000n],
  ['a leaf outside', -2, 0x3008, base(500)],
  ['a leaf that is a table', -2, 0x3008, leafEntry(tablesPfn + 5, P | US)],
  ['a leaf modulo 2^32', -2, 0x3008, leafEntry(2 ** 32 + frames.basePfn, P | US)],
  ['bank frame 0', -2, 0x3008, bank(0)],
  ['a writable base frame', -10, 0x3008, base(1, RW)],
  ['an entry in the kernel half', -11, 256 * 8, 1n],
  ['rubbish at the end of the kernel half', -11, 511 * 8, 1n << 63n],
];

for (const [name, create] of Object.entries(variants)) {
  test(`check() accepts what pack() writes (${name})`, () => {
    const memory = makeMemory(memoryBytes);
    const merge = create(memory);
    const leaves = [...baseLeaves, { vpn: 7, entry: bank(1, RW | A | D | NX) },
      { vpn: 8, entry: base(3, A | D | NX | SHARED) }];
    const tree = makeTree(memory, baseAt, 5, leaves);
    putEntry(memory, baseAt, entryAt(memory, baseAt) | A | NX);
    assert.is(merge.check(tree, tablesPfn, frames), null);
    const empty = makeTree(memory, privAt, 0, []);
    assert.is(merge.check(empty, tablesPfn, frames), null);
    assert.is(merge.check(noTree, tablesPfn, frames)?.code, -1);
  });

  test(`check() names the first bad entry (${name})`, () => {
    for (const [what, code, offset, entry] of hostile) {
      const memory = makeMemory(memoryBytes);
      const tree = makeTree(memory, baseAt, 5, baseLeaves);
      const merge = create(memory);
      assert.is(merge.check(tree, tablesPfn, frames), null);
      putEntry(memory, baseAt + offset, entry);
      const fault = merge.check(tree, tablesPfn, frames);
      assert.is(fault?.code, code, what);
      // The missing path's first table is reached by nobody.
      const at = code === -13 ? baseAt + 5 * 4096 : baseAt + offset;
      assert.is(fault?.at, at, what);
      assert.is(fault?.sentence, `${tableFaults[code]} 0x${at.toString(16)}`);
    }
  });
}

test('methods throw a RangeError when a piece is not inside the memory', () => {
  const merge = createMerge(makeMemory(memoryBytes));
  const far = { tables: memoryBytes - 4096, count: 2, firstIndex: 0 };
  assert.throws(() => merge.check(far, tablesPfn, frames), RangeError);
  assert.throws(() => merge.check(noTree, 2 ** 32, frames), RangeError);
  assert.throws(() => merge.mergeTree(dst, far, noTree, tablesPfn), /priv/);
  assert.throws(() => merge.mergeTree(dst, noTree, far, tablesPfn), /base/);
  assert.throws(() => merge.mergeTree({ ...dst, capacity: 2 ** 20 }, noTree, noTree, 0), /dst/);
  assert.throws(() => merge.mergeTable(memoryBytes - 4088, 0, 0), /dst/);
});

function makeRandomLeaves(random: Random): Leaf[] {
  const leaves: Leaf[] = [];
  for (let cluster = random.int(0, 4); cluster > 0; cluster--) {
    const start = random.pick([0, 480, 2 ** 18 - 20, random.int(0, 2 ** 35 - 80)]);
    for (let left = random.int(1, 30); left > 0; left--) {
      const vpn = start + random.int(0, 60);
      const flags = random.pick([0n, NX, SHARED, A | NX]);
      const entry = random.bool() ? bank(random.int(1, 299), flags | RW) :
        base(random.int(0, 499), flags);
      leaves.push({ vpn, entry });
    }
  }
  return leaves;
}

/** Turns bits over, or writes plausible pointers and leaves. */
function damage(memory: WebAssembly.Memory, tree: TableTree, random: Random): void {
  const at = tree.tables + random.int(0, tree.count * 512 - 1) * 8;
  const used = entryAt(memory, at);
  putEntry(memory, at, random.pick([
    used ^ (1n << BigInt(random.int(0, 63))),
    leafEntry(tablesPfn + tree.firstIndex + random.int(0, tree.count), P | US | RW),
    base(random.int(0, 500)),
    0n,
  ]));
}

test('all builds agree on random trees, good and damaged', () => {
  const random = seededRandom();
  let refused = 0;
  for (let round = 0; round < 200; round++) {
    const memory = makeMemory(memoryBytes);
    const privList = makeRandomLeaves(random);
    const baseList = makeRandomLeaves(random);
    const over = makeTree(memory, privAt, random.pick([0, 5]), privList);
    const under = makeTree(memory, baseAt, random.pick([0, 5]), baseList);
    const isDamaged = random.bool();
    for (let left = random.int(1, 8); isDamaged && left > 0; left--) {
      damage(memory, random.pick([over, under]), random);
    }
    const [first, ...others] = Object.entries(variants).map(([name, create]) => {
      const copy = copyMemory(memory);
      const merge = create(copy);
      const checks = [over, under].map((tree) => merge.check(tree, tablesPfn, frames));
      const count = merge.mergeTree(dst, over, under, tablesPfn);
      const outcome = [...checks, count, count < 0 ? merge.fault(count) : null];
      return { name, outcome, copy, content: new Uint8Array(copy.buffer) };
    });
    if (first === undefined) throw new Error('no variants');
    for (const { name, outcome, content } of others) {
      assert.equal(outcome, first.outcome, name);
      assertSame(content, first.content, name);
    }
    if (first.outcome[0] !== null || first.outcome[1] !== null) refused++;
    if (isDamaged) continue;
    assert.equal(first.outcome.slice(0, 2), [null, null]);
    assert.equal([...readDst(first.copy)], overlayLeaves(baseList, privList));
    assertSame(first.content.subarray(privAt), new Uint8Array(memory.buffer, privAt),
      'the source trees are not written');
  }
  assert.ok(refused > 40 && refused < 160, `${refused} of 200 refused`);
});

for (const [name, create] of Object.entries(variants)) {
  test(`moveHot() points private leaves at copies and leaves shared ones alone (${name})`, () => {
    const memory = makeMemory(memoryBytes);
    const tree = makeTree(memory, dstAt, dst.firstIndex, [
      { vpn: 3, entry: base(10, NX | A) }, { vpn: 4, entry: base(11) },
      { vpn: 5, entry: base(12, SHARED) }, { vpn: 2 ** 30, entry: base(13) },
      { vpn: 2 ** 30 + 1, entry: base(9) }, { vpn: 2 ** 30 + 2, entry: bank(7) },
    ]);
    const run = {
      fromPfn: frames.basePfn + 10, toPfn: frames.bankPfn + 1, count: 3, written: 1,
    };
    assert.is(create(memory).moveHot(tree, tablesPfn, run), 2);
    assert.equal([...readDst(memory)], byPage([
      { vpn: 3, entry: leafEntry(frames.bankPfn + 1, P | US | A | RW | D | NX) },
      { vpn: 4, entry: leafEntry(frames.bankPfn + 2, P | US | A) },
      { vpn: 5, entry: base(12, SHARED) }, { vpn: 2 ** 30, entry: base(13) },
      { vpn: 2 ** 30 + 1, entry: base(9) }, { vpn: 2 ** 30 + 2, entry: bank(7) },
    ]));
  });

  test(`moveHot() ends at a tree that is none (${name})`, () => {
    const memory = makeMemory(memoryBytes);
    const tree = makeTree(memory, dstAt, dst.firstIndex, [{ vpn: 3, entry: base(10) }]);
    putEntry(memory, dstAt, entryAt(memory, dstAt) + (100n << 12n));
    const run = { fromPfn: frames.basePfn, toPfn: frames.bankPfn, count: 20, written: 20 };
    const merge = create(memory);
    const code = merge.moveHot(tree, tablesPfn, run);
    assert.ok(code < 0);
    assert.is(merge.fault(code).code, code);
  });
}

test('moveHot() does the same in all builds on random trees', () => {
  const random = seededRandom(77);
  for (let round = 0; round < 40; round++) {
    const memory = makeMemory(memoryBytes);
    const leaves = new Map<number, bigint>();
    for (let i = 0; i < 60; i++) {
      const flags = [0n, NX, A, SHARED, SHARED | NX][random.int(0, 4)] as bigint;
      leaves.set(random.int(0, 2 ** 20 - 1), base(random.int(0, 499), flags));
    }
    const list = [...leaves].map(([vpn, entry]) => ({ vpn, entry }));
    const tree = makeTree(memory, dstAt, dst.firstIndex, list);
    const count = random.int(0, 299);
    const run = {
      fromPfn: frames.basePfn + random.int(0, 199), toPfn: frames.bankPfn + 1,
      count, written: random.int(0, count),
    };
    const results = Object.values(variants).map((create) => {
      const copy = copyMemory(memory);
      const code = create(copy).moveHot(tree, tablesPfn, run);
      return { code, bytes: new Uint8Array(copy.buffer) };
    });
    for (const { code, bytes } of results) {
      assert.is(code, results[0]?.code);
      assertSame(bytes, results[0]?.bytes as Uint8Array, `round ${round}`);
    }
  }
});

test.run();
