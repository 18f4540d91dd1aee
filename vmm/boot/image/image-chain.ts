// An image with those it is based on, as files to look into: for tools. The oldest comes first, as
// their frames lie in the base window (snapshot.ts).
import { findSection } from '../../../formats/cfi/read.ts';
import { PAGE_BYTES } from '../../kernel/ports.ts';
import { ImageFile } from './image-file.ts';
import { findParent, PARENTS_MAX, tooManyParents } from './image-parent.ts';

export class ImageChain {
  /** Oldest first, the image itself last. */
  readonly files: readonly ImageFile[];
  /** Frames of all of them together. */
  readonly frames: number;

  /** Opens an image and its parents. @throws ImageError, CfiError with one plain sentence */
  constructor(path: string) {
    const files = [new ImageFile(path)];
    try {
      for (let last = files[0] as ImageFile; last.header.parent !== null;) {
        if (files.length > PARENTS_MAX) throw tooManyParents();
        last = new ImageFile(findParent(path, last.header.parent));
        files.unshift(last);
      }
    } catch (error) {
      for (const file of files) file.close();
      throw error;
    }
    this.files = files;
    this.frames = files.reduce((sum, { header }) => sum + header.memory.frames, 0);
  }

  /** The image itself. */
  get image(): ImageFile {
    return this.files.at(-1) as ImageFile;
  }

  /** Its parent, or null. */
  get parent(): ImageFile | null {
    return this.files.at(-2) ?? null;
  }

  /** A frame by its place in the base window. */
  readFrame(index: number): Uint8Array {
    let place = index;
    for (const file of this.files) {
      const { frames } = file.header.memory;
      if (place < frames) {
        const { offset } = findSection(file.header, 'frames');
        return file.read(offset + place * PAGE_BYTES, PAGE_BYTES);
      }
      place -= frames;
    }
    return new Uint8Array();
  }

  /** Idempotent. */
  close(): void {
    for (const file of this.files) file.close();
  }
}
