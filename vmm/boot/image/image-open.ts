// Opening a func-image for booting: header, digests of everything but the frames, and one
// structural check of records and page tables. The result is kept per process by file identity, so
// that a second boot of the same file does none of this again.
import * as fs from 'node:fs';
import { createMerge } from '../../../wasm/merge.ts';
import type { CfiHeader, CfiIoEntry, CfiSection } from '../../../formats/cfi/header.ts';
import { cfiDigestOff, cfiPrologueBytes } from '../../../formats/cfi/prologue.ts';
import {
  cfiHeaderBytes, decodeIoTable, findSection, parseCfi, verifySection,
} from '../../../formats/cfi/read.ts';
import { schemaWords } from '../../kernel/state/save.ts';
import { ARENA_BYTES } from '../../kernel/make-kernel.ts';
import { KERNEL_ABI } from '../../kernel/state/kinds.ts';
import { kinds } from '../../kernel/state/record.ts';
import { giveRegion, memory, type Region, takeRegion, u8 } from '../../kernel/state/memory.ts';
import {
  BANK_GPA, BASE_GPA, FIRST_GUEST_TABLE, TABLES_GPA, tableWindowBytes,
} from '../../machine/layout.ts';
import { isMemoryLimit } from '../../memory-size.ts';
import { PAGE_BYTES } from '../../kernel/ports.ts';
import { fileIdentity, isCheckedImage, rememberImage } from './checked-images.ts';
import { ImageError } from './image-error.ts';
import { findParent, PARENTS_MAX, tooManyParents } from './image-parent.ts';
import { firstRoot } from './image-processes.ts';
import { checkRecords, type Piece } from './image-records.ts';
import { listRoots } from './image-tables.ts';
import { dropIoCaches } from '../restore/io-cache.ts';
import { dropWriteSet } from '../restore/write-sets.ts';
import { sha256 } from './sha256.ts';
import {
  closeLayers, duplicateLayers, type FrameLayer, type HotFrames, type Snapshot, stampOf,
} from '../restore/snapshot.ts';
import { whenUnused } from '../restore/snapshot-users.ts';
import { BASE_BYTES_MAX } from '../pool/zygote.ts';

/** First read of a file: covers prologue and header of nearly every image. */
const FIRST_BYTES = 16 * 1024;

/** An image whose small sections are in the state memory, verified. */
export interface OpenImage extends Snapshot {
  readonly path: string;
  readonly fd: number;
  /** What an image based on this one names it by. */
  readonly digest: Uint8Array;
  readonly header: CfiHeader;
  readonly io: CfiIoEntry[];
  /** The file from its start up to the frames, as in the file. */
  readonly region: Region;
  readonly frames: CfiSection;
}

const open: Map<string, OpenImage> = new Map();
/** Pages of a table window that an image's tables leave free: the machine's own, and some more. */
const TABLES_SPARE = 256;
let parentDepth = 0;

/**
 * Opens and checks an image, or gives the one that is open already.
 * @throws ImageError, CfiError with one plain sentence
 */
export function openImage(path: string): OpenImage {
  const known = open.get(path);
  if (known !== undefined) {
    const stat = fs.statSync(path, { bigint: true, throwIfNoEntry: false });
    if (stat !== undefined && fileIdentity(stat) === known.identity) return known;
    closeImage(known);
  }
  const image = load(path, true);
  open.set(path, image);
  return image;
}

/**
 * Opens the image in an open file that has no name, for `use` alone.
 * @param beside where its parents are: a path in their directory
 * @throws as openImage() does
 */
export async function useUnnamedImage<T>(
  fd: number, beside: string, use: (image: OpenImage) => Promise<T>,
): Promise<T> {
  const image = load(`/proc/self/fd/${fd}`, true, beside);
  try {
    return await use(image);
  } finally {
    closeImage(image);
  }
}

/** The check of openImage(), keeping nothing: boots of the same file go on. @throws as it does */
export function checkImage(path: string): void {
  closeImage(load(path, false));
}

/** Opens an image for `use` alone: nothing is kept. @throws as openImage() does */
export function useImage<T>(path: string, use: (image: OpenImage) => T): T {
  const image = load(path, true);
  try {
    return use(image);
  } finally {
    closeImage(image);
  }
}

/** Closes an image. Sandboxes of it go on: what they need is given back when they have ended. */
export function closeImage(image: OpenImage): void {
  if (open.get(image.path) === image) open.delete(image.path);
  whenUnused(image, () => dispose(image));
}

function dispose(image: OpenImage): void {
  dropWriteSet(image);
  dropIoCaches(image);
  closeLayers(image.layers);
  giveRegion(image.region);
}

/** Reads and checks a file; what `isTrusted` allows and an earlier process did is not repeated. */
function load(path: string, isTrusted: boolean, beside: string = path): OpenImage {
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
    const opened = { path, fd, digest, header, frames, identity: fileIdentity(stat) };
    const image = finish(opened, openParents(beside, header));
    if (isKnown) return image;
    checkOrClose(image);
    rememberImage(stat, digest, schemaName());
    return image;
  } catch (error) {
    fs.closeSync(fd);
    throw error;
  }
}

/** Checks an image; one that is refused keeps nothing but its own descriptor. */
function checkOrClose(image: OpenImage): void {
  try {
    checkContent(image);
  } catch (error) {
    closeLayers(image.layers.slice(0, -1));
    giveRegion(image.region);
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
}

/** What would fit into no machine is refused before anything is made for it. */
function checkMemory(header: CfiHeader): void {
  const { limitBytes } = header.memory;
  if (!isMemoryLimit(limitBytes) || limitBytes % PAGE_BYTES !== 0) {
    throw new ImageError('memory', "The func-image's memory limit is not between 4 MiB and 4 GiB.");
  }
  const fits = findSection(header, 'frames').bytes <= BASE_BYTES_MAX &&
    findSection(header, 'objects').bytes <= ARENA_BYTES / 2 &&
    header.memory.tables <= tableWindowBytes(limitBytes) / PAGE_BYTES - TABLES_SPARE;
  if (!fits) throw new ImageError('memory', 'The func-image is larger than a sandbox can be.');
}

let name: string | null = null;

/** A short name of the record kinds: enough to tell this catavmm's from another's. */
function schemaName(): string {
  if (name === null) {
    let hash = KERNEL_ABI;
    for (const kind of kinds) {
      hash = Math.imul(hash ^ (kind?.fixedBytes ?? 0), 0x0100_0193) + (kind?.fields.length ?? 0);
    }
    name = (hash >>> 0).toString(16);
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

/** What is known of a file before its sections are read. */
type Opened = Pick<OpenImage, 'path' | 'fd' | 'digest' | 'header' | 'frames' | 'identity'>;

/** Brings the small sections into the state memory. Keeps nothing but `opened.fd` if it cannot. */
function finish(opened: Opened, parents: readonly FrameLayer[]): OpenImage {
  const { fd, header, frames } = opened;
  const { offset } = frames;
  const own = { fd, offset, frames: header.memory.frames, stamp: stampOf(fd), path: opened.path };
  const layers = [...parents, own];
  let region: Region | null = null;
  try {
    region = takeState(frames.offset);
    const whole = u8.subarray(region.address, region.address + frames.offset);
    if (fs.readSync(fd, whole, 0, whole.length, 0) !== whole.length) {
      throw new ImageError('truncated', 'The func-image was truncated while it was read.');
    }
    return describe(opened, region, layers);
  } catch (error) {
    closeLayers(parents);
    if (region !== null) giveRegion(region);
    throw error;
  }
}

function describe(opened: Opened, region: Region, layers: readonly FrameLayer[]): OpenImage {
  const { header } = opened;
  const baseFrames = layers.reduce((sum, layer) => sum + layer.frames, 0);
  if (baseFrames * PAGE_BYTES > BASE_BYTES_MAX) {
    const sentence = 'The func-image and its parents are larger than a sandbox can be.';
    throw new ImageError('memory', sentence);
  }
  const piece = (kind: 'objects' | 'relations' | 'tables' | 'io'): Piece => {
    const { offset, bytes } = findSection(header, kind);
    return { address: region.address + offset, bytes };
  };
  const io = piece('io');
  return {
    ...opened, region, layers, baseFrames,
    base: { path: opened.path, digest: opened.digest, frames: baseFrames },
    program: header.program,
    hot: hotFramesOf(header),
    root: header.objects.root,
    cpu: header.cpu,
    limitBytes: header.memory.limitBytes,
    rootfs: header.rootfs,
    objects: piece('objects'),
    relations: piece('relations'),
    tables: piece('tables'),
    io: decodeIoTable(u8.subarray(io.address, io.address + io.bytes)),
  };
}

/** More pages than this are not pre-copied: a boot would pay for what it may not need. */
const HOT_FRAMES_MAX = 4096;

function hotFramesOf({ memory }: CfiHeader): HotFrames | null {
  const { hotFrames, writeFrames } = memory;
  if (hotFrames === 0 || hotFrames > HOT_FRAMES_MAX) return null;
  return { count: hotFrames, written: writeFrames };
}

/** The layers below an image's own, each with a descriptor of its own. */
function openParents(path: string, header: CfiHeader): FrameLayer[] {
  if (header.parent === null) return [];
  const file = findParent(path, header.parent);
  if (parentDepth >= PARENTS_MAX) throw tooManyParents();
  parentDepth++;
  try {
    return duplicateLayers(openImage(file).layers);
  } finally {
    parentDepth--;
  }
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
  const count = tables.bytes / PAGE_BYTES;
  const roots = listRoots(objects);
  // The first process's are the first: restore.ts brings the others in behind them.
  if (roots[0] !== 0 || firstRoot(objects, relations) !== 0) {
    throw malformedTables('they do not begin with those of the first process');
  }
  const merge = createMerge(memory);
  roots.forEach((root, i) => {
    const end = roots[i + 1] ?? count;
    if (root >= end || end > count) throw malformedTables('two processes have the same');
    const tree = {
      tables: tables.address + root * PAGE_BYTES,
      count: end - root,
      firstIndex: FIRST_GUEST_TABLE + root,
    };
    const fault = merge.check(tree, TABLES_GPA / PAGE_BYTES, {
      bankPfn: BANK_GPA / PAGE_BYTES,
      bankFrames: 0,
      basePfn: BASE_GPA / PAGE_BYTES,
      baseFrames: image.baseFrames,
    });
    if (fault !== null) throw malformedTables(fault.sentence);
  });
}

function malformedTables(sentence: string): ImageError {
  return new ImageError('tables', `The func-image's page tables are malformed: ${sentence}.`);
}
