// Calls on names: getdents(2), getcwd(2), chdir(2), mkdir(2), rmdir(2), unlink(2), rename(2),
// link(2), symlink(2), mknod(2), chroot(2), umask(2).
import {
  EBADF, EFAULT, EINVAL, ENOENT, ENOTDIR, EPERM, ERANGE, EXDEV,
} from '../../abi/errno.ts';
import { IN_ACCESS } from '../../abi/eventfd.ts';
import {
  AT_EMPTY_PATH, AT_FDCWD, AT_REMOVEDIR, AT_SYMLINK_FOLLOW,
} from '../../abi/fcntl.ts';
import {
  S_IFBLK, S_IFCHR, S_IFDIR, S_IFIFO, S_IFMT, S_IFREG, S_IFSOCK, S_ISDIR,
} from '../../abi/stat.ts';
import type { Kernel } from '../kernel.ts';
import { copyOut } from '../mm/user-memory.ts';
import type { Task } from '../records/task.ts';
import type { Dentry } from '../records/vfs.ts';
import { dropDentry, holdDentry } from '../vfs/dentry.ts';
import { readEntries } from '../vfs/directory-file.ts';
import { getFile, getRawFile } from '../vfs/file.ts';
import {
  lookupAt, LOOKUP_DIRECTORY, LOOKUP_EMPTY, LOOKUP_FOLLOW, mountOf,
} from '../vfs/lookup.ts';
import {
  createNode, createSymlink, findSlot, linkInode, makeDirectory,
} from '../vfs/namespace.ts';
import { notifyFile } from '../vfs/notify.ts';
import { pathBelow } from '../vfs/path-name.ts';
import { checkPermission, MAY_EXEC } from '../vfs/permission.ts';
import { removeDirectory, unlinkAt } from '../vfs/remove.ts';
import { checkRenameFlags, renameAt } from '../vfs/rename.ts';
import { readPath } from '../vfs/user-path.ts';
import type { Args } from './args.ts';
import { type Family, full, partial } from './define.ts';

function readDirectory(k: Kernel, task: Task, a: Args, isOld: boolean): number {
  const gva = a.u64(1);
  const file = getFile(task, a.i32(0));
  if (file === null) return -EBADF;
  const before = file.position;
  const entries = readEntries(k, file, a.u32(2), isOld);
  if (entries !== -ENOTDIR) notifyFile(k, file, IN_ACCESS);
  if (typeof entries === 'number') return entries;
  if (copyOut(k, gva, entries) === entries.length) return entries.length;
  file.position = before;
  return -EFAULT;
}

function getdents(k: Kernel, task: Task, a: Args): number {
  return readDirectory(k, task, a, true);
}

function getdents64(k: Kernel, task: Task, a: Args): number {
  return readDirectory(k, task, a, false);
}

const UNREACHABLE: Uint8Array = new TextEncoder().encode('(unreachable)');

/** Returns the length with the NUL, unlike the C library's function. */
function getcwd(k: Kernel, task: Task, a: Args): number {
  const gva = a.u64(0);
  const { cwd, root } = task.process;
  if (cwd.deleted) return -ENOENT;
  const { path, reachable } = pathBelow(cwd, root);
  const prefix = reachable ? 0 : UNREACHABLE.length;
  const text = new Uint8Array(prefix + path.length + 1);
  if (!reachable) text.set(UNREACHABLE);
  text.set(path, prefix);
  if (text.length > a.u64(1)) return -ERANGE;
  return copyOut(k, gva, text) === text.length ? text.length : -EFAULT;
}

/** A directory that may be entered, or -errno. */
function enterable(k: Kernel, task: Task, gva: number): Dentry | number {
  const path = readPath(k, gva);
  if (typeof path === 'number') return path;
  const place = lookupAt(k, task.process, AT_FDCWD, path, LOOKUP_FOLLOW | LOOKUP_DIRECTORY);
  if (typeof place === 'number') return place;
  const { dentry, inode } = place;
  if (dentry === null || inode === null) return -ENOTDIR;
  const denied = checkPermission(task.process, inode, MAY_EXEC);
  return denied !== 0 ? denied : dentry;
}

function setCwd(k: Kernel, task: Task, dentry: Dentry): number {
  const { process } = task;
  const old = process.cwd;
  process.cwd = holdDentry(k, dentry);
  dropDentry(k, old);
  return 0;
}

function chdir(k: Kernel, task: Task, a: Args): number {
  const dentry = enterable(k, task, a.u64(0));
  return typeof dentry === 'number' ? dentry : setCwd(k, task, dentry);
}

function fchdir(k: Kernel, task: Task, a: Args): number {
  const file = getRawFile(task, a.i32(0));
  if (file === null) return -EBADF;
  const { dentry, inode } = file;
  if (dentry === null || inode === null || !S_ISDIR(inode.mode)) return -ENOTDIR;
  const denied = checkPermission(task.process, inode, MAY_EXEC);
  return denied !== 0 ? denied : setCwd(k, task, dentry);
}

function chroot(k: Kernel, task: Task, a: Args): number {
  const { process } = task;
  const dentry = enterable(k, task, a.u64(0));
  if (typeof dentry === 'number') return dentry;
  if (process.uid !== 0) return -EPERM;
  const old = process.root;
  process.root = holdDentry(k, dentry);
  dropDentry(k, old);
  return 0;
}

function makeDirectoryAt(k: Kernel, task: Task, dirfd: number, gva: number, mode: number): number {
  const path = readPath(k, gva);
  return typeof path === 'number' ? path : makeDirectory(k, task.process, dirfd, path, mode);
}

function mkdir(k: Kernel, task: Task, a: Args): number {
  return makeDirectoryAt(k, task, AT_FDCWD, a.u64(0), a.u32(1));
}

function mkdirat(k: Kernel, task: Task, a: Args): number {
  return makeDirectoryAt(k, task, a.i32(0), a.u64(1), a.u32(2));
}

function rmdir(k: Kernel, task: Task, a: Args): number {
  const path = readPath(k, a.u64(0));
  return typeof path === 'number' ? path : removeDirectory(k, task.process, AT_FDCWD, path);
}

function unlink(k: Kernel, task: Task, a: Args): number {
  const path = readPath(k, a.u64(0));
  return typeof path === 'number' ? path : unlinkAt(k, task.process, AT_FDCWD, path);
}

function unlinkat(k: Kernel, task: Task, a: Args): number {
  const dirfd = a.i32(0);
  const flags = a.u32(2);
  if ((flags & ~AT_REMOVEDIR) !== 0) return -EINVAL;
  const path = readPath(k, a.u64(1));
  if (typeof path === 'number') return path;
  return (flags & AT_REMOVEDIR) !== 0
    ? removeDirectory(k, task.process, dirfd, path)
    : unlinkAt(k, task.process, dirfd, path);
}

function renamePaths(
  k: Kernel,
  task: Task,
  from: readonly [dirfd: number, gva: number],
  to: readonly [dirfd: number, gva: number],
  flags: number,
): number {
  const refused = checkRenameFlags(flags);
  if (refused !== 0) return refused;
  const fromPath = readPath(k, from[1]);
  if (typeof fromPath === 'number') return fromPath;
  const toPath = readPath(k, to[1]);
  if (typeof toPath === 'number') return toPath;
  const source = { dirfd: from[0], path: fromPath };
  return renameAt(k, task.process, source, { dirfd: to[0], path: toPath }, flags);
}

function rename(k: Kernel, task: Task, a: Args): number {
  return renamePaths(k, task, [AT_FDCWD, a.u64(0)], [AT_FDCWD, a.u64(1)], 0);
}

function renameat(k: Kernel, task: Task, a: Args): number {
  return renamePaths(k, task, [a.i32(0), a.u64(1)], [a.i32(2), a.u64(3)], 0);
}

function renameat2(k: Kernel, task: Task, a: Args): number {
  return renamePaths(k, task, [a.i32(0), a.u64(1)], [a.i32(2), a.u64(3)], a.u32(4));
}

function linkPaths(
  k: Kernel,
  task: Task,
  from: readonly [dirfd: number, gva: number],
  to: readonly [dirfd: number, gva: number],
  flags: number,
): number {
  if ((flags & ~(AT_SYMLINK_FOLLOW | AT_EMPTY_PATH)) !== 0) return -EINVAL;
  const { process } = task;
  const fromPath = readPath(k, from[1]);
  if (typeof fromPath === 'number') return fromPath;
  const lookup = ((flags & AT_SYMLINK_FOLLOW) !== 0 ? LOOKUP_FOLLOW : 0) |
    ((flags & AT_EMPTY_PATH) !== 0 ? LOOKUP_EMPTY : 0);
  const place = lookupAt(k, process, from[0], fromPath, lookup);
  if (typeof place === 'number') return place;
  const toPath = readPath(k, to[1]);
  if (typeof toPath === 'number') return toPath;
  const slot = findSlot(k, process, to[0], toPath, false);
  if (typeof slot === 'number') return slot;
  const { inode, dentry } = place;
  if (inode === null || dentry === null || mountOf(dentry) !== mountOf(slot.parent)) return -EXDEV;
  return linkInode(k, process, inode, dentry, slot);
}

function link(k: Kernel, task: Task, a: Args): number {
  return linkPaths(k, task, [AT_FDCWD, a.u64(0)], [AT_FDCWD, a.u64(1)], 0);
}

function linkat(k: Kernel, task: Task, a: Args): number {
  return linkPaths(k, task, [a.i32(0), a.u64(1)], [a.i32(2), a.u64(3)], a.u32(4));
}

function makeLink(k: Kernel, task: Task, targetGva: number, dirfd: number, gva: number): number {
  const target = readPath(k, targetGva);
  if (typeof target === 'number') return target;
  const path = readPath(k, gva);
  if (typeof path === 'number') return path;
  return createSymlink(k, task.process, target, dirfd, path);
}

function symlink(k: Kernel, task: Task, a: Args): number {
  return makeLink(k, task, a.u64(0), AT_FDCWD, a.u64(1));
}

function symlinkat(k: Kernel, task: Task, a: Args): number {
  return makeLink(k, task, a.u64(0), a.i32(1), a.u64(2));
}

/** Device nodes would be of no use: the devices that exist are in /dev. */
function makeNode(k: Kernel, task: Task, dirfd: number, gva: number, mode: number): number {
  const type = mode & S_IFMT;
  if (type === S_IFDIR) return -EPERM;
  const known = [0, S_IFREG, S_IFIFO, S_IFSOCK, S_IFCHR, S_IFBLK].includes(type);
  if (!known) return -EINVAL;
  const path = readPath(k, gva);
  if (typeof path === 'number') return path;
  const slot = findSlot(k, task.process, dirfd, path, false);
  if (typeof slot === 'number') return slot;
  if (type === S_IFCHR || type === S_IFBLK) return -EPERM;
  const made = createNode(k, task.process, slot, (type === 0 ? S_IFREG : type) | (mode & 0o7777));
  return typeof made === 'number' ? made : 0;
}

function mknod(k: Kernel, task: Task, a: Args): number {
  return makeNode(k, task, AT_FDCWD, a.u64(0), a.u32(1));
}

function mknodat(k: Kernel, task: Task, a: Args): number {
  return makeNode(k, task, a.i32(0), a.u64(1), a.u32(2));
}

function umask(_k: Kernel, task: Task, a: Args): number {
  const { process } = task;
  const old = process.umask;
  process.umask = a.u32(0) & 0o777;
  return old;
}

export const directoryCalls: Family = {
  getdents: full(getdents),
  getdents64: full(getdents64),
  getcwd: full(getcwd),
  chdir: full(chdir),
  fchdir: full(fchdir),
  chroot: full(chroot),
  mkdir: full(mkdir),
  mkdirat: full(mkdirat),
  rmdir: full(rmdir),
  unlink: full(unlink),
  unlinkat: full(unlinkat),
  rename: full(rename),
  renameat: full(renameat),
  renameat2: partial(renameat2, 'RENAME_WHITEOUT is EINVAL.'),
  link: full(link),
  linkat: full(linkat),
  symlink: full(symlink),
  symlinkat: full(symlinkat),
  mknod: partial(mknod, 'Device nodes are EPERM.'),
  mknodat: partial(mknodat, 'Device nodes are EPERM.'),
  umask: full(umask),
};

