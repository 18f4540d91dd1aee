// One step down: the child of a directory by name, whichever file system the directory belongs to.
// A name that is not in the records yet is asked of the lower layer (overlay) or of a generator
// (/proc, /sys); what the lower layer does not have becomes a negative dentry.
import { EIO, ENAMETOOLONG, ENOENT, ENOTDIR } from '../../abi/errno.ts';
import { NAME_MAX } from '../../abi/limits.ts';
import { S_IFREG, S_IFMT, S_ISDIR } from '../../abi/stat.ts';
import type { Kernel } from '../kernel.ts';
import type { LowerStat } from '../ports.ts';
import {
  type Dentry, FS_OVERLAY, FS_PROC, FS_SYS, type Inode,
} from '../records/vfs.ts';
import { type Bytes, makeBytes } from '../state/containers.ts';
import { deleteDentry, findChild, makeDentry } from './dentry.ts';
import { makeInode, touchModified } from './inode.ts';
import { generatedChild, isStillThere } from './proc/generated.ts';

/** Size of a directory whose real one does not matter: what most file systems say. */
export const DIRECTORY_BYTES: number = 4096;

/**
 * The child `name` of `parent`.
 * @returns a dentry, negative (null inode) when the name is known not to exist; null when it does
 * not exist and no record says so; -errno when it cannot be told
 */
export function lookupChild(
  k: Kernel,
  parent: Dentry,
  name: Uint8Array,
): Dentry | null | number {
  if (name.length > NAME_MAX) return -ENAMETOOLONG;
  const known = findChild(k, parent, name);
  const dir = parent.inode as Inode;
  const isGenerated = dir.fs === FS_PROC || dir.fs === FS_SYS;
  if (known !== null) {
    if (!isGenerated || isStillThere(k, known)) return known;
    deleteDentry(k, known);
  }
  if (isGenerated) {
    const inode = generatedChild(k, dir, name);
    if (inode !== null) return makeDentry(k, parent, name, inode);
    // Linux: /proc has no negative names, so that even making one is ENOENT.
    return dir.fs === FS_PROC ? -ENOENT : null;
  }
  if (dir.fs !== FS_OVERLAY || dir.lowerPath === null || parent.deleted) return null;
  return lookupLower(k, parent, dir, name);
}

function lookupLower(
  k: Kernel,
  parent: Dentry,
  dir: Inode,
  name: Uint8Array,
): Dentry | number {
  const path = joinPath((dir.lowerPath as Bytes).data, name);
  const stat = k.ports.lower.stat(path);
  if (typeof stat !== 'number') {
    const inode = loadLowerInode(k, stat, path);
    inode.readOnly = dir.readOnly;
    const dentry = makeDentry(k, parent, name, inode);
    dentry.inLower = true;
    return dentry;
  }
  // The host may have changed a directory into something else, or lost it: then there is no such
  // name.
  if (stat === -ENOENT || stat === -ENOTDIR) return makeDentry(k, parent, name, null);
  return stat < 0 ? stat : -EIO;
}

/** Makes the inode of a lower file. `path` has no leading slash; see also volume-path.ts. */
export function loadLowerInode(k: Kernel, stat: LowerStat, path: Uint8Array): Inode {
  const inode = makeInode(k, FS_OVERLAY, stat.mode);
  inode.uid = stat.uid;
  inode.gid = stat.gid;
  inode.nlink = stat.nlink;
  inode.rdev = stat.rdev;
  inode.bytes = stat.bytes;
  inode.atimeSec = stat.atimeSec;
  inode.atimeNsec = stat.atimeNsec;
  inode.mtimeSec = stat.mtimeSec;
  inode.mtimeNsec = stat.mtimeNsec;
  inode.ctimeSec = stat.ctimeSec;
  inode.ctimeNsec = stat.ctimeNsec;
  inode.lowerPath = makeBytes(k.arena, path);
  inode.lowerDev = stat.dev;
  inode.lowerIno = stat.ino;
  inode.lowerSize = stat.bytes;
  inode.lowerMtimeSec = stat.mtimeSec;
  inode.lowerMtimeNsec = stat.mtimeNsec;
  if ((stat.mode & S_IFMT) === S_IFREG) inode.lowerBytes = stat.bytes;
  if (k.root.deterministic) fixVolatile(k, inode);
  return inode;
}

/**
 * Deterministic mode: what the host changes without changing any content, such as the time of the
 * last access or the processes counted in /proc, gets fixed values. A directory is as overlayfs
 * has it.
 */
function fixVolatile(k: Kernel, inode: Inode): void {
  inode.atimeSec = inode.mtimeSec;
  inode.atimeNsec = inode.mtimeNsec;
  if (!S_ISDIR(inode.mode)) return;
  touchModified(k, inode);
  inode.atimeSec = inode.mtimeSec;
  inode.atimeNsec = inode.mtimeNsec;
  inode.nlink = 1;
  inode.bytes = DIRECTORY_BYTES;
  inode.lowerSize = inode.bytes;
  inode.lowerMtimeSec = inode.mtimeSec;
  inode.lowerMtimeNsec = inode.mtimeNsec;
}

/** `dir/name`, without a leading slash when `dir` is the root ''. */
export function joinPath(dir: Uint8Array, name: Uint8Array): Uint8Array {
  if (dir.length === 0) return name.slice();
  const path = new Uint8Array(dir.length + 1 + name.length);
  path.set(dir);
  path[dir.length] = 0x2f;
  path.set(name, dir.length + 1);
  return path;
}
