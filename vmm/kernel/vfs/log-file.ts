// FILE_LOG: log files of the host that a sandbox was granted, the only files that persist. The
// guest sees a character device: writes go to the end of the host's file, whatever the position, so
// that many sandboxes can share one; O_TRUNC does nothing, and it cannot be mapped.
//
//   inode.rdev = RDEV_LOG + number ─► ports.logs      one that was not granted: EROFS, an event
//
// Which host file a number means is for whoever starts the sandbox to say (boot/files/logs.ts);
// an image only knows where the node stands.
import { EFAULT, EINVAL, ENOSPC, EOVERFLOW, EROFS } from '../../abi/errno.ts';
import { SEEK_CUR, SEEK_END, SEEK_SET } from '../../abi/fcntl.ts';
import { S_IFCHR } from '../../abi/stat.ts';
import { currentProcess, type Kernel } from '../kernel.ts';
import type { Process } from '../records/task.ts';
import { type File, FILE_LOG, FS_DEV, type Inode } from '../records/vfs.ts';
import { defineFileOps, type IoBuffer } from './file-ops.ts';
import { makeInode } from './inode.ts';
import { lookupPath } from './lookup.ts';
import { listMounts, mountOn } from './mount.ts';
import { findPlace } from './mount-volume.ts';
import { displayPath } from './path-name.ts';
import { ALWAYS_READY } from './regular-file.ts';

/** Major 240, minors from 16 on. */
export const RDEV_LOG = 0xf010;
/** Logs that a sandbox may have. */
export const LOGS_MOST = 64;
/** One write is one append on the host, up to this many bytes. */
const WRITE_BYTES_MOST = 1024 * 1024;
const READ_BYTES_MOST = 256 * 1024;

export function isLog(rdev: number): boolean {
  return rdev >= RDEV_LOG && rdev < RDEV_LOG + LOGS_MOST;
}

/**
 * Puts a log at `target`, unless one stands there; what does, a file perhaps, is hidden by it.
 * @returns the log's number, or -errno as mountVolume()
 */
export function mountLog(k: Kernel, process: Process, target: Uint8Array): number {
  const found = lookupPath(k, process, target);
  const rdev = typeof found === 'number' ? 0 : found.inode?.rdev ?? 0;
  if (isLog(rdev)) return rdev - RDEV_LOG;
  const number = freeNumber(k);
  if (number >= LOGS_MOST) return -ENOSPC;
  const place = findPlace(k, process, target, false);
  if (typeof place === 'number') return place;
  const inode = makeInode(k, FS_DEV, S_IFCHR | 0o644);
  inode.rdev = RDEV_LOG + number;
  mountOn(k, place, inode);
  return number;
}

/** The lowest number that no log of the tree has. */
function freeNumber(k: Kernel): number {
  const taken = new Set(listMounts(k).map((root) => (root.inode?.rdev ?? 0) - RDEV_LOG));
  let number = 0;
  while (taken.has(number)) number++;
  return number;
}

function numberOf(file: File): number {
  return (file.inode as Inode).rdev - RDEV_LOG;
}

function readLog(k: Kernel, file: File, to: IoBuffer, offset: number): number {
  const chunk = new Uint8Array(Math.min(to.remaining, READ_BYTES_MOST));
  const got = k.ports.logs?.read(numberOf(file), offset, chunk) ?? -EROFS;
  if (got <= 0) return answer(k, file, got);
  const put = to.put(chunk.subarray(0, got));
  return put === 0 ? -EFAULT : put;
}

function writeLog(k: Kernel, file: File, from: IoBuffer, _offset: number): number {
  const chunk = new Uint8Array(Math.min(from.remaining, WRITE_BYTES_MOST));
  const taken = from.take(chunk);
  if (taken === 0 && chunk.length > 0) return -EFAULT;
  const done = k.ports.logs?.append(numberOf(file), chunk.subarray(0, taken)) ?? -EROFS;
  return answer(k, file, done);
}

/** fsync(2). 0 or -errno. */
export function syncLog(k: Kernel, file: File): number {
  return answer(k, file, k.ports.logs?.sync(numberOf(file)) ?? -EROFS);
}

/** Passes a result on, and says once a boot that a log is missed. */
function answer(k: Kernel, file: File, result: number): number {
  const { inode, dentry } = file;
  if (result !== -EROFS || inode === null || inode.lowerChecked) return result;
  inode.lowerChecked = true;
  const path = dentry === null ? new Uint8Array() : displayPath(currentProcess(k), dentry);
  k.ports.events.event('log-not-granted', new TextDecoder().decode(path));
  return result;
}

function seekLog(k: Kernel, file: File, offset: number, whence: number): number {
  let from = 0;
  if (whence === SEEK_CUR) from = file.position;
  else if (whence === SEEK_END) from = k.ports.logs?.bytes(numberOf(file)) ?? -EROFS;
  else if (whence !== SEEK_SET) return -EINVAL;
  if (from < 0) return from;
  if (!(from + offset >= 0)) return -EINVAL;
  if (from + offset > Number.MAX_SAFE_INTEGER) return -EOVERFLOW;
  file.position = from + offset;
  return file.position;
}

defineFileOps(FILE_LOG, {
  seekable: true,
  read: readLog,
  write: writeLog,
  poll: () => ALWAYS_READY,
  queue: () => null,
  seek: seekLog,
});
