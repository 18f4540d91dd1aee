// A func-image as a file to look into: for tools, which read parts of it, keep nothing in the state
// memory, and go on where a boot would refuse. Boots use image-open.ts.
import * as fs from 'node:fs';
import type { CfiHeader, CfiSectionKind } from '../../../formats/cfi/header.ts';
import { cfiPrologueBytes } from '../../../formats/cfi/prologue.ts';
import { cfiHeaderBytes, findSection, parseCfi } from '../../../formats/cfi/read.ts';
import { ImageError } from './image-error.ts';
import { sha256 } from './sha256.ts';

export class ImageFile {
  readonly path: string;
  readonly fd: number;
  readonly fileBytes: number;
  readonly header: CfiHeader;
  /** Where prologue and header end. */
  readonly headerEnd: number;
  #isClosed: boolean = false;

  /** Opens a file and reads its header. @throws ImageError, CfiError with one plain sentence */
  constructor(path: string) {
    this.path = path;
    this.fd = openRegular(path);
    try {
      this.fileBytes = fs.fstatSync(this.fd).size;
      this.headerEnd = cfiHeaderBytes(this.read(0, cfiPrologueBytes));
      this.header = parseCfi(this.read(0, this.headerEnd), this.fileBytes, sha256);
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** Bytes from `offset` on; fewer than `bytes` at the end of the file. */
  read(offset: number, bytes: number): Uint8Array {
    const target = new Uint8Array(bytes);
    return target.subarray(0, this.readInto(target, offset));
  }

  /** Fills `target` from `offset` on; returns how many bytes there were. */
  readInto(target: Uint8Array, offset: number): number {
    let done = 0;
    while (done < target.length) {
      const count = fs.readSync(this.fd, target, done, target.length - done, offset + done);
      if (count === 0) break;
      done += count;
    }
    return done;
  }

  /** All of a section. Not for frames: they may be larger than what an array can hold. */
  readSection(kind: Exclude<CfiSectionKind, 'frames'>): Uint8Array {
    const { offset, bytes } = findSection(this.header, kind);
    return this.read(offset, bytes);
  }

  /** Idempotent. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    fs.closeSync(this.fd);
  }
}

function openRegular(path: string): number {
  try {
    // A FIFO would block in open(2) until somebody writes.
    if (!fs.statSync(path).isFile()) {
      throw new ImageError('not-a-file', `${path} is not a regular file.`);
    }
    return fs.openSync(path, 'r');
  } catch (error) {
    if (error instanceof ImageError) throw error;
    const { code } = error as NodeJS.ErrnoException;
    const why = code === 'ENOENT' ? 'does not exist' : `cannot be opened (${code ?? 'unknown'})`;
    throw new ImageError('missing', `The func-image ${path} ${why}.`);
  }
}
