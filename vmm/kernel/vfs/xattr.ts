// Extended attributes, packed into one byte string at the inode. Those of a lower file are read
// into it when the first one is asked for, and changed there.
//
//   name bytes u8 | value bytes u32 | name … | value …      (again and again, no padding)
import {
  E2BIG, EEXIST, ENODATA, ENOSPC, EOPNOTSUPP, EPERM, ERANGE, EROFS,
} from '../../abi/errno.ts';
import { IN_ATTRIB } from '../../abi/eventfd.ts';
import { XATTR_CREATE, XATTR_REPLACE } from '../../abi/fcntl.ts';
import { XATTR_LIST_MAX, XATTR_NAME_MAX, XATTR_SIZE_MAX } from '../../abi/limits.ts';
import { S_ISDIR, S_ISREG } from '../../abi/stat.ts';
import type { Kernel } from '../kernel.ts';
import type { Process } from '../records/task.ts';
import { type Dentry, FS_DEV, FS_OVERLAY, type Inode } from '../records/vfs.ts';
import { makeBytes } from '../state/containers.ts';
import { markChanged } from './attributes.ts';
import { notifyDentry } from './notify.ts';
import { isOwner } from './permission.ts';

const HEADER_BYTES = 5;

interface Attribute {
  name: Uint8Array;
  value: Uint8Array;
}

function unpack(inode: Inode): Attribute[] {
  const attributes: Attribute[] = [];
  const packed = inode.xattrs?.data.slice();
  if (packed === undefined) return attributes;
  const view = new DataView(packed.buffer);
  for (let at = 0; at + HEADER_BYTES <= packed.length;) {
    const nameEnd = at + HEADER_BYTES + (packed[at] as number);
    const valueEnd = nameEnd + view.getUint32(at + 1, true);
    attributes.push({
      name: packed.subarray(at + HEADER_BYTES, nameEnd),
      value: packed.subarray(nameEnd, valueEnd),
    });
    at = valueEnd;
  }
  return attributes;
}

/** Reads the attributes of a lower file, once. What the host does not tell is not there. */
function loadLower(k: Kernel, inode: Inode): void {
  if (inode.hasLowerXattrs || inode.lowerPath === null) return;
  if (S_ISREG(inode.mode) || S_ISDIR(inode.mode)) {
    const found = k.ports.lower.attributes(inode.lowerPath.data.slice());
    if (typeof found !== 'number') store(k, inode, found.filter(({ name }) => isKnown(name)));
  }
  inode.hasLowerXattrs = true;
}

/** Linux: those of `system.` are no plain attributes but access control lists. */
function isKnown(name: Uint8Array): boolean {
  if (name.length > XATTR_NAME_MAX) return false;
  return ['user.', 'trusted.', 'security.'].some((prefix) => hasPrefix(name, prefix));
}

function store(k: Kernel, inode: Inode, attributes: readonly Attribute[]): number {
  let bytes = 0;
  for (const { name, value } of attributes) bytes += HEADER_BYTES + name.length + value.length;
  if (bytes > XATTR_LIST_MAX + XATTR_SIZE_MAX) return -ENOSPC;
  const packed = new Uint8Array(bytes);
  const view = new DataView(packed.buffer);
  let at = 0;
  for (const { name, value } of attributes) {
    packed[at] = name.length;
    view.setUint32(at + 1, value.length, true);
    packed.set(name, at + HEADER_BYTES);
    packed.set(value, at + HEADER_BYTES + name.length);
    at += HEADER_BYTES + name.length + value.length;
  }
  const old = inode.xattrs;
  inode.xattrs = bytes === 0 ? null : makeBytes(k.arena, packed);
  if (old !== null) k.arena.free(old);
  return 0;
}

function sameName(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, index) => byte === b[index]);
}

function hasPrefix(name: Uint8Array, prefix: string): boolean {
  return String.fromCharCode(...name.subarray(0, prefix.length)) === prefix;
}

/** Linux: xattr_permission and the handlers' checks. 0 or -errno. */
function checkName(process: Process, inode: Inode, name: Uint8Array, isChange: boolean): number {
  if (inode.fs !== FS_OVERLAY && inode.fs !== FS_DEV) return -EOPNOTSUPP;
  if (hasPrefix(name, 'user.') && name.length > 5) {
    if (S_ISREG(inode.mode) || S_ISDIR(inode.mode)) return 0;
    return isChange ? -EPERM : -ENODATA;
  }
  if (hasPrefix(name, 'trusted.') && name.length > 8) {
    if (process.uid === 0) return 0;
    return isChange ? -EPERM : -ENODATA;
  }
  if (hasPrefix(name, 'security.') && name.length > 9) {
    return isChange && process.uid !== 0 ? -EPERM : 0;
  }
  return -EOPNOTSUPP;
}

/** getxattr(2): the value, or -ENODATA, -EOPNOTSUPP. */
export function getAttribute(
  k: Kernel,
  process: Process,
  inode: Inode,
  name: Uint8Array,
): Uint8Array | number {
  const refused = checkName(process, inode, name, false);
  if (refused !== 0) return refused;
  loadLower(k, inode);
  return unpack(inode).find((one) => sameName(one.name, name))?.value ?? -ENODATA;
}

/** setxattr(2); `flags` are XATTR_CREATE, XATTR_REPLACE. */
export function setAttribute(
  k: Kernel,
  process: Process,
  inode: Inode,
  dentry: Dentry | null,
  name: Uint8Array,
  value: Uint8Array,
  flags: number,
): number {
  if (inode.readOnly) return -EROFS;
  const refused = checkName(process, inode, name, true);
  if (refused !== 0) return refused;
  if (value.length > XATTR_SIZE_MAX) return -E2BIG;
  if (!isOwner(process, inode)) return -EPERM;
  loadLower(k, inode);
  const attributes = unpack(inode);
  const index = attributes.findIndex((one) => sameName(one.name, name));
  if (index >= 0 && (flags & XATTR_CREATE) !== 0) return -EEXIST;
  if (index < 0 && (flags & XATTR_REPLACE) !== 0) return -ENODATA;
  const attribute = { name, value };
  if (index >= 0) attributes[index] = attribute;
  else attributes.push(attribute);
  const error = store(k, inode, attributes);
  if (error !== 0) return error;
  markChanged(k, inode, dentry);
  notifyDentry(k, inode, dentry, IN_ATTRIB);
  return 0;
}

/** removexattr(2). */
export function removeAttribute(
  k: Kernel,
  process: Process,
  inode: Inode,
  dentry: Dentry | null,
  name: Uint8Array,
): number {
  if (inode.readOnly) return -EROFS;
  const refused = checkName(process, inode, name, true);
  if (refused !== 0) return refused;
  if (!isOwner(process, inode)) return -EPERM;
  loadLower(k, inode);
  const attributes = unpack(inode);
  const left = attributes.filter((one) => !sameName(one.name, name));
  if (left.length === attributes.length) return -ENODATA;
  const error = store(k, inode, left);
  if (error !== 0) return error;
  markChanged(k, inode, dentry);
  notifyDentry(k, inode, dentry, IN_ATTRIB);
  return 0;
}

/**
 * listxattr(2): names, each with a NUL; or -ERANGE when they do not fit `room` (0: how many bytes).
 */
export function listAttributes(
  k: Kernel,
  process: Process,
  inode: Inode,
  room: number,
): Uint8Array | number {
  loadLower(k, inode);
  const isRoot = process.uid === 0;
  const names = unpack(inode).map((one) => one.name)
    .filter((name) => isRoot || !hasPrefix(name, 'trusted.'));
  const bytes = names.reduce((sum, name) => sum + name.length + 1, 0);
  if (room === 0) return bytes;
  if (bytes > room) return -ERANGE;
  const list = new Uint8Array(bytes);
  let at = 0;
  for (const name of names) {
    list.set(name, at);
    at += name.length + 1;
  }
  return list;
}
