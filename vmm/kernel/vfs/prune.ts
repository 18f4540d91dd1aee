// Before a save: what nobody needs goes out of the records, and (for a self-contained image) what
// the guest may still need of the lower files comes in.
import { ENOMEM } from '../../abi/errno.ts';
import { S_ISLNK, S_ISREG } from '../../abi/stat.ts';
import type { Kernel } from '../kernel.ts';
import { loadPage } from '../mm/cache-pages.ts';
import { PAGE_BYTES } from '../ports.ts';
import type { Process } from '../records/task.ts';
import type { Dentry, Inode } from '../records/vfs.ts';
import { forEachProcess } from '../task/family.ts';
import { isEvictable, evictDentry } from './dentry.ts';
import { readLink } from './symlink.ts';

/** Every dentry that can be reached from the root, parents before children, mounts included. */
function allDentries(k: Kernel): Dentry[] {
  const { rootDentry } = k.root;
  const found: Dentry[] = rootDentry === null ? [] : [rootDentry];
  // A list instead of recursion: a guest can nest directories as deep as it likes.
  for (let index = 0; index < found.length; index++) {
    const dentry = found[index] as Dentry;
    if (dentry.mounted !== null) found.push(dentry.mounted);
    for (let child = dentry.firstChild; child !== null; child = child.nextSibling) {
      found.push(child);
    }
  }
  return found;
}

/**
 * Frees the names (and their inodes) that are unpinned and unused; they are found again by lookup.
 */
export function pruneUnpinned(k: Kernel): void {
  const dentries = allDentries(k);
  for (let index = dentries.length - 1; index >= 0; index--) {
    const dentry = dentries[index] as Dentry;
    if (isEvictable(dentry)) evictDentry(k, dentry);
  }
}

/**
 * Reads the rest of every mapped or open lower file into its page cache, and the target of every
 * link that is kept, so that the image runs where the rootfs is empty.
 * @returns 0, or the first -errno (-ENOMEM: the sandbox's memory does not hold them all; -EIO,
 * -ESTALE)
 */
export function pinForSelfContained(k: Kernel): number {
  const { process } = k.root;
  if (process === null) return 0;
  let failed = 0;
  for (const inode of usedInodes(k)) {
    const result = S_ISREG(inode.mode) ? loadWhole(k, inode) : 0;
    if (result < 0 && failed === 0) failed = result;
  }
  for (const { inode } of allDentries(k)) {
    if (inode !== null && inode.lowerPath !== null && S_ISLNK(inode.mode)) {
      readLink(k, process, inode);
    }
  }
  return failed;
}

/** Inodes of open files, mappings and programs. */
export function usedInodes(k: Kernel): Set<Inode> {
  const used: Set<Inode> = new Set();
  forEachProcess(k, (process) => addUsed(process, used));
  return used;
}

function addUsed(process: Process, used: Set<Inode>): void {
  const { slots } = process.fds;
  for (let fd = 0; fd < slots.length; fd++) {
    const inode = slots.get(fd)?.inode ?? null;
    if (inode !== null) used.add(inode);
  }
  const vmas = process.mm?.vmas;
  for (let index = 0; vmas !== undefined && index < vmas.length; index++) {
    const inode = vmas.get(index)?.inode ?? null;
    if (inode !== null) used.add(inode);
  }
  const program = process.exe?.inode ?? null;
  if (program !== null) used.add(program);
}

/** Loads every page of lower content that is not cached yet. */
function loadWhole(k: Kernel, inode: Inode): number {
  const count = Math.ceil(Math.min(inode.lowerBytes, inode.bytes) / PAGE_BYTES);
  for (let index = 0; index < count; index++) {
    const end = Math.min(index + RUN_PAGES, count);
    const frame = loadPage(k, inode, index, index, end);
    if (frame < 0) return frame;
    if (frame === 0) return -ENOMEM;
  }
  return 0;
}

/** Pages that are read at a time. */
const RUN_PAGES = 256;
