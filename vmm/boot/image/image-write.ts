// Writing a func-image: frames are hashed while they stream out, the header goes in last, and the
// finished file replaces the old one in one step. A half-written image is never seen under its
// name.
import type { Hash } from 'node:crypto';
import * as fs from 'node:fs';
import type { CfiContent, CfiIoEntry, CfiSectionKind } from '../../../formats/cfi/header.ts';
import { encodeCfi, encodeIoTable, planCfi } from '../../../formats/cfi/write.ts';
import { PAGE_BYTES } from '../../kernel/ports.ts';
import type { Checkpoint } from '../build/checkpoint.ts';
import { writeAll, writeFrames } from '../build/write-frames.ts';
import { NewFile } from './new-file.ts';
import { beginSha256, sha256 } from './sha256.ts';

/** Everything in the header that the checkpoint itself does not know. */
export type ImageDescription = Omit<CfiContent, 'objects' | 'memory'> & {
  memoryLimitBytes: number;
};

export interface WrittenImage {
  bytes: number;
  frames: number;
}

/**
 * Writes a func-image to `file`.
 * @param onProgress told how many frames are written
 * @throws the file system's errors; the target is then as it was
 */
export function writeImage(
  file: string,
  checkpoint: Checkpoint,
  description: ImageDescription,
  io: readonly CfiIoEntry[],
  onProgress: (done: number, total: number) => void = () => undefined,
): WrittenImage {
  const made = new NewFile(file);
  try {
    const written = writeImageInto(made.fd, checkpoint, description, io, onProgress);
    made.finish();
    return written;
  } catch (error) {
    made.abandon();
    throw error;
  }
}

/** The same into an open file, which is empty. @throws the file system's errors */
export function writeImageInto(
  fd: number,
  checkpoint: Checkpoint,
  description: ImageDescription,
  io: readonly CfiIoEntry[],
  onProgress: (done: number, total: number) => void = () => undefined,
): WrittenImage {
  const content = describe(checkpoint, description);
  const small: Record<Exclude<CfiSectionKind, 'frames'>, Uint8Array> = {
    objects: checkpoint.objects,
    relations: bytesOf(checkpoint.relations),
    tables: checkpoint.tables,
    io: encodeIoTable(io),
  };
  const framesBytes = checkpoint.frameOrder.length * PAGE_BYTES;
  const kinds = Object.keys(small) as (keyof typeof small)[];
  const sizes = [
    ...kinds.map((kind) => ({ kind, bytes: small[kind].length })),
    { kind: 'frames' as const, bytes: framesBytes },
  ];
  const plan = planCfi(content, sizes);
  const offsets = new Map(plan.sections.map((section) => [section.kind, section.offset]));
  for (const kind of kinds) writeAll(fd, small[kind], offsets.get(kind) as number);
  const frames = writeHashedFrames(fd, checkpoint, offsets.get('frames') as number, onProgress);
  const sections = [
    ...kinds.map((kind) => ({ kind, bytes: small[kind].length, sha256: sha256([small[kind]]) })),
    { kind: 'frames' as const, bytes: framesBytes, sha256: frames.digest() as Uint8Array },
  ];
  const beginning = encodeCfi({ header: content, sections }, sha256);
  fs.ftruncateSync(fd, beginning.fileBytes);
  writeAll(fd, beginning.prologueAndHeader, 0);
  return { bytes: beginning.fileBytes, frames: checkpoint.frameOrder.length };
}

function describe(checkpoint: Checkpoint, description: ImageDescription): CfiContent {
  const { memoryLimitBytes, ...rest } = description;
  return {
    ...rest,
    objects: {
      root: 0,
      count: checkpoint.objectCount,
      preferredBase: checkpoint.preferredBase,
    },
    memory: {
      limitBytes: memoryLimitBytes,
      frames: checkpoint.frameOrder.length,
      hotFrames: checkpoint.hotFrames,
      writeFrames: checkpoint.writeFrames,
      tables: checkpoint.tableCount,
    },
  };
}

function bytesOf(words: Uint32Array): Uint8Array {
  return new Uint8Array(words.buffer, words.byteOffset, words.byteLength);
}

function writeHashedFrames(
  fd: number,
  checkpoint: Checkpoint,
  offset: number,
  onProgress: (done: number, total: number) => void,
): Hash {
  const hash = beginSha256();
  writeFrames(fd, checkpoint, offset, (piece, done) => {
    hash.update(piece);
    onProgress(done, checkpoint.frameOrder.length);
  });
  return hash;
}
