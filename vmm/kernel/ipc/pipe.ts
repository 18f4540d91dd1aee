// Pipes. (Signatures; the body follows.)
import type { Kernel } from '../kernel.ts';
import type { Inode, File } from '../records/vfs.ts';

/** F_GETPIPE_SZ: the capacity in bytes, or -EBADF when `file` is no pipe. */
export function getPipeBytes(_file: File): number {
  return 0;
}

/** F_SETPIPE_SZ: returns the new capacity or -EBADF, -EINVAL, -EBUSY, -EPERM. */
export function setPipeBytes(_k: Kernel, _file: File, _bytes: number): number {
  return 0;
}

/** Opens a named FIFO; null: the call would wait for the other side. -ENXIO for O_WRONLY|O_NONBLOCK. */
export function openFifo(_k: Kernel, _inode: Inode, _flags: number): File | number {
  return 0;
}
