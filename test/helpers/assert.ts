// Assertions for tests: uvu's set, plus byte strings compared as hex and promises that reject.
//
// uvu prints typed arrays as object dumps, one line per byte; `assert.bytes` shows the first
// differing rows instead, so that a wrong offset in a layout can be read off the message.

import * as uvu from 'uvu/assert';

/** What an error must look like: part of its message, a pattern, its class, or a check. */
export type ErrorLike =
  | string
  | RegExp
  | (new (...args: never[]) => Error)
  | ((error: unknown) => boolean);

/** The assertions; every one throws with a readable difference. */
export interface Assert {
  ok(actual: unknown, message?: string): asserts actual;
  /** The same value by `Object.is`-like identity (`===`). */
  is(actual: unknown, expected: unknown, message?: string): void;
  /** Equal by structure. */
  equal(actual: unknown, expected: unknown, message?: string): void;
  match(actual: string, expected: string | RegExp, message?: string): void;
  /** The call throws an error that looks like `expected`. */
  throws(call: () => unknown, expected?: ErrorLike, message?: string): void;
  /** The promise rejects with an error that looks like `expected`. */
  rejects(promise: Promise<unknown>, expected?: ErrorLike, message?: string): Promise<void>;
  /** The same bytes; prints a hex difference. */
  bytes(actual: Uint8Array, expected: Uint8Array, message?: string): void;
  /** `actual <= limit`, with both in the message. */
  atMost(actual: number, limit: number, message?: string): void;
  not(actual: unknown, message?: string): void;
  unreachable(message?: string): never;
}

const rowBytes = 16;
const rowsShown = 4;

/** One row of a hex dump: `0x0010  7f 45 4c 46 …`, `--` where the byte string has ended. */
function formatRow(bytes: Uint8Array, off: number): string {
  const cells: string[] = [];
  for (let index = off; index < off + rowBytes; index++) {
    const byte = bytes[index];
    cells.push(byte === undefined ? '--' : byte.toString(16).padStart(2, '0'));
  }
  return `0x${off.toString(16).padStart(4, '0')}  ${cells.join(' ')}`;
}

/** Marks below a row: `^^` under each byte that differs. */
function formatMarks(actual: Uint8Array, expected: Uint8Array, off: number): string {
  let marks = ' '.repeat(8);
  for (let index = off; index < off + rowBytes; index++) {
    marks += actual[index] === expected[index] ? '   ' : '^^ ';
  }
  return marks.trimEnd();
}

function firstDifference(actual: Uint8Array, expected: Uint8Array): number {
  const bytes = Math.max(actual.length, expected.length);
  for (let index = 0; index < bytes; index++) {
    if (actual[index] !== expected[index]) return index;
  }
  return -1;
}

/**
 * The first rows in which two byte strings differ, as hex.
 * Returns an empty string when they are equal.
 */
export function diffBytes(actual: Uint8Array, expected: Uint8Array): string {
  const first = firstDifference(actual, expected);
  if (first < 0) return '';
  const end = Math.max(actual.length, expected.length);
  const lines = [
    `first difference at 0x${first.toString(16)}; ` +
    `actual has ${actual.length} bytes, expected ${expected.length}`,
  ];
  let rows = 0;
  for (let off = first - (first % rowBytes); off < end && rows < rowsShown; off += rowBytes) {
    const marks = formatMarks(actual, expected, off);
    if (marks === '') continue;
    lines.push(`  actual   ${formatRow(actual, off)}`);
    lines.push(`  expected ${formatRow(expected, off)}`);
    lines.push(`           ${marks}`);
    rows++;
  }
  return lines.join('\n');
}

function assertBytes(actual: Uint8Array, expected: Uint8Array, message?: string): void {
  const diff = diffBytes(actual, expected);
  if (diff !== '') throw new Error(`${message ?? 'bytes differ'}\n${diff}`);
}

function isErrorClass(value: unknown): value is new (...args: never[]) => Error {
  return typeof value === 'function' && (value === Error || value.prototype instanceof Error);
}

function looksLike(error: unknown, expected: ErrorLike): boolean {
  const text = error instanceof Error ? error.message : String(error);
  if (typeof expected === 'string') return text.includes(expected);
  if (expected instanceof RegExp) return expected.test(text);
  if (isErrorClass(expected)) return error instanceof expected;
  return expected(error);
}

function checkError(error: unknown, expected?: ErrorLike, message?: string): void {
  if (expected === undefined || looksLike(error, expected)) return;
  const text = error instanceof Error ? error.stack ?? error.message : String(error);
  throw new Error(`${message ?? `wrong error, wanted ${String(expected)}`}; got: ${text}`);
}

function assertThrows(call: () => unknown, expected?: ErrorLike, message?: string): void {
  let error: unknown;
  try {
    call();
  } catch (thrown) {
    error = thrown;
    checkError(error, expected, message);
    return;
  }
  throw new Error(message ?? 'the call did not throw');
}

async function assertRejects(
  promise: Promise<unknown>,
  expected?: ErrorLike,
  message?: string,
): Promise<void> {
  const outcome = await promise.then(
    () => ({ rejected: false, error: undefined as unknown }),
    (error: unknown) => ({ rejected: true, error }),
  );
  if (!outcome.rejected) throw new Error(message ?? 'the promise did not reject');
  checkError(outcome.error, expected, message);
}

function assertAtMost(actual: number, limit: number, message?: string): void {
  // Written so that NaN fails too.
  if (!(actual <= limit)) throw new Error(`${message ?? 'too much'}: ${actual} > ${limit}`);
}

export const assert: Assert = {
  ok: uvu.ok,
  is: uvu.is,
  equal: uvu.equal,
  match: uvu.match,
  throws: assertThrows,
  rejects: assertRejects,
  bytes: assertBytes,
  atMost: assertAtMost,
  not: uvu.not,
  unreachable(message?: string): never {
    throw new Error(message ?? 'expected not to get here');
  },
};
