// Write sets of the images that this process has booted: a cache by file identity, filled by the first
// boot of an image and used by all later ones.
import type { Instance } from './instance.ts';
import type { OpenImage } from './image-open.ts';
import { collectWritten, makeWriteSet, type WriteSet } from './write-set.ts';

const known: Map<string, WriteSet | null> = new Map();

/** The write set to pre-copy, or null when none is known yet. */
export function writeSetOf(image: OpenImage): WriteSet | null {
  return known.get(image.identity) ?? null;
}

/** Learns the write set from a sandbox that has ended (once per image). */
export function recordWriteSet(image: OpenImage, instance: Instance): void {
  if (known.has(image.identity)) return;
  known.set(image.identity, makeWriteSet(image, collectWritten(instance.k, image)));
}
