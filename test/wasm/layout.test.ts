// Tests wasm/layout: release, debug and reference against each other and against plain Maps.

import { createLayout } from '../../wasm/layout.ts';
import type { Layout, PackTarget } from '../../wasm/layout.ts';
import { createMerge } from '../../wasm/merge.ts';
import { createReferenceLayout } from '../../wasm/reference/layout.ts';
import { frameDropped, notNumbered, tableFaults } from '../../wasm/tables.ts';
import type { TableWindow } from '../../wasm/tables.ts';
import { assert, seededRandom, suite } from '../harness.ts';
import type { Random } from '../harness.ts';
import {
  A, assertSame, compileDebug, copyMemory, D, entryAt, entryFrame, leafEntry, makeMemory, mapPage,
  NX, P, PS, putEntry, readTree, RW, SHARED, US,
} from './helpers.ts';
import type { GrowingTree } from './helpers.ts';

const test = suite('wasm/layout');
const debugModule = await compileDebug('layout');

type Create = (memory: WebAssembly.Memory) => Layout;
const variants: Record<string, Create> = {
  release: (memory) => createLayout(memory),
  debug: (memory) => createLayout(memory, debugModule),
  reference: createReferenceLayout,
};

// One memory: 48 tables, as many packed ones, then the arrays.
const window: TableWindow = {
  tables: 0x10000, tablesPfn: 0xfff0_0000, tableCount: 48,
  bankPfn: 0x10_0000, bankFrames: 300, basePfn: 0xffff_fff0, baseFrames: 500,
};
const frameCount = window.bankFrames + window.baseFrames;
const target: PackTarget =
  { tables: 0x50000, firstIndex: 7, capacity: 48, basePfn: 0xffff_ff00 };
const marks = 0x90000;
const map = 0x91000;
const words = 0x93000;
const out = 0x94000;
const memoryBytes = 0xa0000;
const rootIndex = 3;

/** The page number of a frame, by combined index. */
const pfnOf = (frame: number): number =>
  frame < window.bankFrames ? window.bankPfn + frame : window.basePfn + frame - window.bankFrames;
const idOf = (frame: number): number =>
  frame < window.bankFrames ? frame : 0x80000000 + frame - window.bankFrames;

interface Leaf {
  vpn: number;
  frame: number;
  flags: bigint;
}

/** Leaves that reach the corners of the user half, a table's edges and both windows. */
const leaves: Leaf[] = [
  { vpn: 0, frame: 299, flags: P | US },
  { vpn: 511, frame: 1, flags: P | US | RW | A | D },
  { vpn: 512, frame: 300, flags: P | US | A | NX },
  { vpn: 513, frame: 799, flags: P | US | SHARED },
  { vpn: 2 ** 32 + 5, frame: 1, flags: P | US | SHARED | RW },
  { vpn: 2 ** 35 - 1, frame: 77, flags: P | US | RW | D | NX },
];

/** The tree of `leaves`; its root is table 3 (the tables before it stay unused). */
function makeTree(memory: WebAssembly.Memory, list: Leaf[] = leaves): GrowingTree {
  const tree: GrowingTree = {
    memory, tables: window.tables + rootIndex * 4096, pfn: window.tablesPfn + rootIndex, count: 1,
  };
  for (const { vpn, frame, flags } of list) mapPage(tree, vpn, leafEntry(pfnOf(frame), flags));
  // The machine's half must not matter.
  putEntry(memory, tree.tables + 256 * 8, leafEntry(1, P | PS));
  putEntry(memory, tree.tables + 511 * 8, leafEntry(window.tablesPfn, P));
  clearMap(memory);
  return tree;
}

function clearMap(memory: WebAssembly.Memory): void {
  new Uint32Array(memory.buffer, map, frameCount).fill(notNumbered);
}

const mapOf = (memory: WebAssembly.Memory): Uint32Array =>
  new Uint32Array(memory.buffer, map, frameCount);
const marksOf = (memory: WebAssembly.Memory): Uint8Array =>
  new Uint8Array(memory.buffer, marks, frameCount);

for (const [name, create] of Object.entries(variants)) {
  test(`mark() tells how each frame is mapped (${name})`, () => {
    const memory = makeMemory(memoryBytes);
    makeTree(memory);
    assert.is(create(memory).mark(window, rootIndex, marks), leaves.length);
    const expected = new Uint8Array(frameCount);
    expected[299] = 1;
    expected[1] = 1 | 2 | 4 | 8;
    expected[300] = 1 | 2;
    expected[799] = 1 | 8;
    expected[77] = 1 | 4;
    assert.bytes(marksOf(memory), expected);
  });

  test(`markWords() marks ids and stops at the first bad one (${name})`, () => {
    const memory = makeMemory(memoryBytes);
    const layout = create(memory);
    const ids = [0, 5, 0x80000000, 0x80000000 + 499, 5];
    new Uint32Array(memory.buffer, words, 5).set(ids);
    assert.is(layout.markWords(words, 5, window, marks), 5);
    const marked = [...marksOf(memory)].flatMap((bits, frame) => bits === 1 ? [frame] : []);
    assert.equal(marked, [5, 300, 799]);
    for (const bad of [300, 0x80000000 + 500, 0x7fffffff, 0xffffffff]) {
      new Uint32Array(memory.buffer, words + 8, 1)[0] = bad;
      assert.is(layout.markWords(words, 5, window, marks), 2);
    }
  });

  test(`zeroMap() and isZeroPage() see a single byte anywhere (${name})`, () => {
    const memory = makeMemory(memoryBytes);
    const layout = create(memory);
    const bytes = new Uint8Array(memory.buffer);
    const bitmap = bytes.subarray(out, out + 4).fill(0xaa);
    assert.is(layout.zeroMap(0x10000, 19, out), 19);
    assert.equal([...bitmap], [0xff, 0xff, 0x07, 0xaa]);
    for (const at of [0, 1, 15, 16, 127, 128, 2047, 4080, 4095]) {
      bytes[0x12000 + at] = 0x80;
      assert.not(layout.isZeroPage(0x12000), `byte ${at}`);
      assert.ok(layout.isZeroPage(0x11000) && layout.isZeroPage(0x13000));
      assert.is(layout.zeroMap(0x10000, 19, out), 18);
      assert.equal([...bitmap], [0xfb, 0xff, 0x07, 0xaa]);
      bytes[0x12000 + at] = 0;
    }
    assert.is(layout.zeroMap(0x10000, 0, out), 0);
  });

  test(`number() goes by virtual address and mark, numberRest() takes the others (${name})`, () => {
    const memory = makeMemory(memoryBytes);
    makeTree(memory);
    const layout = create(memory);
    layout.mark(window, rootIndex, marks);
    new Uint32Array(memory.buffer, words, 2).set([0x80000000 + 2, 9]);
    layout.markWords(words, 2, window, marks);
    mapOf(memory)[799] = frameDropped;
    assert.is(layout.number(window, rootIndex, marks, map, 10, 2, 2), 12);
    assert.is(layout.number(window, rootIndex, marks, map, 12, 0, 0), 14);
    assert.is(layout.numberRest(frameCount, marks, map, 14), 16);
    const numbered = new Map([...mapOf(memory)].flatMap((value, frame) =>
      value === notNumbered ? [] : [[frame, value] as const]));
    assert.equal([...numbered].sort((a, b) => a[1] - b[1]),
      [[1, 10], [300, 11], [299, 12], [77, 13], [9, 14], [302, 15], [799, frameDropped]]);
  });

  test(`number() stops when numbers are used up (${name})`, () => {
    const memory = makeMemory(memoryBytes);
    makeTree(memory);
    const layout = create(memory);
    layout.mark(window, rootIndex, marks);
    const last = 0x7fffffff;
    assert.is(layout.number(window, rootIndex, marks, map, last - 5, 0, 0), last);
    clearMap(memory);
    assert.is(layout.number(window, rootIndex, marks, map, last - 4, 0, 0), -14);
    assert.match(layout.fault(-14).sentence, /^frame numbers are used up/);
    clearMap(memory);
    assert.is(layout.numberRest(frameCount, marks, map, last - 5), last);
    clearMap(memory);
    assert.is(layout.numberRest(frameCount, marks, map, last - 4), -14);
    assert.is(layout.numberRest(frameCount, marks, map, last + 1), -14);
  });

  test(`pack() writes a compact tree that check() accepts (${name})`, () => {
    const memory = makeMemory(memoryBytes);
    makeTree(memory);
    const layout = create(memory);
    layout.mark(window, rootIndex, marks);
    mapOf(memory)[77] = frameDropped;
    layout.number(window, rootIndex, marks, map, 0, 0, 0);
    new Uint8Array(memory.buffer, target.tables, target.capacity * 4096).fill(0xee);
    // Root; 3 tables to pages 0…511 with a second leaf table; 3 more to 2^32. The last leaf goes.
    assert.is(layout.pack(window, rootIndex, target, map), 8);
    const packed = readTree(memory,
      { tables: target.tables, pfn: window.tablesPfn + target.firstIndex });
    const pfn = (number: number): bigint => BigInt(target.basePfn + number) << 12n;
    assert.equal([...packed], [
      [0, pfn(0) | P | US], [511, pfn(1) | P | US], [512, pfn(2) | P | US | NX],
      [513, pfn(3) | P | US | SHARED], [2 ** 32 + 5, pfn(1) | P | US | SHARED],
    ]);
    const frames = { ...window, basePfn: target.basePfn, baseFrames: 4 };
    const tree = { tables: target.tables, count: 8, firstIndex: target.firstIndex };
    const merge = createMerge(memory);
    assert.is(merge.check(tree, window.tablesPfn, frames), null);
    assert.is(merge.check(tree, window.tablesPfn, { ...frames, baseFrames: 3 })?.code, -2);
  });

  test(`pack() keeps an empty root and says what it cannot pack (${name})`, () => {
    const memory = makeMemory(memoryBytes);
    makeTree(memory);
    const layout = create(memory);
    const root = target.tables;
    mapOf(memory).fill(frameDropped);
    assert.is(layout.pack(window, rootIndex, target, map), -7);
    assert.match(layout.fault(-7).sentence, /^a shared .* at 0x1[0-9a-f]{4}$/);
    clearMap(memory);
    assert.is(layout.pack(window, rootIndex, target, map), -6);
    mapOf(memory).fill(0);
    assert.is(layout.pack(window, rootIndex, { ...target, capacity: 10 }, map), -5);
    assert.is(layout.pack(window, rootIndex, { ...target, capacity: 0 }, map), -5);
    assert.is(layout.pack(window, rootIndex, { ...target, capacity: 11 }, map), 11);
    new Uint8Array(memory.buffer, root, 4096).fill(0xee);
    // Table 0 is empty.
    assert.is(layout.pack(window, 0, target, map), 1);
    assert.ok(new Uint8Array(memory.buffer, root, 4096).every((byte) => byte === 0));
  });

  test(`rewriteWords() names base frames by number (${name})`, () => {
    const memory = makeMemory(memoryBytes);
    const layout = create(memory);
    clearMap(memory);
    mapOf(memory).set([40, frameDropped, 41], 299);
    const view = new Uint32Array(memory.buffer, words, 4);
    const ids = [299, 0, 0x80000000, 0x80000001];
    view.set(ids);
    assert.is(layout.rewriteWords(words, 4, window, map), 4);
    assert.equal([...view], [0x80000028, 0, 0, 0x80000029]);
    for (const bad of [298, 300, 0x80000002, 0x800001f4]) {
      view.set([...ids.slice(0, 3), bad]);
      assert.is(layout.rewriteWords(words, 4, window, map), 3);
      assert.is(view[3], bad);
    }
  });

  test(`collectDirty() lists bank leaves, and counts those that do not fit (${name})`, () => {
    const memory = makeMemory(memoryBytes);
    makeTree(memory);
    const layout = create(memory);
    assert.is(layout.collectDirty(window, rootIndex, out, 10), 4);
    const rows = new Uint32Array(memory.buffer, out, 15);
    const expected = [0, 0, 299, 511, 0, 1, 5, 1, 1, 0xffffffff, 7, 77, 0, 0, 0];
    assert.equal([...rows], expected);
    rows.fill(9);
    assert.is(layout.collectDirty(window, rootIndex, out, 1), 4);
    assert.equal([...rows], [...expected.slice(0, 3), ...new Array<number>(12).fill(9)]);
  });
}

const largeEntry = leafEntry(0x10_0001, P | PS);

/** Changes to the good tree, and what every walk must then say. */
const hostile: [what: string, code: number, hurt: (memory: WebAssembly.Memory) => void][] = [
  ['a root that points below the window', -1, (memory) => putRoot(memory, 0xffef_ffff)],
  ['a root that points past the window', -1, (memory) => putRoot(memory, 0xfff0_0030)],
  ['a pointer far outside', -1, (memory) => putRoot(memory, 0xff_ffff_ffff)],
  ['a pointer that is right modulo 2^32', -1, (memory) => putRoot(memory, 0x1_fff0_0004)],
  ['a root that points to itself', -2, (memory) => putRoot(memory, 0xfff0_0003)],
  ['a table that is reached 512 times', -4, (memory) => {
    const table = tableAddress(4);
    const pointer = entryAt(memory, table);
    for (let slot = 0; slot < 512; slot++) putEntry(memory, table + slot * 8, pointer);
  }],
  ['a huge page', -3, (memory) => putEntry(memory, tableAddress(4), largeEntry)],
  ['a leaf with bit 7', -3, (memory) => putEntry(memory, tableAddress(6), largeEntry)],
  ['bank frame 0', -2, (memory) => putLeaf(memory, 0x10_0000)],
  ['a frame past the bank', -2, (memory) => putLeaf(memory, 0x10_0000 + 300)],
  ['a frame below the base', -2, (memory) => putLeaf(memory, 0xffff_ffef)],
  ['a frame past the base', -2, (memory) => putLeaf(memory, 0xffff_fff0 + 500)],
  ['a frame that is right modulo 2^32', -2, (memory) => putLeaf(memory, 0x1_0010_0001)],
  ['a frame that is a table', -2, (memory) => putLeaf(memory, 0xfff0_0003)],
];

const tableAddress = (index: number): number => window.tables + index * 4096;

function putRoot(memory: WebAssembly.Memory, pfn: number): void {
  putEntry(memory, tableAddress(rootIndex) + 9 * 8, leafEntry(pfn, P | RW | US));
}

function putLeaf(memory: WebAssembly.Memory, pfn: number): void {
  putEntry(memory, tableAddress(6) + 9 * 8, leafEntry(pfn, P | US));
}

for (const [name, create] of Object.entries(variants)) {
  test(`walks end at a malformed entry and name it (${name})`, () => {
    for (const [what, code, hurt] of hostile) {
      const memory = makeMemory(memoryBytes);
      makeTree(memory);
      hurt(memory);
      const layout = create(memory);
      mapOf(memory).fill(1);
      assert.is(layout.mark(window, rootIndex, marks), code, what);
      const { sentence, at } = layout.fault(code);
      assert.ok(sentence.startsWith(tableFaults[code] as string), what);
      assert.ok(at >= window.tables && at < tableAddress(window.tableCount), what);
      assert.is(layout.number(window, rootIndex, marks, map, 0, 0, 0), code, what);
      assert.is(layout.collectDirty(window, rootIndex, out, 10), code, what);
      assert.is(layout.pack(window, rootIndex, target, map), code, what);
    }
  });

  test(`walks refuse a root outside the window (${name})`, () => {
    const memory = makeMemory(memoryBytes);
    makeTree(memory);
    const layout = create(memory);
    for (const root of [window.tableCount, 0xffffffff]) {
      assert.is(layout.mark(window, root, marks), -1);
      assert.is(layout.pack(window, root, target, map), -1);
    }
  });
}

test('methods throw a RangeError when a piece is not inside the memory', () => {
  const layout = createLayout(makeMemory(memoryBytes));
  assert.throws(() => layout.mark({ ...window, tableCount: 2 ** 20 }, 0, marks), /tables/);
  assert.throws(() => layout.mark(window, 0, memoryBytes - 799), /marks/);
  assert.throws(() => layout.number(window, 0, marks, memoryBytes - 3199, 0, 0, 0), /map/);
  assert.throws(() => layout.mark({ ...window, bankPfn: 2 ** 32 }, 0, marks), /bankPfn/);
  assert.throws(() => layout.pack(window, 0, { ...target, capacity: 200 }, map), /target/);
  assert.throws(() => layout.markWords(words, 2 ** 30, window, marks), RangeError);
  assert.throws(() => layout.collectDirty(window, 0, out, 2 ** 20), RangeError);
  assert.throws(() => layout.zeroMap(0, 2 ** 20, out), RangeError);
  assert.throws(() => layout.isZeroPage(memoryBytes - 4095), RangeError);
});

/** Leaves in clusters, as programs have them. */
function makeRandomLeaves(random: Random): Leaf[] {
  const list = new Map<number, Leaf>();
  for (let cluster = random.int(0, 6); cluster > 0; cluster--) {
    const start = random.pick([random.int(0, 3000), random.int(0, 2 ** 35 - 40),
      random.int(0, 60) * 2 ** 18 + 500]);
    for (let left = random.int(1, 40); left > 0; left--) {
      const vpn = Math.min(start + random.int(0, 60), 2 ** 35 - 1);
      let flags = P | US;
      for (const bit of [RW, A, D, SHARED, NX, 0x100n, 0x800n]) if (random.bool()) flags |= bit;
      list.set(vpn, { vpn, frame: random.int(1, frameCount - 1), flags });
    }
  }
  return [...list.values()];
}

/** Everything a checkpoint does, in order; the results and what fault() says of the bad ones. */
function runAll(layout: Layout, next: number): unknown[] {
  const results = [
    layout.mark(window, rootIndex, marks),
    layout.markWords(words, 50, window, marks),
    layout.number(window, rootIndex, marks, map, next, 2, 2),
    layout.number(window, rootIndex, marks, map, next + 1000, 0, 0),
    layout.numberRest(frameCount, marks, map, next + 2000),
    layout.collectDirty(window, rootIndex, out, 60),
    layout.rewriteWords(words, 50, window, map),
    layout.pack(window, rootIndex, target, map),
  ];
  const last = results[results.length - 1] as number;
  return [results, last < 0 ? layout.fault(last) : null];
}

test('all builds agree on random trees, good and damaged', () => {
  const random = seededRandom();
  let refused = 0;
  for (let round = 0; round < 150; round++) {
    const memory = makeMemory(memoryBytes);
    const tree = makeTree(memory, makeRandomLeaves(random));
    assert.atMost(tree.count, 45);
    const ids = new Uint32Array(memory.buffer, words, 50);
    for (let index = 0; index < 50; index++) {
      ids[index] = random.bool(0.01) ? random.u32() : idOf(random.int(1, frameCount - 1));
    }
    for (let left = random.int(0, 4); left > 0; left--) {
      mapOf(memory)[random.int(1, frameCount - 1)] = frameDropped;
    }
    for (let left = random.int(0, 3); left > 0; left--) {
      const at = tree.tables + random.int(0, tree.count * 512 - 1) * 8;
      const entry = random.pick([entryAt(memory, at) ^ (1n << BigInt(random.int(0, 63))),
        leafEntry(window.tablesPfn + random.int(0, 50), P | US | RW),
        leafEntry(pfnOf(random.int(0, frameCount)), P | US)]);
      putEntry(memory, at, entry);
    }
    const [first, ...others] = Object.entries(variants).map(([name, create]) => {
      const copy = copyMemory(memory);
      return { name, outcome: runAll(create(copy), round), content: new Uint8Array(copy.buffer) };
    });
    if (first === undefined) throw new Error('no variants');
    if (first.outcome[1] !== null) refused++;
    for (const { name, outcome, content } of others) {
      assert.equal(outcome, first.outcome, name);
      assertSame(content, first.content, name);
    }
  }
  assert.ok(refused > 10 && refused < 140, `${refused} of 150 refused`);
});

test('pack() keeps each page of random trees and gives the same bytes again', () => {
  const random = seededRandom();
  for (let round = 0; round < 60; round++) {
    const memory = makeMemory(memoryBytes);
    const list = makeRandomLeaves(random);
    makeTree(memory, list);
    const layout = createLayout(memory);
    layout.mark(window, rootIndex, marks);
    const end = layout.number(window, rootIndex, marks, map, 0, 0, 0);
    assert.is(end, new Set(list.map(({ frame }) => frame)).size);
    const count = layout.pack(window, rootIndex, target, map);
    const packed = readTree(memory,
      { tables: target.tables, pfn: window.tablesPfn + target.firstIndex });
    assert.is(packed.size, list.length);
    for (const { vpn, frame, flags } of list) {
      const entry = packed.get(vpn) as bigint;
      assert.is(entryFrame(entry), target.basePfn + (mapOf(memory)[frame] as number));
      assert.is(entry & ~0x000f_ffff_ffff_f000n, flags & (P | US | SHARED | NX));
    }
    const tree = { tables: target.tables, count, firstIndex: target.firstIndex };
    const frames = { ...window, basePfn: target.basePfn, baseFrames: end };
    assert.is(createMerge(memory).check(tree, window.tablesPfn, frames), null);
    const again = copyMemory(memory);
    new Uint8Array(again.buffer, target.tables, target.capacity * 4096).fill(round);
    createLayout(again).pack(window, rootIndex, target, map);
    const bytes = count * 4096;
    assertSame(new Uint8Array(again.buffer, target.tables, bytes),
      new Uint8Array(memory.buffer, target.tables, bytes), 'packed twice');
  }
});

test.run();
