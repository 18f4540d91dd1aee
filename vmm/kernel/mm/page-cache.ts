// The page cache (stub: signatures).
import type { Kernel } from '../kernel.ts';
import type { Inode } from '../records/vfs.ts';
import type { IoBuffer } from '../vfs/file-ops.ts';

/** Reads file content at `offset`; bytes moved (0 at the end), or -errno. */
export function readFilePages(_k: Kernel, _i: Inode, _offset: number, _to: IoBuffer): number {
  return 0;
}

/** Writes file content at `offset`, extending the file; bytes moved, or -errno. */
export function writeFilePages(_k: Kernel, _i: Inode, _offset: number, _from: IoBuffer): number {
  return 0;
}

/** Sets the size of a file's content: drops pages beyond, or leaves a hole. 0 or -errno. */
export function truncatePages(_k: Kernel, _inode: Inode, _bytes: number): number {
  return 0;
}

/** Frees the whole cache of an inode. Preconditions: nothing maps it. */
export function dropInodePages(_k: Kernel, _inode: Inode): void {
  // Nothing is cached yet.
}
