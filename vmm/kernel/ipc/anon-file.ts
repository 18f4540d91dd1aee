// Open files that no name leads to (pipe, socket, eventfd …): making them and giving them
// descriptors.
//
// Ownership: the File owns its object; the object's `release` operation frees it. The inode exists
// for fstat(2) and /proc/self/fd and is shared by both ends of a pipe.
import { EFAULT, EMFILE } from '../../abi/errno.ts';
import { O_CLOEXEC } from '../../abi/fcntl.ts';
import type { Kernel } from '../kernel.ts';
import { writeU32 } from '../mm/user-memory.ts';
import type { Process, Task, WaitQueue } from '../records/task.ts';
import { type File, FS_ANON, type Inode } from '../records/vfs.ts';
import type { Rec } from '../state/record.ts';
import { wake } from '../task/block.ts';
import { closeFd, installFd } from '../vfs/fd-table.ts';
import { dropFile, makeFile, setFilePlace } from '../vfs/file.ts';
import { makeInode } from '../vfs/inode.ts';

/** Permissions of anon_inode files: no type bits, as Linux shows them. */
export const ANON_INODE_MODE = 0o600;

/** An inode without a name; its first user is the file it is given to. */
export function makeAnonInode(k: Kernel, mode: number): Inode {
  return makeInode(k, FS_ANON, mode);
}

/**
 * An open file over `object` with one reference, the caller's.
 * @param flags access mode and status flags (O_CLOEXEC is ignored: it belongs to the descriptor)
 */
export function makeAnonFile(
  k: Kernel,
  fileKind: number,
  flags: number,
  object: Rec,
  inode: Inode = makeAnonInode(k, ANON_INODE_MODE),
): File {
  const file = makeFile(k, fileKind, flags & ~O_CLOEXEC);
  file.object = object;
  setFilePlace(k, file, inode);
  return file;
}

/** Installs a new file, or drops it; the descriptor or -EMFILE. */
export function installOrDrop(k: Kernel, task: Task, file: File, cloexec: boolean): number {
  const fd = installFd(k, task.process, file, 0, cloexec);
  if (fd < 0) dropFile(k, file);
  return fd;
}

/**
 * Installs two new files and writes their descriptors as `int[2]`; all or nothing.
 * @returns 0, -EMFILE, -EFAULT
 */
export function installPair(
  k: Kernel,
  process: Process,
  pair: readonly [File, File],
  cloexec: boolean,
  gva: number,
): number {
  const first = installFd(k, process, pair[0], 0, cloexec);
  const second = first < 0 ? first : installFd(k, process, pair[1], 0, cloexec);
  if (second < 0) {
    if (first < 0) dropFile(k, pair[0]);
    else closeFd(k, process, first);
    dropFile(k, pair[1]);
    return -EMFILE;
  }
  if (writeU32(k, gva, first) && writeU32(k, gva + 4, second)) return 0;
  closeFd(k, process, first);
  closeFd(k, process, second);
  return -EFAULT;
}

/** Linux: noop_llseek. lseek(2) succeeds and does nothing. */
export function seekNowhere(): number {
  return 0;
}

/** Frees a wait queue. Whoever still waits is woken and finds the descriptor gone. */
export function freeQueue(k: Kernel, queue: WaitQueue): void {
  wake(k, queue);
  k.arena.free(queue);
}
