// The layout language itself: alignment, size checks, 64-bit numbers. What the layouts say about C
// is in layouts.test.ts.
import { assert, suite } from '../../harness.ts';
import {
  blob, i16, i32, i64, type Layout, pad, readI64, struct, u16, u32, u64, u8, usize, writeI64,
} from '../../../vmm/abi/layout.ts';

const test = suite('vmm/abi/layout');

test('struct() aligns fields as C does', () => {
  const layout: Layout<'a' | 'b' | 'c' | 'e', 'd'> =
    struct('mixed', 32, { a: u8, b: u32, c: u8, d: u64, e: u16 });
  const { a, b, c, d, e } = layout;
  assert.equal([a.offset, b.offset, c.offset, d.offset, e.offset], [0, 4, 8, 16, 24]);
});

test('struct() throws when the size is not the one stated', () => {
  assert.throws(() => struct('short', 4, { a: u32, b: u8 }), /struct short is 8 bytes, 4 declared/);
});

test('struct() refuses field names that the layout uses itself', () => {
  assert.throws(() => struct('bad', 4, { bytes: u32 }), /reserved field bytes/);
  assert.throws(() => struct('bad', 4, { name: u32 }), /reserved field name/);
});

test('fields read back what they wrote, little-endian, at any base', () => {
  const layout: Layout<'a' | 'b' | 'c' | 'd', 'e'> =
    struct('all', 32, { a: u16, b: i16, c: i32, d: i64, e: u64, _pad: pad(8, 8) });
  const view = new DataView(new ArrayBuffer(64));
  layout.a.set(view, 16, 0xfffe);
  layout.b.set(view, 16, -2);
  layout.c.set(view, 16, -3);
  layout.d.set(view, 16, -4);
  layout.e.set(view, 16, 0xffff_ffff_ffff_fffen);
  const values = [layout.a, layout.b, layout.c, layout.d].map((field) => field.get(view, 16));
  assert.equal(values, [0xfffe, -2, -3, -4]);
  assert.is(layout.e.get(view, 16), 0xffff_ffff_ffff_fffen);
  assert.is(view.getUint8(16), 0xfe);
});

test('usize and i64 are exact up to 2^53 and keep the sign', () => {
  const view = new DataView(new ArrayBuffer(8));
  for (const value of [0, 1, 2 ** 32, 2 ** 53 - 1]) {
    usize.write(view, 0, value);
    assert.is(usize.read(view, 0), value);
    assert.is(view.getBigUint64(0, true), BigInt(value));
  }
  for (const value of [-1, -(2 ** 32), -(2 ** 32) - 1, -(2 ** 53) + 1]) {
    writeI64(view, 0, value);
    assert.is(readI64(view, 0), value);
    assert.is(view.getBigInt64(0, true), BigInt(value));
  }
});

test('usize shows the top half as large numbers, i64 as negative ones', () => {
  const view = new DataView(new ArrayBuffer(8));
  view.setBigUint64(0, 0xffff_ffff_ffff_ffffn, true);
  assert.ok(usize.read(view, 0) > 2 ** 63);
  assert.is(i64.read(view, 0), -1);
});

test('blob() and pad() take space and write nothing', () => {
  const layout: Layout<'raw'> = struct('raw', 12, { raw: blob(9), _pad: pad(3) });
  const view = new DataView(new ArrayBuffer(12));
  layout.raw.set(view, 0, 255);
  assert.bytes(new Uint8Array(view.buffer), new Uint8Array(12));
  assert.is(layout.raw.bytes, 9);
});

test.run();
