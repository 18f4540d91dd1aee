// Files without a name (O_TMPFILE): whoever writes one and is killed leaves nothing behind. It gets
// its name when it is finished.
import * as fs from 'node:fs';
import { ENAMETOOLONG } from '../abi/errno.ts';
import { HostError } from './errors.ts';
import * as libc from './libc.ts';
import { takeScratch, type Scratch } from './scratch.ts';

const SYS_LINKAT = 265;
const O_TMPFILE_RDWR = 0o20200002;
const AT_FDCWD = -100;
const AT_SYMLINK_FOLLOW = 0x400;
const PATH_BYTES = 4096;
const encoder = new TextEncoder();

let scratch: Scratch | null = null;

/**
 * Opens a new file without a name that is to get one in `directory`. Its descriptor is one of
 * node:fs.
 * @returns null where the file system knows no such files, or the directory takes none
 */
export function openHidden(directory: string, mode: number): number | null {
  try {
    return fs.openSync(directory, O_TMPFILE_RDWR, mode);
  } catch {
    return null;
  }
}

/** Gives an open file a name that is free. @throws HostError */
export function nameHidden(fd: number, name: string): void {
  scratch ??= takeScratch(2 * PATH_BYTES);
  const { address, bytes } = scratch;
  const from = encoder.encode(`/proc/self/fd/${fd}\0`);
  const to = encoder.encode(`${name}\0`);
  if (to.length > PATH_BYTES) throw notNamed(name, ENAMETOOLONG);
  bytes.set(from);
  bytes.set(to, PATH_BYTES);
  // SAFETY: both paths are NUL-terminated in this module's scratch memory.
  const result = libc.syscall(
    SYS_LINKAT, AT_FDCWD, address, AT_FDCWD, address + PATH_BYTES, AT_SYMLINK_FOLLOW);
  if (result < 0) throw notNamed(name, libc.lastErrno());
}

function notNamed(name: string, errno: number): HostError {
  return new HostError('CATAVMM_HOST_CALL', `${name} cannot be made`, { errno, call: 'linkat' });
}
