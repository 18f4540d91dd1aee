// Opening a func-image for booting: header, digests of everything but the frames, and one
// structural check of records and page tables. The result is kept per process by file identity, so
// that a second boot of the same file does none of this again.
import * as fs from 'node:fs';
import { createMerge } from '../../wasm/merge.ts';
import type { CfiHeader, CfiIoEntry, CfiSection } from '../../formats/cfi/header.ts';
import { cfiDigestOff, cfiPrologueBytes } from '../../formats/cfi/prologue.ts';
import {
  cfiHeaderBytes, decodeIoTable, findSection, parseCfi, verifySection,
} from '../../formats/cfi/read.ts';
import { schemaWords } from '../kernel/state/save.ts';
import { ARENA_BYTES } from '../kernel/make-kernel.ts';
import { KERNEL_ABI } from '../kernel/state/kinds.ts';
import { giveRegion, memory, type Region, takeRegion, u8 } from '../kernel/state/memory.ts';
import {
  BANK_GPA, BASE_GPA, FIRST_GUEST_TABLE, TABLE_COUNT, TABLES_GPA,
} from '../machine/layout.ts';
import { isMemoryLimit } from '../memory-size.ts';
import { PAGE_BYTES } from '../kernel/ports.ts';
import { fileIdentity, isCheckedImage, rememberImage } from './checked-images.ts';
import { ImageError } from './image-error.ts';
import { checkRecords, type Piece } from './image-records.ts';
import { sha256 } from './sha256.ts';
import { BASE_BYTES_MAX } from './zygote.ts';

/** First read of a file: covers prologue and header of nearly every image. */
const FIRST_BYTES = 16 * 1024;

/** An image whose small sections are in the state memory, verified. */
export interface OpenImage {
  readonly path: string;
  readonly fd: number;
  readonly header: CfiHeader;
  readonly io: CfiIoEntry[];
  readonly identity: string;
  /** The file from its start up to the frames, as in the file. */
  readonly region: Region;
  readonly objects: Piece;
  readonly relations: Piece;
  readonly tables: Piece;
  readonly frames: CfiSection;
}

const open: Map<string, OpenImage> = new Map();

/**
 * Opens and checks an image, or gives the one that is open already.
 * @throws ImageError, CfiError with one plain sentence
 */
export function openImage(path: string): OpenImage {
  const known = open.get(path);
  if (known !== undefined) {
    if (fileIdentity(fs.statSync(path, { bigint: true })) === known.identity) return known;
    closeImage(known);
  }
  const image = load(path, true);
  open.set(path, image);
  return image;
}

/** The check of openImage(), keeping nothing: boots of the same file go on. @throws as it does */
export function checkImage(path: string): void {
  closeImage(load(path, false));
}

/** Closes an image: boots from it must have ended. */
export function closeImage(image: OpenImage): void {
  if (open.get(image.path) === image) open.delete(image.path);
  fs.closeSync(image.fd);
  giveRegion(image.region);
}

/** Reads frames of an open image; false when the file was truncated. */
export function readImageFrames(image: OpenImage, offset: number, target: Uint8Array): boolean {
  if (offset + target.length > image.frames.bytes) return false;
  const count = fs.readSync(image.fd, target, 0, target.length, image.frames.offset + offset);
  return count === target.length;
}

/** Reads and checks a file; what `isTrusted` allows and an earlier process did is not repeated. */
function load(path: string, isTrusted: boolean): OpenImage {
  const fd = openFile(path);
  try {
    const stat = fs.fstatSync(fd, { bigint: true });
    if (!stat.isFile()) throw new ImageError('not-a-file', `${path} is not a regular file.`);
    const first = readBeginning(fd, Number(stat.size));
    const digest = first.slice(cfiDigestOff, cfiPrologueBytes);
    const isKnown = isTrusted && isCheckedImage(stat, digest, schemaName());
    const header = parseCfi(first, Number(stat.size), isKnown ? null : sha256);
    if (!isKnown) checkKernel(header);
    checkMemory(header);
    const frames = findSection(header, 'frames');
    const region = takeState(frames.offset);
    try {
      const image = finish(path, fd, header, frames, region, fileIdentity(stat));
      if (isKnown) return image;
      checkContent(image);
      rememberImage(stat, digest, schemaName());
      return image;
    } catch (error) {
      giveRegion(region);
      throw error;
    }
  } catch (error) {
    fs.closeSync(fd);
    throw error;
  }
}

function takeState(bytes: number): Region {
  try {
    return takeRegion(bytes);
  } catch {
    throw new ImageError('memory', 'There is no room for the func-image: too many are open.');
  }
}

function openFile(path: string): number {
  try {
    return fs.openSync(path, 'r');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const why = code === 'ENOENT' ? 'does not exist' : `cannot be opened (${code ?? 'unknown'})`;
    throw new ImageError('missing', `The func-image ${path} ${why}.`);
  }
}

function readBeginning(fd: number, fileBytes: number): Uint8Array {
  const first = readRange(fd, 0, Math.min(FIRST_BYTES, fileBytes));
  const wanted = cfiHeaderBytes(first);
  return wanted <= first.length ? first : readRange(fd, 0, Math.min(wanted, fileBytes));
}

function readRange(fd: number, offset: number, bytes: number): Uint8Array {
  const target = new Uint8Array(bytes);
  let done = 0;
  while (done < bytes) {
    const count = fs.readSync(fd, target, done, bytes - done, offset + done);
    if (count === 0) break;
    done += count;
  }
  return target.subarray(0, done);
}

function checkKernel(header: CfiHeader): void {
  if (header.kernelAbi !== KERNEL_ABI || !sameBytes(header.kernelSchema, schemaDigest())) {
    throw new ImageError(
      'kernel',
      'The func-image was made by another version of catavmm: build it again.',
    );
  }
  if (header.parent !== null) {
    const sentence = 'The func-image needs a parent image, which is not supported yet.';
    throw new ImageError('parent', sentence);
  }
}

/** What would fit into no machine is refused before anything is made for it. */
function checkMemory(header: CfiHeader): void {
  const { limitBytes } = header.memory;
  if (!isMemoryLimit(limitBytes) || limitBytes % PAGE_BYTES !== 0) {
    throw new ImageError('memory', "The func-image's memory limit is not between 4 MiB and 4 GiB.");
  }
  const fits = findSection(header, 'frames').bytes <= BASE_BYTES_MAX &&
    findSection(header, 'objects').bytes <= ARENA_BYTES / 2 &&
    header.memory.tables <= TABLE_COUNT - FIRST_GUEST_TABLE;
  if (!fits) throw new ImageError('memory', 'The func-image is larger than a sandbox can be.');
}

let name: string | null = null;

/** A short name of the record schema (FNV-1a), without loading a digest. */
function schemaName(): string {
  if (name === null) {
    let hash = 0x811c_9dc5;
    for (const word of schemaWords()) hash = Math.imul(hash ^ word, 0x0100_0193) >>> 0;
    name = hash.toString(16);
  }
  return name;
}

let digest: Uint8Array | null = null;

/** SHA-256 of the record schema: what an image's objects were written with. */
export function schemaDigest(): Uint8Array {
  if (digest === null) {
    const words = schemaWords();
    digest = sha256([new Uint8Array(words.buffer, words.byteOffset, words.byteLength)]);
  }
  return digest;
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, index) => byte === b[index]);
}

function finish(
  path: string,
  fd: number,
  header: CfiHeader,
  frames: CfiSection,
  region: Region,
  identity: string,
): OpenImage {
  const whole = u8.subarray(region.address, region.address + frames.offset);
  if (fs.readSync(fd, whole, 0, whole.length, 0) !== whole.length) {
    throw new ImageError('truncated', 'The func-image was truncated while it was read.');
  }
  const piece = (kind: 'objects' | 'relations' | 'tables' | 'io'): Piece => {
    const { offset, bytes } = findSection(header, kind);
    return { address: region.address + offset, bytes };
  };
  const ioPiece = piece('io');
  return {
    path, fd, header, identity, region, frames,
    objects: piece('objects'),
    relations: piece('relations'),
    tables: piece('tables'),
    io: decodeIoTable(u8.subarray(ioPiece.address, ioPiece.address + ioPiece.bytes)),
  };
}

/** Digests of all sections but the frames, then the structure of what they hold. */
function checkContent(image: OpenImage): void {
  for (const kind of ['objects', 'relations', 'tables', 'io'] as const) {
    const { offset, bytes } = findSection(image.header, kind);
    const address = image.region.address + offset;
    verifySection(kind, u8.subarray(address, address + bytes), image.header, sha256);
  }
  checkStructure(image);
}

/** The linear check of records and page tables: nothing in them is anything but what it says. */
function checkStructure(image: OpenImage): void {
  const { objects, relations, tables, header } = image;
  checkRecords(objects, relations, header.objects);
  const tree = {
    tables: tables.address,
    count: tables.bytes / PAGE_BYTES,
    firstIndex: FIRST_GUEST_TABLE,
  };
  const fault = createMerge(memory).check(tree, TABLES_GPA / PAGE_BYTES, {
    bankPfn: BANK_GPA / PAGE_BYTES,
    bankFrames: 0,
    basePfn: BASE_GPA / PAGE_BYTES,
    baseFrames: header.memory.frames,
  });
  if (fault !== null) {
    const { sentence } = fault;
    throw new ImageError('tables', `The func-image's page tables are malformed: ${sentence}.`);
  }
}
