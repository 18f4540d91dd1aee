// Structures of the calls on files: stat(2), statx(2), statfs(2), fcntl(2) locks, openat2(2).
// Source: <asm/stat.h>, <linux/stat.h>, <asm-generic/statfs.h>, <asm-generic/fcntl.h>, <linux/openat2.h>.
import { i16, i32, i64, type Layout, pad, struct, u16, u32, u64, usize } from './layout.ts';

/** `struct stat`. */
export const Stat: Layout<
  | 'dev' | 'ino' | 'nlink' | 'mode' | 'uid' | 'gid' | 'rdev' | 'size' | 'blksize' | 'blocks'
  | 'atimeSec' | 'atimeNsec' | 'mtimeSec' | 'mtimeNsec' | 'ctimeSec' | 'ctimeNsec'
  | '_pad0' | '_pad1'
> = struct('stat', 144, {
  dev: usize,
  ino: usize,
  nlink: usize,
  mode: u32,
  uid: u32,
  gid: u32,
  _pad0: pad(4, 4),
  rdev: usize,
  size: i64,
  blksize: i64,
  blocks: i64,
  atimeSec: i64,
  atimeNsec: usize,
  mtimeSec: i64,
  mtimeNsec: usize,
  ctimeSec: i64,
  ctimeNsec: usize,
  _pad1: pad(24, 8),
});

/** `struct statx`; each time is {i64 sec, u32 nsec, i32 pad}. */
export const Statx: Layout<
  | 'mask' | 'blksize' | 'attributes' | 'nlink' | 'uid' | 'gid' | 'mode' | '_pad0' | 'ino' | 'size'
  | 'blocks' | 'attributesMask' | 'atimeSec' | 'atimeNsec' | 'btimeSec' | 'btimeNsec' | 'ctimeSec'
  | 'ctimeNsec' | 'mtimeSec' | 'mtimeNsec' | 'rdevMajor' | 'rdevMinor' | 'devMajor' | 'devMinor'
  | 'mountId' | '_pad1' | '_pad2' | '_pad3' | '_pad4' | '_pad5'
> = struct('statx', 256, {
  mask: u32,
  blksize: u32,
  attributes: usize,
  nlink: u32,
  uid: u32,
  gid: u32,
  mode: u16,
  _pad0: pad(2),
  ino: usize,
  size: usize,
  blocks: usize,
  attributesMask: usize,
  atimeSec: i64,
  atimeNsec: u32,
  _pad1: pad(4),
  btimeSec: i64,
  btimeNsec: u32,
  _pad2: pad(4),
  ctimeSec: i64,
  ctimeNsec: u32,
  _pad3: pad(4),
  mtimeSec: i64,
  mtimeNsec: u32,
  _pad4: pad(4),
  rdevMajor: u32,
  rdevMinor: u32,
  devMajor: u32,
  devMinor: u32,
  mountId: usize,
  _pad5: pad(104, 8),
});

/** `struct statfs`. */
export const Statfs: Layout<
  | 'type' | 'bsize' | 'blocks' | 'bfree' | 'bavail' | 'files' | 'ffree' | 'fsid' | 'namelen'
  | 'frsize' | 'flags' | '_pad0'
> = struct('statfs', 120, {
  type: i64,
  bsize: i64,
  blocks: usize,
  bfree: usize,
  bavail: usize,
  files: usize,
  ffree: usize,
  fsid: usize,
  namelen: i64,
  frsize: i64,
  flags: i64,
  _pad0: pad(32, 8),
});

/** `struct flock` (64-bit offsets). */
export const Flock: Layout<'type' | 'whence' | 'start' | 'length' | 'pid'> = struct('flock', 32, {
  type: i16,
  whence: i16,
  start: i64,
  length: i64,
  pid: i32,
});

/** `struct open_how`. */
export const OpenHow: Layout<never, 'flags' | 'mode' | 'resolve'> = struct('open_how', 24, {
  flags: u64,
  mode: u64,
  resolve: u64,
});
