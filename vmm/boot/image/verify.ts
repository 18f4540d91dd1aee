// Checks all of a func-image: every byte is covered by a digest or must be zero, and the records
// and page tables must be such as this kernel writes. Goes on after a finding where that makes
// sense, so that one sees whether an image is damaged in one place or in many.
import { CfiError } from '../../../formats/cfi/error.ts';
import type { CfiSection } from '../../../formats/cfi/header.ts';
import { listPadding } from '../../../formats/cfi/layout.ts';
import { checkSectionDigest, decodeIoTable, verifyPadding } from '../../../formats/cfi/read.ts';
// The check needs every record kind to be declared.
import '../../kernel/records/index.ts';
import { KIND } from '../../kernel/state/kinds.ts';
import { HEADER_BYTES } from '../../kernel/state/record.ts';
import { ImageError } from './image-error.ts';
import { ImageFile } from './image-file.ts';
import { findParent, PARENTS_MAX } from './image-parent.ts';
import { checkImage } from './image-open.ts';
import { beginSha256 } from './sha256.ts';

/** One thing that is wrong with an image. */
export interface Finding {
  /** The part of the file: a section, `header`, `padding` or `structure`; a parent's file first. */
  where: string;
  /** Stable, as errors have it: `CATAVMM_CFI_DIGEST`. */
  code: string;
  /** One sentence. */
  message: string;
}

export type OnChecked = (doneBytes: number, totalBytes: number) => void;

/** Frames are hashed in pieces of this size. */
const PIECE_BYTES = 4 * 1024 * 1024;

/** A finding as the error that a boot would throw. */
interface Problem {
  where: string;
  error: CfiError | ImageError;
}

/**
 * Checks an image; an empty list says that it is good.
 * @param onChecked told how far it has come
 * @throws ImageError when there is no such file
 */
export async function checkImageFile(
  path: string, onChecked: OnChecked = () => undefined,
): Promise<Finding[]> {
  const problems = await findProblems(path, onChecked);
  return problems.map(({ where, error: { code, message } }) => ({ where, code, message }));
}

/** The same check for `boot --verify`. @throws CfiError, ImageError for the first finding */
export async function requireGoodImage(path: string): Promise<void> {
  const [first] = await findProblems(path, () => undefined);
  if (first !== undefined) throw first.error;
}

async function findProblems(
  path: string, onChecked: OnChecked, depth: number = 0,
): Promise<Problem[]> {
  let file: ImageFile;
  try {
    file = new ImageFile(path);
  } catch (error) {
    if (error instanceof CfiError) return [{ where: 'header', error }];
    throw error;
  }
  try {
    const problems = await checkBytes(file, onChecked);
    // What a digest refuses needs no closer look; wrong frames do not concern the structure.
    if (problems.some(({ where }) => where !== 'frames' && where !== 'padding')) return problems;
    const found = [...problems, ...checkRecords(file), ...checkStructure(path)];
    return [...found, ...await checkParent(file, onChecked, depth)];
  } finally {
    file.close();
  }
}

/** All of the image that this one is based on. Whether it is there, checkStructure() has said. */
async function checkParent(
  file: ImageFile, onChecked: OnChecked, depth: number,
): Promise<Problem[]> {
  const { parent } = file.header;
  if (parent === null || depth >= PARENTS_MAX) return [];
  let path: string;
  try {
    path = findParent(file.path, parent);
  } catch {
    return [];
  }
  const problems = await findProblems(path, onChecked, depth + 1);
  return problems.map(({ where, error }) => ({ where: `parent ${path}: ${where}`, error }));
}

/** The problem of a check that throws. */
function collect(where: string, check: () => void): Problem[] {
  try {
    check();
    return [];
  } catch (error) {
    if (error instanceof CfiError || error instanceof ImageError) return [{ where, error }];
    throw error;
  }
}

async function checkBytes(file: ImageFile, onChecked: OnChecked): Promise<Problem[]> {
  const { header } = file;
  const problems: Problem[] = [];
  for (const section of header.sections) {
    const digest = await hashSection(file, section, onChecked);
    problems.push(...collect(section.kind, () => {
      checkSectionDigest(section.kind, digest, header);
      if (section.kind === 'io') decodeIoTable(file.readSection('io'));
    }));
  }
  for (const { off, bytes } of listPadding(header, file.headerEnd)) {
    problems.push(...collect('padding', () => verifyPadding(file.read(off, bytes))));
  }
  return problems;
}

/** Order: gives the event loop a turn after each piece. */
async function hashSection(
  file: ImageFile, { offset, bytes }: CfiSection, onChecked: OnChecked,
): Promise<Uint8Array> {
  const hash = beginSha256();
  const piece = new Uint8Array(Math.min(PIECE_BYTES, bytes));
  for (let done = 0; done < bytes; done += PIECE_BYTES) {
    const wanted = Math.min(PIECE_BYTES, bytes - done);
    const count = file.readInto(piece.subarray(0, wanted), offset + done);
    hash.update(piece.subarray(0, count));
    // A file that shrinks meanwhile has another digest.
    if (count < wanted) break;
    onChecked(offset + done + count, file.fileBytes);
    if (bytes > PIECE_BYTES) await new Promise((resolve) => { setImmediate(resolve); });
  }
  return hash.digest();
}

/** One record of an objects section. */
export interface RecordHeader {
  offset: number;
  kind: number;
  bytes: number;
}

/** The headers of an objects section's records; ends early where they make no sense. */
export function* walkRecords(objects: Uint8Array): Generator<RecordHeader> {
  const view = new DataView(objects.buffer, objects.byteOffset, objects.length);
  for (let offset = 0; offset + HEADER_BYTES <= objects.length;) {
    const kind = view.getUint16(offset, true);
    const bytes = view.getUint32(offset + 4, true);
    if (bytes < HEADER_BYTES || bytes % 8 !== 0 || offset + bytes > objects.length) return;
    yield { offset, kind, bytes };
    offset += bytes;
  }
}

/** What the header says about the records, compared with them. */
function checkRecords(file: ImageFile): Problem[] {
  const { root, count } = file.header.objects;
  let found = 0;
  let rootKind = 0;
  for (const { offset, kind } of walkRecords(file.readSection('objects'))) {
    found++;
    if (offset === root) rootKind = kind;
  }
  return collect('objects', () => {
    if (found !== count) {
      const sentence = `The func-image has ${found} records, its header says ${count}.`;
      throw new ImageError('objects', sentence);
    }
    if (rootKind !== KIND.sandbox) {
      throw new ImageError('objects', "The func-image's root is not the record of a sandbox.");
    }
  });
}

/** Records, relations and page tables, as before a first boot. */
function checkStructure(path: string): Problem[] {
  return collect('structure', () => checkImage(path));
}
