// Host descriptors that the sandboxes of one snapshot share (paper, 3.4: on-demand I/O, I/O cache).
// A restored file has no descriptor: it is opened when it is first used. What the first sandboxes
// used is kept open here, so that later ones find it connected; a file's identity is compared again
// by each sandbox before it reads (kernel/vfs/lower.ts).
//
// Ownership: descriptors for reading only, closed with the snapshot. Reads give their offset, so
// that nobody moves anything for anybody else.
import type { HostRoot } from '../../host/files.ts';
import type { Kernel } from '../../kernel/kernel.ts';
import type { LowerFs } from '../../kernel/ports.ts';
import { Sandbox } from '../../kernel/records/index.ts';
import { u32 } from '../../kernel/state/memory.ts';
import { ImageError, showName } from '../image/image-error.ts';
import { missingVolume, openLower } from '../files/open-lower.ts';
import type { Snapshot } from './snapshot.ts';

/** Descriptors kept for a snapshot. */
const HANDLES_MAX = 64;

export class IoCache {
  /** Serial of an inode of the snapshot -> handle. */
  readonly handles: Map<number, number> = new Map();
  readonly lower: LowerFs;
  /** What `lower` reads from. */
  readonly roots: HostRoot[] = [];
  readonly #serialsEnd: number;

  constructor(snapshot: Snapshot, rootfs: string) {
    const { rootfs: own } = snapshot;
    try {
      this.lower = openLower(this.roots, rootfs, own.volumes ?? [], missingVolume(own));
    } catch (error) {
      this.#dispose();
      // The rootfs comes first.
      if (this.roots.length > 0 || rootfs !== own.path) throw error;
      throw new ImageError('root', `The func-image's rootfs ${showName(rootfs)} cannot be ` +
        'opened: give another one with --rootfs.');
    }
    const at = snapshot.objects.address + snapshot.root + Sandbox.offset('nextInodeSerial');
    this.#serialsEnd = u32[at >> 2] as number;
  }

  /** Keeps what a sandbox that has ended had opened of the snapshot's own files. */
  learn(k: Kernel): void {
    for (const [serial, handle] of k.vfs.handles) {
      if (this.handles.size >= HANDLES_MAX) return;
      if (serial >= this.#serialsEnd || this.handles.has(serial)) continue;
      this.handles.set(serial, handle);
      k.vfs.handles.delete(serial);
    }
  }

  /** Order: after the last sandbox has ended. */
  close(): void {
    for (const handle of this.handles.values()) this.lower.close(handle);
    this.handles.clear();
    this.#dispose();
  }

  #dispose(): void {
    for (const root of this.roots) root.dispose();
  }
}

const caches: Map<Snapshot, Map<string, IoCache>> = new Map();

/** The cache of a snapshot for one rootfs. @throws HostError when there is no such directory */
export function ioCacheOf(snapshot: Snapshot, rootfs: string): IoCache {
  let ofSnapshot = caches.get(snapshot);
  if (ofSnapshot === undefined) caches.set(snapshot, ofSnapshot = new Map());
  let cache = ofSnapshot.get(rootfs);
  if (cache === undefined) ofSnapshot.set(rootfs, cache = new IoCache(snapshot, rootfs));
  return cache;
}

/** Closes what is kept for a snapshot. */
export function dropIoCaches(snapshot: Snapshot): void {
  for (const cache of caches.get(snapshot)?.values() ?? []) cache.close();
  caches.delete(snapshot);
}
