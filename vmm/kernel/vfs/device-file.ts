// FILE_DEVICE: the character devices of /dev that need no state of their own. Which one a file is
// says File.variant, taken from the inode's rdev at open.
import { EFAULT, EINVAL, ENOSPC, ENOTTY } from '../../abi/errno.ts';
import { RNDGETENTCNT } from '../../abi/ioctl.ts';
import type { Kernel } from '../kernel.ts';
import { writeU32 } from '../mm/user-memory.ts';
import type { Task } from '../records/task.ts';
import { type File, FILE_DEVICE } from '../records/vfs.ts';
import { fillRandom } from '../task/entropy.ts';
import { defineFileOps, type IoBuffer } from './file-ops.ts';
import { ALWAYS_READY } from './regular-file.ts';

/** Device numbers (new_encode_dev): major << 8 | minor, for minors below 256. */
export const RDEV_NULL = 0x103;
export const RDEV_ZERO = 0x105;
export const RDEV_FULL = 0x107;
export const RDEV_RANDOM = 0x108;
export const RDEV_URANDOM = 0x109;
export const RDEV_TTY = 0x500;
export const RDEV_CONSOLE = 0x501;
export const RDEV_PTMX = 0x502;
/** Of /dev/pts/0; the number is added. */
export const RDEV_PTS = 0x8800;
/** Major 240 is for local use: the func-entry point, and the number of the boot. */
export const RDEV_ENTRY = 0xf000;
export const RDEV_GENERATION = 0xf001;

const CHUNK_BYTES = 4096;
/** One read gives no more, so that a hostile count cannot stop the machine for long. */
const READ_BYTES_MOST = 32 * 1024 * 1024;
const ZEROES: Uint8Array = new Uint8Array(CHUNK_BYTES);

/** True for the devices that FILE_DEVICE implements. */
export function isPlainDevice(rdev: number): boolean {
  return rdev === RDEV_NULL || rdev === RDEV_ZERO || rdev === RDEV_FULL ||
    rdev === RDEV_RANDOM || rdev === RDEV_URANDOM;
}

function readDevice(k: Kernel, file: File, to: IoBuffer, _offset: number): number {
  if (file.variant === RDEV_NULL || to.remaining === 0) return 0;
  const isRandom = file.variant === RDEV_RANDOM || file.variant === RDEV_URANDOM;
  const chunk = isRandom ? new Uint8Array(CHUNK_BYTES) : ZEROES;
  const wanted = Math.min(to.remaining, READ_BYTES_MOST);
  let done = 0;
  while (done < wanted) {
    const part = chunk.subarray(0, Math.min(CHUNK_BYTES, wanted - done));
    if (isRandom) fillRandom(k, part);
    const moved = to.put(part);
    done += moved;
    if (moved < part.length) break;
  }
  return done === 0 ? -EFAULT : done;
}

function writeDevice(_k: Kernel, file: File, from: IoBuffer, _offset: number): number {
  return file.variant === RDEV_FULL ? -ENOSPC : from.remaining;
}

function seekDevice(_k: Kernel, file: File, offset: number, whence: number): number {
  const isRandom = file.variant === RDEV_RANDOM || file.variant === RDEV_URANDOM;
  if (isRandom) return whence > 4 ? -EINVAL : file.position;
  // Linux: null_lseek.
  file.position = 0;
  return 0;
}

function ioctlDevice(
  k: Kernel,
  _task: Task,
  file: File,
  request: number,
  argument: number,
): number {
  const isRandom = file.variant === RDEV_RANDOM || file.variant === RDEV_URANDOM;
  if (!isRandom || request !== RNDGETENTCNT) return -ENOTTY;
  return writeU32(k, argument, 256) ? 0 : -EFAULT;
}

defineFileOps(FILE_DEVICE, {
  seekable: true,
  read: readDevice,
  write: writeDevice,
  poll: () => ALWAYS_READY,
  queue: () => null,
  seek: seekDevice,
  ioctl: ioctlDevice,
});

