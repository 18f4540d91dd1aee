// Checks of decoded CBOR against a shape: small functions that are put together to a schema.
//
// A check takes a value and returns it in its final type, or throws a Mismatch. Only the maps
// and lists around it know its place, so they add that to the Mismatch as it passes: a header
// is checked once, cold, and naming 300 places beforehand would take longer than checking them.
// Maps are closed: a key that is not in the schema is refused, so that nothing goes unread.

import { CfiError } from './error.ts';

/** Returns the value in its final type or throws a Mismatch. */
export type Check<T> = (value: unknown) => T;

/** A value that is not as the schema says; stays inside this folder, see checkAs(). */
class Mismatch extends Error {
  /** From the outermost to the value: `.memory`, `[3]`. */
  place = '';
  readonly wanted: string;

  constructor(wanted: string) {
    super(wanted);
    this.wanted = wanted;
  }
}

const utf8: TextEncoder = new TextEncoder();

/** Throws for a value that is not what `wanted` says, e.g. `a text`. */
function mismatch(wanted: string): never {
  throw new Mismatch(wanted);
}

/** Throws the error for `place`, e.g. `memory.frames`, which is not `wanted`. */
export function refuse(place: string, wanted: string): never {
  throw new CfiError('schema', `The func-image is malformed: ${place} is not ${wanted}.`);
}

/** Throws the error again, with the place at which its value lies. */
function rethrow(error: unknown, place: string): never {
  if (error instanceof Mismatch) error.place = place + error.place;
  throw error;
}

/** Runs a check; throws CfiError, which names the place below `root`. */
export function checkAs<T>(check: Check<T>, value: unknown, root: string): T {
  try {
    return check(value);
  } catch (error) {
    if (!(error instanceof Mismatch)) throw error;
    // The outermost map's keys stand alone if it has no name.
    return refuse((root + error.place).replace(/^\./, '') || 'the header', error.wanted);
  }
}

/** An integer in [low, high], both included. */
export function uint(high: number, low: number = 0): Check<number> {
  return (value) => {
    const good = typeof value === 'number' && Number.isInteger(value);
    if (good && value >= low && value <= high) return value;
    return mismatch(`an integer from ${low} to ${high}`);
  };
}

/** An integer in [low, low + 2^64). */
export function wide(low: bigint = 0n): Check<bigint> {
  return (value) => {
    const good = typeof value === 'bigint' || Number.isSafeInteger(value);
    const integer = good ? BigInt(value as number | bigint) : mismatch('an integer');
    if (integer >= low && integer < low + (1n << 64n)) return integer;
    return mismatch('an integer of 64 bits');
  };
}

export function bool(): Check<boolean> {
  return (value) => (typeof value === 'boolean' ? value : mismatch('true or false'));
}

/** A text of 1 … `bytesMax` bytes in UTF-8, without a NUL. */
export function text(bytesMax: number): Check<string> {
  return (value) => {
    const good = typeof value === 'string' && value !== '' && !value.includes('\0');
    if (good && utf8.encode(value).length <= bytesMax) return value;
    return mismatch(`a text of 1 to ${bytesMax} bytes without NULs`);
  };
}

/** A byte string of `low` … `high` bytes. */
export function bytes(low: number, high: number): Check<Uint8Array> {
  return (value) => {
    if (value instanceof Uint8Array && value.length >= low && value.length <= high) return value;
    const count = low === high ? `${low}` : `${low} to ${high}`;
    return mismatch(`a byte string of ${count} bytes`);
  };
}

/** A byte string that can be a C string. */
export function cString(high: number): Check<Uint8Array> {
  const check = bytes(0, high);
  return (value) => {
    const string = check(value);
    return string.includes(0) ? mismatch('a byte string without NULs') : string;
  };
}

export function oneOf<T extends string>(choices: readonly T[]): Check<T> {
  return (value) => {
    for (const choice of choices) if (choice === value) return choice;
    return mismatch(`one of ${choices.join(', ')}`);
  };
}

export function nullOr<T>(check: Check<T>): Check<T | null> {
  return (value) => (value === null ? null : check(value));
}

/** An array of `low` … `high` elements. */
export function list<T>(check: Check<T>, high: number, low: number = 0): Check<T[]> {
  return (value) => {
    if (!Array.isArray(value) || value.length < low || value.length > high) {
      return mismatch(`an array of ${low} to ${high} elements`);
    }
    const result: T[] = [];
    try {
      for (const item of value) result.push(check(item));
    } catch (error) {
      rethrow(error, `[${result.length}]`);
    }
    return result;
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

function isMap(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) &&
    !(value instanceof Uint8Array);
}

/** A map with exactly the keys of `required` and possibly some of `optional`. */
export function map<T extends object>(
  required: RequiredChecks<T>,
  optional: OptionalChecks<T>,
): Check<T> {
  const keys = [...Object.keys(required), ...Object.keys(optional)];
  const checks: Check<unknown>[] = [
    ...Object.values<Check<unknown>>(required),
    ...Object.values<Check<unknown>>(optional),
  ];
  const requiredCount = Object.keys(required).length;
  return (value) => {
    if (!isMap(value)) return mismatch('a map');
    const result: Record<string, unknown> = {};
    let found = 0;
    let index = 0;
    try {
      for (; index < keys.length; index++) {
        // Decoded maps have no undefined values.
        const item = value[keys[index] as string];
        if (item === undefined) {
          if (index < requiredCount) mismatch('there');
          continue;
        }
        result[keys[index] as string] = (checks[index] as Check<unknown>)(item);
        found++;
      }
    } catch (error) {
      rethrow(error, `.${keys[index]}`);
    }
    const given = Object.keys(value);
    if (given.length === found) return result as T;
    const unknown = given.find((key) => !keys.includes(key)) as string;
    // The key comes from a file and goes to a terminal.
    const printable = unknown.slice(0, 40).replaceAll(/\W/g, '?');
    return rethrow(new Mismatch('a known field'), `.${printable}`);
  };
}
