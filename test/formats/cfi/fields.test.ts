// The checks that the schema is made of: what each accepts, and the sentence for what it refuses.

import { CfiError } from '../../../formats/cfi/error.ts';
import {
  bool, bytes, checkAs, cString, list, map, nullOr, oneOf, text, uint, wide,
} from '../../../formats/cfi/fields.ts';
import type { Check } from '../../../formats/cfi/fields.ts';
import { assert, suite } from '../../harness.ts';

const test = suite('formats/cfi/fields');

function refuses(check: Check<unknown>, values: unknown[], message: RegExp): void {
  for (const value of values) {
    assert.throws(() => checkAs(check, value, 'a.b'), (error) => {
      return error instanceof CfiError && error.what === 'schema' && message.test(error.message);
    });
  }
}

test('uint() accepts integers in its range only', () => {
  const check = uint(9, 2);
  assert.is(check(2), 2);
  assert.is(check(9), 9);
  const refused = [1, 10, 2.5, NaN, '3', 3n, null, undefined, [3]];
  refuses(check, refused, /a\.b is not an integer from 2 to 9\./);
});

test('wide() turns integers of 64 bits into bigint', () => {
  assert.is(wide()(0), 0n);
  assert.is(wide()((1n << 64n) - 1n), (1n << 64n) - 1n);
  assert.is(wide(-5n)(-5), -5n);
  refuses(wide(), [-1, 1n << 64n, -1n, 1.5, 2 ** 53, '1', null], /a\.b is not an integer/);
});

test('text() counts UTF-8 bytes and refuses NUL', () => {
  assert.is(text(4)('éé'), 'éé');
  refuses(text(4), ['', 'ééa', 'a\0', 5, new Uint8Array(2)], /a\.b is not a text of 1 to 4/);
});

test('bytes() and cString() check length and content', () => {
  const three = Uint8Array.of(1, 2, 3);
  assert.is(bytes(3, 3)(three), three);
  assert.is(cString(3)(three), three);
  refuses(bytes(3, 3), [new Uint8Array(2), new Uint8Array(4), [1, 2, 3], 'abc'], /of 3 bytes/);
  refuses(cString(3), [Uint8Array.of(1, 0)], /without NULs/);
  refuses(cString(3), [new Uint8Array(4).fill(1)], /0 to 3 bytes/);
});

test('bool(), oneOf() and nullOr() accept their values only', () => {
  assert.is(bool()(false), false);
  assert.is(oneOf(['x', 'y'])('y'), 'y');
  assert.is(nullOr(bool())(null), null);
  refuses(bool(), [0, 1, null, 'true'], /true or false/);
  refuses(oneOf(['x', 'y']), ['z', 'toString', 0], /one of x, y/);
  refuses(nullOr(bool()), [undefined, 0], /true or false/);
});

test('list() checks its length and names the element', () => {
  assert.equal(list(uint(9), 2)([1, 2]), [1, 2]);
  refuses(list(uint(9), 2, 1), [[], [1, 2, 3], { length: 1 }, 'a'], /array of 1 to 2/);
  refuses(list(uint(9), 2), [[1, 10]], /a\.b\[1\] is not/);
});

test('map() wants exactly its keys', () => {
  interface Point { x: number; y?: number }
  const check = map<Point>({ x: uint(9) }, { y: uint(9) });
  assert.equal(check({ x: 1, y: 2 }), { x: 1, y: 2 });
  assert.equal(check({ x: 1 }), { x: 1 });
  refuses(check, [{}, { y: 1 }], /a\.b\.x is not there\./);
  refuses(check, [{ x: 1, z: 1 }], /a\.b\.z is not a known field\./);
  refuses(check, [{ x: 1, toString: 1 }], /a\.b\.toString is not a known field\./);
  refuses(check, [{ x: 1, '\n\u001b[2J': 1 }], /a\.b\.\?\?\?2J is not a known field\.$/);
  refuses(check, [{ x: 1, y: 10 }], /a\.b\.y is not an integer/);
  refuses(check, [null, [], 5, new Uint8Array(1)], /a\.b is not a map\./);
  assert.throws(() => checkAs(check, {}, ''), /: x is not there/);
});

test.run();
