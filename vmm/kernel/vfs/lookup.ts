// Path walk (stub: signatures).
import { ENOENT } from '../../abi/errno.ts';
import type { Kernel } from '../kernel.ts';
import type { Process } from '../records/task.ts';
import type { Dentry, File, Inode } from '../records/vfs.ts';

/** Follow a symbolic link in the last component. */
export const LOOKUP_FOLLOW = 1;
/** The result must be a directory (ENOTDIR). */
export const LOOKUP_DIRECTORY = 2;
/** AT_EMPTY_PATH: an empty path means the descriptor itself. */
export const LOOKUP_EMPTY = 4;

/** What a path leads to. `file` is set for descriptors and magic links to them. */
export interface Place {
  inode: Inode;
  dentry: Dentry | null;
  file: File | null;
}

/** The directory and last component that a path names, for calls that make or remove names. */
export interface ParentPlace {
  parent: Dentry;
  name: Uint8Array;
  /** The path ended with a slash. */
  trailingSlash: boolean;
}

/** Resolves `path` relative to `dirfd` (AT_FDCWD: the working directory). */
export function lookupAt(
  _k: Kernel,
  _process: Process,
  _dirfd: number,
  _path: Uint8Array,
  _flags: number,
): Place | number {
  return -ENOENT;
}

/** Resolves an absolute or cwd-relative path, following links; the dentry has an inode. */
export function lookupPath(_k: Kernel, _process: Process, _path: Uint8Array): Dentry | number {
  return -ENOENT;
}
