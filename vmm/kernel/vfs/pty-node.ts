// Opening pseudo-terminals by name: /dev/ptmx makes a pair, /dev/pts/N opens its slave, /dev/tty
// whichever the process's session has.
import { EIO, ENXIO } from '../../abi/errno.ts';
import { O_NOCTTY } from '../../abi/fcntl.ts';
import { S_ISDIR } from '../../abi/stat.ts';
import { findPty, openMaster, openSlave, terminalOf } from '../ipc/pty.ts';
import { takeTerminal } from '../ipc/pty-ioctl.ts';
import type { Kernel } from '../kernel.ts';
import type { Task } from '../records/task.ts';
import type { Dentry, File, Inode } from '../records/vfs.ts';
import { lookupChild } from './child.ts';
import { RDEV_PTMX, RDEV_PTS } from './device-file.ts';
import { setFilePlace } from './file.ts';

const PTS_NAME: Uint8Array = new TextEncoder().encode('pts');
const PTS_MINORS = 256;

/** True for /dev/ptmx and /dev/pts/N. */
export function isPtyNode(rdev: number): boolean {
  return rdev === RDEV_PTMX || (rdev >= RDEV_PTS && rdev < RDEV_PTS + PTS_MINORS);
}

/**
 * Opens a node. `flags` are those of open(2).
 * @param kept the flags that the file keeps
 */
export function openPtyNode(
  k: Kernel, task: Task, inode: Inode, dentry: Dentry | null, flags: number, kept: number,
): File | number {
  if (inode.rdev === RDEV_PTMX) return openPair(k, task, inode, dentry, kept);
  const pty = findPty(k, inode.rdev - RDEV_PTS);
  if (pty === null) return -EIO;
  const file = openSlave(k, pty, kept);
  if (typeof file === 'number') return file;
  if ((flags & O_NOCTTY) === 0) takeTerminal(k, task, pty);
  setFilePlace(k, file, inode, dentry);
  return file;
}

function openPair(
  k: Kernel, task: Task, inode: Inode, dentry: Dentry | null, kept: number,
): File | number {
  const folder = dentry?.parent ?? null;
  const pts = folder === null ? null : lookupChild(k, folder, PTS_NAME);
  if (pts === null || typeof pts === 'number' || !S_ISDIR(pts.inode?.mode ?? 0)) return -EIO;
  const file = openMaster(k, task.process, pts, kept);
  if (typeof file !== 'number') setFilePlace(k, file, inode, dentry);
  return file;
}

/** /dev/tty as a pseudo-terminal; null when the session's terminal is none. */
export function openOwnPty(k: Kernel, task: Task, kept: number): File | number | null {
  const pty = terminalOf(k, task.process);
  if (pty === null) return null;
  const file = openSlave(k, pty, kept);
  if (typeof file === 'number' || pty.dentry === null) return file;
  setFilePlace(k, file, pty.dentry.inode, pty.dentry);
  return pty.dentry.inode === null ? -ENXIO : file;
}
