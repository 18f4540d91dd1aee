// Sizes and durations on the command line. Both need a unit: `--memory 512` is a mistake more
// often than 512 bytes, and what `--timeout 5` means differs from tool to tool.

import { UsageError } from './errors.ts';

const KIB = 1024;
/** `m`, `Mi` and `MiB` are the same, as in docker; `MB` is not taken, for it means two things. */
const sizeUnits: Readonly<Record<string, number>> = {
  b: 1, k: KIB, m: KIB ** 2, g: KIB ** 3, t: KIB ** 4,
};
const durationUnits: Readonly<Record<string, number>> = {
  ms: 1, s: 1000, m: 60_000, h: 3_600_000,
};
const numberAndUnit = /^(\d{1,15}(?:\.\d{1,6})?)([a-z]*)$/i;

function split(text: string): [number: number, unit: string] | undefined {
  const match = numberAndUnit.exec(text.trim());
  return match === null ? undefined : [Number(match[1]), match[2] as string];
}

/**
 * Bytes of a size such as `512m`, `1.5g`, `64Mi`, `4096b`.
 * @param what the flag, for the sentence
 * @throws UsageError
 */
export function parseSize(text: string, what: string): number {
  const hint = 'Give a size such as 512m, 1g or 64Mi (1024 based).';
  const parts = split(text);
  if (parts === undefined) throw new UsageError(`${what}: "${text}" is not a size`, hint);
  const [number, unit] = parts;
  if (unit === '') {
    throw new UsageError(`${what}: ${text} of what?`, `Did you mean ${text}m? ${hint}`);
  }
  const letter = unit.toLowerCase().replace(/^([kmgt])i(b?)$/, '$1');
  const factor = Object.hasOwn(sizeUnits, letter) ? sizeUnits[letter] : undefined;
  if (factor === undefined) throw new UsageError(`${what}: "${unit}" is not a unit`, hint);
  const bytes = number * factor;
  if (!Number.isSafeInteger(bytes)) {
    throw new UsageError(`${what}: ${text} is not a whole number of bytes`, hint);
  }
  if (bytes === 0) throw new UsageError(`${what}: ${text} is nothing`, hint);
  return bytes;
}

/**
 * Milliseconds of a duration such as `500ms`, `5s`, `1.5m`.
 * @throws UsageError
 */
export function parseDuration(text: string, what: string): number {
  const hint = 'Give a time such as 500ms, 5s, 2m or 1h.';
  const parts = split(text);
  if (parts === undefined) throw new UsageError(`${what}: "${text}" is not a time`, hint);
  const [number, unit] = parts;
  if (unit === '') {
    throw new UsageError(`${what}: ${text} of what?`, `Did you mean ${text}s? ${hint}`);
  }
  const factor = Object.hasOwn(durationUnits, unit) ? durationUnits[unit] : undefined;
  if (factor === undefined) throw new UsageError(`${what}: "${unit}" is not a unit`, hint);
  if (number === 0) throw new UsageError(`${what}: ${text} is nothing`, hint);
  return number * factor;
}

/** A whole number. @throws UsageError */
export function parseCount(text: string, what: string, high: number): number {
  const count = /^\d{1,9}$/.test(text) ? Number(text) : Infinity;
  if (count <= high) return count;
  throw new UsageError(`${what}: "${text}" is not a whole number from 0 to ${high}`);
}

const binaryUnits: readonly string[] = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];

/** `4.0 KiB`, `12 MiB`. */
export function formatBytes(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= KIB && unit < binaryUnits.length - 1) {
    value /= KIB;
    unit++;
  }
  const digits = unit > 0 && value < 10 ? 1 : 0;
  return `${value.toFixed(digits)} ${binaryUnits[unit]}`;
}

/** `950 µs`, `12.3 ms`, `1.50 s`. */
export function formatMicros(us: number): string {
  if (us < 1000) return `${us.toFixed(us < 10 ? 1 : 0)} µs`;
  if (us < 1_000_000) return `${(us / 1000).toFixed(us < 100_000 ? 1 : 0)} ms`;
  return `${(us / 1_000_000).toFixed(2)} s`;
}

/** `12,345`, whatever the locale. */
export function formatCount(count: number): string {
  return String(count).replaceAll(/\B(?=(\d{3})+$)/g, ',');
}
