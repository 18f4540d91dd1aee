// Which pages are copied along (fill-groups.ts): those that let KVM map a group of eight together.
import { GROUP_PAGES, pagesToFill } from '../../../../vmm/boot/build/fill-groups.ts';
import { assert, suite } from '../../../harness.ts';

const test = suite('vmm/boot/fill-groups');
const FIRST = 5 * GROUP_PAGES;

/** A group as text: T touched, s spare, - neither; gives it back with the filled ones as F. */
function fill(text: string): string {
  const pagesOf = (letter: string): number[] =>
    [...text].flatMap((each, index) => (each === letter ? [FIRST + index] : []));
  const filled = pagesToFill(new Set(pagesOf('T')), new Set(pagesOf('s')));
  const letters = [...text];
  for (const vpn of filled) letters[vpn - FIRST] = 'F';
  return letters.join('');
}

test('a page between touched ones is copied along', () => {
  assert.is(fill('TsTTTTTT'), 'TFTTTTTT');
  assert.is(fill('sTTTTTTT'), 'FTTTTTTT');
});

test('nothing is copied for one touched page, nor behind the last one', () => {
  assert.is(fill('sssssssT'), 'sssssssT');
  assert.is(fill('Tsssssss'), 'Tsssssss');
  assert.is(fill('TTTTssss'), 'TTTTssss');
});

test('pages are not copied where a hole stops KVM all the same', () => {
  assert.is(fill('-sTTTTTT'), '-sTTTTTT');
  assert.is(fill('T-TsTsTT'), 'T-TsTsTT');
});

test('few faults saved are not worth many copies', () => {
  assert.is(fill('ssssssTT'), 'ssssssTT');
  assert.is(fill('sssssTTT'), 'FFFFFTTT');
  assert.is(fill('TsTsTsTs'), 'TFTFTFTs');
});

test('groups are aligned, and each stands for itself', () => {
  assert.is(fill('TTTTTTTTsTsssssssT'), 'TTTTTTTTsTsssssssT');
  assert.is(fill('sTTTTTTTssssssssTsTsTsTs'), 'FTTTTTTTssssssssTFTFTFTs');
  assert.equal(pagesToFill(new Set(), new Set([1, 2])), []);
});

test.run();
