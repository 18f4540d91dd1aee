// Reads a func-image's header and checks sections against it.
//
// A boot reads the first page, asks cfiHeaderBytes() whether that was enough, and gives what it
// has to parseCfi(). Nothing of a file is believed before that returns; what it returns has been
// compared with the digest, the limits and the size of the file.

import { CborError, decodeCbor } from '../cbor-decode.ts';
import type { CborDecoded } from '../cbor-decode.ts';
import { CfiError } from './error.ts';
import { cfiSectionLimits } from './header.ts';
import type { CfiHeader, CfiIoEntry, CfiSection, CfiSectionKind, Sha256 } from './header.ts';
import { checkLayout } from './layout.ts';
import { cfiDigestOff, cfiPrologueBytes, parsePrologue } from './prologue.ts';
import { checkHeader, checkIoTable } from './schema.ts';

function isEqual(left: Uint8Array, right: Uint8Array): boolean {
  return left.length === right.length && left.every((byte, index) => byte === right[index]);
}

/** Decodes CBOR; `name` is what it is in a sentence. */
function decode(bytes: Uint8Array, name: string, maxBytes: number): CborDecoded {
  try {
    return decodeCbor(bytes, { maxBytes, maxItems: maxBytes });
  } catch (error) {
    if (!(error instanceof CborError)) throw error;
    const reason = error.message.replace(/^[A-Z](?=[a-z ])/, (letter) => letter.toLowerCase());
    throw new CfiError('cbor', `The func-image's ${name} is malformed: ${reason}`);
  }
}

/**
 * How many bytes from the start of the file parseCfi() needs: prologue and header.
 * `prologue` is the first 64 bytes or more, all of the file if it is shorter. Throws CfiError.
 */
export function cfiHeaderBytes(prologue: Uint8Array): number {
  return cfiPrologueBytes + parsePrologue(prologue).headerBytes;
}

/**
 * The identity of an image: its digest over prologue and header, which hold the digests of all
 * sections. This is what `parent` names. Preconditions: parseCfi() has accepted the bytes.
 */
export function cfiDigest(prologue: Uint8Array): Uint8Array {
  return parsePrologue(prologue).digest;
}

/**
 * Parses the header. `firstBytes` holds at least cfiHeaderBytes() of the file, if it is that
 * long; `fileBytes` is the size of the file as the system reports it. Throws CfiError.
 * @param sha256 null when the caller knows that this very header was compared with its digest
 *   before
 */
export function parseCfi(
  firstBytes: Uint8Array,
  fileBytes: number,
  sha256: Sha256 | null,
): CfiHeader {
  const prologue = parsePrologue(firstBytes);
  if (fileBytes < prologue.fileBytes) {
    throw new CfiError(
      'truncated',
      `The func-image is truncated: ${fileBytes} of ${prologue.fileBytes} bytes are there.`,
    );
  }
  if (fileBytes > prologue.fileBytes) {
    throw new CfiError(
      'too-long',
      `The func-image is longer than it should be: ${fileBytes}, not ${prologue.fileBytes} bytes.`,
    );
  }
  const end = cfiPrologueBytes + prologue.headerBytes;
  if (firstBytes.length < end) {
    throw new CfiError('truncated', `The func-image's header needs its first ${end} bytes.`);
  }
  const cbor = firstBytes.subarray(cfiPrologueBytes, end);
  const digest = sha256?.([firstBytes.subarray(0, cfiDigestOff), cbor]) ?? prologue.digest;
  if (!isEqual(digest, prologue.digest)) {
    throw new CfiError('digest', 'The func-image is damaged: its header does not have its digest.');
  }
  const header = checkHeader(decode(cbor, 'header', prologue.headerBytes));
  checkLayout(header, prologue.headerBytes, prologue.fileBytes);
  return header;
}

/** The place, size and digest of a section. */
export function findSection(header: CfiHeader, kind: CfiSectionKind): CfiSection {
  const section = header.sections.find((candidate) => candidate.kind === kind);
  if (section === undefined) throw new CfiError('layout', `The func-image has no ${kind}.`);
  return section;
}

/** Compares a digest that the caller has computed over a section's bytes. Throws CfiError. */
export function checkSectionDigest(
  kind: CfiSectionKind,
  digest: Uint8Array,
  header: CfiHeader,
): void {
  if (isEqual(findSection(header, kind).sha256, digest)) return;
  throw new CfiError(
    'digest',
    `The func-image is damaged: its ${kind} section does not have its digest.`,
  );
}

/** Checks all of a section, without its padding. Throws CfiError. */
export function verifySection(
  kind: CfiSectionKind,
  bytes: Uint8Array,
  header: CfiHeader,
  sha256: Sha256,
): void {
  const expected = findSection(header, kind).bytes;
  if (bytes.length !== expected) {
    throw new CfiError(
      'truncated',
      `The func-image is truncated: its ${kind} section has ${bytes.length} of ${expected} bytes.`,
    );
  }
  checkSectionDigest(kind, sha256([bytes]), header);
}

/** Checks bytes of the file that belong to no section (see listPadding()). Throws CfiError. */
export function verifyPadding(bytes: Uint8Array): void {
  if (bytes.every((byte) => byte === 0)) return;
  throw new CfiError('padding', 'The func-image has bytes between its sections that are not zero.');
}

/** Decodes the io section. Throws CfiError. */
export function decodeIoTable(bytes: Uint8Array): CfiIoEntry[] {
  return checkIoTable(decode(bytes, 'I/O table', cfiSectionLimits.io.end));
}
