// Files of the host below a root directory, for the guest's read-only lower layer: statx, openat2
// with RESOLVE_IN_ROOT, pread, readlinkat, getdents64. The guest kernel resolves paths itself,
// component by component, so the host never follows a link on its behalf.
import * as libc from './libc.ts';
import { HostError, MORE_FILES } from './errors.ts';
import { takeScratch, type Scratch } from './scratch.ts';
import { EMFILE, ENAMETOOLONG } from '../abi/errno.ts';

const SYS_STATX = 332;
const SYS_OPENAT2 = 437;
const SYS_READLINKAT = 267;
const SYS_GETDENTS64 = 217;
const SYS_FGETXATTR = 193;
const SYS_FLISTXATTR = 196;
const AT_SYMLINK_NOFOLLOW = 0x100;
const AT_EMPTY_PATH = 0x1000;
const STATX_BASIC_STATS = 0x7ff;
const O_RDONLY_CLOEXEC = 0o2000000;
const O_NOFOLLOW = 0o400000;
const O_NONBLOCK = 0o4000;
const O_DIRECTORY = 0o200000;
const O_PATH = 0o10000000;
const RESOLVE_NO_MAGICLINKS = 0x02;
const RESOLVE_IN_ROOT = 0x10;
const PATH_BYTES = 4096;
const STATX_BYTES = 256;
const HOW_OFFSET: number = PATH_BYTES + STATX_BYTES;
const DIRENT_OFFSET = 8192;
const DIRENT_BYTES = 32768;

/** What statx(2) says about a file; times as seconds and nanoseconds. */
export interface HostStat {
  dev: number;
  ino: number;
  mode: number;
  nlink: number;
  uid: number;
  gid: number;
  rdev: number;
  bytes: number;
  atimeSec: number;
  atimeNsec: number;
  mtimeSec: number;
  mtimeNsec: number;
  ctimeSec: number;
  ctimeNsec: number;
}

export interface HostEntry {
  name: Uint8Array;
  ino: number;
  /** DT_* */
  type: number;
}

/** An extended attribute. */
export interface HostAttribute {
  name: Uint8Array;
  value: Uint8Array;
}

let scratch: Scratch | null = null;

/** One piece for all roots of a thread: no call returns with anything of its own left in it. */
function sharedScratch(): Scratch {
  scratch ??= takeScratch(DIRENT_OFFSET + DIRENT_BYTES);
  return scratch;
}

/**
 * A directory below which files are read. Results are -errno where a call fails.
 *
 * Ownership: whoever makes one calls dispose(); what open() gave is closed with close().
 */
export class HostRoot {
  /** -1 after dispose(). */
  #fd: number;
  readonly #scratch: Scratch = sharedScratch();

  /** @throws HostError when the directory cannot be opened */
  constructor(path: string) {
    // SAFETY: a string for the duration of the call.
    this.#fd = libc.open(path, O_PATH | O_DIRECTORY | O_RDONLY_CLOEXEC, 0);
    if (this.#fd < 0) {
      const errno = libc.lastErrno();
      throw new HostError('CATAVMM_HOST_CALL', `the rootfs ${path} cannot be opened`, {
        errno,
        call: 'open',
        hint: errno === EMFILE
          ? MORE_FILES : 'Give --rootfs a directory that exists and that you may read.',
      });
    }
  }

  /** statx without following a link at the end. '' is the root itself. */
  stat(path: Uint8Array): HostStat | number {
    if (!this.#putPath(path)) return -ENAMETOOLONG;
    return this.#statx(this.#fd, path.length === 0 ? AT_EMPTY_PATH : AT_SYMLINK_NOFOLLOW);
  }

  /** statx of an open file. */
  fstat(handle: number): HostStat | number {
    this.#scratch.bytes[0] = 0;
    return this.#statx(handle, AT_EMPTY_PATH);
  }

  /** Opens a file for reading; never leaves the root, never waits on a FIFO. */
  open(path: Uint8Array): number {
    return this.#openat2(path, O_RDONLY_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  }

  /** Reads at an offset; bytes read, 0 at the end. */
  read(handle: number, offset: number, target: Uint8Array): number {
    // SAFETY: `target` is pinned for the call; a file cannot grow it.
    const result = libc.preadInto(handle, target, offset);
    return result < 0 ? -libc.lastErrno() : result;
  }

  readlink(path: Uint8Array): Uint8Array | number {
    if (!this.#putPath(path)) return -ENAMETOOLONG;
    const { address, bytes } = this.#scratch;
    // SAFETY: path and result lie in the thread's scratch block.
    const count = libc.syscall(
      SYS_READLINKAT, this.#fd, address, address + DIRENT_OFFSET, PATH_BYTES,
    );
    if (count < 0) return -libc.lastErrno();
    return bytes.slice(DIRENT_OFFSET, DIRENT_OFFSET + count);
  }

  /** All entries of a directory but "." and "..". */
  list(path: Uint8Array): HostEntry[] | number {
    const fd = this.#openat2(path, O_RDONLY_CLOEXEC | O_NOFOLLOW | O_DIRECTORY);
    if (fd < 0) return fd;
    try {
      return this.#readEntries(fd);
    } finally {
      this.close(fd);
    }
  }

  /** Extended attributes; those that cannot be read, or are larger than half of 64 KiB, are not. */
  attributes(path: Uint8Array): HostAttribute[] | number {
    const fd = this.#openat2(path, O_RDONLY_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0) return fd;
    try {
      return this.#readAttributes(fd);
    } finally {
      this.close(fd);
    }
  }

  close(handle: number): void {
    // SAFETY: a descriptor that this object opened.
    libc.close(handle);
  }

  /** Closes the directory itself; calls say -EBADF afterwards. Idempotent. */
  dispose(): void {
    if (this.#fd < 0) return;
    // SAFETY: a descriptor of this object, which forgets it below.
    libc.close(this.#fd);
    this.#fd = -1;
  }

  #openat2(path: Uint8Array, flags: number): number {
    if (!this.#putPath(path.length === 0 ? DOT : path)) return -ENAMETOOLONG;
    const { view, address } = this.#scratch;
    view.setBigUint64(HOW_OFFSET, BigInt(flags), true);
    view.setBigUint64(HOW_OFFSET + 8, 0n, true);
    view.setBigUint64(HOW_OFFSET + 16, BigInt(RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS), true);
    // SAFETY: the path and struct open_how lie in the thread's scratch block.
    const fd = libc.syscall(SYS_OPENAT2, this.#fd, address, address + HOW_OFFSET, 24);
    return fd < 0 ? -libc.lastErrno() : fd;
  }

  #putPath(path: Uint8Array): boolean {
    if (path.length >= PATH_BYTES) return false;
    this.#scratch.bytes.set(path);
    this.#scratch.bytes[path.length] = 0;
    return true;
  }

  #statx(dirFd: number, flags: number): HostStat | number {
    const { address, view } = this.#scratch;
    const to = PATH_BYTES;
    // SAFETY: the path and struct statx lie in the thread's scratch block.
    if (libc.syscall(SYS_STATX, dirFd, address, flags, STATX_BASIC_STATS, address + to) < 0) {
      return -libc.lastErrno();
    }
    return readStatx(view, to);
  }

  #readAttributes(fd: number): HostAttribute[] | number {
    const { address, bytes } = this.#scratch;
    const to = address + DIRENT_OFFSET;
    // SAFETY: the result area lies in the thread's scratch block.
    const count = libc.syscall(SYS_FLISTXATTR, fd, to, DIRENT_BYTES);
    if (count < 0) return -libc.lastErrno();
    const list = bytes.slice(DIRENT_OFFSET, DIRENT_OFFSET + count);
    const attributes: HostAttribute[] = [];
    for (let at = 0; at < list.length;) {
      const end = list.indexOf(0, at);
      const name = list.subarray(at, end < 0 ? list.length : end);
      at += name.length + 1;
      if (name.length === 0 || !this.#putPath(name)) continue;
      // SAFETY: name and result area lie in the thread's scratch block.
      const length = libc.syscall(SYS_FGETXATTR, fd, address, to, DIRENT_BYTES);
      if (length < 0) continue;
      attributes.push({ name, value: bytes.slice(DIRENT_OFFSET, DIRENT_OFFSET + length) });
    }
    return attributes;
  }

  #readEntries(fd: number): HostEntry[] | number {
    const entries: HostEntry[] = [];
    const { address, view, bytes } = this.#scratch;
    for (;;) {
      // SAFETY: the result area lies in the thread's scratch block.
      const count = libc.syscall(SYS_GETDENTS64, fd, address + DIRENT_OFFSET, DIRENT_BYTES);
      if (count < 0) return -libc.lastErrno();
      if (count === 0) return entries;
      for (let at = DIRENT_OFFSET; at < DIRENT_OFFSET + count;) {
        const recordBytes = view.getUint16(at + 16, true);
        const name = bytes.subarray(at + 19, at + recordBytes);
        const end = name.indexOf(0);
        const copy = name.slice(0, end < 0 ? name.length : end);
        if (!isDots(copy)) {
          entries.push({ name: copy, ino: readU64(view, at), type: view.getUint8(at + 18) });
        }
        at += recordBytes;
      }
    }
  }
}

const DOT = new Uint8Array([0x2e]);

function isDots(name: Uint8Array): boolean {
  return name[0] === 0x2e && (name.length === 1 || (name.length === 2 && name[1] === 0x2e));
}

function readU64(view: DataView, at: number): number {
  return view.getUint32(at, true) + view.getUint32(at + 4, true) * 0x1_0000_0000;
}

/** Device number as the kernel encodes it for stat (new_encode_dev). */
function device(major: number, minor: number): number {
  return (minor & 0xff) + major * 256 + (minor >>> 8) * 0x10_0000;
}

function readStatx(view: DataView, at: number): HostStat {
  const word = (offset: number): number => view.getUint32(at + offset, true);
  return {
    nlink: word(0x10),
    uid: word(0x14),
    gid: word(0x18),
    mode: view.getUint16(at + 0x1c, true),
    ino: readU64(view, at + 0x20),
    bytes: readU64(view, at + 0x28),
    atimeSec: readU64(view, at + 0x40),
    atimeNsec: word(0x48),
    ctimeSec: readU64(view, at + 0x60),
    ctimeNsec: word(0x68),
    mtimeSec: readU64(view, at + 0x70),
    mtimeNsec: word(0x78),
    rdev: device(word(0x80), word(0x84)),
    dev: device(word(0x88), word(0x8c)),
  };
}
