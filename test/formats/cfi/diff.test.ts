// Comparing two images page by page: what differs and why, and what forged tables are answered.

import { diffFrames } from '../../../formats/cfi/diff.ts';
import type { CfiPages, CfiTableGeometry, PageDifference } from '../../../formats/cfi/diff.ts';
import { CfiError } from '../../../formats/cfi/error.ts';
import type { CfiHeader } from '../../../formats/cfi/header.ts';
import { assert, seededRandom, suite } from '../../harness.ts';
import type { Random } from '../../harness.ts';
import { fillBytes, makeContent } from './sample.ts';

const test = suite('formats/cfi/diff');

// basePfn above 2^20, so that page numbers need both halves of an entry.
const geometry: CfiTableGeometry = { tablesPfn: 0x500, firstIndex: 7, basePfn: 0x123_4567 };

const writable = 2;
const user = 4;
const accessed = 0x20;
const dirty = 0x40;
const noExecute: bigint = 1n << 63n;

interface Page {
  seed: number;
  writable: boolean;
  executable: boolean;
}

/** What is mapped where, by gva. */
type Model = Map<number, Page>;

/** An image in memory whose tables can be damaged. */
interface Image extends CfiPages {
  tables: BigUint64Array[];
  frames: Uint8Array[];
}

function tableAddress(index: number): bigint {
  return BigInt(geometry.tablesPfn + geometry.firstIndex + index) << 12n;
}

/** The slot of an address in its table on `level`. */
function slotOf(gva: number, level: number): number {
  return Math.floor(gva / (4096 * 512 ** (level - 1))) % 512;
}

/** Builds the tables; frames and the bits that do not count come in random order and value. */
function buildImage(model: Model, random: Random): Image {
  const tables: BigUint64Array[] = [new BigUint64Array(512)];
  const frames: Uint8Array[] = [];
  for (const [gva, page] of random.shuffle([...model])) {
    let table = tables[0] as BigUint64Array;
    for (let level = 4; level > 1; level--) {
      const slot = slotOf(gva, level);
      const entry = table[slot] as bigint;
      if (entry === 0n) {
        table[slot] = tableAddress(tables.length) | BigInt(1 | writable | user | accessed);
        tables.push(new BigUint64Array(512));
      }
      const index = Number(((table[slot] as bigint) - tableAddress(0)) >> 12n);
      table = tables[index] as BigUint64Array;
    }
    const flags = 1 | user | (page.writable ? writable : 0) |
      (random.bool() ? accessed : 0) | (random.bool() ? dirty : 0) | (random.bool() ? 0x200 : 0);
    table[slotOf(gva, 1)] = (BigInt(geometry.basePfn + frames.length) << 12n) | BigInt(flags) |
      (page.executable ? 0n : noExecute);
    frames.push(fillBytes(4096, page.seed));
  }
  const content = makeContent();
  const memory = { ...content.memory, frames: frames.length, tables: tables.length };
  const header: CfiHeader = { ...content, memory, sections: [] };
  return {
    header,
    tables,
    frames,
    readTable: (index) => new Uint8Array((tables[index] as BigUint64Array).buffer),
    readFrame: (index) => frames[index] as Uint8Array,
  };
}

function list(left: Image, right: Image): PageDifference[] {
  return [...diffFrames(left, right, geometry)];
}

/** What diffFrames() must say, from the models alone. */
function expectDifferences(left: Model, right: Model): PageDifference[] {
  const gvas = [...new Set([...left.keys(), ...right.keys()])].sort((a, b) => a - b);
  const differences: PageDifference[] = [];
  for (const gva of gvas) {
    const a = left.get(gva);
    const b = right.get(gva);
    let reason: PageDifference['reason'] | undefined;
    if (b === undefined) reason = 'only-a';
    else if (a === undefined) reason = 'only-b';
    else if (a.seed !== b.seed) reason = 'content';
    else if (a.writable !== b.writable || a.executable !== b.executable) reason = 'protection';
    if (reason !== undefined) differences.push({ gva, reason });
  }
  return differences;
}

function makeModel(random: Random): Model {
  const model: Model = new Map();
  for (let count = random.int(0, 40); count > 0; count--) {
    const region = random.pick([0x400000, 0x5555_5555_0000, 0x7fff_ffe0_0000, 0x7f12_3450_0000]);
    model.set(region + random.int(0, 30) * 4096, {
      seed: random.int(0, 3), writable: random.bool(), executable: random.bool(),
    });
  }
  return model;
}

const random: Random = seededRandom(48);

test('diffFrames() finds nothing between images that only order their frames differently', () => {
  for (let round = 0; round < 20; round++) {
    const model = makeModel(random);
    assert.equal(list(buildImage(model, random), buildImage(model, random)), []);
  }
});

test('diffFrames() lists what differs, in ascending order, with its reason', () => {
  const seen = new Set<string>();
  for (let round = 0; round < 60; round++) {
    const left = makeModel(random);
    const right = makeModel(random);
    const differences = list(buildImage(left, random), buildImage(right, random));
    assert.equal(differences, expectDifferences(left, right));
    for (const { reason } of differences) seen.add(reason);
  }
  assert.is(seen.size, 4);
});

test('diffFrames() counts protection on the way to a page', () => {
  const model: Model = new Map([[0x400000, { seed: 1, writable: true, executable: true }]]);
  for (const change of [BigInt(writable), BigInt(user), noExecute]) {
    const left = buildImage(model, random);
    const right = buildImage(model, random);
    const middle = right.tables[1] as BigUint64Array;
    middle[0] = (middle[0] as bigint) ^ change;
    assert.equal(list(left, right), [{ gva: 0x400000, reason: 'protection' }]);
  }
});

test('diffFrames() looks at the lower half of the address space only', () => {
  const model: Model = new Map([[0x400000, { seed: 1, writable: true, executable: true }]]);
  const left = buildImage(model, random);
  (left.tables[0] as BigUint64Array)[256] = 0xfff_ffff_f003n;
  assert.equal(list(left, buildImage(model, random)), []);
});

test('diffFrames() refuses forged tables', () => {
  const model: Model = new Map([
    [0x400000, { seed: 1, writable: true, executable: true }],
    [0x7fff_ffff_f000, { seed: 2, writable: true, executable: true }],
  ]);
  const good = buildImage(model, random);
  const present = BigInt(1 | writable | user);
  const cases: [string, number, number, bigint, RegExp][] = [
    ['root as its own child', 0, 5, tableAddress(0) | present, /used in two places/],
    ['table used twice', 0, 5, tableAddress(1) | present, /used in two places/],
    ['table past the end', 0, 5, tableAddress(7) | present, /outside the tables/],
    ['table before the first', 0, 5, tableAddress(-1) | present, /outside the tables/],
    ['table at the top', 0, 5, 0xf_ffff_ffff_f000n | present, /outside the tables/],
    ['large page', 2, 9, present | 0x80n, /large page/],
    ['frame past the end', 3, 9, (BigInt(geometry.basePfn + 2) << 12n) | present, /the frames/],
    ['frame before the first', 3, 9, (BigInt(geometry.basePfn - 1) << 12n) | present, /the frames/],
    ['frame 0', 3, 9, present, /outside the frames/],
  ];
  for (const [name, table, slot, entry, message] of cases) {
    const forged = buildImage(model, random);
    (forged.tables[table] as BigUint64Array)[slot] = entry;
    for (const [left, right] of [[good, forged], [forged, good]] as const) {
      assert.throws(() => list(left, right), (error) => {
        return error instanceof CfiError && error.what === 'tables' && message.test(error.message);
      }, name);
    }
  }
});

test('diffFrames() ends, with a list or a CfiError, on tables of random bytes', () => {
  for (let round = 0; round < 40; round++) {
    const image = buildImage(makeModel(random), random);
    for (const table of image.tables) {
      for (let change = 0; change < 100; change++) {
        const pfn = geometry.tablesPfn + geometry.firstIndex + random.int(0, image.tables.length);
        table[random.int(0, 511)] = (BigInt(pfn) << 12n) | BigInt(random.u32() & 0xfff);
      }
    }
    assert.throws(() => list(image, image), CfiError);
  }
});

test.run();
