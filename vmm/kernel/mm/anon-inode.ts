// The hidden inode behind shared anonymous memory: with it, everything shared is page cache.
import { S_IFREG } from '../../abi/stat.ts';
import type { Kernel } from '../kernel.ts';
import { FS_ANON, type Inode } from '../records/vfs.ts';
import { makeInode } from '../vfs/inode.ts';

/** A nameless file of `bytes` zeroes. Ownership: its first mapping holds it. */
export function makeAnonInode(k: Kernel, bytes: number): Inode {
  const inode = makeInode(k, FS_ANON, S_IFREG | 0o777);
  inode.nlink = 0;
  inode.bytes = bytes;
  return inode;
}
