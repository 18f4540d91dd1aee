// Tests wasm/relocate: release, debug and reference against each other and against a plain oracle.

import { createRelocate, describeObjectFault, objectFaults } from '../../wasm/relocate.ts';
import { assert, seededRandom, suite } from '../harness.ts';
import type { Random } from '../harness.ts';
import { assertSame, copyMemory, makeMemory } from './helpers.ts';
import { variants } from './relocate-variants.ts';

const test = suite('wasm/relocate');

const objects = 0x1000;
const objectsBytes = 0x400;
const relations = 0x8000;
const schemaAt = 0xa000;
const scratch = 0xc000;

function putRelations(memory: WebAssembly.Memory, pairs: number[][]): void {
  new Uint32Array(memory.buffer, relations, pairs.length * 2).set(pairs.flat());
}

/** Twenty good relations: every 16 bytes a field. */
const goodPairs = (): number[][] =>
  Array.from({ length: 20 }, (_, index) => [index * 16 + 8, (index * 7 % 20) * 16]);

for (const [name, create] of Object.entries(variants)) {
  test(`relocate() writes bias + target at each source (${name})`, () => {
    const count = 100_000;
    const bytes = count * 12;
    const table = 2 ** 21;
    const memory = makeMemory(2 ** 22);
    const words = new Uint32Array(memory.buffer);
    const expected = new Uint32Array(bytes / 4);
    const random = seededRandom(11);
    for (let index = 0; index < count; index++) {
      const target = random.int(0, bytes / 8 - 1) * 8;
      words.set([index * 12 + 4, target], table / 4 + index * 2);
      expected[index * 3 + 1] = 0x90000000 + target;
    }
    const relocate = create(memory);
    assert.is(relocate.relocate(objects, bytes, table, count, 0x90000000), count);
    const section = new Uint8Array(memory.buffer, objects, bytes);
    assertSame(section, new Uint8Array(expected.buffer), 'relocated');
    assert.ok(new Uint8Array(memory.buffer, 0, objects).every((byte) => byte === 0));

    assert.is(relocate.unrelocate(objects, bytes, table, count), count);
    assert.ok(section.every((byte) => byte === 0), 'unrelocate() zeroes the fields');
  });

  test(`relocate() in pieces gives what one call gives (${name})`, () => {
    const memory = makeMemory(2 ** 16);
    putRelations(memory, goodPairs());
    const split = copyMemory(memory);
    create(memory).relocate(objects, objectsBytes, relations, 20, 0x5000);
    const pieces = create(split);
    assert.is(pieces.relocate(objects, objectsBytes, relations + 13 * 8, 7, 0x5000), 7);
    assert.is(pieces.relocate(objects, objectsBytes, relations, 13, 0x5000), 13);
    assertSame(new Uint8Array(split.buffer), new Uint8Array(memory.buffer), 'pieces');
  });

  test(`relocate() stops at the first bad entry and stores nothing outside (${name})`, () => {
    const bad: [what: string, source: number, target: number][] = [
      ['unaligned source', 9, 0],
      ['source at the end', objectsBytes, 0],
      ['source across the end', objectsBytes - 2, 0],
      ['source far outside', 0xfffffffc, 0],
      ['source that wraps to the front', 0xfffff000, 0],
      ['target at the end', 8, objectsBytes],
      ['target far outside', 8, 0xffffffff],
    ];
    for (const [what, source, target] of bad) {
      for (const position of [0, 1, 7, 8, 12, 15, 16, 19]) {
        const memory = makeMemory(2 ** 16);
        const pairs = goodPairs();
        pairs[position] = [source, target];
        putRelations(memory, pairs);
        const before = new Uint8Array(memory.buffer).slice();
        const result = create(memory).relocate(objects, objectsBytes, relations, 20, objects);
        assert.is(result, position, `${what} at ${position}`);
        const words = new Uint32Array(before.buffer);
        for (const [at, to] of pairs.slice(0, position) as [number, number][]) {
          words[(objects + at) / 4] = objects + to;
        }
        assertSame(new Uint8Array(memory.buffer), before, `${what} at ${position}`);
      }
    }
  });

  test(`relocate() takes the last field and refuses it in a shorter section (${name})`, () => {
    const memory = makeMemory(2 ** 16);
    putRelations(memory, [[objectsBytes - 4, objectsBytes - 1]]);
    const relocate = create(memory);
    assert.is(relocate.relocate(objects, objectsBytes, relations, 1, 0), 1);
    assert.is(relocate.relocate(objects, objectsBytes - 1, relations, 1, 0), 0);
    // Within a block too, when the section is no multiple of 4.
    for (let position = 0; position < 9; position++) {
      const pairs = goodPairs();
      pairs[position] = [objectsBytes - 4, 0];
      putRelations(memory, pairs);
      const shorter = objectsBytes - 2;
      assert.is(relocate.relocate(objects, shorter, relations, 20, 0), position);
    }
    for (const bytes of [0, 1, 3]) {
      assert.is(relocate.relocate(objects, bytes, relations, 1, 0), 0);
      assert.is(relocate.unrelocate(objects, bytes, relations, 1), 0);
    }
    assert.is(relocate.relocate(objects, 0, relations, 0, 0), 0);
  });
}

test('relocate() works above 2 GiB', () => {
  const memory = makeMemory(0x9000_0000);
  const high = 0x8800_0000;
  new Uint32Array(memory.buffer, high + 0x1000, 2).set([8, 16]);
  const relocate = createRelocate(memory);
  assert.is(relocate.relocate(high, 32, high + 0x1000, 1, high), 1);
  assert.is(new Uint32Array(memory.buffer, high + 8, 1)[0], high + 16);
});

test('methods throw a RangeError when a piece is not inside the memory', () => {
  const relocate = createRelocate(makeMemory(2 ** 16));
  assert.throws(() => relocate.relocate(-8, 8, 0, 1, 0), RangeError);
  assert.throws(() => relocate.relocate(0, 2 ** 16 + 1, 0, 1, 0), RangeError);
  assert.throws(() => relocate.relocate(0, 8, 0, 2 ** 29, 0), RangeError);
  assert.throws(() => relocate.relocate(0, 8, 0, 1, 2 ** 32), RangeError);
  assert.throws(() => relocate.unrelocate(0, 8, 2 ** 16 - 4, 1), RangeError);
  assert.throws(() => relocate.validate(0, 64, 0, 1, 0, 2 ** 16 - 8), /scratch/);
});

/** A kind of the test's schema; kind 0 and 3 are unused, 2 has raw bytes, 4 references. */
interface TestKind {
  fixedBytes: number;
  tail: number;
  tailTarget: number;
  refs: [offset: number, kind: number, isRequired: boolean][];
}

const unused: TestKind = { fixedBytes: 0, tail: 9, tailTarget: 99, refs: [[1, 99, true]] };
const kinds: TestKind[] = [
  unused,
  { fixedBytes: 20, tail: 0, tailTarget: 0, refs: [[8, 2, true], [16, 0, false]] },
  { fixedBytes: 12, tail: 1, tailTarget: 0, refs: [] },
  unused,
  { fixedBytes: 16, tail: 2, tailTarget: 1, refs: [[12, 4, false]] },
];

function putSchema(memory: WebAssembly.Memory, schema: TestKind[] = kinds): void {
  const refWords: number[] = [];
  const words = [schema.length];
  for (const { fixedBytes, tail, tailTarget, refs } of schema) {
    words.push(fixedBytes, tail, tailTarget, refs.length, refWords.length);
    for (const [offset, kind, isRequired] of refs) {
      refWords.push(offset, isRequired ? kind + 0x80000000 : kind);
    }
  }
  new Uint32Array(memory.buffer, schemaAt).set([...words, ...refWords]);
}

interface Section {
  bytes: number;
  pairs: number[][];
}

/**
 * Two objects of kind 1, one of kind 2, two of kind 4:
 * 0: kind 1 → 24, 40 · 24: kind 2 (16 bytes) · 40: kind 1 → 24 · 64: kind 4 (24) → 88, tail 0
 * 88: kind 4 (24), its tail is empty of references
 */
function putSection(memory: WebAssembly.Memory): Section {
  const words = new Uint32Array(memory.buffer, objects);
  const records: [offset: number, kind: number, bytes: number][] =
    [[0, 1, 24], [24, 2, 16], [40, 1, 24], [64, 4, 24], [88, 4, 24]];
  for (const [offset, kind, bytes] of records) words.set([kind, bytes], offset / 4);
  words[24 / 4 + 2] = 0x12345678;
  const pairs = [[8, 24], [16, 40], [48, 24], [76, 88], [80, 0]];
  putRelations(memory, pairs);
  return { bytes: 112, pairs };
}

type Hurt = (words: Uint32Array, pairs: number[][]) => number | void;
const hostile: [what: string, code: number, at: number, hurt: Hurt][] = [
  ['kind 0', -3, 24, (words) => { words[24 / 4] = 0; }],
  ['an unused kind', -3, 24, (words) => { words[24 / 4] = 3; }],
  ['a kind past the schema', -3, 24, (words) => { words[24 / 4] = 5; }],
  ['flags', -4, 24, (words) => { words[24 / 4] = 0x10002; }],
  ['a record of no bytes', -5, 24, (words) => { words[24 / 4 + 1] = 0; }],
  ['a record below its fixed bytes', -5, 24, (words) => { words[24 / 4 + 1] = 8; }],
  ['a record of odd bytes', -5, 24, (words) => { words[24 / 4 + 1] = 12; }],
  ['a record past the end', -5, 88, (words) => { words[88 / 4 + 1] = 32; }],
  ['a record of 4 GiB', -5, 88, (words) => { words[88 / 4 + 1] = 0xfffffff8; }],
  ['a tail where none may be', -5, 0, (words) => { words[1] = 40; }],
  ['a field that is not zero', -6, 48, (words) => { words[48 / 4] = 24; }],
  ['a tail field that is not zero', -6, 108, (words) => { words[108 / 4] = 1; }],
  ['a required reference without relation', -7, 48, (_, pairs) => { pairs.splice(2, 1); }],
  ['no relations', -7, 8, (_, pairs) => { pairs.length = 0; }],
  ['a relation on raw bytes', -8, 2, (_, pairs) => { pairs.splice(2, 0, [32, 0]); }],
  ['a relation on a header', -8, 0, (_, pairs) => { pairs.unshift([0, 24]); }],
  ['an unaligned source', -8, 2, (_, pairs) => { pairs.splice(2, 0, [18, 24]); }],
  ['two relations on a field', -8, 1, (_, pairs) => { pairs.splice(1, 0, [8, 24]); }],
  ['relations out of order', -7, 8, (_, pairs) => { pairs.reverse(); }],
  ['a relation past the end', -8, 5, (_, pairs) => { pairs.push([112, 0]); }],
  ['a relation at the last address', -8, 5, (_, pairs) => { pairs.push([0xffffffff, 0]); }],
  ['a target inside a record', -9, 0, (_, pairs) => { pairs[0] = [8, 32]; }],
  ['an unaligned target', -9, 0, (_, pairs) => { pairs[0] = [8, 25]; }],
  ['a target past the end', -9, 1, (_, pairs) => { pairs[1] = [16, 112]; }],
  ['a target far outside', -9, 1, (_, pairs) => { pairs[1] = [16, 0xfffffff8]; }],
  ['a target of the wrong kind', -10, 0, (_, pairs) => { pairs[0] = [8, 0]; }],
  ['a tail target of the wrong kind', -10, 4, (_, pairs) => { pairs[4] = [80, 24]; }],
  ['a section of odd bytes', -2, 108, () => 108],
];

for (const [name, create] of Object.entries(variants)) {
  test(`validate() accepts a good section, an empty one too (${name})`, () => {
    const memory = makeMemory(2 ** 16);
    putSchema(memory);
    const { bytes, pairs } = putSection(memory);
    const relocate = create(memory);
    const before = new Uint8Array(memory.buffer).slice();
    const count = pairs.length;
    assert.is(relocate.validate(objects, bytes, relations, count, schemaAt, scratch), null);
    const used = relocate.scratchBytes(bytes);
    assert.is(used, 28);
    before.set(new Uint8Array(memory.buffer, scratch, used), scratch);
    assertSame(new Uint8Array(memory.buffer), before, 'only scratch is written');
    assert.is(relocate.validate(objects, 0, relations, 0, schemaAt, scratch), null);
  });

  test(`validate() says what is wrong with a hostile section (${name})`, () => {
    for (const [what, code, at, hurt] of hostile) {
      const memory = makeMemory(2 ** 16);
      putSchema(memory);
      const { bytes, pairs } = putSection(memory);
      const shorter = hurt(new Uint32Array(memory.buffer, objects), pairs);
      putRelations(memory, pairs);
      // Scratch from an earlier use must not matter.
      new Uint8Array(memory.buffer, scratch, 64).fill(2);
      const fault = create(memory).validate(
        objects, shorter ?? bytes, relations, pairs.length, schemaAt, scratch);
      assert.equal(fault, describeObjectFault(code, at), what);
      assert.ok(fault?.sentence.startsWith(objectFaults[code] as string), what);
    }
  });

  test(`validate() refuses a schema that contradicts itself (${name})`, () => {
    const memory = makeMemory(2 ** 16);
    const relocate = create(memory);
    const change: Partial<TestKind>[] = [
      { fixedBytes: 4 }, { tail: 3 }, { tailTarget: 5 }, { tail: 2, fixedBytes: 22 },
      { refs: [[4, 0, false]] }, { refs: [[10, 0, false]] }, { refs: [[20, 0, false]] },
      { refs: [[16, 0, false], [8, 0, false]] }, { refs: [[8, 5, false]] },
    ];
    for (const part of change) {
      const broken = kinds.slice();
      broken[1] = { ...kinds[1] as TestKind, ...part };
      putSchema(memory, broken);
      const fault = relocate.validate(objects, 0, relations, 0, schemaAt, scratch);
      assert.equal(fault, describeObjectFault(-1, 1), JSON.stringify(part));
    }
    putSchema(memory, []);
    const fault = relocate.validate(objects, 0, relations, 0, schemaAt, scratch);
    assert.equal(fault, describeObjectFault(-1, 0));
  });
}

/** A random section that is good: records of all kinds, references to fitting targets. */
function putRandomSection(memory: WebAssembly.Memory, random: Random): Section {
  const words = new Uint32Array(memory.buffer);
  const records: { offset: number; id: number; bytes: number }[] = [];
  let bytes = 0;
  for (let left = random.int(0, 40); left > 0; left--) {
    const id = random.pick([1, 2, 4]);
    const { fixedBytes, tail } = kinds[id] as TestKind;
    const own = Math.ceil((fixedBytes + (tail === 0 ? 0 : random.int(0, 40))) / 8) * 8;
    words.set([id, own], (objects + bytes) / 4);
    records.push({ offset: bytes, id, bytes: own });
    bytes += own;
  }
  const pairs: number[][] = [];
  const refer = (source: number, kind: number, isRequired: boolean): void => {
    const targets = records.filter(({ id }) => kind === 0 || id === kind);
    if (targets.length === 0 || (!isRequired && random.bool())) return;
    pairs.push([source, random.pick(targets).offset]);
  };
  for (const record of records) {
    const { fixedBytes, tail, tailTarget, refs } = kinds[record.id] as TestKind;
    for (const [at, kind, isRequired] of refs) refer(record.offset + at, kind, isRequired);
    if (tail !== 2) continue;
    for (let at = fixedBytes; at < record.bytes; at += 4) {
      refer(record.offset + at, tailTarget, false);
    }
  }
  putRelations(memory, pairs);
  return { bytes, pairs };
}

test('all builds agree on random sections, good and damaged', () => {
  const random = seededRandom();
  let refused = 0;
  for (let round = 0; round < 400; round++) {
    const memory = makeMemory(2 ** 16);
    putSchema(memory);
    const { bytes, pairs } = putRandomSection(memory, random);
    const damage = random.int(0, 2);
    for (let left = damage; left > 0; left--) {
      const inObjects = random.bool() || pairs.length === 0;
      const area = inObjects ? Math.max(bytes, 4) : pairs.length * 8;
      const start = inObjects ? objects : relations;
      const at = (start + random.int(0, area / 4 - 1) * 4) / 4;
      new Uint32Array(memory.buffer)[at] = random.pick([0, 1, 2, 4, 8, bytes, random.u32()]);
    }
    const outcomes = Object.entries(variants).map(([name, create]) => {
      const copy = copyMemory(memory);
      const relocate = create(copy);
      const fault = relocate.validate(objects, bytes, relations, pairs.length, schemaAt, scratch);
      const count = relocate.relocate(objects, bytes, relations, pairs.length, 0xc0de0000);
      new Uint8Array(copy.buffer, scratch, relocate.scratchBytes(bytes)).fill(0);
      return { name, fault, count, content: new Uint8Array(copy.buffer) };
    });
    const [first, ...others] = outcomes as [typeof outcomes[0], ...typeof outcomes];
    if (damage === 0 && pairs.length > 0 && first.fault?.code !== -7) {
      assert.is(first.fault, null, 'undamaged');
    }
    if (first.fault !== null) refused++;
    for (const { name, fault, count, content } of others) {
      assert.equal(fault, first.fault, name);
      assert.is(count, first.count, name);
      assertSame(content, first.content, name);
    }
  }
  assert.ok(refused > 50 && refused < 350, `${refused} of 400 refused`);
});

test.run();
