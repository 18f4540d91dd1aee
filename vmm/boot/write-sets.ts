// Write sets by snapshot: what an image itself carries from its build's trial boot; for a snapshot
// without one, what its first sandbox here touched.
import type { Kernel } from '../kernel/kernel.ts';
import type { OpenImage } from './image-open.ts';
import type { Snapshot } from './snapshot.ts';
import { collectTouched, makeWriteSet, type WriteSet, touchedByImage } from './write-set.ts';
import { giveRegion } from '../kernel/state/memory.ts';

const known: Map<Snapshot, WriteSet | null> = new Map();

/** Gives an image the write set it carries. Order: when it is opened. */
export function adoptWriteSet(image: OpenImage): void {
  const set = makeWriteSet(image, touchedByImage(image));
  if (set !== null) known.set(image, set);
}

/** The pages to pre-copy, or null while none are known. */
export function writeSetOf(snapshot: Snapshot): WriteSet | null {
  return known.get(snapshot) ?? null;
}

/** Whether a sandbox should find the write set out. */
export function wantsWriteSet(snapshot: Snapshot): boolean {
  return !known.has(snapshot);
}

/** Learns the write set from a sandbox that was a trial (Kernel.isTrial) up to now. */
export function recordWriteSet(snapshot: Snapshot, k: Kernel): void {
  if (known.has(snapshot)) return;
  known.set(snapshot, makeWriteSet(snapshot, collectTouched(k, snapshot)));
}

/** Forgets what is known of a snapshot. */
export function dropWriteSet(snapshot: Snapshot): void {
  const set = known.get(snapshot) ?? null;
  known.delete(snapshot);
  if (set !== null) giveRegion(set.tree);
}
