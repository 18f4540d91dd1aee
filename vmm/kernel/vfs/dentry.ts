// Dentries: names in the tree. Children hang from their parent in a sibling list; VfsCache.children
// indexes it by name.
//
// Ownership: a dentry lives while it is pinned, or `refs` (open files, cwd, root, exe, mappings and
// children) is not 0; otherwise it is in VfsCache.unused and may be evicted. A child counts in its
// parent's refs also after it was deleted, so that paths of open files can be told.
// Invariant: a dentry that is not deleted is in its parent's sibling list.
import type { Kernel } from '../kernel.ts';
import { Dentry, type Inode } from '../records/vfs.ts';
import { makeBytes } from '../state/containers.ts';
import { UNUSED_DENTRIES_MOST } from './cache.ts';
import { dropInode, holdInode } from './inode.ts';
import { notifyGone } from './notify.ts';

/** How many are evicted when there are too many. */
const EVICTED_AT_ONCE = 1_000;

/** A name as a key of VfsCache.children: one character a byte. */
export function nameKey(name: Uint8Array): string {
  return String.fromCharCode(...name);
}

/** Makes a dentry below `parent` (null: the root of a file system) and links it. */
export function makeDentry(
  k: Kernel,
  parent: Dentry | null,
  name: Uint8Array,
  inode: Inode | null,
): Dentry {
  const dentry = k.arena.make(Dentry);
  dentry.name = makeBytes(k.arena, name);
  if (inode !== null) dentry.inode = holdInode(inode);
  if (parent !== null) {
    attachDentry(k, dentry, parent);
    k.vfs.unused.add(dentry);
  }
  return dentry;
}

/**
 * A dentry that is deleted from the start, for files that never had a name ("/tmp/#123 (deleted)").
 * It has no user yet: the first one to drop it frees it.
 */
export function makeNamelessDentry(
  k: Kernel,
  parent: Dentry | null,
  name: Uint8Array,
  inode: Inode,
): Dentry {
  const dentry = k.arena.make(Dentry);
  dentry.name = makeBytes(k.arena, name);
  dentry.inode = holdInode(inode);
  if (parent !== null) dentry.parent = holdDentry(k, parent);
  dentry.deleted = true;
  return dentry;
}

/** Links a dentry that has no place into `parent`. Preconditions: the name is free there. */
export function attachDentry(k: Kernel, dentry: Dentry, parent: Dentry): void {
  dentry.parent = holdDentry(k, parent);
  const first = parent.firstChild;
  dentry.nextSibling = first;
  dentry.previousSibling = null;
  if (first !== null) first.previousSibling = dentry;
  parent.firstChild = dentry;
  k.vfs.children.get(parent.address)?.set(nameKey(dentry.name.data), dentry);
}

/** Takes a dentry out of its parent's list and index; it keeps `parent` and its reference to it. */
export function unlinkSibling(k: Kernel, dentry: Dentry): void {
  const { parent, nextSibling, previousSibling } = dentry;
  if (parent === null) return;
  if (previousSibling !== null) previousSibling.nextSibling = nextSibling;
  else if (parent.firstChild === dentry) parent.firstChild = nextSibling;
  if (nextSibling !== null) nextSibling.previousSibling = previousSibling;
  dentry.nextSibling = null;
  dentry.previousSibling = null;
  k.vfs.children.get(parent.address)?.delete(nameKey(dentry.name.data));
}

/** The child of that name if there is a record of it (possibly a negative one). */
export function findChild(k: Kernel, parent: Dentry, name: Uint8Array): Dentry | null {
  let index = k.vfs.children.get(parent.address);
  if (index === undefined) {
    index = new Map();
    for (let child = parent.firstChild; child !== null; child = child.nextSibling) {
      index.set(nameKey(child.name.data), child);
    }
    k.vfs.children.set(parent.address, index);
  }
  const found = index.get(nameKey(name));
  if (found === undefined) return null;
  if (k.vfs.unused.delete(found)) k.vfs.unused.add(found);
  return found;
}

/** Counts one more user; returns the same dentry. */
export function holdDentry(k: Kernel, dentry: Dentry): Dentry {
  dentry.refs++;
  k.vfs.unused.delete(dentry);
  return dentry;
}

/** Counts one user less. A deleted dentry that nobody holds is freed. */
export function dropDentry(k: Kernel, dentry: Dentry): void {
  dentry.refs--;
  if (dentry.refs > 0) return;
  if (dentry.deleted) freeDentry(k, dentry);
  else if (!dentry.pinned && dentry.parent !== null) k.vfs.unused.add(dentry);
}

/** Makes the dentry one that must be kept: it, or its inode, differs from the lower layer. */
export function pinDentry(k: Kernel, dentry: Dentry): void {
  dentry.pinned = true;
  k.vfs.unused.delete(dentry);
}

/** Whether a dentry could be made again from the lower layer, and nobody holds it. */
export function isEvictable(dentry: Dentry): boolean {
  return dentry.refs === 0 && !dentry.pinned && !dentry.deleted && dentry.parent !== null;
}

/** Frees an evictable dentry. */
export function evictDentry(k: Kernel, dentry: Dentry): void {
  freeDentry(k, dentry);
}

/** Removes a dentry from the tree; it is freed now, or when its last user drops it. */
export function deleteDentry(k: Kernel, dentry: Dentry): void {
  unlinkSibling(k, dentry);
  dentry.deleted = true;
  dentry.pinned = false;
  if (dentry.refs === 0) freeDentry(k, dentry);
}

function freeDentry(k: Kernel, dentry: Dentry): void {
  const { parent, inode, name } = dentry;
  if (!dentry.deleted) unlinkSibling(k, dentry);
  k.vfs.unused.delete(dentry);
  k.vfs.children.delete(dentry.address);
  k.arena.free(dentry);
  k.arena.free(name);
  if (inode !== null) {
    // Linux: dentry_unlink_inode. The last name of an inode without links.
    if (inode.watches !== null && inode.nlink === 0) notifyGone(k, inode);
    dropInode(k, inode);
  }
  if (parent !== null) dropDentry(k, parent);
}

/**
 * Evicts unused dentries when there are too many, oldest first. Dentries found or made since the
 * current call began are the newest, so it cannot pull one away from under a path walk.
 */
export function trimDentries(k: Kernel, most: number = UNUSED_DENTRIES_MOST): void {
  const { unused } = k.vfs;
  if (unused.size <= most) return;
  let left = Math.max(EVICTED_AT_ONCE, unused.size - most);
  for (const dentry of unused) {
    if (left-- === 0) return;
    if (isEvictable(dentry)) freeDentry(k, dentry);
    else unused.delete(dentry);
  }
}
