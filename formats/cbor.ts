// Deterministic CBOR (RFC 8949, section 4.2.1): the encoder, over cbor-x, and our strict decoder.
//
// cbor-x has no deterministic mode, so values are brought into the one shape it encodes as
// wanted: keys sorted into a Map (an object would move integer-like keys first), integers of
// 33 bits and more as bigint, shorter ones as number, everything else refused.
//
// `cbor-x/encode` and not `cbor-x`: the latter loads a native addon and node:stream, which
// takes 3 to 5 times as long. This is the only file that imports it; a boot, which only
// decodes, imports cbor-decode.ts and does not load it at all.

import { Encoder } from 'cbor-x/encode';
import { CborError, cborDefaults, forbiddenKey } from './cbor-decode.ts';

export { CborError, decodeCbor } from './cbor-decode.ts';
export type { CborDecoded, CborLimits } from './cbor-decode.ts';

/** What can be encoded. Integers are -2^63 … 2^64-1; there are no floats. */
export type CborValue =
  | null
  | boolean
  | number
  | bigint
  | string
  | Uint8Array
  | readonly CborValue[]
  | { readonly [key: string]: CborValue };

const codec: { encode(value: unknown): Uint8Array } = new Encoder({
  useRecords: false,
  variableMapSize: true,
  tagUint8Array: false,
  mapsAsObjects: true,
  // This one exists but is missing from the library's types.
  ...{ useTag259ForMaps: false },
});

const utf8: TextEncoder = new TextEncoder();
const surrogate = /\p{Surrogate}/u;

function shapeInteger(value: number | bigint): number | bigint {
  if (typeof value === 'number' && !Number.isSafeInteger(value)) {
    throw new CborError(`The number ${value} is not an integer, or is not exact above 2^53.`);
  }
  const wide = BigInt(value);
  if (wide >= 1n << 64n || wide < -(1n << 63n)) {
    throw new CborError(`The number ${wide} does not fit in 64 bits.`);
  }
  // Number() also turns -0 into 0.
  return wide >= 1n << 32n || wide < -(1n << 32n) ? wide : Number(wide);
}

function shapeText(text: string): string {
  if (surrogate.test(text)) throw new CborError('A text has half of a surrogate pair.');
  return text;
}

/** Orders keys like their encodings: by UTF-8 length, then by bytes. */
function compareKeys(left: Uint8Array, right: Uint8Array): number {
  if (left.length !== right.length) return left.length - right.length;
  for (let index = 0; index < left.length; index++) {
    const difference = (left[index] as number) - (right[index] as number);
    if (difference !== 0) return difference;
  }
  return 0;
}

function shapeMap(value: object, depth: number): Map<string, unknown> {
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) {
    throw new CborError('Only plain objects can be encoded as CBOR maps.');
  }
  const entries = Object.entries(value).map(([key, item]) => {
    if (key === forbiddenKey) throw new CborError(`The key ${forbiddenKey} is not allowed.`);
    return { key: shapeText(key), bytes: utf8.encode(key), item: item as unknown };
  });
  entries.sort((left, right) => compareKeys(left.bytes, right.bytes));
  return new Map(entries.map(({ key, item }) => [key, shapeValue(item, depth + 1)]));
}

/** Copies a value into the shape described above. Invariant: fails rather than lose anything. */
function shapeValue(value: unknown, depth: number): unknown {
  switch (typeof value) {
    case 'boolean': return value;
    case 'string': return shapeText(value);
    case 'number':
    case 'bigint': return shapeInteger(value);
    case 'object': break;
    default: throw new CborError(`A value of type ${typeof value} cannot be encoded as CBOR.`);
  }
  if (value === null) return null;
  if (value instanceof Uint8Array) {
    // A plain view: cbor-x writes subclasses (Buffer) by other rules.
    return new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
  }
  if (depth >= cborDefaults.maxDepth) {
    throw new CborError(`The value is nested deeper than ${cborDefaults.maxDepth} levels.`);
  }
  if (!Array.isArray(value)) return shapeMap(value, depth);
  // Array.from and not map(): a hole must be refused as undefined.
  return Array.from(value, (item: unknown) => shapeValue(item, depth + 1));
}

/**
 * Encodes a value; equal values give equal bytes on every runtime.
 * Throws CborError for floats, undefined, non-plain objects, ill-formed texts and deep nesting.
 */
export function encodeCbor(value: CborValue): Uint8Array<ArrayBuffer> {
  // A copy: cbor-x returns a slice of a buffer that it goes on using.
  return new Uint8Array(codec.encode(shapeValue(value, 0)));
}
