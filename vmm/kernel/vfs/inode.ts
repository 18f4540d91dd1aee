// Inodes: making, holding, dropping. What an inode means is told in records/vfs.ts.
//
// Ownership: an inode lives while anything names it: each dentry, open file and mapping counts one
// in `refs`. The last drop frees the record, its page cache and whatever hangs from it.
import type { Kernel } from '../kernel.ts';
import { dropInodePages } from '../mm/page-cache.ts';
import { Inode } from '../records/vfs.ts';
import { wake } from '../task/block.ts';
import { realtime } from '../time/clock.ts';

/** A new inode with no references, nlink 1, times of now. `mode` includes the type bits. */
export function makeInode(k: Kernel, fs: number, mode: number): Inode {
  const inode = k.arena.make(Inode);
  inode.serial = k.root.nextInodeSerial++;
  inode.fs = fs;
  inode.mode = mode;
  inode.nlink = 1;
  const { sec, nsec } = realtime(k);
  inode.atimeSec = sec;
  inode.atimeNsec = nsec;
  inode.mtimeSec = sec;
  inode.mtimeNsec = nsec;
  inode.ctimeSec = sec;
  inode.ctimeNsec = nsec;
  return inode;
}

/** Counts one more user; returns the same inode. */
export function holdInode(inode: Inode): Inode {
  inode.refs++;
  return inode;
}

/** Counts one user less; the last one frees the inode. */
export function dropInode(k: Kernel, inode: Inode): void {
  inode.refs--;
  if (inode.refs > 0) return;
  freeInode(k, inode);
}

function freeInode(k: Kernel, inode: Inode): void {
  const handle = k.vfs.handles.get(inode.serial);
  if (handle !== undefined) {
    k.ports.lower.close(handle);
    k.vfs.handles.delete(inode.serial);
  }
  dropInodePages(k, inode);
  for (let lock = inode.locks; lock !== null;) {
    const { next } = lock;
    k.arena.free(lock);
    lock = next;
  }
  if (inode.lockQueue !== null) {
    wake(k, inode.lockQueue);
    k.arena.free(inode.lockQueue);
  }
  const { lowerPath, target, xattrs, pages } = inode;
  inode.pages = null;
  for (const part of [lowerPath, target, xattrs, pages]) {
    if (part !== null) k.arena.free(part);
  }
  k.arena.free(inode);
}

/** Sets mtime and ctime to now. */
export function touchModified(k: Kernel, inode: Inode): void {
  const { sec, nsec } = realtime(k);
  inode.mtimeSec = sec;
  inode.mtimeNsec = nsec;
  inode.ctimeSec = sec;
  inode.ctimeNsec = nsec;
}

/** Sets ctime to now. */
export function touchChanged(k: Kernel, inode: Inode): void {
  const { sec, nsec } = realtime(k);
  inode.ctimeSec = sec;
  inode.ctimeNsec = nsec;
}
