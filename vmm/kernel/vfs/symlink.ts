// Where symbolic links point. A lower link's target is read once and kept in its inode.
import { EINVAL, EIO } from '../../abi/errno.ts';
import { S_ISLNK } from '../../abi/stat.ts';
import type { Kernel } from '../kernel.ts';
import type { Process } from '../records/task.ts';
import type { Inode } from '../records/vfs.ts';
import { makeBytes } from '../state/containers.ts';
import { isGenerated, readGeneratedLink } from './proc/generated.ts';

/**
 * The target of a symbolic link.
 * @returns a copy, or -EINVAL when `inode` is no symbolic link, or the lower layer's -errno
 */
export function readLink(k: Kernel, process: Process, inode: Inode): Uint8Array | number {
  if (!S_ISLNK(inode.mode)) return -EINVAL;
  if (isGenerated(inode)) return readGeneratedLink(k, process, inode);
  if (inode.target === null) {
    const { lowerPath } = inode;
    if (lowerPath === null) return -EIO;
    const target = k.ports.lower.readlink(lowerPath.data.slice());
    if (typeof target === 'number') return target < 0 ? target : -EIO;
    inode.target = makeBytes(k.arena, target);
  }
  return inode.target.data.slice();
}
