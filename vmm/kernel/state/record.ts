// Records: the only form in which the guest kernel keeps state. A kind is declared once, with its
// fields; from that come the accessors, the save walk, the relation table and the image's schema.
//
//   record   u16 kind | u16 0 | u32 bytes | fixed fields … | tail (raw bytes or references) …
//            ^ the record's address, 8-aligned
//
// A record is seen through a *view*: an object with a getter and setter per field, one per address
// and arena, so that `===` compares identity. References are 32-bit addresses of other records'
// headers.
//
// Invariant: a field that is not declared is not saved.
import { f64, i32, u16, u32, u64, u8, view } from './memory.ts';
import type { Arena } from './arena.ts';

/** Bytes of every record's header. */
export const HEADER_BYTES = 8;

/** What every view has. */
export interface Rec {
  /** Address of the header in the state memory. */
  readonly address: number;
  readonly arena: Arena;
}

/** A field type; `save` tells the save walk what to do with it. */
export interface FieldType<T> {
  readonly bytes: number;
  readonly align: number;
  readonly save: 'copy' | 'zero' | 'reference';
  /** For references: the kind of the target, and whether null is refused. */
  readonly target?: () => Kind<Rec>;
  readonly required?: boolean;
  /** For numbers: what an image may say; absent: anything. */
  readonly range?: NumberRange;
  /** A u32 that is at most (or below) the `length` of the container in another field. */
  readonly bound?: { readonly field: string; readonly isBelow: boolean };
  /** For references: whether the target's count of users (fUsers) counts it. */
  readonly holds?: boolean;
  /** Of a u32: how many references that hold it there are. */
  readonly counts?: boolean;
  /** For references: the place in a list or chain (state/rules.ts). */
  readonly link?: LinkRule;
  get(record: Rec, address: number): T;
  set(record: Rec, address: number, value: T): void;
}

/** Multiples of `step`, a power of 2, from `least` to `most`; if that is Infinity, it too. */
export interface NumberRange {
  readonly type: 'u8' | 'u16' | 'u32' | 'i32' | 'f64';
  readonly least: number;
  readonly most: number;
  readonly step?: number;
}

/** What a reference is to a list; names of fields are of the target's kind (state/rules.ts). */
export interface LinkRule {
  readonly role: 'head' | 'next' | 'previous' | 'tail' | 'chain';
  readonly list: string;
  readonly back?: string;
  readonly owner?: string;
  readonly flag?: string;
}

/** A record kind. `T` is the view's interface. */
export interface Kind<T extends Rec> {
  readonly id: number;
  readonly name: string;
  /** Header and fixed fields, a multiple of 8. */
  readonly fixedBytes: number;
  readonly tail: 'none' | 'raw' | 'references';
  readonly tailTarget: (() => Kind<Rec>) | null;
  /** The references of the tail are counted among the users of their targets. */
  readonly tailHolds: boolean;
  /** Of containers: the tail's pieces in bytes, of which `length` are in use; else 0. */
  readonly pieceBytes: number;
  /** A sandbox has only one of these. */
  readonly isSingle: boolean;
  readonly fields: readonly PlacedField[];
  /** Offset of a field from the record's address. */
  offset(field: keyof T & string): number;
  /** Makes the view of the record at `address`; use `arena.at`, which keeps one per address. */
  create(arena: Arena, address: number): T;
}

export interface PlacedField {
  readonly name: string;
  readonly offset: number;
  readonly type: FieldType<unknown>;
}

type FieldsOf<T extends Rec> = { [K in Exclude<keyof T, keyof Rec>]: FieldType<T[K]> };

function field<T>(
  bytes: number,
  get: (record: Rec, address: number) => T,
  set: (record: Rec, address: number, value: T) => void,
): FieldType<T> {
  return { bytes, align: Math.min(bytes, 8), save: 'copy', get, set };
}

function numberField(
  range: NumberRange,
  bytes: number,
  get: (record: Rec, address: number) => number,
  set: (record: Rec, address: number, value: number) => void,
): FieldType<number> {
  return { ...field(bytes, get, set), range };
}

export const fU8: FieldType<number> = numberField({ type: 'u8', least: 0, most: 0xff }, 1,
  (_r, a) => u8[a] as number, (_r, a, x) => { u8[a] = x; });
export const fU16: FieldType<number> = numberField({ type: 'u16', least: 0, most: 0xffff }, 2,
  (_r, a) => u16[a >> 1] as number, (_r, a, x) => { u16[a >> 1] = x; });
export const fU32: FieldType<number> = numberField({ type: 'u32', least: 0, most: 0xffff_ffff }, 4,
  (_r, a) => u32[a >> 2] as number, (_r, a, x) => { u32[a >> 2] = x; });
const I32_RANGE: NumberRange = { type: 'i32', least: -(2 ** 31), most: 2 ** 31 - 1 };
export const fI32: FieldType<number> = numberField(I32_RANGE, 4,
  (_r, a) => i32[a >> 2] as number, (_r, a, x) => { i32[a >> 2] = x; });
export const fBool: FieldType<boolean> = {
  ...field(1, (_r, a) => u8[a] !== 0, (_r, a, x) => { u8[a] = x ? 1 : 0; }),
  range: { type: 'u8', least: 0, most: 1 },
};
const NUM_RANGE: NumberRange = { type: 'f64', least: -(2 ** 64), most: 2 ** 64 };
/** A whole number: guest addresses, sizes, nanoseconds. Exact within ±2^53. */
export const fNum: FieldType<number> = numberField(NUM_RANGE, 8,
  (_r, a) => f64[a >> 3] as number, (_r, a, x) => { f64[a >> 3] = x; });
/** A 64-bit mask or register value. */
export const fBig: FieldType<bigint> =
  field(8, (_r, a) => u64[a >> 3] as bigint, (_r, a, x) => { u64[a >> 3] = x; });

/** A number from `least` to `most`: an image in which it is anything else is refused. */
export function within(
  type: FieldType<number>, least: number, most: number, step: number = 1,
): FieldType<number> {
  if (type.range === undefined) throw new Error('only numbers have a range');
  return { ...type, range: { ...type.range, least, most, step } };
}

/** Its users: references that hold it (held()), and perhaps others. It never comes near the end. */
export const fUsers: FieldType<number> = { ...within(fU32, 0, 2 ** 31), counts: true };

/** A reference that is counted among the users of its target. */
export function held<T>(type: FieldType<T>): FieldType<T> {
  return { ...type, holds: true };
}

/** An inline run of bytes; the getter gives a live Uint8Array, assignment copies and zero-fills. */
export function fBlob(bytes: number): FieldType<Uint8Array> {
  return {
    bytes: Math.ceil(bytes / 8) * 8,
    align: 8,
    save: 'copy',
    get: (_r, a) => u8.subarray(a, a + bytes),
    set: (_r, a, x) => {
      u8.fill(0, a, a + bytes);
      u8.set(x.subarray(0, bytes), a);
    },
  };
}

/** A u32 that counts bytes or pieces of the container that `field` of the same record leads to. */
export function upTo(field: string): FieldType<number> {
  return { ...fU32, bound: { field, isBelow: false } };
}

/** A u32 that is a place in the container that `field` of the same record leads to. */
export function placeIn(field: string): FieldType<number> {
  return { ...fU32, bound: { field, isBelow: true } };
}

/** An inline run of doubles: whole numbers from `least` to `most`. */
export function fNumbers(count: number, least: number, most: number): FieldType<Uint8Array> {
  return { ...fBlob(count * 8), range: { type: 'f64', least, most } };
}

/** A field that is zero again after a restore (host-side handles, caches). */
export function nosave<T>(type: FieldType<T>): FieldType<T> {
  return { ...type, save: 'zero' };
}

/** A reference that may be null. `target` is a thunk, for kinds that refer to each other. */
export function fRef<T extends Rec>(target: () => Kind<T>): FieldType<T | null> {
  return {
    bytes: 4,
    align: 4,
    save: 'reference',
    target: target as unknown as () => Kind<Rec>,
    get: (r, a) => {
      const address = u32[a >> 2] as number;
      return address === 0 ? null : r.arena.at(target(), address);
    },
    set: (_r, a, x) => { u32[a >> 2] = x === null ? 0 : x.address; },
  };
}

/** A reference that is set from the record's creation on. */
export function fMust<T extends Rec>(target: () => Kind<T>): FieldType<T> {
  return {
    bytes: 4,
    align: 4,
    save: 'reference',
    target: target as unknown as () => Kind<Rec>,
    required: true,
    get: (r, a) => r.arena.at(target(), u32[a >> 2] as number),
    set: (_r, a, x) => { u32[a >> 2] = x.address; },
  };
}

/** A reference to a record of any kind; narrow it with `arena.at(Kind, ref.address)`. */
export const fAny: FieldType<Rec | null> = {
  bytes: 4,
  align: 4,
  save: 'reference',
  get: (r, a) => {
    const address = u32[a >> 2] as number;
    return address === 0 ? null : r.arena.atAny(address);
  },
  set: (_r, a, x) => { u32[a >> 2] = x === null ? 0 : x.address; },
};

/** A reference that a restore leaves null: the target is not saved through it. */
export function fWeak<T extends Rec>(target: () => Kind<T>): FieldType<T | null> {
  return { ...fRef(target), save: 'zero' };
}

/** All kinds by id; filled by `kind()` as the record modules load. */
export const kinds: (Kind<Rec> | undefined)[] = [];

export interface TailOptions<T extends Rec> {
  tail?: 'none' | 'raw' | 'references';
  tailTarget?: () => Kind<Rec>;
  tailHolds?: boolean;
  pieceBytes?: number;
  isSingle?: boolean;
  /** Extra view members (methods of containers); fields are added to this prototype. */
  prototype?: Partial<T>;
}

/**
 * Declares a record kind.
 * @throws when the id is taken or a field has a view member's name
 */
export function kind<T extends Rec>(
  id: number,
  name: string,
  fields: FieldsOf<T>,
  options: TailOptions<T> = {},
): Kind<T> {
  if (kinds[id] !== undefined) throw new Error(`record kind ${id} is both ${name} and another`);
  const placed = placeFields(name, fields as Record<string, FieldType<unknown>>);
  const last = placed[placed.length - 1];
  const end = last === undefined ? HEADER_BYTES : last.offset + last.type.bytes;
  // Made when the first record is: a process that starts has other things to do.
  let View: (new (arena: Arena, address: number) => Rec) | null = null;
  const made: Kind<T> = {
    id,
    name,
    fixedBytes: Math.ceil(end / 8) * 8,
    tail: options.tail ?? 'none',
    tailTarget: options.tailTarget ?? null,
    tailHolds: options.tailHolds ?? false,
    pieceBytes: options.pieceBytes ?? 0,
    isSingle: options.isSingle ?? false,
    fields: placed,
    offset: (wanted) => {
      const found = placed.find((f) => f.name === wanted);
      if (found === undefined) throw new Error(`${name} has no field ${wanted}`);
      return found.offset;
    },
    create: (arena, address) => {
      View ??= defineView(placed, (options.prototype ?? {}) as object);
      return new View(arena, address) as unknown as T;
    },
  };
  kinds[id] = made as unknown as Kind<Rec>;
  return made;
}

function placeFields(name: string, fields: Record<string, FieldType<unknown>>): PlacedField[] {
  const placed: PlacedField[] = [];
  let offset = HEADER_BYTES;
  for (const [key, type] of Object.entries(fields)) {
    if (key === 'address' || key === 'arena') throw new Error(`${name}: reserved field ${key}`);
    offset = Math.ceil(offset / type.align) * type.align;
    placed.push({ name: key, offset, type });
    offset += type.bytes;
  }
  return placed;
}

function defineView(
  fields: readonly PlacedField[],
  prototype: object,
): new (arena: Arena, address: number) => Rec {
  class View implements Rec {
    readonly arena: Arena;
    readonly address: number;
    constructor(arena: Arena, address: number) {
      this.arena = arena;
      this.address = address;
    }
  }
  Object.defineProperties(View.prototype, Object.getOwnPropertyDescriptors(prototype));
  for (const { name, offset, type } of fields) {
    Object.defineProperty(View.prototype, name, {
      get(this: Rec): unknown { return type.get(this, this.address + offset); },
      set(this: Rec, value: unknown) { type.set(this, this.address + offset, value); },
    });
  }
  return View;
}

/** Kind id in the header at `address`. */
export function kindIdAt(address: number): number {
  return u16[address >> 1] as number;
}

/** Bytes of the record at `address`, header included. */
export function bytesAt(address: number): number {
  return view.getUint32(address + 4, true);
}
