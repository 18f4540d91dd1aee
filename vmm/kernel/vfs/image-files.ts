// What a func-image says about the open descriptors, for people (`inspect`) and for the I/O cache.
// The records themselves are in the objects section; nothing is restored from this table.
import type { CfiIoEntry, CfiIoIdentity, CfiIoKind } from '../../../formats/cfi/header.ts';
import { PATH_MAX } from '../../abi/limits.ts';
import type { Kernel } from '../kernel.ts';
import {
  type File, FILE_CONSOLE, FILE_DEVICE, FILE_DIRECTORY, FILE_EPOLL, FILE_EVENTFD, FILE_GENERATED,
  FILE_PIPE, FILE_PTY, FILE_REGULAR, FILE_SOCKET, type Inode,
} from '../records/vfs.ts';
import { displayPath } from './path-name.ts';

const KINDS: ReadonlyMap<number, CfiIoKind> = new Map([
  [FILE_REGULAR, 'file'],
  [FILE_GENERATED, 'file'],
  [FILE_DIRECTORY, 'dir'],
  [FILE_PIPE, 'pipe'],
  [FILE_SOCKET, 'socket'],
  [FILE_EVENTFD, 'eventfd'],
  [FILE_EPOLL, 'epoll'],
  [FILE_CONSOLE, 'stdio'],
  [FILE_DEVICE, 'device'],
  [FILE_PTY, 'device'],
]);

/** One row for each open descriptor of the first process, ascending. */
export function openFilesForImage(k: Kernel): CfiIoEntry[] {
  const rows: CfiIoEntry[] = [];
  const { process } = k.root;
  if (process === null) return rows;
  const { slots } = process.fds;
  for (let fd = 0; fd < slots.length; fd++) {
    const file = slots.get(fd);
    if (file === null) continue;
    const path = file.dentry === null ? new Uint8Array() : displayPath(process, file.dentry);
    rows.push(makeRow(k, fd, file, path.subarray(0, PATH_MAX)));
  }
  return rows;
}

function makeRow(k: Kernel, fd: number, file: File, path: Uint8Array): CfiIoEntry {
  const { inode } = file;
  const row: CfiIoEntry = {
    fd,
    path,
    kind: KINDS.get(file.kind) ?? 'other',
    flags: file.flags >>> 0,
    offset: Math.max(file.position, 0),
    cached: inode !== null && k.vfs.handles.has(inode.serial),
  };
  if (inode !== null && inode.lowerPath !== null) row.identity = identityOf(inode);
  return row;
}

function identityOf(inode: Inode): CfiIoIdentity {
  return {
    dev: BigInt(inode.lowerDev),
    ino: BigInt(inode.lowerIno),
    bytes: inode.lowerSize,
    mtimeNs: BigInt(inode.lowerMtimeSec) * 1_000_000_000n + BigInt(inode.lowerMtimeNsec),
  };
}
