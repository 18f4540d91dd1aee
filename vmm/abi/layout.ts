// C struct layouts, declared once. A layout knows the offset of each field and reads and writes it
// in a DataView; the size that Linux or KVM states is asserted when the module loads.
//
//   export const Timespec: Layout<'tv_sec' | 'tv_nsec'> =
//     struct('timespec', 16, { tv_sec: i64, tv_nsec: i64 });
//   Timespec.tv_sec.get(view, at)   Timespec.tv_nsec.set(view, at, 5)   Timespec.tv_sec.offset
//
// `usize` and `i64` are 64-bit integers known to fit 2^53 and are read as numbers (inexact beyond,
// which callers treat as out of range); `u64` is a real bigint for masks and register values.

/** How one field type is read and written. `T` is number or bigint. */
export interface Codec<T> {
  readonly bytes: number;
  readonly align: number;
  read(view: DataView, offset: number): T;
  write(view: DataView, offset: number, value: T): void;
}

/** A field at a fixed offset of a layout. */
export interface Field<T> {
  readonly offset: number;
  readonly bytes: number;
  get(view: DataView, base: number): T;
  set(view: DataView, base: number, value: T): void;
}

/** A struct: `N` names the fields read as numbers, `B` those read as bigints. */
export type Layout<N extends string, B extends string = never> =
  & { readonly name: string; readonly bytes: number }
  & { readonly [K in N]: Field<number> }
  & { readonly [K in B]: Field<bigint> };

const TWO_32 = 0x1_0000_0000;

function codec<T>(
  bytes: number,
  read: (view: DataView, offset: number) => T,
  write: (view: DataView, offset: number, value: T) => void,
  align: number = bytes,
): Codec<T> {
  return { bytes, align, read, write };
}

export const u8: Codec<number> = codec(1, (v, o) => v.getUint8(o), (v, o, x) => v.setUint8(o, x));
export const i8: Codec<number> = codec(1, (v, o) => v.getInt8(o), (v, o, x) => v.setInt8(o, x));
export const u16: Codec<number> =
  codec(2, (v, o) => v.getUint16(o, true), (v, o, x) => v.setUint16(o, x, true));
export const i16: Codec<number> =
  codec(2, (v, o) => v.getInt16(o, true), (v, o, x) => v.setInt16(o, x, true));
export const u32: Codec<number> =
  codec(4, (v, o) => v.getUint32(o, true), (v, o, x) => v.setUint32(o, x, true));
export const i32: Codec<number> =
  codec(4, (v, o) => v.getInt32(o, true), (v, o, x) => v.setInt32(o, x, true));
/** Unsigned 64-bit, exact up to 2^53. */
export const usize: Codec<number> = codec(8, readUsize, writeI64);
/** Signed 64-bit, exact within ±2^53. */
export const i64: Codec<number> = codec(8, readI64, writeI64);
export const u64: Codec<bigint> =
  codec(8, (v, o) => v.getBigUint64(o, true), (v, o, x) => v.setBigUint64(o, x, true));

/** Reads an unsigned 64-bit integer as a number; inexact from 2^53 on. */
export function readUsize(view: DataView, offset: number): number {
  return view.getUint32(offset, true) + view.getUint32(offset + 4, true) * TWO_32;
}

/** Reads a signed 64-bit integer as a number; inexact beyond ±2^53. */
export function readI64(view: DataView, offset: number): number {
  return view.getUint32(offset, true) + view.getInt32(offset + 4, true) * TWO_32;
}

/** Writes a number (an integer within ±2^64) as 64-bit two's complement. */
export function writeI64(view: DataView, offset: number, value: number): void {
  const high = Math.floor(value / TWO_32);
  view.setUint32(offset, value - high * TWO_32, true);
  view.setInt32(offset + 4, high | 0, true);
}

/** Bytes that carry no value of ours: C padding, reserved space. Named `_pad…` in declarations. */
export function pad(bytes: number, align: number = 1): Codec<number> {
  return codec(bytes, () => 0, () => undefined, align);
}

/** A raw run of bytes inside a struct; `get` returns nothing useful, use `.offset` and `.bytes`. */
export function blob(bytes: number, align: number = 1): Codec<number> {
  return pad(bytes, align);
}

/**
 * Declares a struct with C's natural alignment and checks the stated size.
 * @throws if the fields do not add up to `bytes`, or a name is reserved
 */
export function struct<F extends Record<string, Codec<number> | Codec<bigint>>>(
  name: string,
  bytes: number,
  fields: F,
): Layout<NumberKeys<F>, BigKeys<F>> {
  const layout: Record<string, unknown> = { name, bytes };
  let offset = 0;
  let largest = 1;
  for (const [key, type] of Object.entries(fields) as [string, Codec<unknown>][]) {
    if (key === 'name' || key === 'bytes') throw new Error(`struct ${name}: reserved field ${key}`);
    offset = Math.ceil(offset / type.align) * type.align;
    largest = Math.max(largest, type.align);
    layout[key] = new PlacedField(offset, type);
    offset += type.bytes;
  }
  const total = Math.ceil(offset / largest) * largest;
  if (total !== bytes) throw new Error(`struct ${name} is ${total} bytes, ${bytes} declared`);
  return layout as Layout<NumberKeys<F>, BigKeys<F>>;
}

/** One class for all fields: a few hundred are made while a process starts. */
class PlacedField<T> implements Field<T> {
  readonly offset: number;
  readonly bytes: number;
  readonly #type: Codec<T>;

  constructor(offset: number, type: Codec<T>) {
    this.offset = offset;
    this.bytes = type.bytes;
    this.#type = type;
  }

  get(view: DataView, base: number): T {
    return this.#type.read(view, base + this.offset);
  }

  set(view: DataView, base: number, value: T): void {
    this.#type.write(view, base + this.offset, value);
  }
}

type KeysOf<F, T> = { [K in keyof F & string]: F[K] extends Codec<T> ? K : never };
type NumberKeys<F> = KeysOf<F, number>[keyof F & string];
type BigKeys<F> = KeysOf<F, bigint>[keyof F & string];
