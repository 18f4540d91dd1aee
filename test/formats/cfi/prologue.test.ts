// The fixed first bytes of an image: documented layout, round trip, and each way to get them wrong.

import { CfiError } from '../../../formats/cfi/error.ts';
import { alignToPage, encodePrologue, parsePrologue } from '../../../formats/cfi/prologue.ts';
import { assert, suite } from '../../harness.ts';

const test = suite('formats/cfi/prologue');

/** A prologue with `value` written at `off` as u32. */
function makePrologue(off: number = 24, value: number = 0): Uint8Array {
  const bytes = new Uint8Array(64);
  bytes.set(encodePrologue(1000, 3 * 2 ** 32 + 8192));
  bytes.fill(9, 32);
  new DataView(bytes.buffer).setUint32(off, value, true);
  return bytes;
}

function outcome(bytes: Uint8Array): string {
  try {
    parsePrologue(bytes);
    return '';
  } catch (error) {
    if (!(error instanceof CfiError)) throw error;
    assert.match(error.message, /^The [^.]*\.$/);
    return error.what;
  }
}

test('encodePrologue() lays out the documented bytes', () => {
  const expected = [
    0x89, 0x43, 0x46, 0x49, 0x0d, 0x0a, 0x1a, 0x0a, 1, 0, 0, 0, 0xe8, 3, 0, 0,
    0, 0x20, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
  ];
  assert.bytes(encodePrologue(1000, 3 * 2 ** 32 + 8192), Uint8Array.from(expected));
});

test('parsePrologue() gives back what encodePrologue() was given', () => {
  const prologue = parsePrologue(makePrologue());
  assert.is(prologue.headerBytes, 1000);
  assert.is(prologue.fileBytes, 3 * 2 ** 32 + 8192);
  assert.bytes(prologue.digest, new Uint8Array(32).fill(9));
});

test('parsePrologue() reads a view that does not start at its buffer', () => {
  const whole = new Uint8Array(100);
  whole.set(makePrologue(), 13);
  assert.is(parsePrologue(whole.subarray(13)).headerBytes, 1000);
});

test('parsePrologue() names what is wrong', () => {
  const cases: [string, Uint8Array, string][] = [
    ['empty', new Uint8Array(0), 'magic'],
    ['text', new TextEncoder().encode('#!/bin/sh\n'), 'magic'],
    ['zeros', new Uint8Array(4096), 'magic'],
    ['one byte', makePrologue().subarray(0, 1), 'truncated'],
    ['magic alone', makePrologue().subarray(0, 8), 'truncated'],
    ['63 bytes', makePrologue().subarray(0, 63), 'truncated'],
    ['line ends changed', makePrologue(4, 0x0a1a0a0a), 'magic'],
    ['version 0', makePrologue(8, 0), 'version'],
    ['version 2', makePrologue(8, 2), 'version'],
    ['no header', makePrologue(12, 0), 'too-large'],
    ['header of 1 MiB and a byte', makePrologue(12, (1 << 20) + 1), 'too-large'],
    ['file of 1 TiB', makePrologue(20, 256), 'too-large'],
    ['file of 2^63', makePrologue(20, 2 ** 31), 'too-large'],
    ['half a page', makePrologue(16, 2048), 'layout'],
    ['reserved', makePrologue(24, 1), 'reserved'],
    ['reserved, second', makePrologue(28, 2 ** 31), 'reserved'],
  ];
  for (const [name, bytes, what] of cases) assert.is(outcome(bytes), what, name);
  const small = makePrologue(20, 0);
  new DataView(small.buffer).setUint32(12, 8192, true);
  assert.is(outcome(small), 'layout', 'header beyond the file');
});

test('parsePrologue() names both versions', () => {
  assert.throws(() => parsePrologue(makePrologue(8, 7)), /version 7, .* reads version 1\./);
});

test('CfiError has a stable code', () => {
  assert.is(new CfiError('too-long', 'x').code, 'CATAVMM_CFI_TOO_LONG');
});

test('alignToPage() rounds up', () => {
  const cases: [number, number][] = [
    [0, 0], [1, 4096], [4096, 4096], [4097, 8192], [2 ** 40 - 1, 2 ** 40],
  ];
  for (const [off, expected] of cases) assert.is(alignToPage(off), expected);
});

test.run();
