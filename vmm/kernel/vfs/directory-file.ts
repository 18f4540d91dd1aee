// FILE_DIRECTORY: listing both layers of a directory.
//
// The first getdents after open or rewind makes a list of the names (File.content), which then
// stays: File.position and the d_off cookies are byte offsets in it, so seekdir works and nothing
// is told twice or skipped when names come and go in between. Names that are gone by then are left
// out.
//
//   list entry   ino f64 | type u8 | name bytes u8 | name …
import { EINVAL, EISDIR, ENOENT, ENOTDIR } from '../../abi/errno.ts';
import { SEEK_END } from '../../abi/fcntl.ts';
import type { Kernel } from '../kernel.ts';
import {
  type Dentry, type File, FILE_DIRECTORY, FS_OVERLAY, type Inode,
} from '../records/vfs.ts';
import type { Bytes } from '../state/containers.ts';
import { lookupChild } from './child.ts';
import { findChild, nameKey } from './dentry.ts';
import { defineFileOps, type IoBuffer } from './file-ops.ts';
import { makeRoundedBytes } from './generated-file.ts';
import { directoryType, inodeNumber, visibleInode } from './inode-number.ts';
import { generatorOf, isGenerated } from './proc/generated.ts';
import { ALWAYS_READY, seekWithin } from './regular-file.ts';
import { isDots } from './remove.ts';

const ENTRY_HEADER_BYTES = 10;
/** d_ino, d_off, d_reclen (and d_type in dirent64). */
const DIRENT64_HEADER_BYTES = 19;
const DIRENT_HEADER_BYTES = 18;

/** One name of a directory. */
interface Listed {
  ino: number;
  type: number;
  name: Uint8Array;
}

const encoder: TextEncoder = new TextEncoder();

function listDirectory(k: Kernel, dir: Dentry): Listed[] | number {
  const inode = dir.inode as Inode;
  const parent = dir.parent ?? dir.mountPoint?.parent ?? dir;
  const listed: Listed[] = [
    { ino: inodeNumber(inode), type: directoryType(inode.mode), name: encoder.encode('.') },
    { ino: inodeNumber(parent.inode as Inode), type: 4, name: encoder.encode('..') },
  ];
  if (isGenerated(inode)) {
    for (const entry of generatorOf(inode).list?.(k, inode.generatorArgument) ?? []) {
      const child = lookupChild(k, dir, encoder.encode(entry.name));
      if (child === null || typeof child === 'number' || child.inode === null) continue;
      listed.push(listedOf(child, child.inode));
    }
    return listed;
  }
  const error = addLower(k, dir, inode, listed);
  if (error !== 0) return error;
  const seen = new Set(listed.map((entry) => nameKey(entry.name)));
  for (let child = dir.firstChild; child !== null; child = child.nextSibling) {
    const shown = visibleInode(child);
    if (shown !== null && !seen.has(nameKey(child.name.data))) listed.push(listedOf(child, shown));
  }
  return listed;
}

function listedOf(dentry: Dentry, inode: Inode): Listed {
  return {
    ino: inodeNumber(inode),
    type: directoryType(inode.mode),
    name: dentry.name.data.slice(),
  };
}

function addLower(k: Kernel, dir: Dentry, inode: Inode, listed: Listed[]): number {
  if (inode.fs !== FS_OVERLAY || inode.lowerPath === null) return 0;
  const entries = k.ports.lower.list(inode.lowerPath.data.slice());
  // The lower directory has gone: what is in the records is what is left.
  if (typeof entries === 'number') return entries === -ENOENT || entries === -ENOTDIR ? 0 : entries;
  for (const { name, ino, type } of entries) {
    if (isDots(name) || name.length === 0 || name.length > 255) continue;
    const known = type === 0 ? lookupChild(k, dir, name) : findChild(k, dir, name);
    if (typeof known === 'number') continue;
    if (known === null) {
      listed.push({ ino, type, name });
      continue;
    }
    const shown = visibleInode(known);
    if (shown !== null) listed.push(listedOf(known, shown));
  }
  return 0;
}

function pack(k: Kernel, listed: readonly Listed[]): Bytes {
  let bytes = 0;
  for (const { name } of listed) bytes += ENTRY_HEADER_BYTES + name.length;
  const packed = new Uint8Array(bytes);
  const view = new DataView(packed.buffer);
  let at = 0;
  for (const { ino, type, name } of listed) {
    view.setFloat64(at, ino, true);
    packed[at + 8] = type;
    packed[at + 9] = name.length;
    packed.set(name, at + ENTRY_HEADER_BYTES);
    at += ENTRY_HEADER_BYTES + name.length;
  }
  return makeRoundedBytes(k, packed);
}

/** The list, made if there is none. */
function listOf(k: Kernel, file: File): Bytes | number {
  if (file.content !== null) return file.content;
  const listed = listDirectory(k, file.dentry as Dentry);
  if (typeof listed === 'number') return listed;
  const packed = pack(k, listed);
  file.content = packed;
  return packed;
}

/**
 * getdents64(2) and getdents(2): fills `to` with as many entries as fit.
 * @returns bytes, 0 at the end; -EINVAL when not even one fits, -ENOENT for a removed directory
 */
export function readEntries(
  k: Kernel,
  file: File,
  room: number,
  isOld: boolean,
): Uint8Array | number {
  const dir = file.dentry;
  if (file.kind !== FILE_DIRECTORY || dir === null) return -ENOTDIR;
  if (dir.deleted) return -ENOENT;
  const list = listOf(k, file);
  if (typeof list === 'number') return list;
  const out = new Uint8Array(Math.min(room, OUTPUT_BYTES_MOST));
  const view = new DataView(out.buffer);
  let used = 0;
  let at = file.position;
  for (;;) {
    const entry = entryAt(list.data, at);
    if (entry === null) break;
    const next = at + ENTRY_HEADER_BYTES + entry.name.length;
    if (isGone(k, dir, entry.name)) {
      at = next;
      continue;
    }
    const header = isOld ? DIRENT_HEADER_BYTES : DIRENT64_HEADER_BYTES;
    // The old form ends with d_type after the name's NUL.
    const bytes = Math.ceil((header + entry.name.length + (isOld ? 2 : 1)) / 8) * 8;
    if (used + bytes > out.length) {
      if (used === 0) return -EINVAL;
      break;
    }
    writeEntry(out, view, used, bytes, entry, next, isOld);
    used += bytes;
    at = next;
  }
  file.position = at;
  return out.subarray(0, used);
}

/** One call gives no more, however large the guest's buffer is. */
const OUTPUT_BYTES_MOST = 256 * 1024;

function writeEntry(
  out: Uint8Array,
  view: DataView,
  at: number,
  bytes: number,
  entry: Listed,
  next: number,
  isOld: boolean,
): void {
  view.setUint32(at, entry.ino % 2 ** 32, true);
  view.setUint32(at + 4, Math.floor(entry.ino / 2 ** 32), true);
  view.setUint32(at + 8, next, true);
  view.setUint16(at + 16, bytes, true);
  if (isOld) {
    out.set(entry.name, at + DIRENT_HEADER_BYTES);
    out[at + bytes - 1] = entry.type;
  } else {
    out[at + 18] = entry.type;
    out.set(entry.name, at + DIRENT64_HEADER_BYTES);
  }
}

/** The entry at an offset, or null at the end (or at an offset that the guest made up). */
function entryAt(data: Uint8Array, at: number): Listed | null {
  if (at + ENTRY_HEADER_BYTES > data.length) return null;
  const bytes = data[at + 9] as number;
  const from = at + ENTRY_HEADER_BYTES;
  if (from + bytes > data.length) return null;
  const view = new DataView(data.buffer, data.byteOffset, data.length);
  return {
    ino: view.getFloat64(at, true),
    type: data[at + 8] as number,
    name: data.slice(from, from + bytes),
  };
}

/** Whether a listed name has been removed since. */
function isGone(k: Kernel, dir: Dentry, name: Uint8Array): boolean {
  if (isDots(name)) return false;
  const known = findChild(k, dir, name);
  if (known !== null) return known.inode === null;
  // A name of the lower layer that no record knows is as it was; one of the upper layer is gone.
  const inode = dir.inode as Inode;
  return !isGenerated(inode) && inode.lowerPath === null;
}

function seekDirectory(k: Kernel, file: File, offset: number, whence: number): number {
  const list = whence === SEEK_END ? listOf(k, file) : null;
  if (typeof list === 'number') return list;
  if (whence > SEEK_END) return -EINVAL;
  const result = seekWithin(file, offset, whence, list?.length ?? 0);
  if (result === 0 && file.content !== null) {
    k.arena.free(file.content);
    file.content = null;
  }
  return result;
}

function readDirectory(_k: Kernel, _file: File, _to: IoBuffer): number {
  return -EISDIR;
}

defineFileOps(FILE_DIRECTORY, {
  seekable: true,
  read: readDirectory,
  poll: () => ALWAYS_READY,
  queue: () => null,
  seek: seekDirectory,
});
