// Where sections may lie in an image: hostile offsets and sizes, and that every byte is named once.

import { CfiError } from '../../../formats/cfi/error.ts';
import type { CfiHeader } from '../../../formats/cfi/header.ts';
import { checkLayout, firstSectionOff, listPadding } from '../../../formats/cfi/layout.ts';
import { cfiHeaderBytes, parseCfi } from '../../../formats/cfi/read.ts';
import { assert, suite } from '../../harness.ts';
import { makeImage, sha256 } from './sample.ts';

const test = suite('formats/cfi/layout');

const { file } = makeImage();
const headerBytes = cfiHeaderBytes(file) - 64;

/** The sample's header with another offset or size of one section. */
function change(index: number, part: { offset?: number; bytes?: number }): CfiHeader {
  const header = parseCfi(file, file.length, sha256);
  Object.assign(header.sections[index] as object, part);
  return header;
}

function outcome(header: CfiHeader, fileBytes: number = file.length): string {
  try {
    checkLayout(header, headerBytes, fileBytes);
    return '';
  } catch (error) {
    if (!(error instanceof CfiError) || error.what !== 'layout') throw error;
    return error.message;
  }
}

test('checkLayout() accepts what was written', () => {
  assert.is(outcome(change(0, {})), '');
});

test('checkLayout() refuses each hostile offset with its own sentence', () => {
  const cases: [number, { offset?: number; bytes?: number }, RegExp][] = [
    [0, { offset: 4097 }, /objects section does not start at a page/],
    [0, { offset: 0 }, /objects section overlaps/],
    [1, { offset: 4096 }, /relations section overlaps/],
    [2, { offset: 4096 * 20 }, /tables section does not follow/],
    [4, { offset: 4096 * 30 }, /frames section does not follow/],
    [4, { bytes: 4096 * 4 }, /frames section ends after the end of the file/],
    [4, { bytes: 2 ** 40 - 4096 }, /frames section ends after/],
    [4, { bytes: 4096 * 2 }, /belong to no section/],
    [3, { bytes: 8192 }, /frames section overlaps/],
  ];
  for (const [index, part, message] of cases) assert.match(outcome(change(index, part)), message);
  assert.match(outcome(change(0, {}), file.length + 4096), /belong to no section/);
  assert.match(outcome(change(0, {}), file.length - 4096), /frames section ends after/);
});

test('firstSectionOff() is the page after the header', () => {
  assert.is(firstSectionOff(1), 4096);
  assert.is(firstSectionOff(4096 - 64), 4096);
  assert.is(firstSectionOff(4096 - 63), 8192);
});

test('listPadding() and the sections cover every byte of the file once', () => {
  const header = parseCfi(file, file.length, sha256);
  const covered = new Uint8Array(file.length);
  const ranges = [
    { off: 0, bytes: headerBytes + 64 },
    ...header.sections.map(({ offset, bytes }) => ({ off: offset, bytes })),
    ...listPadding(header, cfiHeaderBytes(file)),
  ];
  for (const { off, bytes } of ranges) {
    for (let index = off; index < off + bytes; index++) covered[index] = (covered[index] ?? 0) + 1;
  }
  assert.ok(covered.every((count) => count === 1));
  for (const { off, bytes } of listPadding(header, cfiHeaderBytes(file))) {
    assert.ok(file.subarray(off, off + bytes).every((byte) => byte === 0));
  }
});

test.run();
