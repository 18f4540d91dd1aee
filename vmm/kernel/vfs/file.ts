// Open file descriptions: making, holding, dropping, and finding the one behind a descriptor.
//
// Ownership: File.refs counts descriptors and kernel uses (a message that carries it). A file holds one
// reference of its inode and of its dentry. The last drop releases everything.
import type { Kernel } from '../kernel.ts';
import { Dentry, File, type Inode } from '../records/vfs.ts';
import type { Task } from '../records/task.ts';
import { dropDentry, holdDentry } from './dentry.ts';
import { opsOf } from './file-ops.ts';
import { dropInode, holdInode } from './inode.ts';

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

/** The file behind `fd` of the task's process, or null (EBADF). */
export function getFile(task: Task, fd: number): File | null {
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
  opsOf(file).release?.(k, file);
  const { inode, dentry, content } = file;
  k.arena.free(file);
  if (content !== null) k.arena.free(content);
  if (inode !== null) dropInode(k, inode);
  if (dentry !== null) dropDentry(k, dentry);
}
