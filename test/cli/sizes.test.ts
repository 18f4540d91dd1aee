// Sizes, durations and counts: what is taken, what is refused and why, and how they are shown.

import { UsageError } from '../../cli/errors.ts';
import {
  formatBytes, formatCount, formatMicros, parseCount, parseDuration, parseSize,
} from '../../cli/sizes.ts';
import { assert, suite } from '../harness.ts';

const test = suite('cli/sizes');
const mib = 1024 * 1024;

test('parseSize() takes docker-like and IEC units', () => {
  const rows: [text: string, bytes: number][] = [
    ['512m', 512 * mib], ['512M', 512 * mib], ['512Mi', 512 * mib], ['512MiB', 512 * mib],
    ['1g', 1024 * mib], ['1.5g', 1536 * mib], ['64k', 65536], ['64Ki', 65536], ['4096b', 4096],
    ['2t', 2 * 1024 * 1024 * mib], [' 8m ', 8 * mib],
  ];
  for (const [text, bytes] of rows) assert.is(parseSize(text, '--memory'), bytes, text);
});

test('parseSize() refuses what has no unit or means two things', () => {
  for (const text of ['512', '512MB', '512kb', '-1m', '1e3m', '0x10m', '', 'm', '0m', '1.5b',
    '9999999999999t', '1 m', 'constructor', '1__proto__']) {
    assert.throws(() => parseSize(text, '--memory'), UsageError, text);
  }
});

test('parseSize() suggests a unit for a bare number', () => {
  try {
    parseSize('512', '--memory');
    assert.unreachable();
  } catch (error) {
    assert.match((error as UsageError).message, '--memory: 512 of what?');
    assert.match((error as UsageError).hint, 'Did you mean 512m?');
  }
});

test('parseDuration() takes ms, s, m and h', () => {
  const rows: [text: string, ms: number][] = [
    ['500ms', 500], ['5s', 5000], ['1.5s', 1500], ['2m', 120_000], ['1h', 3_600_000],
  ];
  for (const [text, ms] of rows) assert.is(parseDuration(text, '--timeout'), ms, text);
});

test('parseDuration() refuses what has no unit or is nothing', () => {
  for (const text of ['5', '5 s', '0s', '5d', '5S', 's', '-5s', 'toString']) {
    assert.throws(() => parseDuration(text, '--timeout'), UsageError, text);
  }
});

test('parseCount() takes whole numbers up to a limit', () => {
  assert.is(parseCount('0', '--train', 10), 0);
  assert.is(parseCount('10', '--train', 10), 10);
  for (const text of ['11', '-1', '1.0', '1e1', '', 'x', '0x1', '9999999999']) {
    assert.throws(() => parseCount(text, '--train', 10), UsageError, text);
  }
});

test('formatBytes(), formatMicros() and formatCount() choose a unit that can be read', () => {
  const bytes: [number, string][] = [
    [0, '0 B'], [1023, '1023 B'], [1024, '1.0 KiB'], [10 * 1024, '10 KiB'], [1.5 * mib, '1.5 MiB'],
    [3000 * mib, '2.9 GiB'],
  ];
  for (const [value, text] of bytes) assert.is(formatBytes(value), text);
  const times: [number, string][] = [
    [1.25, '1.3 µs'], [42, '42 µs'], [1234, '1.2 ms'], [123_456, '123 ms'], [1_500_000, '1.50 s'],
  ];
  for (const [value, text] of times) assert.is(formatMicros(value), text);
  const counts: [number, string][] = [
    [0, '0'], [999, '999'], [1000, '1,000'], [12345678, '12,345,678'],
  ];
  for (const [value, text] of counts) assert.is(formatCount(value), text);
});

test.run();
