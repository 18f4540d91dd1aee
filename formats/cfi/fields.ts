// Checks of decoded CBOR against a shape: small functions that are put together to a schema.
//
// A check takes a value and the name of its place (`memory.frames`), and returns the value in
// its final type or throws a CfiError that names the place. Maps are closed: a key that is not
// in the schema is refused, so that nothing in a file goes unread.

import { CfiError } from './error.ts';

export type Check<T> = (value: unknown, place: string) => T;

/** Throws the error for a value that is not what `wanted` says, e.g. `a text`. */
export function refuse(place: string, wanted: string): never {
  throw new CfiError('schema', `The func-image is malformed: ${place} is not ${wanted}.`);
}

/** An integer in [low, high], both included. */
export function uint(high: number, low: number = 0): Check<number> {
  return (value, place) => {
    const good = typeof value === 'number' && Number.isInteger(value);
    if (good && value >= low && value <= high) return value;
    return refuse(place, `an integer from ${low} to ${high}`);
  };
}

/** An integer in [low, low + 2^64). */
export function wide(low: bigint = 0n): Check<bigint> {
  return (value, place) => {
    const good = typeof value === 'bigint' || Number.isSafeInteger(value);
    const integer = good ? BigInt(value as number | bigint) : refuse(place, 'an integer');
    if (integer >= low && integer < low + (1n << 64n)) return integer;
    return refuse(place, 'an integer of 64 bits');
  };
}

export function bool(): Check<boolean> {
  return (value, place) => (typeof value === 'boolean' ? value : refuse(place, 'true or false'));
}

/** A text of 1 … `unitsMax` UTF-16 units without a NUL. */
export function text(unitsMax: number): Check<string> {
  return (value, place) => {
    const good = typeof value === 'string' && value !== '' && value.length <= unitsMax;
    if (good && !value.includes('\0')) return value;
    return refuse(place, `a text of 1 to ${unitsMax} characters without NULs`);
  };
}

/** A byte string of `low` … `high` bytes. */
export function bytes(low: number, high: number): Check<Uint8Array> {
  return (value, place) => {
    if (value instanceof Uint8Array && value.length >= low && value.length <= high) return value;
    const count = low === high ? `${low}` : `${low} to ${high}`;
    return refuse(place, `a byte string of ${count} bytes`);
  };
}

/** A byte string that can be a C string. */
export function cString(high: number): Check<Uint8Array> {
  const check = bytes(0, high);
  return (value, place) => {
    const string = check(value, place);
    return string.includes(0) ? refuse(place, 'a byte string without NULs') : string;
  };
}

export function oneOf<T extends string>(choices: readonly T[]): Check<T> {
  return (value, place) => {
    for (const choice of choices) if (choice === value) return choice;
    return refuse(place, `one of ${choices.join(', ')}`);
  };
}

export function nullOr<T>(check: Check<T>): Check<T | null> {
  return (value, place) => (value === null ? null : check(value, place));
}

/** An array of `low` … `high` elements. */
export function list<T>(check: Check<T>, high: number, low: number = 0): Check<T[]> {
  return (value, place) => {
    if (!Array.isArray(value) || value.length < low || value.length > high) {
      return refuse(place, `an array of ${low} to ${high} elements`);
    }
    return value.map((item: unknown, index) => check(item, `${place}[${index}]`));
  };
}

/** One check for each key that a map has to have. */
export type RequiredChecks<T> = {
  [Key in keyof T as undefined extends T[Key] ? never : Key]: Check<T[Key]>;
};
/** One check for each key that it may have. */
export type OptionalChecks<T> = {
  [Key in keyof T as undefined extends T[Key] ? Key : never]-?: Check<Exclude<T[Key], undefined>>;
};

function readFields(value: unknown, place: string): Map<string, unknown> {
  const isMap = typeof value === 'object' && value !== null && !Array.isArray(value) &&
    !(value instanceof Uint8Array);
  return isMap ? new Map(Object.entries(value)) : refuse(place, 'a map');
}

/** A map with exactly the keys of `required` and possibly some of `optional`. */
export function map<T extends object>(
  required: RequiredChecks<T>,
  optional: OptionalChecks<T>,
): Check<T> {
  const needed = Object.entries<Check<unknown>>(required);
  const allowed = Object.entries<Check<unknown>>(optional);
  return (value, place) => {
    const fields = readFields(value, place);
    const result: Record<string, unknown> = {};
    const prefix = place === '' ? '' : `${place}.`;
    for (const [key, check] of needed) {
      if (!fields.has(key)) refuse(`${prefix}${key}`, 'there');
      result[key] = check(fields.get(key), `${prefix}${key}`);
      fields.delete(key);
    }
    for (const [key, check] of allowed) {
      if (!fields.has(key)) continue;
      result[key] = check(fields.get(key), `${prefix}${key}`);
      fields.delete(key);
    }
    for (const key of fields.keys()) refuse(`${prefix}${key.slice(0, 40)}`, 'a known field');
    return result as T;
  };
}
