// Makes the beginning of a func-image; the caller writes the sections, which may be huge.
//
// planCfi() says where each section goes, so that they can be written and hashed in one pass;
// encodeCfi() then gives the first pages. Order: write those last, into a temporary file that
// is renamed. A file that has no header yet begins with zeros and is no func-image.

import { encodeCbor } from '../cbor.ts';
import type { CborValue } from '../cbor.ts';
import { CfiError } from './error.ts';
import { cfiSectionKinds } from './header.ts';
import type { CfiContent, CfiIoEntry, CfiSection, CfiSectionKind, Sha256 } from './header.ts';
import { firstSectionOff } from './layout.ts';
import type { CfiPlace } from './layout.ts';
import { alignToPage, cfiDigestOff, cfiPrologueBytes, encodePrologue } from './prologue.ts';
import { parseCfi } from './read.ts';
import { checkIoTable, compareFeatures } from './schema.ts';

/** What is known of a section before its place is. */
export interface CfiSectionSize {
  kind: CfiSectionKind;
  bytes: number;
}

/** … and when all of it has been hashed. */
export interface CfiSectionDigest extends CfiSectionSize {
  sha256: Uint8Array;
}

export interface CfiLayout {
  /** One of each kind, in the order of the file. */
  sections: CfiPlace[];
  /** A multiple of 4096; the file has to be extended to it with zeros. */
  fileBytes: number;
}

export interface CfiBeginning extends CfiLayout {
  /** For offset 0: prologue, header and zeros up to the first section. */
  prologueAndHeader: Uint8Array<ArrayBuffer>;
}

const noDigest: Uint8Array = new Uint8Array(32);

function placeSections(sections: readonly CfiSectionDigest[], firstOff: number): CfiSection[] {
  let offset = firstOff;
  return sections.map(({ kind, bytes, sha256 }) => {
    const place = { kind, offset, bytes, sha256 };
    offset = alignToPage(offset + bytes);
    return place;
  });
}

function sortSections<T extends CfiSectionSize>(sections: readonly T[]): T[] {
  if (sections.length !== cfiSectionKinds.length) {
    throw new CfiError('layout', `A func-image has ${cfiSectionKinds.length} sections.`);
  }
  return cfiSectionKinds.map((kind) => {
    const found = sections.find((section) => section.kind === kind);
    if (found === undefined) throw new CfiError('layout', `A func-image needs ${kind}.`);
    return found;
  });
}

function encodeHeader(content: CfiContent, sections: CfiSection[]): Uint8Array<ArrayBuffer> {
  const features = content.cpu.features.toSorted(compareFeatures);
  const header = { ...content, cpu: { ...content.cpu, features }, sections };
  return encodeCbor(header as unknown as CborValue);
}

/** Invariant: the first section lies on the page after the header that says so. */
function arrange(content: CfiContent, sizes: readonly CfiSectionDigest[]): {
  header: Uint8Array<ArrayBuffer>;
  sections: CfiSection[];
} {
  const sorted = sortSections(sizes);
  // Greater offsets never make the header shorter, so this ends at the smallest that fits.
  for (let firstOff = firstSectionOff(1); ;) {
    const sections = placeSections(sorted, firstOff);
    const header = encodeHeader(content, sections);
    const needed = firstSectionOff(header.length);
    if (needed === firstOff) return { header, sections };
    firstOff = needed;
  }
}

function describeLayout(sections: readonly CfiSection[]): CfiLayout {
  const last = sections.at(-1) as CfiSection;
  return {
    sections: sections.map(({ kind, offset, bytes }) => ({ kind, offset, bytes })),
    fileBytes: alignToPage(last.offset + last.bytes),
  };
}

/**
 * Says where the sections of an image go, before their digests are known. encodeCfi() gives
 * the same places for the same content and sizes. Throws CfiError, or CborError for content
 * that cannot be encoded.
 */
export function planCfi(content: CfiContent, sections: readonly CfiSectionSize[]): CfiLayout {
  const sizes = sections.map(({ kind, bytes }) => ({ kind, bytes, sha256: noDigest }));
  return describeLayout(arrange(content, sizes).sections);
}

/**
 * Makes the first pages of an image: the same bytes for the same arguments, on every runtime.
 * CPU features are sorted. Throws CfiError for whatever parseCfi() would refuse, CborError for
 * what is no CBOR at all.
 */
export function encodeCfi(
  input: { header: CfiContent; sections: readonly CfiSectionDigest[] },
  sha256: Sha256,
): CfiBeginning {
  const { header, sections } = arrange(input.header, input.sections);
  const layout = describeLayout(sections);
  const prologue = encodePrologue(header.length, layout.fileBytes);
  const prologueAndHeader = new Uint8Array(firstSectionOff(header.length));
  prologueAndHeader.set(prologue);
  prologueAndHeader.set(sha256([prologue, header]), cfiDigestOff);
  prologueAndHeader.set(header, cfiPrologueBytes);
  parseCfi(prologueAndHeader, layout.fileBytes, sha256);
  return { ...layout, prologueAndHeader };
}

/** Encodes the io section; sorts by fd. Throws CfiError for entries that are not so. */
export function encodeIoTable(entries: readonly CfiIoEntry[]): Uint8Array<ArrayBuffer> {
  const sorted = entries.toSorted((left, right) => left.fd - right.fd);
  return encodeCbor(checkIoTable(sorted) as unknown as CborValue);
}
