// rename(2), renameat2(2). The dentry moves with everything below it; its inode keeps naming the
// lower path it came from, so the lower children of a renamed directory still resolve.
//
//   before   parentA/a ─► inode ─► lower 'x/a'        parentB/b ─► (nothing, or a victim)
//   after    parentA/a: whiteout (if the lower layer has it)    parentB/b ─► inode ─► lower 'x/a'
import {
  EBUSY, EEXIST, EINVAL, EISDIR, ENOENT, ENOTDIR, ENOTEMPTY, EROFS, EXDEV,
} from '../../abi/errno.ts';
import { RENAME_EXCHANGE, RENAME_NOREPLACE } from '../../abi/fcntl.ts';
import { S_ISDIR } from '../../abi/stat.ts';
import type { Kernel } from '../kernel.ts';
import type { Process } from '../records/task.ts';
import type { Dentry, Inode } from '../records/vfs.ts';
import { type Bytes, makeBytes } from '../state/containers.ts';
import { lookupChild } from './child.ts';
import {
  attachDentry, deleteDentry, dropDentry, findChild, holdDentry, pinDentry, unlinkSibling,
} from './dentry.ts';
import { touchChanged, touchModified } from './inode.ts';
import { beginWalk, LAST_NAME, mountOf, type Walk } from './lookup.ts';
import { mayChange } from './namespace.ts';
import { notifyMoved } from './notify.ts';
import { checkEmpty, makeWhiteout, mayRemove, removeName } from './remove.ts';

/** One end of a rename. */
export interface RenameEnd {
  dirfd: number;
  path: Uint8Array;
}

/** Whether renameAt() can do what RENAME_* `flags` ask for: 0 or -EINVAL. */
export function checkRenameFlags(flags: number): number {
  if ((flags & ~(RENAME_NOREPLACE | RENAME_EXCHANGE)) !== 0) return -EINVAL;
  return flags === (RENAME_NOREPLACE | RENAME_EXCHANGE) ? -EINVAL : 0;
}

/** renameat2(2). Preconditions: `flags` have been checked. */
export function renameAt(
  k: Kernel,
  process: Process,
  from: RenameEnd,
  to: RenameEnd,
  flags: number,
): number {
  const source = walkToParent(k, process, from);
  if (typeof source === 'number') return source;
  const target = walkToParent(k, process, to);
  if (typeof target === 'number') return target;
  if (mountOf(source.at) !== mountOf(target.at)) return -EXDEV;
  if (source.last !== LAST_NAME) return -EBUSY;
  if (target.last !== LAST_NAME) return (flags & RENAME_NOREPLACE) !== 0 ? -EEXIST : -EBUSY;
  if ((source.at.inode as Inode).readOnly) return -EROFS;
  const old = lookupChild(k, source.at, source.name);
  if (typeof old === 'number') return old;
  if (old === null || old.inode === null) return -ENOENT;
  const found = lookupChild(k, target.at, target.name);
  if (typeof found === 'number') return found;
  const victim = found !== null && found.inode !== null ? found : null;
  const error = checkNames(source, target, old, victim, flags);
  if (error !== 0) return error;
  // Hard links to one file: nothing to do.
  if (victim !== null && victim.inode === old.inode) return 0;
  const refused = checkRename(k, process, old, target.at, victim, flags);
  if (refused !== 0) return refused;
  if ((flags & RENAME_EXCHANGE) !== 0) exchange(k, old, victim as Dentry);
  else move(k, old, target.at, target.name, found);
  return 0;
}

function walkToParent(k: Kernel, process: Process, end: RenameEnd): Walk | number {
  const walk = beginWalk(k, process, end.dirfd, end.path);
  if (typeof walk === 'number') return walk;
  const error = walk.parent();
  return error !== 0 ? error : walk;
}

/** Linux: the checks of do_renameat2. */
function checkNames(
  source: Walk,
  target: Walk,
  old: Dentry,
  victim: Dentry | null,
  flags: number,
): number {
  if ((flags & RENAME_NOREPLACE) !== 0 && victim !== null) return -EEXIST;
  const exchanges = (flags & RENAME_EXCHANGE) !== 0;
  if (exchanges) {
    if (victim === null) return -ENOENT;
    if (!isDirectory(victim) && target.trailingSlash) return -ENOTDIR;
  }
  if (!isDirectory(old)) {
    if (source.trailingSlash) return -ENOTDIR;
    if (!exchanges && target.trailingSlash) return -ENOTDIR;
  }
  if (isAncestor(old, target.at)) return -EINVAL;
  if (victim !== null && isAncestor(victim, source.at)) return exchanges ? -EINVAL : -ENOTEMPTY;
  return 0;
}

/** Linux: the checks of vfs_rename. */
function checkRename(
  k: Kernel,
  process: Process,
  old: Dentry,
  targetParent: Dentry,
  victim: Dentry | null,
  flags: number,
): number {
  const oldInode = old.inode as Inode;
  let error = mayRemove(process, old.parent as Dentry, oldInode);
  if (error !== 0) return error;
  const replaces = victim !== null && (flags & RENAME_EXCHANGE) === 0;
  error = victim === null
    ? mayChange(process, targetParent)
    : mayRemove(process, targetParent, victim.inode as Inode);
  if (error !== 0) return error;
  if (replaces) {
    if (isDirectory(old) && !isDirectory(victim)) return -ENOTDIR;
    if (!isDirectory(old) && isDirectory(victim)) return -EISDIR;
  }
  if (old.mounted !== null || (victim !== null && victim.mounted !== null)) return -EBUSY;
  return replaces && isDirectory(victim) ? checkEmpty(k, victim) : 0;
}

function isDirectory(dentry: Dentry): boolean {
  return S_ISDIR((dentry.inode as Inode).mode);
}

/** Whether `dentry` is `below` or above it. */
function isAncestor(dentry: Dentry, below: Dentry): boolean {
  for (let at: Dentry | null = below; at !== null; at = at.parent) {
    if (at === dentry) return true;
  }
  return false;
}

function move(
  k: Kernel,
  old: Dentry,
  newParent: Dentry,
  newName: Uint8Array,
  found: Dentry | null,
): void {
  const oldParent = old.parent as Dentry;
  // Order: what may fail for lack of kernel memory comes before any change.
  const whiteout = old.inLower ? makeWhiteout(k, old.name.data.slice()) : null;
  const name = makeBytes(k.arena, newName);
  const becomesInLower = found?.inLower ?? false;
  const oldName = old.name.data.slice();
  const replaced = found?.inode ?? null;
  // Kept until everybody knows that it was replaced.
  if (found !== null) holdDentry(k, found);
  pinDentry(k, oldParent);
  pinDentry(k, newParent);
  if (found !== null) {
    if (found.inode !== null) removeName(k, found);
    const left = findChild(k, newParent, newName);
    if (left !== null) deleteDentry(k, left);
  }
  unlinkSibling(k, old);
  place(k, old, newParent, name);
  old.inLower = becomesInLower;
  pinDentry(k, old);
  if (whiteout !== null) attachDentry(k, whiteout, oldParent);
  finishMove(k, old, oldParent, newParent);
  notifyMoved(k, oldParent.inode as Inode, oldName, old, replaced);
  if (found !== null) dropDentry(k, found);
}

function exchange(k: Kernel, first: Dentry, second: Dentry): void {
  const firstParent = first.parent as Dentry;
  const secondParent = second.parent as Dentry;
  const firstName = makeBytes(k.arena, first.name.data.slice());
  const secondName = makeBytes(k.arena, second.name.data.slice());
  const firstInLower = first.inLower;
  const names = [first.name.data.slice(), second.name.data.slice()] as const;
  pinDentry(k, firstParent);
  pinDentry(k, secondParent);
  unlinkSibling(k, first);
  unlinkSibling(k, second);
  place(k, first, secondParent, secondName);
  place(k, second, firstParent, firstName);
  first.inLower = second.inLower;
  second.inLower = firstInLower;
  pinDentry(k, first);
  pinDentry(k, second);
  finishMove(k, first, firstParent, secondParent);
  finishMove(k, second, secondParent, firstParent);
  notifyMoved(k, firstParent.inode as Inode, names[0], first, null);
  notifyMoved(k, secondParent.inode as Inode, names[1], second, null);
}

/** Gives an unlinked dentry another parent and name. Preconditions: the name is free there. */
function place(k: Kernel, dentry: Dentry, parent: Dentry, name: Bytes): void {
  const oldParent = dentry.parent as Dentry;
  const oldName = dentry.name;
  dentry.name = name;
  k.arena.free(oldName);
  attachDentry(k, dentry, parent);
  dropDentry(k, oldParent);
}

function finishMove(k: Kernel, moved: Dentry, from: Dentry, to: Dentry): void {
  const fromDir = from.inode as Inode;
  const toDir = to.inode as Inode;
  if (isDirectory(moved) && fromDir !== toDir) {
    fromDir.nlink = Math.max(fromDir.nlink - 1, 0);
    toDir.nlink++;
  }
  touchModified(k, fromDir);
  touchModified(k, toDir);
  touchChanged(k, moved.inode as Inode);
}

