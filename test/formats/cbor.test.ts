// The CBOR codec against cborg, an independent implementation with a deterministic mode.

import { decode as cborgDecode, encode as cborgEncode, rfc8949EncodeOptions } from 'cborg';
import { CborError, decodeCbor, encodeCbor } from '../../formats/cbor.ts';
import type { CborDecoded, CborValue } from '../../formats/cbor.ts';
import { assert, seededRandom, suite } from '../harness.ts';
import type { Random } from '../harness.ts';

const test = suite('formats/cbor');
const random: Random = seededRandom(8949);

function fromHex(hex: string): Uint8Array {
  return Uint8Array.from(hex.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
}

/** Integers around every change of width, and what JavaScript itself stumbles over. */
function listEdges(): CborValue[] {
  const edges: CborValue[] = [null, true, false, '', new Uint8Array(0), [], {}, -0];
  for (const bits of [0, 4, 5, 8, 16, 31, 32, 33, 52, 53, 62, 63, 64]) {
    for (const near of [-2n, -1n, 0n, 1n, 2n]) {
      const wide = (1n << BigInt(bits)) + near;
      for (const value of [wide, -wide]) {
        if (value >= 1n << 64n || value < -(1n << 63n)) continue;
        edges.push(value);
        if (Number.isSafeInteger(Number(value))) edges.push(Number(value));
      }
    }
  }
  for (const count of [1, 23, 24, 31, 32, 63, 64, 255, 256, 65535, 65536]) {
    edges.push('a'.repeat(count), new Uint8Array(count).fill(7), 'é'.repeat(count));
    edges.push('\ufeff'.repeat(count), '\u{10ffff}'.repeat(count));
    if (count <= 256) edges.push(new Array<CborValue>(count).fill(0));
    if (count <= 256) {
      edges.push(Object.fromEntries(Array.from({ length: count }, (_, index) => [index, index])));
    }
  }
  edges.push({ 10: 'a', 9: 'b', b: 1, aa: 2, a: 3, '': 4, é: 5, constructor: 6, toString: 7 });
  edges.push({ '\uffff': 1, '\u{10000}': 2 });
  return edges;
}

const letters = ['a', 'b', 'Z', '0', '7', '_', 'é', '\u0000', '\u2028', '\uffff', '😀'];

function makeText(): string {
  let text = '';
  for (let count = random.int(0, random.bool(0.1) ? 300 : 8); count > 0; count--) {
    text += random.pick(letters);
  }
  return text;
}

function makeInteger(): number | bigint {
  const bits = random.int(1, 63);
  const wide = ((BigInt(random.u32()) << 32n) | BigInt(random.u32())) & ((1n << BigInt(bits)) - 1n);
  const signed = random.bool() ? wide : -wide;
  return bits <= 53 && random.bool() ? Number(signed) : signed;
}

function makeValue(depth: number): CborValue {
  switch (random.int(0, depth > 4 ? 4 : 6)) {
    case 0: return random.pick([null, true, false]);
    case 1:
    case 2: return makeInteger();
    case 3: return makeText();
    case 4: return random.bytes(random.int(0, random.bool(0.1) ? 400 : 12));
    case 5: return Array.from({ length: random.int(0, 6) }, () => makeValue(depth + 1));
    default: {
      const entries = Array.from({ length: random.int(0, 6) }, () => makeText());
      return Object.fromEntries(entries.map((key) => [key, makeValue(depth + 1)]));
    }
  }
}

const corpus: CborValue[] = [...listEdges(), ...Array.from({ length: 2000 }, () => makeValue(0))];

/** The value that decoding must give: safe bigints become numbers, -0 becomes 0. */
function expectDecoded(value: CborValue): CborDecoded {
  if (typeof value === 'bigint') return Number.isSafeInteger(Number(value)) ? Number(value) : value;
  if (typeof value === 'number') return value + 0;
  if (typeof value !== 'object' || value === null) return value;
  if (value instanceof Uint8Array) return new Uint8Array(value);
  if (Array.isArray(value)) return value.map(expectDecoded);
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, expectDecoded(item)]));
}

function spellBigint(_key: string, value: unknown): unknown {
  return typeof value === 'bigint' ? String(value) : value;
}

function isCborError(error: unknown): boolean {
  return error instanceof CborError && /^[A-Z].*\.$/.test(error.message);
}

test('encodeCbor() gives the bytes of cborg in its RFC 8949 mode', () => {
  assert.ok(corpus.length > 2000);
  for (const value of corpus) {
    assert.bytes(encodeCbor(value), new Uint8Array(cborgEncode(value, rfc8949EncodeOptions)));
  }
});

test('decodeCbor() gives back what encodeCbor() was given', () => {
  for (const value of corpus) {
    const bytes = encodeCbor(value);
    assert.equal(decodeCbor(bytes), expectDecoded(value));
    assert.bytes(encodeCbor(decodeCbor(bytes)), bytes);
  }
});

test('encodeCbor() returns bytes of its own', () => {
  const first = encodeCbor('first');
  const copy = first.slice();
  encodeCbor('other');
  assert.bytes(first, copy);
  assert.is(first.buffer.byteLength, first.length);
});

test('decodeCbor() copies byte strings, also out of a subclass with its own slice()', () => {
  class SharingSlice extends Uint8Array {
    override slice(start?: number, end?: number): Uint8Array<ArrayBuffer> {
      return this.subarray(start, end) as Uint8Array<ArrayBuffer>;
    }
  }
  const input = SharingSlice.from(encodeCbor(Uint8Array.of(1, 2, 3)));
  const value = decodeCbor(input);
  input.fill(0);
  assert.equal(value, Uint8Array.of(1, 2, 3));
});

test('encodeCbor() refuses what has no canonical encoding', () => {
  class Point { x = 1; }
  const cyclic: CborValue[] = [];
  cyclic.push(cyclic);
  const refused: unknown[] = [
    1.5, NaN, Infinity, 2 ** 53, 1n << 64n, -(1n << 63n) - 1n, undefined, [undefined],
    { a: undefined }, new Array(1), new Point(), new Map(), new Date(0), () => 1, Symbol('s'),
    'a\ud800', '\udc00', { '\ud800': 1 }, cyclic, JSON.parse('{"__proto__":1}'),
    new Float64Array(1),
  ];
  for (const value of refused) {
    assert.throws(() => encodeCbor(value as CborValue), isCborError, String(typeof value));
  }
});

test('decodeCbor() refuses bytes that are not canonical, one sentence each', () => {
  const cases: [string, RegExp][] = [
    ['', /ends in the middle/], ['19 01', /ends in the middle/], ['42 00', /ends in the middle/],
    ['62 61', /ends in the middle/], ['82 00', /ends in the middle/], ['a1 60', /ends in the mid/],
    ['9b 0000ffffffffffff', /ends in the middle/], ['bb ffffffffffffffff', /ends in the middle/],
    ['5b 7fffffffffffffff', /ends in the middle/], ['a1 7b ffffffffffffffff', /ends in the mid/],
    ['00 00', /after the end/], ['18 17', /shortest/], ['19 00ff', /shortest/],
    ['1a 0000ffff', /shortest/], ['1b 00000000ffffffff', /shortest/], ['38 00', /shortest/],
    ['58 01 00', /shortest/], ['78 01 61', /shortest/], ['98 01 00', /shortest/],
    ['b8 01 60 00', /shortest/], ['3b 8000000000000000', /below -2\^63/],
    ['1c', /indefinite/], ['5f ff', /indefinite/], ['9f ff', /indefinite/], ['bf ff', /indefinite/],
    ['c0 60', /tags/], ['d9 d9f7 00', /tags/],
    ['e0', /simple/], ['f7', /simple/], ['f8 20', /simple/],
    ['f9 0000', /simple/], ['fb 0000000000000000', /simple/], ['ff', /simple/],
    ['a1 00 00', /not a text/], ['a1 40 00', /not a text/],
    ['a2 6161 00 6161 00', /twice/], ['a2 60 00 60 00', /twice/],
    ['a2 6162 00 6161 00', /order/], ['a2 626161 00 6162 00', /order/],
    ['61 80', /UTF-8/], ['62 c080', /UTF-8/], ['63 eda080', /UTF-8/], ['64 f4908080', /UTF-8/],
    ['a1 61 ff 00', /UTF-8/], ['a1 69 5f5f70726f746f5f5f 00', /__proto__/],
    ['81'.repeat(17) + '00', /deeper than 16/], ['a160'.repeat(17) + '00', /deeper than 16/],
  ];
  for (const [hex, sentence] of cases) {
    const bytes = fromHex(hex.replaceAll(' ', ''));
    assert.throws(() => decodeCbor(bytes), sentence, hex);
    assert.throws(() => decodeCbor(bytes), isCborError, hex);
  }
});

test('decodeCbor() keeps its limits', () => {
  const bytes = encodeCbor([1, 2, [3]]);
  assert.equal(decodeCbor(bytes, { maxBytes: 5, maxDepth: 2, maxItems: 5 }), [1, 2, [3]]);
  assert.throws(() => decodeCbor(bytes, { maxBytes: 4 }), /longer than 4 bytes/);
  assert.throws(() => decodeCbor(bytes, { maxDepth: 1 }), /deeper than 1/);
  assert.throws(() => decodeCbor(bytes, { maxItems: 4 }), /more than 4 values/);
  assert.throws(() => decodeCbor(new Uint8Array((1 << 20) + 1)), /longer than 1048576 bytes/);
});

test('decodeCbor() accepts nothing that encodes differently, however bytes are damaged', () => {
  let accepted = 0;
  for (let round = 0; round < 20_000; round++) {
    const bytes = encodeCbor(random.pick(corpus)).slice(0, 400);
    const changes = bytes.length === 0 ? 0 : random.int(0, 3);
    for (let change = 0; change < changes; change++) {
      bytes[random.int(0, bytes.length - 1)] = random.u32() & 0xff;
    }
    let value: CborDecoded;
    try {
      value = decodeCbor(bytes);
    } catch (error) {
      assert.ok(isCborError(error), String(error));
      continue;
    }
    accepted++;
    assert.bytes(encodeCbor(value), bytes);
    // cborg drops a byte order mark at the start of a text.
    if (JSON.stringify(value, spellBigint).includes('\ufeff')) continue;
    assert.equal(cborgDecode(bytes, { rejectDuplicateMapKeys: true }), value);
  }
  assert.ok(accepted > 1000, 'the damage must leave enough that is still valid');
});

test('decodeCbor() refuses every truncation', () => {
  for (const value of corpus.slice(-300)) {
    const bytes = encodeCbor(value);
    for (let count = 0; count < bytes.length; count++) {
      assert.throws(() => decodeCbor(bytes.subarray(0, count)), isCborError);
    }
  }
});

test.run();
