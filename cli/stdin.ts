// All of stdin, for several guests that each read it.

import { readSync } from 'node:fs';
import { joinBytes } from '../formats/join-bytes.ts';
import { CommandError } from './errors.ts';

/** Most stdin that is kept for several boots. */
const STDIN_BYTES_MAX = 64 * 1024 * 1024;
const PIECE_BYTES = 64 * 1024;
const NEWLINE = 10;

/** Reads stdin to its end. @throws CommandError when that is too much */
export function readStdin(fd: number = 0, bytesMax: number = STDIN_BYTES_MAX): Uint8Array {
  const pieces: Uint8Array[] = [];
  let bytes = 0;
  for (;;) {
    const piece = readPiece(fd);
    if (piece.length === 0) break;
    bytes += piece.length;
    if (bytes > bytesMax) {
      throw new CommandError('CATAVMM_STDIN', `stdin is more than ${bytesMax / 2 ** 20} MiB.`,
        'What several boots are to read is kept in memory: give them less, or boot once.');
    }
    pieces.push(piece);
  }
  return joinBytes(pieces);
}

/** Empty at the end. */
function readPiece(fd: number): Uint8Array {
  const piece = new Uint8Array(PIECE_BYTES);
  for (;;) {
    try {
      return piece.subarray(0, readSync(fd, piece));
    } catch (error) {
      const { code } = error as { code?: string };
      if (code === 'EOF' || code === 'EBADF') return new Uint8Array(0);
      // Somebody made the pipe non-blocking.
      if (code !== 'EAGAIN') throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 2);
    }
  }
}
