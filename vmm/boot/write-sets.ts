// Write sets by image: what the image itself carries from its build's trial boot, or, for an image
// without one, what the first boot in this process wrote. A cache by file identity.
import type { Instance } from './instance.ts';
import type { OpenImage } from './image-open.ts';
import { collectWritten, makeWriteSet, type WriteSet, touchedByImage } from './write-set.ts';

const known: Map<string, WriteSet | null> = new Map();

/** The write set to pre-copy: the image's own, else what its first boot here wrote, or null. */
export function writeSetOf(image: OpenImage): WriteSet | null {
  let set = known.get(image.identity);
  if (set === undefined) {
    set = makeWriteSet(image, touchedByImage(image));
    if (set !== null) known.set(image.identity, set);
  }
  return set;
}

/** Learns the write set from a sandbox that has ended (once per image). */
export function recordWriteSet(image: OpenImage, instance: Instance): void {
  if (known.has(image.identity)) return;
  known.set(image.identity, makeWriteSet(image, collectWritten(instance.k, image)));
}
