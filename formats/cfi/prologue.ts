// The first 64 bytes of a func-image, all little-endian:
//
//    0  magic: 89 'C' 'F' 'I' 0d 0a 1a 0a   finds out transfers that change line ends or bit 7
//    8  u32 version of the encoding          12  u32 bytes of the CBOR header
//   16  u64 bytes of the whole file          24  two u32, zero
//   32  SHA-256 over bytes 0…31 and the CBOR header, which follows at 64
//
// Invariant: what parsePrologue() returns is within the limits, but is trusted no further
// than that until the digest has been compared.

import { CfiError } from './error.ts';
import { cfiFileBytesEnd, cfiHeaderBytesMax, cfiPageBytes } from './header.ts';

export const cfiPrologueBytes = 64;
/** What the digest covers of the prologue. */
export const cfiDigestOff = 32;
/** The encoding that this code reads and writes. */
export const cfiVersion = 1;

export interface CfiPrologue {
  /** Of the CBOR header. */
  headerBytes: number;
  /** Of the whole file, a multiple of 4096. */
  fileBytes: number;
  /** Over prologue and header; the identity of the image, as it covers all sections' digests. */
  digest: Uint8Array;
}

const magic: readonly number[] = [0x89, 0x43, 0x46, 0x49, 0x0d, 0x0a, 0x1a, 0x0a];

/** The next multiple of the page size; below 2^53. */
export function alignToPage(off: number): number {
  return Math.ceil(off / cfiPageBytes) * cfiPageBytes;
}

/** The prologue's 32 bytes before the digest. */
export function encodePrologue(headerBytes: number, fileBytes: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(cfiDigestOff);
  bytes.set(magic);
  const view = new DataView(bytes.buffer);
  view.setUint32(8, cfiVersion, true);
  view.setUint32(12, headerBytes, true);
  view.setUint32(16, fileBytes % 2 ** 32, true);
  view.setUint32(20, Math.floor(fileBytes / 2 ** 32), true);
  return bytes;
}

function checkMagic(bytes: Uint8Array): void {
  const same = magic.slice(0, bytes.length).every((byte, index) => bytes[index] === byte);
  if (same && bytes.length > 0) return;
  if (String.fromCharCode(...bytes.subarray(1, 4)) === 'CFI') {
    throw new CfiError('magic', 'The func-image was changed in a transfer that was not binary.');
  }
  throw new CfiError('magic', 'The file is not a func-image.');
}

/** Reads the first 64 bytes of a file; throws CfiError. */
export function parsePrologue(bytes: Uint8Array): CfiPrologue {
  checkMagic(bytes);
  if (bytes.length < cfiPrologueBytes) {
    throw new CfiError('truncated', 'The func-image is truncated: it ends in its first 64 bytes.');
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, cfiPrologueBytes);
  const version = view.getUint32(8, true);
  if (version !== cfiVersion) {
    throw new CfiError(
      'version',
      `The func-image has encoding version ${version}, this catavmm reads version ${cfiVersion}.`,
    );
  }
  const headerBytes = view.getUint32(12, true);
  if (headerBytes === 0 || headerBytes > cfiHeaderBytesMax) {
    throw new CfiError(
      'too-large',
      `The func-image's header has ${headerBytes} bytes, not 1 to ${cfiHeaderBytesMax}.`,
    );
  }
  const fileBytes = view.getUint32(20, true) * 2 ** 32 + view.getUint32(16, true);
  if (fileBytes >= cfiFileBytesEnd) {
    throw new CfiError('too-large', 'The func-image says that it has a TiB or more.');
  }
  if (fileBytes % cfiPageBytes !== 0 || fileBytes < cfiPrologueBytes + headerBytes) {
    throw new CfiError('layout', `The func-image cannot have ${fileBytes} bytes, as it says.`);
  }
  if (view.getUint32(24, true) !== 0 || view.getUint32(28, true) !== 0) {
    throw new CfiError('reserved', 'The func-image has reserved bytes that are not zero.');
  }
  return { headerBytes, fileBytes, digest: bytes.slice(cfiDigestOff, cfiPrologueBytes) };
}
