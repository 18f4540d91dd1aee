// open(2) on a path, without the descriptor: walk, create, check, and make the open file of the
// right kind. Linux: path_openat, do_open, may_open.
import {
  EACCES, EEXIST, EISDIR, ELOOP, ENOTDIR, ENXIO, EOPNOTSUPP, EPERM, EROFS, ETXTBSY,
} from '../../abi/errno.ts';
import { IN_OPEN } from '../../abi/eventfd.ts';
import {
  O_ACCMODE, O_CLOEXEC, O_CREAT, O_DIRECTORY, O_EXCL, O_NOCTTY, O_NOFOLLOW, O_PATH, O_RDONLY,
  O_RDWR, O_TMPFILE, O_TRUNC, O_WRONLY,
} from '../../abi/fcntl.ts';
import {
  S_IFBLK, S_IFCHR, S_IFDIR, S_IFIFO, S_IFLNK, S_IFMT, S_IFREG, S_ISDIR, S_ISLNK,
} from '../../abi/stat.ts';
import { openFifo, openPipeAgain } from '../ipc/fifo.ts';
import type { Kernel } from '../kernel.ts';
import type { Process, Task } from '../records/task.ts';
import {
  type Dentry, type File, FILE_CONSOLE, FILE_DEVICE, FILE_DIRECTORY, FILE_ENTRY, FILE_GENERATED,
  FILE_LOG, FILE_PATH, FILE_PIPE, FILE_REGULAR, type Inode,
} from '../records/vfs.ts';
import { isBusyText, truncateInode } from './attributes.ts';
import { lookupChild } from './child.ts';
import { holdDentry, makeNamelessDentry, pinDentry } from './dentry.ts';
import {
  isPlainDevice, RDEV_CONSOLE, RDEV_ENTRY, RDEV_GENERATION, RDEV_TTY,
} from './device-file.ts';
import { dropFile, makeFile, setFilePlace } from './file.ts';
import { isLog } from './log-file.ts';
import {
  beginWalk, LAST_NAME, lookupAt, LOOKUP_DIRECTORY, LOOKUP_FOLLOW, type Place, placeOf, type Walk,
} from './lookup.ts';
import { createNode, makeUpperInode, mayChange } from './namespace.ts';
import { notifyFile } from './notify.ts';
import { checkPermission, isReadOnlyContent, MAY_READ, MAY_WRITE } from './permission.ts';
import { isGenerated } from './proc/generated.ts';
import { openTerminal, reopenStream } from './console-node.ts';
import { isPtyNode, openOwnPty, openPtyNode } from './pty-node.ts';

/** Flags that act at open only and are not kept in File.flags. */
const OPEN_ONLY = O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC | O_CLOEXEC;
/** The bit of O_TMPFILE that is not O_DIRECTORY. */
const TMPFILE_BIT = O_TMPFILE & ~O_DIRECTORY;

/**
 * Opens `path`. Flags are checked and normalised already (syscalls/open.ts).
 * @returns a file with one reference (the caller's), -errno, or what waiting for a FIFO returns
 */
export function openPath(
  k: Kernel,
  task: Task,
  dirfd: number,
  path: Uint8Array,
  flags: number,
  mode: number,
  resolve: number = 0,
): File | number {
  const { process } = task;
  if ((flags & TMPFILE_BIT) !== 0) {
    return openTemporary(k, task, dirfd, path, flags, mode, resolve);
  }
  if ((flags & (O_PATH | O_CREAT)) === 0 || (flags & O_PATH) !== 0) {
    const lookup = ((flags & O_NOFOLLOW) === 0 ? LOOKUP_FOLLOW : 0) |
      ((flags & O_DIRECTORY) !== 0 ? LOOKUP_DIRECTORY : 0);
    const place = lookupAt(k, process, dirfd, path, lookup, resolve);
    if (typeof place === 'number') return place;
    if ((flags & O_PATH) !== 0) return makePathFile(k, place, flags);
    return openPlace(k, task, place, flags);
  }
  const walk = beginWalk(k, process, dirfd, path, resolve);
  return typeof walk === 'number' ? walk : openOrCreate(k, task, walk, flags, mode);
}

function openOrCreate(
  k: Kernel,
  task: Task,
  walk: Walk,
  flags: number,
  mode: number,
): File | number {
  let error = walk.parent();
  while (error === 0 && walk.last === LAST_NAME) {
    if (walk.trailingSlash) return -EISDIR;
    const child = lookupChild(k, walk.at, walk.name);
    if (typeof child === 'number') return child;
    if (child === null || child.inode === null) {
      const { at: parent, name } = walk;
      const slot = { parent, name, dentry: child, trailingSlash: false };
      const made = createNode(k, task.process, slot, S_IFREG | (mode & 0o7777));
      // Linux: a directory that cannot have files says EACCES to open.
      if (typeof made === 'number') return made === -EPERM ? -EACCES : made;
      return openInode(k, task, made.inode as Inode, made, flags);
    }
    if ((flags & O_EXCL) !== 0) return -EEXIST;
    if (!S_ISLNK(child.inode.mode)) break;
    if ((flags & O_NOFOLLOW) !== 0) return -ELOOP;
    error = walk.follow(child);
  }
  if (error === 0) error = walk.finish(true);
  if (error !== 0) return error;
  if ((flags & O_EXCL) !== 0) return -EEXIST;
  return openPlace(k, task, placeOf(walk), flags);
}

/** Opens what a walk found. */
function openPlace(k: Kernel, task: Task, place: Place, flags: number): File | number {
  const { inode, dentry, file } = place;
  if (inode === null || dentry === null) {
    return file === null ? -ENXIO : reopen(k, task, file, flags);
  }
  const error = mayOpen(task.process, inode, flags);
  if (error !== 0) return error;
  const opened = openInode(k, task, inode, dentry, flags);
  return truncateOpened(k, task, opened, inode, flags);
}

/** O_TRUNC. Order: watchers hear that a file was opened, then that it was changed. */
function truncateOpened(
  k: Kernel,
  task: Task,
  file: File | number,
  inode: Inode,
  flags: number,
): File | number {
  if (typeof file === 'number') return file;
  if ((flags & O_TRUNC) === 0 || (inode.mode & S_IFMT) !== S_IFREG) return file;
  const failed = truncateInode(k, task.process, inode, file.dentry, 0);
  if (failed === 0) return file;
  dropFile(k, file);
  return failed;
}

function isWriting(flags: number): boolean {
  return (flags & O_ACCMODE) !== O_RDONLY || (flags & O_TRUNC) !== 0;
}

/** Linux: the checks of do_open and may_open. 0 or -errno. */
function mayOpen(process: Process, inode: Inode, flags: number): number {
  const isDirectory = S_ISDIR(inode.mode);
  if ((flags & O_CREAT) !== 0 && isDirectory) return -EISDIR;
  if ((flags & O_DIRECTORY) !== 0 && !isDirectory) return -ENOTDIR;
  if (S_ISLNK(inode.mode)) return -ELOOP;
  if (isDirectory && isWriting(flags)) return -EISDIR;
  const refuses = isWriting(flags) && isReadOnlyContent(inode);
  if (refuses && (flags & O_TRUNC) !== 0) return -EROFS;
  const mask = (isWriting(flags) ? MAY_WRITE : 0) |
    ((flags & O_ACCMODE) !== O_WRONLY ? MAY_READ : 0);
  const denied = checkPermission(process, inode, mask);
  if (denied !== 0) return denied;
  if (isWriting(flags) && isBusyText(process, inode)) return -ETXTBSY;
  return refuses ? -EROFS : 0;
}

/** Makes the open file of an inode; all checks are done. */
function openInode(
  k: Kernel,
  task: Task,
  inode: Inode,
  dentry: Dentry | null,
  flags: number,
): File | number {
  const file = fileOf(k, task, inode, dentry, flags);
  if (typeof file !== 'number') notifyFile(k, file, IN_OPEN);
  return file;
}

function fileOf(
  k: Kernel,
  task: Task,
  inode: Inode,
  dentry: Dentry | null,
  flags: number,
): File | number {
  const kept = flags & ~OPEN_ONLY;
  const isText = isGenerated(inode);
  switch (inode.mode & S_IFMT) {
    case S_IFREG:
      if (dentry !== null && isWriting(flags) && !dentry.deleted && !isText) pinDentry(k, dentry);
      return placed(k, makeFile(k, isText ? FILE_GENERATED : FILE_REGULAR, kept), inode, dentry);
    case S_IFDIR:
      return placed(k, makeFile(k, FILE_DIRECTORY, kept), inode, dentry);
    case S_IFCHR:
      return openDevice(k, task, inode, dentry, flags);
    case S_IFIFO:
      return openPipe(k, task, inode, dentry, kept);
    case S_IFLNK:
      return -ELOOP;
    case S_IFBLK:
    default:
      return -ENXIO;
  }
}

function placed(k: Kernel, file: File, inode: Inode | null, dentry: Dentry | null): File {
  setFilePlace(k, file, inode, dentry);
  return file;
}

function openDevice(
  k: Kernel,
  task: Task,
  inode: Inode,
  dentry: Dentry | null,
  openFlags: number,
): File | number {
  const { rdev } = inode;
  const flags = openFlags & ~OPEN_ONLY;
  if (isPlainDevice(rdev)) {
    const file = makeFile(k, FILE_DEVICE, flags);
    file.variant = rdev;
    return placed(k, file, inode, dentry);
  }
  if (rdev === RDEV_ENTRY || rdev === RDEV_GENERATION) {
    const file = makeFile(k, FILE_ENTRY, flags);
    file.variant = rdev - RDEV_ENTRY;
    return placed(k, file, inode, dentry);
  }
  if (isLog(rdev)) return placed(k, makeFile(k, FILE_LOG, flags), inode, dentry);
  if (isPtyNode(rdev)) return openPtyNode(k, task, inode, dentry, openFlags, flags);
  const own = rdev === RDEV_TTY ? openOwnPty(k, task, flags) : null;
  if (own !== null) return own;
  const isTerminal = rdev === RDEV_TTY || rdev === RDEV_CONSOLE;
  return isTerminal ? openTerminal(k, inode, dentry, flags) : -ENXIO;
}

function openPipe(
  k: Kernel,
  task: Task,
  inode: Inode,
  dentry: Dentry | null,
  flags: number,
): File | number {
  const file = openFifo(k, task, inode, flags);
  if (typeof file !== 'number' && dentry !== null && file.dentry === null) {
    file.dentry = holdDentry(k, dentry);
  }
  return file;
}

/** Opens again what a magic link led to and no name leads to (Linux: opens its inode anew). */
function reopen(k: Kernel, task: Task, from: File, flags: number): File | number {
  const { inode } = from;
  if ((flags & O_CREAT) !== 0 && (flags & O_EXCL) !== 0) return -EEXIST;
  if ((flags & O_DIRECTORY) !== 0) return -ENOTDIR;
  if (from.kind === FILE_PIPE && inode !== null) {
    inode.object = from.object;
    return openPipeAgain(k, inode, flags & ~OPEN_ONLY);
  }
  if (from.kind === FILE_CONSOLE) return reopenStream(k, from, flags & ~OPEN_ONLY);
  if (from.kind !== FILE_REGULAR || inode === null) return -ENXIO;
  const error = mayOpen(task.process, inode, flags);
  if (error !== 0) return error;
  return truncateOpened(k, task, openInode(k, task, inode, null, flags), inode, flags);
}

function makePathFile(k: Kernel, place: Place, flags: number): File {
  const kept = flags & (O_PATH | O_DIRECTORY | O_NOFOLLOW);
  return placed(k, makeFile(k, FILE_PATH, kept), place.inode, place.dentry);
}

/** O_TMPFILE: a file without a name in the directory `path`. */
function openTemporary(
  k: Kernel,
  task: Task,
  dirfd: number,
  path: Uint8Array,
  flags: number,
  mode: number,
  resolve: number,
): File | number {
  const { process } = task;
  const lookup = LOOKUP_FOLLOW | LOOKUP_DIRECTORY;
  const place = lookupAt(k, process, dirfd, path, lookup, resolve);
  if (typeof place === 'number') return place;
  const parent = place.dentry as Dentry;
  const refused = mayChange(process, parent);
  if (refused !== 0) return refused === -EPERM ? -EOPNOTSUPP : refused;
  const inode = makeUpperInode(k, process, parent.inode as Inode, S_IFREG | (mode & 0o7777));
  inode.nlink = 0;
  inode.isTemporary = (flags & O_EXCL) === 0;
  const name = new TextEncoder().encode(`#${inode.serial}`);
  const dentry = makeNamelessDentry(k, parent, name, inode);
  const file = makeFile(k, FILE_REGULAR, flags & ~OPEN_ONLY);
  placed(k, file, inode, dentry);
  notifyFile(k, file, IN_OPEN);
  return file;
}

/** Whether a file's access mode lets it be written or read. */
export function isWritable(file: File): boolean {
  const access = file.flags & O_ACCMODE;
  return (access === O_WRONLY || access === O_RDWR) && file.kind !== FILE_PATH;
}

export function isReadable(file: File): boolean {
  const access = file.flags & O_ACCMODE;
  return (access === O_RDONLY || access === O_RDWR) && file.kind !== FILE_PATH;
}

