// Open file descriptions: making, holding, dropping, and finding the one behind a descriptor.
//
// Ownership: File.refs counts descriptors and kernel uses (a message that carries it). A file holds
// one reference of its inode and of its dentry. The last drop releases everything.
import type { Kernel } from '../kernel.ts';
import { type Dentry, File, FILE_PATH, type Inode } from '../records/vfs.ts';
import type { Task } from '../records/task.ts';
import { epollFileGone } from '../ipc/epoll.ts';
import { dropDentry, holdDentry } from './dentry.ts';
import { opsOf } from './file-ops.ts';
import { dropInode, holdInode } from './inode.ts';
import { dropFileLocks } from './locks.ts';
import { notifyClosed } from './notify.ts';

/**
 * A new description with one reference, which the caller owns (installFd takes it over).
 * @param fileKind FILE_* of records/vfs.ts
 * @param flags O_ACCMODE and status flags
 */
export function makeFile(k: Kernel, fileKind: number, flags: number = 0): File {
  const file = k.arena.make(File);
  file.kind = fileKind;
  file.refs = 1;
  file.flags = flags;
  file.serial = k.root.nextObjectSerial++;
  return file;
}

/** Gives the file its inode and name, with references of their own. */
export function setFilePlace(
  k: Kernel,
  file: File,
  inode: Inode | null,
  dentry: Dentry | null = null,
): void {
  if (inode !== null) file.inode = holdInode(inode);
  if (dentry !== null) file.dentry = holdDentry(k, dentry);
}

/** The file behind `fd`, or null (EBADF); an O_PATH descriptor is none. Linux: fdget. */
export function getFile(task: Task, fd: number): File | null {
  const file = task.process.fds.slots.get(fd);
  return file === null || file.kind === FILE_PATH ? null : file;
}

/** The file behind `fd`, O_PATH descriptors included, or null (EBADF). Linux: fdget_raw. */
export function getRawFile(task: Task, fd: number): File | null {
  return task.process.fds.slots.get(fd);
}

/** Counts one more user; returns the same file. */
export function holdFile(file: File): File {
  file.refs++;
  return file;
}

/** Counts one user less; the last one closes the description. */
export function dropFile(k: Kernel, file: File): void {
  file.refs--;
  if (file.refs > 0) return;
  notifyClosed(k, file);
  if (file.epollItems !== null) epollFileGone(k, file);
  if (file.inode !== null && file.inode.locks !== null) dropFileLocks(k, file.inode, file);
  opsOf(file).release?.(k, file);
  const { inode, dentry, content } = file;
  k.arena.free(file);
  if (content !== null) k.arena.free(content);
  if (inode !== null) dropInode(k, inode);
  if (dentry !== null) dropDentry(k, dentry);
}
