// Where the sections lie: each on the page after the one before it, the first on the page after
// the header, in the order of cfiSectionKinds.
//
//   | prologue, header | 0 | objects | 0 | relations | 0 | tables | 0 | io | 0 | frames |
//
// Invariant: sizes alone determine every offset. So a file has no byte that is neither covered
// by a digest nor zero, and a boot reads all that it verifies, [0, frames), at once.

import { CfiError } from './error.ts';
import type { CfiHeader, CfiSectionKind } from './header.ts';
import { alignToPage, cfiPrologueBytes } from './prologue.ts';

/** A section's place in the file. */
export interface CfiPlace {
  kind: CfiSectionKind;
  /** Off in the file, a multiple of 4096. */
  offset: number;
  bytes: number;
}

/** Bytes of the file that must be zero. */
export interface CfiPadding {
  off: number;
  bytes: number;
}

/** The off of the first section. */
export function firstSectionOff(headerBytes: number): number {
  return alignToPage(cfiPrologueBytes + headerBytes);
}

/** Throws a CfiError unless the header's sections lie as described, in a file of this size. */
export function checkLayout(header: CfiHeader, headerBytes: number, fileBytes: number): void {
  let next = firstSectionOff(headerBytes);
  for (const { kind, offset, bytes } of header.sections) {
    const fail = (what: string): never => {
      throw new CfiError('layout', `The func-image's ${kind} section ${what}.`);
    };
    if (alignToPage(offset) !== offset) fail('does not start at a page');
    if (offset < next) fail('overlaps what is before it');
    if (offset > next) fail('does not follow what is before it');
    if (offset + bytes > fileBytes) fail('ends after the end of the file');
    next = alignToPage(offset + bytes);
  }
  if (next !== fileBytes) {
    throw new CfiError('layout', 'The func-image has bytes that belong to no section.');
  }
}

/** The gaps behind the header, which ends at `headerEnd` = cfiHeaderBytes(), and the sections. */
export function listPadding(header: CfiHeader, headerEnd: number): CfiPadding[] {
  const used = [{ offset: 0, bytes: headerEnd }, ...header.sections];
  const paddings = used.map(({ offset, bytes }) => {
    const off = offset + bytes;
    return { off, bytes: alignToPage(off) - off };
  });
  return paddings.filter(({ bytes }) => bytes > 0);
}
