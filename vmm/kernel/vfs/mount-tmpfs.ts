// Empty file systems in memory (tmpfs), each mounted on a place of the guest's tree and hiding what
// is there. Their files are records and frames like all that a sandbox writes.
import { ENOSPC } from '../../abi/errno.ts';
import type { Kernel } from '../kernel.ts';
import type { Process } from '../records/task.ts';
import { FS_DEV } from '../records/vfs.ts';
import { TMPFS_DEVICE } from './inode-number.ts';
import { makeMemoryDirectory, listMounts, mountOn } from './mount.ts';
import { findPlace } from './mount-volume.ts';

/** As many as a sandbox may have. */
export const TMPFS_MOST = 64;
/** As /tmp: everybody may make files, and nobody removes those of others. */
const PERMISSIONS = 0o1777;

/** Mounts one at `target`; 0 or -errno as mountVolume(). */
export function mountTmpfs(k: Kernel, process: Process, target: Uint8Array): number {
  const taken = listMounts(k).map((root) => (root.inode?.lowerDev ?? 0) - TMPFS_DEVICE);
  const number = Math.max(-1, ...taken.filter((one) => one >= 0 && one < TMPFS_MOST)) + 1;
  if (number >= TMPFS_MOST) return -ENOSPC;
  const place = findPlace(k, process, target, true);
  if (typeof place === 'number') return place;
  const inode = makeMemoryDirectory(k, FS_DEV, PERMISSIONS);
  inode.lowerDev = TMPFS_DEVICE + number;
  mountOn(k, place, inode);
  return 0;
}
