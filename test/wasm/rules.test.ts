// Tests checkRules() of wasm/relocate: release, debug and reference, on sections that validate()
// accepts.

import { describeObjectFault } from '../../wasm/relocate.ts';
import { assert, seededRandom, suite } from '../harness.ts';
import { assertSame, copyMemory, makeMemory } from './helpers.ts';
import { variants } from './relocate-variants.ts';

const test = suite('wasm/rules');

const objects = 0x1000;
const relations = 0x8000;
const rulesAt = 0xa000;
const scratch = 0xc000;

const U8 = 1;
const I32 = 4;
const F64 = 5;
const ZERO = 6;
const TAIL_LENGTH = 7;
const BELOW = 9;
const HEAD = 1;
const NEXT = 2;
const TAIL = 3;

interface TestLink {
  at: number;
  back?: number;
  list?: number;
  role?: number;
  owner?: number;
  flag?: number;
}

interface TestKind {
  fixedBytes: number;
  single: number;
  numbers: [offset: number, type: number, step: number, least: number, most: number][];
  links: TestLink[];
  chain: [number, number];
}

const unused: TestKind = { fixedBytes: 0, single: 0, numbers: [], links: [], chain: [0, 0] };
/**
 * 1 owner: head at 8, tail at 12; only one
 * 2 item: next at 8, previous at 12, owner at 16, flag u8 at 20, up at 24 and 28; numbers: f64
 *   at 32 (multiples of 4 from 0 to 64), i32 at 40 (-3 … 3), zeros at 44 (4)
 * 3 bytes: length at 8, from 16 on raw
 * 4 place in bytes: u32 at 8, reference at 12
 */
const kinds: TestKind[] = [
  unused,
  {
    fixedBytes: 16, single: 1, numbers: [], chain: [0, 0],
    links: [{ at: 8, role: HEAD, owner: 16 }, { at: 12, role: TAIL, back: 8 }],
  },
  {
    fixedBytes: 48, single: 0, chain: [24, 28],
    numbers: [[20, U8, 0, 0, 1], [32, F64, 2, 0, 64], [40, I32, 0, -3, 3], [44, ZERO, 0, 0, 4]],
    links: [{ at: 8, role: NEXT, back: 12, owner: 16, flag: 20 }, { at: 12, back: 8 }],
  },
  { ...unused, fixedBytes: 16, numbers: [[8, TAIL_LENGTH, 0, 0, 4]] },
  { ...unused, fixedBytes: 16, numbers: [[8, BELOW, 0, 0, 12]] },
];

function putRules(memory: WebAssembly.Memory): void {
  const words: number[] = [kinds.length];
  const rows: number[] = [];
  for (const { fixedBytes, single, numbers, links, chain } of kinds) {
    const numberStart = rows.length;
    for (const [offset, type, step, least, most] of numbers) {
      const halves = new Uint32Array(Float64Array.of(least, most).buffer);
      rows.push(offset | type << 16 | step << 24, ...halves);
    }
    const linkStart = rows.length;
    for (const { at, back = 0, list = 0, role = 0, owner = 0, flag = 0 } of links) {
      rows.push(at | back << 16, list | role << 8 | owner << 16, flag);
    }
    words.push(fixedBytes, single, numbers.length, numberStart, links.length, linkStart,
      chain[0] | chain[1] << 16);
  }
  new Uint32Array(memory.buffer, rulesAt).set([...words, ...rows]);
}

/** 0 owner · 16, 64, 112 items in its list, 112 below 64 · 160 bytes · 184 place in them */
function putSection(memory: WebAssembly.Memory): { bytes: number; pairs: number[][] } {
  const words = new Uint32Array(memory.buffer, objects);
  const put = (offset: number, ...content: number[]): void => words.set(content, offset / 4);
  put(0, 1, 16);
  for (const offset of [16, 64, 112]) put(offset, 2, 48, 0, 0, 0, 1);
  put(160, 3, 24, 2);
  put(184, 4, 16, 1);
  const pairs = [[8, 16], [12, 112], [24, 64], [32, 0], [72, 112], [76, 16], [80, 0], [88, 16],
    [124, 64], [128, 0], [140, 64], [196, 160]];
  return { bytes: 200, pairs };
}

type Hurt = (view: DataView, pairs: Map<number, number>) => void;
const hostile: [what: string, code: number, at: number, hurt: Hurt][] = [
  ['a NaN', -11, 48, (view) => view.setFloat64(48, NaN, true)],
  ['an infinity', -11, 48, (view) => view.setFloat64(48, Infinity, true)],
  ['a fraction', -11, 48, (view) => view.setFloat64(48, 4.5, true)],
  ['no multiple', -11, 48, (view) => view.setFloat64(48, 6, true)],
  ['too much', -11, 48, (view) => view.setFloat64(48, 68, true)],
  ['too little', -11, 48, (view) => view.setFloat64(48, -4, true)],
  ['a negative number', -11, 56, (view) => view.setInt32(56, -4, true)],
  ['a byte that is no boolean', -11, 36, (view) => view.setUint8(36, 2)],
  ['a field that is not kept', -12, 60, (view) => view.setUint8(63, 1)],
  ['a length beyond the record', -13, 168, (view) => view.setUint32(168, 3, true)],
  ['a length that would wrap', -13, 168, (view) => view.setUint32(168, 0x8000_0001, true)],
  ['a place at the end', -13, 192, (view) => view.setUint32(192, 2, true)],
  ['a place in nothing', -13, 192, (_view, pairs) => { pairs.delete(196); }],
  ['a list that leads back', -16, 72, (_view, pairs) => { pairs.set(72, 16); }],
  ['a list that is its own tail', -16, 12, (_view, pairs) => { pairs.set(12, 16); }],
  ['a way back to itself', -16, 72, (_view, pairs) => { pairs.set(124, 112); }],
  ['a head inside the list', -16, 76, (_view, pairs) => { pairs.set(8, 64); pairs.delete(24); }],
  ['a list of another owner', -16, 24, (_view, pairs) => { pairs.delete(76); }],
  ['an owner that is missing', -17, 8, (_view, pairs) => { pairs.delete(32); }],
  ['an item that knows nothing', -19, 36, (view) => view.setUint8(36, 0)],
  ['an item that is in no list', -19, 132, (_view, pairs) => {
    for (const source of [72, 124]) pairs.delete(source);
    pairs.set(12, 64);
  }],
  ['a chain that leads back', -18, 16, (_view, pairs) => { pairs.set(40, 112); }],
  ['a chain that leads to itself', -18, 16, (_view, pairs) => { pairs.set(44, 16); }],
  ['two ways up', -18, 64, (_view, pairs) => { pairs.set(92, 16); }],
];

function putRelations(memory: WebAssembly.Memory, pairs: Iterable<readonly number[]>): number {
  const sorted = [...pairs].sort((a, b) => (a[0] as number) - (b[0] as number));
  new Uint32Array(memory.buffer, relations, sorted.length * 2).set(sorted.flat());
  return sorted.length;
}

for (const [name, create] of Object.entries(variants)) {
  test(`checkRules() counts the records of a good section (${name})`, () => {
    const memory = makeMemory(2 ** 17);
    putRules(memory);
    const { bytes, pairs } = putSection(memory);
    const count = putRelations(memory, pairs);
    const before = new Uint8Array(memory.buffer).slice();
    const relocate = create(memory);
    assert.is(relocate.checkRules(objects, bytes, relations, count, rulesAt, scratch), 6);
    const used = relocate.rulesScratchBytes(bytes);
    assert.is(used, 300);
    before.set(new Uint8Array(memory.buffer, scratch, used), scratch);
    assertSame(new Uint8Array(memory.buffer), before, 'only scratch is written');
    assert.is(relocate.checkRules(objects, 0, relations, 0, rulesAt, scratch), 0);
  });

  test(`checkRules() says what is wrong with a hostile section (${name})`, () => {
    for (const [what, code, at, hurt] of hostile) {
      const memory = makeMemory(2 ** 17);
      putRules(memory);
      const { bytes, pairs } = putSection(memory);
      const changed = new Map(pairs as [number, number][]);
      hurt(new DataView(memory.buffer, objects, bytes), changed);
      const count = putRelations(memory, changed);
      // Scratch from an earlier use must not matter.
      new Uint8Array(memory.buffer, scratch, 400).fill(0xff);
      const relocate = create(memory);
      const result = relocate.checkRules(objects, bytes, relations, count, rulesAt, scratch);
      assert.equal(relocate.ruleFault(result), describeObjectFault(code, at), what);
    }
  });

  test(`checkRules() lets a kind be there only once (${name})`, () => {
    const memory = makeMemory(2 ** 17);
    putRules(memory);
    new Uint32Array(memory.buffer, objects).set([1, 16, 0, 0, 1, 16]);
    const relocate = create(memory);
    const result = relocate.checkRules(objects, 32, relations, 0, rulesAt, scratch);
    assert.equal(relocate.ruleFault(result), describeObjectFault(-14, 16));
  });
}

test('all builds agree on random graphs', () => {
  const random = seededRandom();
  const codes = new Set<number>();
  const owners = [32, 80, 128];
  const sources = [8, 12, 24, 28, 40, 44, 72, 76, 88, 92, 120, 124, 136, 140, ...owners];
  for (let round = 0; round < 150; round++) {
    const memory = makeMemory(2 ** 17);
    putRules(memory);
    const { bytes, pairs } = putSection(memory);
    const changed = new Map(pairs as [number, number][]);
    for (let left = random.int(0, 3); left > 0; left--) {
      const source = random.pick(sources);
      if (random.int(0, 3) === 0) changed.delete(source);
      else changed.set(source, owners.includes(source) ? 0 : random.pick([16, 64, 112]));
    }
    const flag = objects + random.pick([36, 84, 132]);
    if (random.bool()) new DataView(memory.buffer).setUint8(flag, 0);
    const count = putRelations(memory, changed);
    const results = Object.values(variants).map((create) => {
      const relocate = create(copyMemory(memory));
      const code = relocate.checkRules(objects, bytes, relations, count, rulesAt, scratch);
      return { code, fault: code < 0 ? relocate.ruleFault(code) : null };
    });
    codes.add(results[0]?.code ?? 0);
    for (const result of results) assert.equal(result, results[0]);
  }
  assert.ok(codes.size > 4, [...codes].join());
});

test.run();
