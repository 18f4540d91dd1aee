// Func-images that lie: sections with other bytes but right digests, headers that say what is not
// so.
//
// A boot checks digests, so a flipped byte is found at once. Whoever makes an image can also make
// its digests; these helpers do, to reach the checks behind them.

import { createHash } from 'node:crypto';
import { encodeCbor } from '../../formats/cbor.ts';
import type { CborValue } from '../../formats/cbor.ts';
import type { CfiHeader, CfiSectionKind } from '../../formats/cfi/header.ts';
import { cfiDigestOff, cfiPrologueBytes, encodePrologue } from '../../formats/cfi/prologue.ts';
import { parseCfi } from '../../formats/cfi/read.ts';
import type { Random } from '../harness.ts';

export function sha256(parts: readonly Uint8Array[]): Uint8Array {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return new Uint8Array(hash.digest());
}

/** The header of an image. */
export function readHeader(image: Uint8Array): CfiHeader {
  return parseCfi(image, image.length, sha256);
}

/** The bytes of a section, as a view of the image. */
export function viewSection(image: Uint8Array, kind: CfiSectionKind): Uint8Array {
  const section = readHeader(image).sections.find((item) => item.kind === kind);
  if (section === undefined) throw new Error(`no section ${kind}`);
  return image.subarray(section.offset, section.offset + section.bytes);
}

/** A copy of the image whose header says something else, with the right digest of that. */
export function forgeHeader(
  image: Uint8Array, change: (header: Record<string, CborValue>) => void,
): Uint8Array {
  const header = readHeader(image) as unknown as Record<string, CborValue>;
  const room = header['sections'] as unknown as { offset: number }[];
  const firstOff = room[0]?.offset ?? 0;
  change(header);
  const cbor = encodeCbor(header as CborValue);
  if (cfiPrologueBytes + cbor.length > firstOff) throw new Error('the header has grown too long');
  const forged = image.slice();
  forged.fill(0, 0, firstOff);
  const prologue = encodePrologue(cbor.length, image.length);
  forged.set(prologue);
  forged.set(sha256([prologue, cbor]), cfiDigestOff);
  forged.set(cbor, cfiPrologueBytes);
  return forged;
}

/** A copy with a changed section and right digests. `change` edits the section in place. */
export function forgeSection(
  image: Uint8Array, kind: CfiSectionKind, change: (bytes: Uint8Array) => void,
): Uint8Array {
  const copy = image.slice();
  const section = viewSection(copy, kind);
  change(section);
  return forgeHeader(copy, (header) => {
    const sections = header['sections'] as unknown as { kind: string; sha256: Uint8Array }[];
    for (const item of sections) if (item.kind === kind) item.sha256 = sha256([section]);
  });
}

/** Values that bounds are checked against. */
const oddWords: readonly number[] = [
  0, 1, 2, 3, 7, 8, 0xfff, 0x1000, 0x7fffffff, 0x80000000, 0xfffffff8, 0xffffffff, 0x10000,
];

/** Changes some bytes or words of a section, by chance. */
export function spoil(bytes: Uint8Array, random: Random): void {
  if (bytes.length < 8) return;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const count = random.pick([1, 1, 1, 2, 5, 40]);
  for (let i = 0; i < count; i++) {
    const at = random.int(0, (bytes.length >> 2) - 1) * 4;
    switch (random.int(0, 3)) {
      case 0: bytes[at + random.int(0, 3)] = random.int(0, 255); break;
      case 1: view.setUint32(at, random.u32(), true); break;
      case 2: view.setUint32(at, random.pick(oddWords), true); break;
      // A value that stands elsewhere in the section: plausible, and wrong.
      default: {
        const from = random.int(0, (bytes.length >> 2) - 1) * 4;
        view.setUint32(at, view.getUint32(from, true), true);
      }
    }
  }
}
