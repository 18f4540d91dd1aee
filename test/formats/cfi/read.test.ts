// Reading images that were cut, flipped or forged: nothing but a CfiError may come of it.

import { CfiError } from '../../../formats/cfi/error.ts';
import type { CfiFault } from '../../../formats/cfi/error.ts';
import { cfiSectionKinds } from '../../../formats/cfi/header.ts';
import { encodePrologue } from '../../../formats/cfi/prologue.ts';
import {
  cfiDigest, cfiHeaderBytes, checkSectionDigest, decodeIoTable, findSection, parseCfi,
  verifyPadding, verifySection,
} from '../../../formats/cfi/read.ts';
import { encodeIoTable } from '../../../formats/cfi/write.ts';
import { encodeCbor } from '../../../formats/cbor.ts';
import { assert, seededRandom, suite } from '../../harness.ts';
import { makeContent, makeImage, makeIoEntries, makeSections, sha256 } from './sample.ts';

const test = suite('formats/cfi/read');

const { file } = makeImage();
const headerEnd = cfiHeaderBytes(file);

/** What is refused, empty if nothing is. */
function outcome(call: () => unknown): CfiFault | '' {
  try {
    call();
    return '';
  } catch (error) {
    if (!(error instanceof CfiError)) throw error;
    assert.match(error.message, /^(The|A) .*\.$/);
    return error.what;
  }
}

function parse(bytes: Uint8Array, fileBytes: number = bytes.length): CfiFault | '' {
  return outcome(() => parseCfi(bytes, fileBytes, sha256));
}

/** A beginning with any bytes for a header, and a digest that fits. */
function forge(cbor: Uint8Array, fileBytes: number): Uint8Array {
  const prologue = encodePrologue(cbor.length, fileBytes);
  const bytes = new Uint8Array(64 + cbor.length);
  bytes.set(prologue);
  bytes.set(sha256([prologue, cbor]), 32);
  bytes.set(cbor, 64);
  return bytes;
}

test('parseCfi() needs exactly the bytes that cfiHeaderBytes() names', () => {
  assert.is(parse(file.subarray(0, headerEnd), file.length), '');
  assert.is(parse(file.subarray(0, headerEnd - 1), file.length), 'truncated');
  assert.is(cfiHeaderBytes(file.subarray(0, 64)), headerEnd);
});

test('parseCfi() refuses a file that is cut anywhere', () => {
  for (let bytes = 0; bytes < 4200; bytes++) {
    assert.is(parse(file.subarray(0, bytes)), bytes === 0 ? 'magic' : 'truncated');
  }
  for (let bytes = 4200; bytes < file.length; bytes += 509) {
    assert.is(parse(file.subarray(0, bytes)), 'truncated');
  }
});

test('parseCfi() refuses a file that is too long', () => {
  assert.is(parse(file, file.length + 1), 'too-long');
  assert.throws(() => parseCfi(file, file.length + 5, sha256), /longer than it should be/);
});

test('parseCfi() refuses every flipped bit of prologue and header', () => {
  const seen = new Set<string>();
  for (let off = 0; off < headerEnd; off++) {
    for (let bit = 0; bit < 8; bit++) {
      const copy = file.slice(0, headerEnd);
      copy[off] = (copy[off] as number) ^ (1 << bit);
      const what = parse(copy, file.length);
      assert.not(what === '', `bit ${bit} of byte ${off}`);
      if (off >= 32) assert.is(what, 'digest');
      seen.add(what);
    }
  }
  for (const what of ['magic', 'version', 'truncated', 'too-long', 'too-large', 'reserved']) {
    assert.ok(seen.has(what), what);
  }
});

test('parseCfi() refuses every other value of a byte of prologue and header', () => {
  const random = seededRandom(31);
  for (let off = 0; off < headerEnd; off++) {
    const copy = file.slice(0, headerEnd);
    copy[off] = (copy[off] as number) ^ random.int(1, 255);
    assert.not(parse(copy, file.length) === '', `byte ${off}`);
  }
});

test('parseCfi() refuses a forged header whose digest fits, whatever it holds', () => {
  const random = seededRandom(77);
  const cbor = file.slice(64, headerEnd);
  let accepted = 0;
  const seen = new Set<string>();
  for (let round = 0; round < 5000; round++) {
    const copy = cbor.slice(0, random.bool(0.1) ? random.int(1, cbor.length) : cbor.length);
    for (let flip = random.int(1, 3); flip > 0; flip--) {
      const off = random.int(0, copy.length - 1);
      copy[off] = random.bool() ? random.u32() & 0xff : (copy[off] as number) + 1;
    }
    const what = parse(forge(copy, file.length), file.length);
    seen.add(what);
    // Some bytes may have any value: digests, arguments, CPU features.
    if (what === '') accepted++;
  }
  assert.ok(accepted < 4000);
  for (const what of ['cbor', 'schema', 'layout']) assert.ok(seen.has(what), what);
});

test('parseCfi() refuses headers that are no map', () => {
  for (const value of [null, 1, 'a', [], {}, new Uint8Array(3)]) {
    assert.is(parse(forge(encodeCbor(value), 8192), 8192), 'schema');
  }
  assert.is(parse(forge(Uint8Array.of(0xff), 8192), 8192), 'cbor');
});

test('cfiDigest() differs when a section or a field does', () => {
  const first = cfiDigest(file);
  const content = makeContent();
  content.kernelAbi++;
  assert.throws(() => assert.bytes(cfiDigest(makeImage(content).file), first), /bytes differ/);
  assert.bytes(cfiDigest(makeImage().file), first);
  assert.is(first.length, 32);
});

test('verifySection() accepts the sections and finds each flipped byte', () => {
  const header = parseCfi(file, file.length, sha256);
  const sections = makeSections();
  const random = seededRandom(5);
  for (const kind of cfiSectionKinds) {
    const { offset, bytes } = findSection(header, kind);
    const stored = file.slice(offset, offset + bytes);
    assert.bytes(stored, sections[kind]);
    verifySection(kind, stored, header, sha256);
    checkSectionDigest(kind, sha256([stored]), header);
    for (let round = 0; round < 50; round++) {
      const off = random.int(0, stored.length - 1);
      const old = stored[off] as number;
      stored[off] = old ^ random.int(1, 255);
      assert.is(outcome(() => verifySection(kind, stored, header, sha256)), 'digest');
      stored[off] = old;
    }
    const short = stored.subarray(1);
    assert.is(outcome(() => verifySection(kind, short, header, sha256)), 'truncated');
    assert.throws(() => checkSectionDigest(kind, new Uint8Array(32), header), `its ${kind} sect`);
  }
});

test('verifyPadding() accepts zeros only', () => {
  verifyPadding(new Uint8Array(100));
  assert.is(outcome(() => verifyPadding(Uint8Array.of(0, 0, 1))), 'padding');
});

test('decodeIoTable() throws nothing but CfiError, however the table is damaged', () => {
  const random = seededRandom(9);
  const good = encodeIoTable(makeIoEntries());
  let accepted = 0;
  for (let round = 0; round < 5000; round++) {
    const copy = good.slice(0, random.bool(0.1) ? random.int(0, good.length) : good.length);
    if (copy.length > 0) copy[random.int(0, copy.length - 1)] = random.u32() & 0xff;
    if (outcome(() => decodeIoTable(copy)) === '') accepted++;
  }
  assert.ok(accepted > 50 && accepted < 4000);
  assert.throws(() => decodeIoTable(Uint8Array.of(0x9f)), /I\/O table is malformed: CBOR of indef/);
});

test.run();
