// Write sets of snapshots that do not say themselves what is touched at once (Snapshot.hot): what
// their first sandbox here touched.
import type { Kernel } from '../../kernel/kernel.ts';
import type { Snapshot } from './snapshot.ts';
import { collectTouched, makeWriteSet, type StartSpace, type WriteSet } from './write-set.ts';
import { giveRegion } from '../../kernel/state/memory.ts';

const known: Map<Snapshot, WriteSet | null> = new Map();

/** The pages to pre-copy, or null while none are known. */
export function writeSetOf(snapshot: Snapshot): WriteSet | null {
  return known.get(snapshot) ?? null;
}

/** Whether a sandbox should find the write set out. */
export function wantsWriteSet(snapshot: Snapshot): boolean {
  return snapshot.hot === null && !known.has(snapshot);
}

/**
 * Learns the write set from a sandbox that was a trial (Kernel.isTrial) up to now.
 * @param spaces its address spaces when it began
 */
export function recordWriteSet(
  snapshot: Snapshot, k: Kernel, spaces: readonly StartSpace[],
): void {
  if (known.has(snapshot)) return;
  known.set(snapshot, makeWriteSet(snapshot, collectTouched(k, snapshot, spaces)));
}

/** Forgets what is known of a snapshot. */
export function dropWriteSet(snapshot: Snapshot): void {
  const set = known.get(snapshot) ?? null;
  known.delete(snapshot);
  if (set !== null) giveRegion(set.region);
}
