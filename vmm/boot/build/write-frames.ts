// Writes what a checkpoint holds to a file, at given offsets: images and templates do.
import * as fs from 'node:fs';
import { PAGE_BYTES } from '../../kernel/ports.ts';
import type { Checkpoint } from './checkpoint.ts';

/** Frames copied at a time (1 MiB). */
const FRAMES_PER_WRITE = 256;

export function writeAll(fd: number, bytes: Uint8Array, offset: number): void {
  for (let done = 0; done < bytes.length;) {
    done += fs.writeSync(fd, bytes, done, bytes.length - done, offset + done);
  }
}

/**
 * Writes the checkpoint's frames in their order, from `offset` on.
 * @param onPiece hears of each piece that was written, and how many frames were so far; the bytes
 *   are overwritten by the next
 */
export function writeFrames(
  fd: number, checkpoint: Checkpoint, offset: number,
  onPiece: (piece: Uint8Array, done: number) => void = () => undefined,
): void {
  const { frameOrder } = checkpoint;
  const window = new Uint8Array(FRAMES_PER_WRITE * PAGE_BYTES);
  for (let first = 0; first < frameOrder.length; first += FRAMES_PER_WRITE) {
    const count = Math.min(FRAMES_PER_WRITE, frameOrder.length - first);
    for (let i = 0; i < count; i++) {
      const target = window.subarray(i * PAGE_BYTES, (i + 1) * PAGE_BYTES);
      checkpoint.readFrame(frameOrder[first + i] as number, target);
    }
    const piece = window.subarray(0, count * PAGE_BYTES);
    writeAll(fd, piece, offset + first * PAGE_BYTES);
    onPiece(piece, first + count);
  }
}
