// The path walk (Linux: namei). A path is bytes; it is walked component by component in the
// records, and only a component that they do not know costs a call to the lower file system, so
// that no symbolic link is ever followed by the host.
//
// A symbolic link in the middle is followed by walking `target/rest` instead of what is left; a
// link at the end is followed on demand, a trailing slash (which demands a directory) staying at
// the end.
import {
  EBADF, ELOOP, ENAMETOOLONG, ENOENT, ENOTDIR, ENXIO, EXDEV,
} from '../../abi/errno.ts';
import {
  AT_FDCWD, RESOLVE_BENEATH, RESOLVE_IN_ROOT, RESOLVE_NO_MAGICLINKS, RESOLVE_NO_SYMLINKS,
  RESOLVE_NO_XDEV,
} from '../../abi/fcntl.ts';
import { MAXSYMLINKS, PATH_MAX } from '../../abi/limits.ts';
import { S_ISDIR, S_ISLNK } from '../../abi/stat.ts';
import type { Kernel } from '../kernel.ts';
import type { Process } from '../records/task.ts';
import type { Dentry, File, Inode } from '../records/vfs.ts';
import { lookupChild } from './child.ts';
import { checkPermission, MAY_EXEC } from './permission.ts';
import { followMagicLink, isMagicLink } from './proc/generated.ts';
import { readLink } from './symlink.ts';

/** Follow a symbolic link in the last component. */
export const LOOKUP_FOLLOW = 1;
/** The result must be a directory (ENOTDIR). */
export const LOOKUP_DIRECTORY = 2;
/** AT_EMPTY_PATH: an empty path means the descriptor itself. */
export const LOOKUP_EMPTY = 4;

/** What a path's last component is. */
export const LAST_NAME = 0;
export const LAST_DOT = 1;
export const LAST_DOTDOT = 2;
/** The path is made of slashes only. */
export const LAST_ROOT = 3;
/** A magic link led straight to a file. */
export const LAST_JUMPED = 4;

/** What a path leads to. `file` is set for descriptors and magic links to them. */
export interface Place {
  /** null only for a descriptor that has no inode. */
  inode: Inode | null;
  dentry: Dentry | null;
  file: File | null;
}

const SLASH = 0x2f;
const DOT = 0x2e;

/** A walk in progress. Invariant: `at` has an inode. */
export class Walk {
  readonly k: Kernel;
  readonly process: Process;
  /** Where the walk is: after parent(), the directory of the last component. */
  at: Dentry;
  /** Set by a jump through a magic link to an open file. */
  file: File | null = null;
  /** The last component, its class, and whether slashes follow it. */
  name: Uint8Array = new Uint8Array();
  last: number = LAST_ROOT;
  trailingSlash: boolean = false;
  readonly #root: Dentry;
  readonly #resolve: number;
  #path: Uint8Array;
  #offset: number = 0;
  #links: number = 0;

  /** @param resolve RESOLVE_* of openat2(2) */
  constructor(k: Kernel, process: Process, base: Dentry, path: Uint8Array, resolve: number = 0) {
    this.k = k;
    this.process = process;
    this.at = base;
    this.#path = path;
    this.#resolve = resolve;
    const stays = (resolve & (RESOLVE_BENEATH | RESOLVE_IN_ROOT)) !== 0;
    this.#root = stays ? base : process.root;
  }

  /**
   * Walks all but the last component; then `at`, `name`, `last`, `trailingSlash` tell. 0 or -errno.
   */
  parent(): number {
    if (this.#path[this.#offset] === SLASH) {
      if ((this.#resolve & RESOLVE_BENEATH) !== 0) return -EXDEV;
      const error = this.#jump(this.#root);
      if (error !== 0) return error;
    }
    for (;;) {
      const from = this.#skipSlashes(this.#offset);
      if (from === this.#path.length) {
        this.last = LAST_ROOT;
        return 0;
      }
      const { inode } = this.at;
      if (!S_ISDIR((inode as Inode).mode)) return -ENOTDIR;
      const denied = checkPermission(this.process, inode as Inode, MAY_EXEC);
      if (denied !== 0) return denied;
      const slash = this.#path.indexOf(SLASH, from);
      const end = slash < 0 ? this.#path.length : slash;
      this.name = this.#path.subarray(from, end);
      this.last = classOf(this.name);
      this.#offset = this.#skipSlashes(end);
      if (this.#offset === this.#path.length) {
        this.trailingSlash = end < this.#path.length;
        return 0;
      }
      const error = this.#stepDown();
      if (error !== 0) return error;
    }
  }

  /**
   * Walks the last component too, following links when `follow` or a slash follows.
   * @returns 0 when `at` (or `file`) is what the path leads to, else -errno
   */
  finish(follow: boolean): number {
    for (;;) {
      if (this.last === LAST_ROOT || this.last === LAST_JUMPED) return 0;
      if (this.last !== LAST_NAME) return this.#stepDots();
      const child = lookupChild(this.k, this.at, this.name);
      if (typeof child === 'number') return child;
      if (child === null || child.inode === null) return -ENOENT;
      if (!S_ISLNK(child.inode.mode) || !(follow || this.trailingSlash)) return this.#enter(child);
      const error = this.follow(child);
      if (error !== 0) return error;
    }
  }

  /**
   * Follows the symbolic link `link`, the last component, up to the last component of its target.
   */
  follow(link: Dentry): number {
    const slash = this.trailingSlash;
    const error = this.#followLink(link, slash ? SLASH_BYTES : NO_BYTES);
    return error !== 0 || this.#hasJumped() ? error : this.parent();
  }

  #stepDown(): number {
    if (this.last !== LAST_NAME) return this.#stepDots();
    const child = lookupChild(this.k, this.at, this.name);
    if (typeof child === 'number') return child;
    if (child === null || child.inode === null) return -ENOENT;
    if (!S_ISLNK(child.inode.mode)) return this.#enter(child);
    const rest = this.#path.subarray(this.#offset);
    const error = this.#followLink(child, rest);
    if (error !== 0) return error;
    if (this.#hasJumped()) {
      if (this.file !== null) return -ENOTDIR;
      this.#path = rest;
      this.#offset = 0;
      return 0;
    }
    if (this.#path[0] !== SLASH) return 0;
    return (this.#resolve & RESOLVE_BENEATH) !== 0 ? -EXDEV : this.#jump(this.#root);
  }

  #followLink(link: Dentry, rest: Uint8Array): number {
    if ((this.#resolve & RESOLVE_NO_SYMLINKS) !== 0 || ++this.#links > MAXSYMLINKS) return -ELOOP;
    const inode = link.inode as Inode;
    if (isMagicLink(inode)) return this.#followMagic(inode);
    const target = readLink(this.k, this.process, inode);
    if (typeof target === 'number') return target;
    if (target.length === 0) return -ENOENT;
    this.#path = joinRest(target, rest);
    this.#offset = 0;
    return 0;
  }

  #followMagic(inode: Inode): number {
    if ((this.#resolve & RESOLVE_NO_MAGICLINKS) !== 0) return -ELOOP;
    if ((this.#resolve & (RESOLVE_BENEATH | RESOLVE_IN_ROOT)) !== 0) return -EXDEV;
    const target = followMagicLink(this.k, inode);
    if (typeof target === 'number') return target;
    this.last = LAST_JUMPED;
    if (target.dentry === null || target.dentry.inode === null) {
      this.file = target.file;
      return target.file === null ? -ENOENT : 0;
    }
    this.file = null;
    return this.#jump(target.dentry);
  }

  /** Goes to a dentry that is not the next one down; RESOLVE_NO_XDEV forbids another mount. */
  #jump(to: Dentry): number {
    if ((this.#resolve & RESOLVE_NO_XDEV) !== 0 && mountOf(to) !== mountOf(this.at)) return -EXDEV;
    this.at = to;
    return 0;
  }

  #stepDots(): number {
    if (this.last === LAST_DOT) return 0;
    if (this.at === this.#root) return (this.#resolve & RESOLVE_BENEATH) !== 0 ? -EXDEV : 0;
    let { at } = this;
    while (at.parent === null) {
      if (at.mountPoint === null || at === this.process.root) return 0;
      if ((this.#resolve & RESOLVE_NO_XDEV) !== 0) return -EXDEV;
      at = at.mountPoint;
    }
    this.at = at.parent;
    return 0;
  }

  #enter(child: Dentry): number {
    let at = child;
    while (at.mounted !== null) {
      if ((this.#resolve & RESOLVE_NO_XDEV) !== 0) return -EXDEV;
      at = at.mounted;
    }
    this.at = at;
    return 0;
  }

  #hasJumped(): boolean {
    return this.last === LAST_JUMPED;
  }

  #skipSlashes(from: number): number {
    let offset = from;
    while (this.#path[offset] === SLASH) offset++;
    return offset;
  }
}

const NO_BYTES: Uint8Array = new Uint8Array();
const SLASH_BYTES: Uint8Array = new Uint8Array([SLASH]);

function classOf(name: Uint8Array): number {
  if (name[0] !== DOT) return LAST_NAME;
  if (name.length === 1) return LAST_DOT;
  return name.length === 2 && name[1] === DOT ? LAST_DOTDOT : LAST_NAME;
}

function joinRest(target: Uint8Array, rest: Uint8Array): Uint8Array {
  if (rest.length === 0) return target;
  const joined = new Uint8Array(target.length + 1 + rest.length);
  joined.set(target);
  joined[target.length] = SLASH;
  joined.set(rest, target.length + 1);
  return joined;
}

/** The root dentry of the file system that `dentry` is in. */
export function mountOf(dentry: Dentry): Dentry {
  let top = dentry;
  while (top.parent !== null) top = top.parent;
  return top;
}

/**
 * Begins a walk of `path` from `dirfd`. Does not look at the path's components yet.
 * @returns -ENOENT (empty), -ENAMETOOLONG, -EBADF, -ENOTDIR
 */
export function beginWalk(
  k: Kernel,
  process: Process,
  dirfd: number,
  path: Uint8Array,
  resolve: number = 0,
): Walk | number {
  if (path.length === 0) return -ENOENT;
  if (path.length >= PATH_MAX) return -ENAMETOOLONG;
  const isolated = (resolve & (RESOLVE_BENEATH | RESOLVE_IN_ROOT)) !== 0;
  if (path[0] === SLASH && !isolated) {
    return new Walk(k, process, process.root, path, resolve);
  }
  const base = baseOf(process, dirfd);
  if (typeof base === 'number') return base;
  return new Walk(k, process, base, path, resolve);
}

function baseOf(process: Process, dirfd: number): Dentry | number {
  if (dirfd === AT_FDCWD) return process.cwd;
  const file = process.fds.slots.get(dirfd);
  if (file === null) return -EBADF;
  const { dentry } = file;
  if (dentry === null || dentry.inode === null || !S_ISDIR(dentry.inode.mode)) return -ENOTDIR;
  return dentry;
}

/**
 * Resolves `path` relative to `dirfd` (AT_FDCWD: the working directory).
 * @param flags LOOKUP_*
 */
export function lookupAt(
  k: Kernel,
  process: Process,
  dirfd: number,
  path: Uint8Array,
  flags: number,
  resolve: number = 0,
): Place | number {
  if (path.length === 0 && (flags & LOOKUP_EMPTY) !== 0) return placeOfFd(process, dirfd);
  const walk = beginWalk(k, process, dirfd, path, resolve);
  if (typeof walk === 'number') return walk;
  let error = walk.parent();
  if (error === 0) error = walk.finish((flags & LOOKUP_FOLLOW) !== 0);
  if (error !== 0) return error;
  const place = placeOf(walk);
  const wantsDirectory = walk.trailingSlash || (flags & LOOKUP_DIRECTORY) !== 0;
  if (wantsDirectory && !(place.inode !== null && S_ISDIR(place.inode.mode))) return -ENOTDIR;
  return place;
}

/** What a finished walk found. */
export function placeOf(walk: Walk): Place {
  const { file, at } = walk;
  if (file !== null) return { inode: file.inode, dentry: file.dentry, file };
  return { inode: at.inode, dentry: at, file: null };
}

function placeOfFd(process: Process, fd: number): Place | number {
  if (fd === AT_FDCWD) return { inode: process.cwd.inode, dentry: process.cwd, file: null };
  const file = process.fds.slots.get(fd);
  if (file === null) return -EBADF;
  return { inode: file.inode, dentry: file.dentry, file };
}

/** Like lookupAt(), for calls that need a name in the tree: files without one are ENXIO. */
export function lookupDentry(
  k: Kernel,
  process: Process,
  dirfd: number,
  path: Uint8Array,
  flags: number = LOOKUP_FOLLOW,
): Dentry | number {
  const place = lookupAt(k, process, dirfd, path, flags);
  if (typeof place === 'number') return place;
  return place.dentry ?? -ENXIO;
}

/** Resolves an absolute or cwd-relative path, following links; the dentry has an inode. */
export function lookupPath(k: Kernel, process: Process, path: Uint8Array): Dentry | number {
  return lookupDentry(k, process, AT_FDCWD, path);
}
