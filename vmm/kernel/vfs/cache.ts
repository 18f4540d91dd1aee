// What the file system keeps outside the records: indexes and host handles. All of it can be
// dropped at any moment (`drop`) and is made again from the records and the lower file system.
//
//   children   directory dentry ─► name ─► dentry     (an index of the sibling lists)
//   unused     dentries nobody holds that may be evicted, least recently used first
//   handles    lower files open on the host, least recently used first
//   shared     lower files that others keep open: an image's or template's I/O cache
import type { Dentry } from '../records/vfs.ts';
import type { LowerFs } from '../ports.ts';

/** Most dentries that are kept although nobody holds them. */
export const UNUSED_DENTRIES_MOST = 20_000;
/** Most lower files open on the host at one time. */
export const HANDLES_MOST = 64;

export class VfsCache {
  /** Directory dentry's address -> (name as Latin-1 -> child). */
  readonly children: Map<number, Map<string, Dentry>> = new Map();
  /** Unpinned dentries without references, in the order of their last use. */
  readonly unused: Set<Dentry> = new Set();
  /** Inode serial -> handle of its lower file, in the order of their last use. */
  readonly handles: Map<number, number> = new Map();
  /** Inode serial -> handle that somebody else keeps open; for reading only. */
  shared: ReadonlyMap<number, number> = new Map();
  /** Serials of the shared files that this sandbox has compared with its inodes. */
  readonly borrowed: Set<number> = new Set();
  /** How many lower files were opened on the host (reports show it). */
  hostOpens: number = 0;

  /** Closes every host handle and forgets every index. */
  drop(lower: LowerFs): void {
    for (const handle of this.handles.values()) lower.close(handle);
    this.handles.clear();
    this.children.clear();
    this.unused.clear();
  }
}
