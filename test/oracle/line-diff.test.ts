// Tests of the diff that the oracle's messages are made of.

import { assert, suite } from '../harness.ts';
import { diffLines, formatDiff } from './line-diff.ts';

const test = suite('test/oracle/line-diff');

test('diffLines() is empty when the texts are equal', () => {
  assert.equal(diffLines('a\nb\n', 'a\nb\n'), []);
});

test('diffLines() names changed, added and missing lines', () => {
  assert.equal(diffLines('a\nb\nc', 'a\nx\nc'), ['2: - b', '2: + x']);
  assert.equal(diffLines('a\nc', 'a\nb\nc'), ['2: + b']);
  assert.equal(diffLines('a\nb\nc', 'a\nc'), ['2: - b']);
  assert.equal(diffLines('a', 'a\nb'), ['2: + b']);
  assert.equal(diffLines('', 'b'), ['1: - ', '1: + b']);
});

test('diffLines() ends when nothing meets again', () => {
  const left = Array.from({ length: 300 }, (_, i) => `left ${i}`).join('\n');
  const right = Array.from({ length: 300 }, (_, i) => `right ${i}`).join('\n');
  assert.is(diffLines(left, right).length, 600);
});

test('formatDiff() cuts long differences off', () => {
  const lines = Array.from({ length: 100 }, (_, i) => `${i}`);
  assert.match(formatDiff(lines), '… 70 more');
});

test.run();
