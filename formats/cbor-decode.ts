// A strict decoder for canonical CBOR (RFC 8949): accepts exactly what encodeCbor() can write,
// the "core deterministic encoding" of section 4.2.1 without tags and floats.
//
//   first byte  mmm iiiii   mmm major type, iiiii argument, or 24…27: it follows in 1, 2, 4, 8
//   mmm 0 1 integers | 2 bytes | 3 text | 4 array | 5 map | 7 false, true, null
//
// Invariant: each argument in its shortest form, nothing of indefinite length; map keys are
// texts, ascending by their encoded bytes, each once. So one value is one byte string.
// It is our own because a boot decodes a header once, cold: checking a file and decoding it with
// cbor-x takes 1.3 to 2.5 ms then, after 3 to 6 ms for loading it; this takes 0.4 to 0.9 ms.

/** What a decoder accepts at most. */
export interface CborLimits {
  /** Of the whole input; default 1 MiB. */
  maxBytes?: number;
  /** Of arrays and maps within each other; default 16. */
  maxDepth?: number;
  /** Of values and keys together; default 200,000. */
  maxItems?: number;
}

/** What decodeCbor() returns: integers are numbers if safe, else bigint; bytes are copies. */
export type CborDecoded =
  | null
  | boolean
  | number
  | bigint
  | string
  | Uint8Array<ArrayBuffer>
  | CborDecoded[]
  | { [key: string]: CborDecoded };

/** Bytes that are not canonical CBOR, or a value that has no such encoding. */
export class CborError extends Error {
  override readonly name: string = 'CborError';
  readonly code: string = 'CATAVMM_CBOR';
  /** Where in the input, -1 if the error is not about a place. */
  readonly off: number;

  constructor(sentence: string, off: number = -1) {
    super(off < 0 ? sentence : `${sentence.slice(0, -1)} (byte ${off}).`);
    this.off = off;
  }
}

export const cborDefaults: Readonly<Required<CborLimits>> = {
  maxBytes: 1 << 20,
  maxDepth: 16,
  maxItems: 200_000,
};

/** The one key that a JavaScript object cannot hold like any other. */
export const forbiddenKey = '__proto__';

const majorUint = 0;
const majorNegative = 1;
const majorBytes = 2;
const majorText = 3;
const majorArray = 4;
const majorMap = 5;
const majorTag = 6;
const majorSimple = 7;

/** Texts up to this length are built here; a call of TextDecoder costs more than that. */
const shortText = 24;
/** Made when the first text needs it, for the first one costs a millisecond on Node. */
let utf8: TextDecoder | null = null;

/** One walk over one input. */
class Decoder {
  readonly bytes: Uint8Array;
  readonly limits: Required<CborLimits>;
  off = 0;
  items = 0;
  /** Of the last head: an integer's magnitude (not exact above 2^53) or a count. */
  argument = 0;

  constructor(bytes: Uint8Array, limits: Required<CborLimits>) {
    this.bytes = bytes;
    this.limits = limits;
  }

  fail(sentence: string, off: number): never {
    throw new CborError(sentence, off);
  }

  /** Refuses counts that the rest of the input cannot hold; `each` is an element's least size. */
  checkRoom(count: number, each: number, start: number): void {
    if (count * each > this.bytes.length - this.off) {
      this.fail('The CBOR data ends in the middle of a value.', start);
    }
  }

  /** Reads a first byte and its argument; returns the major type. */
  readHead(): number {
    const start = this.off;
    this.checkRoom(1, 1, start);
    const first = this.bytes[this.off++] as number;
    const major = first >> 5;
    const info = first & 0x1f;
    this.items++;
    if (this.items > this.limits.maxItems) {
      this.fail(`The CBOR data holds more than ${this.limits.maxItems} values.`, start);
    }
    if (major === majorTag) this.fail('CBOR tags are not allowed.', start);
    if (info < 24 && major !== majorSimple) this.argument = info;
    else if (major !== majorSimple) this.readArgument(info, start);
    else if (info >= 20 && info <= 22) this.argument = info;
    else this.fail('Only false, true and null are allowed as CBOR simple values.', start);
    return major;
  }

  readArgument(info: number, start: number): void {
    if (info > 27) this.fail('CBOR of indefinite length is not allowed.', start);
    const width = 1 << (info - 24);
    this.checkRoom(width, 1, start);
    let argument = 0;
    for (let index = 0; index < width; index++) {
      argument = argument * 256 + (this.bytes[this.off++] as number);
    }
    const least = width === 1 ? 24 : 2 ** (4 * width);
    if (argument < least) this.fail('A CBOR number is not in its shortest form.', start);
    this.argument = argument;
  }

  /** The last head's integer: the argument itself, or read again where a number is not exact. */
  readInteger(negative: boolean, start: number): number | bigint {
    const number = negative ? -1 - this.argument : this.argument;
    if (Number.isSafeInteger(number)) return number;
    let wide = 0n;
    for (let off = start + 1; off < this.off; off++) {
      wide = wide * 256n + BigInt(this.bytes[off] as number);
    }
    if (!negative) return wide;
    if (wide >= 1n << 63n) this.fail('A CBOR integer is below -2^63.', start);
    return -1n - wide;
  }

  readText(start: number): string {
    const end = this.off + this.argument;
    if (this.argument <= shortText) {
      let text = '';
      let off = this.off;
      for (; off < end; off++) {
        const byte = this.bytes[off] as number;
        if (byte >= 0x80) break;
        text += String.fromCharCode(byte);
      }
      if (off === end) {
        this.off = end;
        return text;
      }
    }
    try {
      utf8 ??= new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
      // slice() copies, for TextDecoder takes no view of shared memory.
      const text = utf8.decode(this.bytes.slice(this.off, end));
      this.off = end;
      return text;
    } catch {
      this.fail('A CBOR text is not valid UTF-8.', start);
    }
  }

  /** Reads one key and compares it with the one before, [previous, previousEnd). */
  readKey(previous: number, previousEnd: number): string {
    const start = this.off;
    if (this.readHead() !== majorText) this.fail('A CBOR map key is not a text.', start);
    this.checkRoom(this.argument, 1, start);
    const key = this.readText(start);
    if (key === forbiddenKey) this.fail(`The CBOR map key ${forbiddenKey} is not allowed.`, start);
    if (previous < 0) return key;
    let off = start;
    while (previous < previousEnd && this.bytes[previous] === this.bytes[off]) {
      previous++;
      off++;
    }
    // The length leads the bytes, so no key is a prefix of another.
    if (previous === previousEnd) this.fail('A CBOR map has the same key twice.', start);
    if ((this.bytes[previous] as number) > (this.bytes[off] as number)) {
      this.fail('The keys of a CBOR map are not in order.', start);
    }
    return key;
  }

  readArray(count: number, depth: number): CborDecoded[] {
    const array: CborDecoded[] = [];
    for (let index = 0; index < count; index++) array.push(this.readValue(depth));
    return array;
  }

  readMap(count: number, depth: number): { [key: string]: CborDecoded } {
    const map: { [key: string]: CborDecoded } = {};
    let previous = -1;
    let previousEnd = -1;
    for (let index = 0; index < count; index++) {
      const keyOff = this.off;
      const key = this.readKey(previous, previousEnd);
      previous = keyOff;
      previousEnd = this.off;
      map[key] = this.readValue(depth);
    }
    return map;
  }

  readValue(depth: number): CborDecoded {
    const start = this.off;
    const major = this.readHead();
    const count = this.argument;
    if (major === majorUint || major === majorNegative) {
      return this.readInteger(major === majorNegative, start);
    }
    if (major === majorSimple) return count === 22 ? null : count === 21;
    this.checkRoom(count, major === majorMap ? 2 : 1, start);
    if (major === majorText) return this.readText(start);
    if (major === majorBytes) {
      this.off += count;
      return this.bytes.slice(this.off - count, this.off);
    }
    if (depth >= this.limits.maxDepth) {
      this.fail(`The CBOR data is nested deeper than ${this.limits.maxDepth} levels.`, start);
    }
    return major === majorArray ? this.readArray(count, depth + 1) : this.readMap(count, depth + 1);
  }
}

/**
 * Decodes exactly one canonical value; encodeCbor() of the result gives `bytes` again.
 * Throws CborError, and nothing else, for any other input.
 */
export function decodeCbor(bytes: Uint8Array, limits: CborLimits = {}): CborDecoded {
  const all = { ...cborDefaults, ...limits };
  if (bytes.length > all.maxBytes) {
    throw new CborError(`The CBOR data is longer than ${all.maxBytes} bytes.`);
  }
  // A plain view, for slice() of a Buffer does not copy.
  const plain = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const decoder = new Decoder(plain, all);
  const value = decoder.readValue(0);
  if (decoder.off !== bytes.length) {
    throw new CborError('There are bytes after the end of the CBOR value.', decoder.off);
  }
  return value;
}
