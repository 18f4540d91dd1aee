// A saved sandbox from which new ones are made: an open func-image, or a template in memory.
// Records, relations and page tables lie in the state memory, checked; frames lie in files that are
// mapped over a machine's base window, one behind the other:
//
//   base window   | layer 0: frames of the parent | layer 1: frames that differ | …  empty … |
//
// A leaf entry of the tables names a base frame by its place in that row.
import * as fs from 'node:fs';
import type { CfiCpu, CfiProgram, CfiRootfs } from '../../../formats/cfi/header.ts';
import { PAGE_BYTES } from '../../kernel/ports.ts';
import { ImageError } from '../image/image-error.ts';
import type { Piece } from '../image/image-records.ts';

/** A run of frames in a file. Ownership: whoever made the layer closes the descriptor. */
export interface FrameLayer {
  readonly fd: number;
  /** In the file, a multiple of 4096. */
  readonly offset: number;
  readonly frames: number;
  /** Where the file was, for a sentence; null for memory. */
  readonly path: string | null;
  /** What its file was like when it was opened; null for memory. */
  readonly stamp: string | null;
}

/** An image file whose frames are the first of a base window. */
export interface BaseImage {
  readonly path: string;
  readonly digest: Uint8Array;
  /** Its own and its parents'. */
  readonly frames: number;
}

/** Size and time of the last change of an open file's content. */
export function stampOf(fd: number): string {
  const { size, mtimeNs } = fs.fstatSync(fd, { bigint: true });
  return `${size}-${mtimeNs}`;
}

/**
 * Whether the files of a snapshot are as they were: whoever writes to one changes the memory of all
 * that map it. A file that was deleted or replaced by another is still there for them.
 * @throws ImageError
 */
export function requireUnchanged({ layers }: Snapshot): void {
  for (const { fd, stamp, path } of layers) {
    if (stamp === null || stampOf(fd) === stamp) continue;
    throw new ImageError(
      'changed', `The func-image ${path ?? ''} was truncated or written to while it was in use.`);
  }
}

/** The first frames of the last layer: `written` of them are written, the others only read. */
export interface HotFrames {
  readonly count: number;
  readonly written: number;
}

export interface Snapshot {
  /** Names the content within this process. */
  readonly identity: string;
  readonly layers: readonly FrameLayer[];
  /** Of all layers together. */
  readonly baseFrames: number;
  /** The image that the first layers are of; null when the sandbox began as a program. */
  readonly base: BaseImage | null;
  readonly objects: Piece;
  readonly relations: Piece;
  readonly tables: Piece;
  /** Frames that a sandbox touches at once, known beforehand; null when nothing is known. */
  readonly hot: HotFrames | null;
  /** Offset of the root record in the objects. */
  readonly root: number;
  readonly cpu: CfiCpu;
  /** Memory limit of a guest, unless the caller says otherwise. */
  readonly limitBytes: number;
  /** Where the guest's files are, unless the caller says otherwise. */
  readonly rootfs: CfiRootfs;
  /** What was started, once. */
  readonly program: CfiProgram;
}

/** The same snapshot for a sandbox that found its files elsewhere. */
export function withRootfs(snapshot: Snapshot, path: string | undefined): Snapshot {
  return path === undefined ? snapshot : { ...snapshot, rootfs: { ...snapshot.rootfs, path } };
}

/** The same layers with descriptors of the caller's own. @throws file system errors */
export function duplicateLayers(layers: readonly FrameLayer[]): FrameLayer[] {
  const copies: FrameLayer[] = [];
  try {
    for (const layer of layers) {
      copies.push({ ...layer, fd: fs.openSync(`/proc/self/fd/${layer.fd}`, 'r') });
    }
    return copies;
  } catch (error) {
    closeLayers(copies);
    throw error;
  }
}

/** Closes the layers' descriptors. */
export function closeLayers(layers: readonly FrameLayer[]): void {
  for (const { fd } of layers) fs.closeSync(fd);
}

/** Place in the base window of the first frame of the last layer. */
export function firstOwnFrame(snapshot: Snapshot): number {
  return snapshot.baseFrames - (snapshot.layers[snapshot.layers.length - 1]?.frames ?? 0);
}

/** Bytes of the base window that a snapshot fills. */
export function baseBytesOf(snapshot: Snapshot): number {
  return snapshot.baseFrames * PAGE_BYTES;
}

/**
 * Reads frames by their place in the base window, never through a mapping.
 * @param offset in bytes from the window's start
 * @returns false when a file was truncated, or there are no such frames
 */
export function readSnapshotFrames(
  snapshot: Snapshot, offset: number, target: Uint8Array,
): boolean {
  let start = 0;
  let done = 0;
  for (const layer of snapshot.layers) {
    const bytes = layer.frames * PAGE_BYTES;
    const from = offset + done - start;
    if (from < bytes) {
      const wanted = Math.min(bytes - from, target.length - done);
      if (fs.readSync(layer.fd, target, done, wanted, layer.offset + from) !== wanted) return false;
      done += wanted;
      if (done === target.length) return true;
    }
    start += bytes;
  }
  return done === target.length;
}
