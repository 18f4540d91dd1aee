// The image that another one is based on (a language runtime, say): found by its digest among the
// images of the same directory, because files move between machines and their paths do not.
import * as fs from 'node:fs';
import * as path from 'node:path';
import { cfiDigestOff, cfiPrologueBytes } from '../../../formats/cfi/prologue.ts';
import { ImageError } from './image-error.ts';

/** Longest chain of parents. */
export const PARENTS_MAX = 8;

/** A chain that is too long. */
export function tooManyParents(): ImageError {
  return new ImageError('parent', `The func-image has more than ${PARENTS_MAX} parents.`);
}

/** Files of a directory that are looked at. */
const FILES_MAX = 4096;
const SUFFIX = '.cfi';

/** Reads the digest in a file's prologue; null when it is too short to be an image. */
export function readDigest(file: string): Uint8Array | null {
  const fd = fs.openSync(file, 'r');
  try {
    const first = new Uint8Array(cfiPrologueBytes);
    if (fs.readSync(fd, first, 0, first.length, 0) < first.length) return null;
    return first.slice(cfiDigestOff);
  } finally {
    fs.closeSync(fd);
  }
}

function isThere(file: string, digest: Uint8Array): boolean {
  try {
    const found = readDigest(file);
    return found !== null && found.every((byte, index) => byte === digest[index]);
  } catch {
    return false;
  }
}

/** The images in a directory, by name. */
export function listImages(directory: string): string[] {
  const names = fs.readdirSync(directory).filter((name) => name.endsWith(SUFFIX));
  return names.sort().slice(0, FILES_MAX).map((name) => path.join(directory, name));
}

/**
 * The path of the parent of the image at `child`.
 * @throws ImageError when no image beside it has that digest
 */
export function findParent(child: string, digest: Uint8Array): string {
  const directory = path.dirname(path.resolve(child));
  for (const file of listImages(directory)) if (isThere(file, digest)) return file;
  const short = Buffer.from(digest.subarray(0, 6)).toString('hex');
  throw new ImageError(
    'parent',
    `The func-image needs its parent image ${short}…, which is not in ${directory}.`,
  );
}
