// Reading the lower layer: host handles by inode, opened at first use and checked against the
// identity that the inode recorded (size, mtime, inode number, device). A file that changed or is
// missing is ESTALE or EIO in the guest plus an event; it is never read as if it were the same.
import { EIO, ESTALE } from '../../abi/errno.ts';
import type { Kernel } from '../kernel.ts';
import type { LowerStat } from '../ports.ts';
import type { Inode } from '../records/vfs.ts';
import { HANDLES_MOST } from './cache.ts';
import { showLowerPath } from './volume-path.ts';

/**
 * Reads the lower content of a regular file into `target`, which may be guest memory.
 * @returns bytes read, 0 at its end; -ESTALE when it is another file than the one first seen, -EIO
 */
export function lowerRead(k: Kernel, inode: Inode, offset: number, target: Uint8Array): number {
  const handle = lowerHandle(k, inode);
  if (handle < 0) return handle;
  let done = 0;
  while (done < target.length) {
    const count = k.ports.lower.read(handle, offset + done, target.subarray(done));
    if (count < 0) return done > 0 ? done : -EIO;
    if (count === 0) break;
    done += count;
  }
  return done;
}

/** Handle of the inode's lower file, opened and verified; the kernel keeps it. */
export function lowerHandle(k: Kernel, inode: Inode): number {
  const { handles } = k.vfs;
  const known = handles.get(inode.serial);
  if (known !== undefined) {
    handles.delete(inode.serial);
    handles.set(inode.serial, known);
    return known;
  }
  const shared = k.vfs.shared.get(inode.serial);
  if (shared !== undefined) return borrowHandle(k, inode, shared);
  const opened = openLower(k, inode);
  if (opened < 0) return opened;
  if (handles.size >= HANDLES_MOST) closeOldest(k);
  handles.set(inode.serial, opened);
  return opened;
}

function openLower(k: Kernel, inode: Inode): number {
  const path = inode.lowerPath;
  if (path === null) return -EIO;
  const { lower, events } = k.ports;
  k.vfs.hostOpens++;
  const handle = lower.open(path.data.slice());
  if (handle < 0) {
    events.event('lower-file-missing', showLowerPath(path.data));
    return -EIO;
  }
  if (isStillSame(k, inode, handle)) return handle;
  lower.close(handle);
  return -ESTALE;
}

/** A handle that others opened: compared once, like one that was just opened. */
function borrowHandle(k: Kernel, inode: Inode, handle: number): number {
  const { borrowed } = k.vfs;
  if (borrowed.has(inode.serial)) return handle;
  if (!isStillSame(k, inode, handle)) return -ESTALE;
  borrowed.add(inode.serial);
  return handle;
}

function isStillSame(k: Kernel, inode: Inode, handle: number): boolean {
  const now = k.ports.lower.fstat(handle);
  if (typeof now !== 'number' && isSameFile(inode, now)) {
    inode.lowerChecked = true;
    return true;
  }
  const path = inode.lowerPath?.data ?? new Uint8Array();
  k.ports.events.event('lower-file-changed', showLowerPath(path));
  return false;
}

/** Whether `stat` is the file that the inode saw first. */
export function isSameFile(inode: Inode, stat: LowerStat): boolean {
  return stat.bytes === inode.lowerSize && stat.ino === inode.lowerIno &&
    stat.dev === inode.lowerDev && stat.mtimeSec === inode.lowerMtimeSec &&
    stat.mtimeNsec === inode.lowerMtimeNsec;
}

/** Closes every host handle; they are opened again when needed. */
export function closeLowerHandles(k: Kernel): void {
  for (const handle of k.vfs.handles.values()) k.ports.lower.close(handle);
  k.vfs.handles.clear();
}

function closeOldest(k: Kernel): void {
  const oldest = k.vfs.handles.entries().next().value;
  if (oldest === undefined) return;
  k.ports.lower.close(oldest[1]);
  k.vfs.handles.delete(oldest[0]);
}
