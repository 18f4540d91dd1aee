// Who uses a snapshot: sandboxes made of it, and handles that callers hold. What belongs to it
// (descriptors, a region of the state memory) is given back when it has been closed and the last of
// them is gone, so that an image that is replaced or closed takes nothing from those that run.
import type { Snapshot } from './snapshot.ts';

interface Use {
  count: number;
  /** Set when it has been closed. */
  dispose: (() => void) | null;
}

const uses: Map<Snapshot, Use> = new Map();
/** What has been given back. */
const gone: WeakSet<Snapshot> = new WeakSet();

/** Notes a user; what is returned ends its use. Idempotent. */
export function holdSnapshot(snapshot: Snapshot): () => void {
  let use = uses.get(snapshot);
  if (use === undefined) uses.set(snapshot, use = { count: 0, dispose: null });
  const held = use;
  held.count++;
  let isHeld = true;
  return () => {
    if (!isHeld) return;
    isHeld = false;
    if (--held.count > 0) return;
    uses.delete(snapshot);
    if (held.dispose !== null) giveBack(snapshot, held.dispose);
  };
}

function giveBack(snapshot: Snapshot, dispose: () => void): void {
  if (gone.has(snapshot)) return;
  gone.add(snapshot);
  dispose();
}

/** Calls `dispose` once nobody uses the snapshot, now or later; never twice. */
export function whenUnused(snapshot: Snapshot, dispose: () => void): void {
  const use = uses.get(snapshot);
  if (use === undefined) giveBack(snapshot, dispose);
  else use.dispose ??= dispose;
}
