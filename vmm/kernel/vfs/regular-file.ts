// FILE_REGULAR: files whose content is in the page cache (mm/page-cache.ts).
import {
  EFAULT, EINVAL, ENOMEM, ENOSPC, ENOTTY, ENXIO, EPERM,
} from '../../abi/errno.ts';
import {
  F_SEAL_FUTURE_WRITE, F_SEAL_GROW, F_SEAL_WRITE, SEEK_CUR, SEEK_DATA, SEEK_END, SEEK_HOLE,
  SEEK_SET,
} from '../../abi/fcntl.ts';
import { FIGETBSZ, FIONREAD } from '../../abi/ioctl.ts';
import { POLLIN, POLLOUT, POLLRDNORM, POLLWRNORM } from '../../abi/poll.ts';
import type { Kernel } from '../kernel.ts';
import { nextData, nextHole } from '../mm/holes.ts';
import { FILE_BYTES_MOST, readFilePages, writeFilePages } from '../mm/page-cache.ts';
import { writeU32, writeU64 } from '../mm/user-memory.ts';
import type { Task } from '../records/task.ts';
import { type File, FILE_REGULAR, type Inode } from '../records/vfs.ts';
import { currentProcess } from '../kernel.ts';
import { clearPrivileges } from './attributes.ts';
import { pinDentry } from './dentry.ts';
import { defineFileOps, type IoBuffer } from './file-ops.ts';
import { touchModified } from './inode.ts';
import { limitBuffer } from './io-buffer.ts';

/** What poll(2) says of files that never wait. */
export const ALWAYS_READY: number = POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM;

function readRegular(k: Kernel, file: File, to: IoBuffer, offset: number): number {
  return readFilePages(k, file.inode as Inode, offset, to);
}

function writeRegular(k: Kernel, file: File, from: IoBuffer, offset: number): number {
  const inode = file.inode as Inode;
  if (from.remaining === 0) return 0;
  if ((inode.seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE)) !== 0) return -EPERM;
  let source = from;
  if ((inode.seals & F_SEAL_GROW) !== 0) {
    if (offset >= inode.bytes) return -EPERM;
    source = limitBuffer(from, inode.bytes - offset);
  }
  const done = writeFilePages(k, inode, offset, source);
  if (done < 0) return done === -ENOMEM ? -ENOSPC : done;
  if (file.dentry !== null && !file.dentry.deleted) pinDentry(k, file.dentry);
  clearPrivileges(currentProcess(k), inode);
  touchModified(k, inode);
  return done;
}

/** lseek(2) for files that have a size; `bytes` is that size. Returns the new offset or -errno. */
export function seekWithin(file: File, offset: number, whence: number, bytes: number): number {
  let target = offset;
  switch (whence) {
    case SEEK_SET:
      break;
    case SEEK_CUR:
      target += file.position;
      break;
    case SEEK_END:
      target += bytes;
      break;
    default:
      return -EINVAL;
  }
  if (!(target >= 0 && target <= Number.MAX_SAFE_INTEGER)) return -EINVAL;
  file.position = target;
  return target;
}

function seekHole(file: File, inode: Inode, offset: number, whence: number): number {
  if (offset < 0 || offset >= inode.bytes) return -ENXIO;
  const found = whence === SEEK_DATA ? nextData(inode, offset) : nextHole(inode, offset);
  if (found < 0) return -ENXIO;
  file.position = found;
  return found;
}

function seekRegular(_k: Kernel, file: File, offset: number, whence: number): number {
  const inode = file.inode as Inode;
  const { bytes } = inode;
  if (whence === SEEK_DATA || whence === SEEK_HOLE) return seekHole(file, inode, offset, whence);
  if (whence <= SEEK_END && offset > FILE_BYTES_MOST) return -EINVAL;
  return seekWithin(file, offset, whence, bytes);
}

function ioctlRegular(
  k: Kernel,
  _task: Task,
  file: File,
  request: number,
  argument: number,
): number {
  if (request === FIONREAD) {
    const left = (file.inode as Inode).bytes - file.position;
    return writeU32(k, argument, left) ? 0 : -EFAULT;
  }
  if (request === FIGETBSZ) return writeU64(k, argument, 4096) ? 0 : -EFAULT;
  return -ENOTTY;
}

defineFileOps(FILE_REGULAR, {
  seekable: true,
  read: readRegular,
  write: writeRegular,
  poll: () => ALWAYS_READY,
  queue: () => null,
  seek: seekRegular,
  ioctl: ioctlRegular,
});
