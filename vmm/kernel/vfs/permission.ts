// Permission checks of the path walk and of open(2): the classic owner, group, other bits. User 0
// passes them all, except that nothing without any x bit can be executed, and that nobody changes
// what is mounted read-only.
import { EACCES } from '../../abi/errno.ts';
import { S_IFDIR, S_IFLNK, S_IFMT, S_IFREG } from '../../abi/stat.ts';
import type { Process } from '../records/task.ts';
import type { Inode } from '../records/vfs.ts';

export const MAY_EXEC = 1;
export const MAY_WRITE = 2;
export const MAY_READ = 4;

/** Linux: inode_permission. Returns 0 or -EACCES. */
export function checkPermission(process: Process, inode: Inode, mask: number): number {
  const { mode } = inode;
  if (process.uid === 0) {
    const isFile = (mode & S_IFMT) !== S_IFDIR;
    return isFile && (mask & MAY_EXEC) !== 0 && (mode & 0o111) === 0 ? -EACCES : 0;
  }
  const shift = process.uid === inode.uid ? 6 : isInGroup(process, inode.gid) ? 3 : 0;
  return ((mode >> shift) & mask) === mask ? 0 : -EACCES;
}

/**
 * Whether a read-only mount keeps a file's content from being written: devices, FIFOs and sockets
 * have none. What an inode says about itself is kept whatever it is (Inode.readOnly).
 */
export function isReadOnlyContent({ readOnly, mode }: Inode): boolean {
  return readOnly && [S_IFREG, S_IFDIR, S_IFLNK].includes(mode & S_IFMT);
}

function isInGroup(process: Process, gid: number): boolean {
  const { groups } = process;
  if (process.gid === gid) return true;
  return groups !== null && groups.data.subarray(0, groups.length).includes(gid);
}

/** Whether the process may change what only the owner may (chmod, utimes, sticky deletion). */
export function isOwner(process: Process, inode: Inode): boolean {
  return process.uid === 0 || process.uid === inode.uid;
}
