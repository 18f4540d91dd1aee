// Structs of files: stat(2), statx(2), statfs(2), directory entries, locks, vectors, poll.
// Source: <asm/stat.h>, <linux/stat.h>, <asm/statfs.h>, <linux/dirent.h>, <asm-generic/fcntl.h>.
import {
  blob, type Codec, i16, i32, i64, type Layout, pad, struct, u16, u32, u64, u8, usize,
} from './layout.ts';

/** `struct stat` as newfstatat(2) fills it. */
export const Stat: Layout<
  | 'st_dev' | 'st_ino' | 'st_nlink' | 'st_mode' | 'st_uid' | 'st_gid' | 'st_rdev' | 'st_size'
  | 'st_blksize' | 'st_blocks' | 'st_atime' | 'st_atime_nsec' | 'st_mtime' | 'st_mtime_nsec'
  | 'st_ctime' | 'st_ctime_nsec'
> = struct('stat', 144, {
  st_dev: usize,
  st_ino: usize,
  st_nlink: usize,
  st_mode: u32,
  st_uid: u32,
  st_gid: u32,
  _pad0: u32,
  st_rdev: usize,
  st_size: i64,
  st_blksize: i64,
  st_blocks: i64,
  st_atime: i64,
  st_atime_nsec: i64,
  st_mtime: i64,
  st_mtime_nsec: i64,
  st_ctime: i64,
  st_ctime_nsec: i64,
  _unused: pad(24, 8),
});

/** `struct statx`; times are flattened: seconds (i64), nanoseconds (u32), four bytes of padding. */
export const Statx: Layout<
  | 'stx_mask' | 'stx_blksize' | 'stx_nlink' | 'stx_uid' | 'stx_gid' | 'stx_mode' | 'stx_ino'
  | 'stx_size' | 'stx_blocks' | 'stx_atime' | 'stx_atime_nsec' | 'stx_btime' | 'stx_btime_nsec'
  | 'stx_ctime' | 'stx_ctime_nsec' | 'stx_mtime' | 'stx_mtime_nsec' | 'stx_rdev_major'
  | 'stx_rdev_minor' | 'stx_dev_major' | 'stx_dev_minor' | 'stx_mnt_id' | 'stx_dio_mem_align'
  | 'stx_dio_offset_align',
  'stx_attributes' | 'stx_attributes_mask'
> = struct('statx', 256, {
  stx_mask: u32,
  stx_blksize: u32,
  stx_attributes: u64,
  stx_nlink: u32,
  stx_uid: u32,
  stx_gid: u32,
  stx_mode: u16,
  _pad0: u16,
  stx_ino: usize,
  stx_size: usize,
  stx_blocks: usize,
  stx_attributes_mask: u64,
  stx_atime: i64,
  stx_atime_nsec: u32,
  _pad1: u32,
  stx_btime: i64,
  stx_btime_nsec: u32,
  _pad2: u32,
  stx_ctime: i64,
  stx_ctime_nsec: u32,
  _pad3: u32,
  stx_mtime: i64,
  stx_mtime_nsec: u32,
  _pad4: u32,
  stx_rdev_major: u32,
  stx_rdev_minor: u32,
  stx_dev_major: u32,
  stx_dev_minor: u32,
  stx_mnt_id: usize,
  stx_dio_mem_align: u32,
  stx_dio_offset_align: u32,
  _spare: pad(96, 8),
});

/** `struct statfs` */
export const Statfs: Layout<
  | 'f_type' | 'f_bsize' | 'f_blocks' | 'f_bfree' | 'f_bavail' | 'f_files' | 'f_ffree'
  | 'f_fsid' | 'f_namelen' | 'f_frsize' | 'f_flags'
> = struct('statfs', 120, {
  f_type: i64,
  f_bsize: i64,
  f_blocks: usize,
  f_bfree: usize,
  f_bavail: usize,
  f_files: usize,
  f_ffree: usize,
  f_fsid: blob(8, 4),
  f_namelen: i64,
  f_frsize: i64,
  f_flags: i64,
  _spare: pad(32, 8),
});

/** `struct linux_dirent64`: the name with its NUL at `d_name`; records are multiples of 8 bytes. */
export const LinuxDirent64: Layout<'d_ino' | 'd_off' | 'd_reclen' | 'd_type' | 'd_name'> =
  struct('linux_dirent64', 24, {
    d_ino: usize,
    d_off: i64,
    d_reclen: u16,
    d_type: u8,
    d_name: blob(0),
  });

/** `struct linux_dirent` of getdents(2): d_type is the record's last byte. */
export const LinuxDirent: Layout<'d_ino' | 'd_off' | 'd_reclen' | 'd_name'> =
  struct('linux_dirent', 24, { d_ino: usize, d_off: usize, d_reclen: u16, d_name: blob(0) });

/** `struct iovec` */
export const Iovec: Layout<'iov_base' | 'iov_len'> =
  struct('iovec', 16, { iov_base: usize, iov_len: usize });

/** `struct flock` */
export const Flock: Layout<'l_type' | 'l_whence' | 'l_start' | 'l_len' | 'l_pid'> =
  struct('flock', 32, { l_type: i16, l_whence: i16, l_start: i64, l_len: i64, l_pid: i32 });

/** `struct f_owner_ex` */
export const FOwnerEx: Layout<'type' | 'pid'> = struct('f_owner_ex', 8, { type: i32, pid: i32 });

/** `struct open_how` of openat2(2). */
export const OpenHow: Layout<never, 'flags' | 'mode' | 'resolve'> =
  struct('open_how', 24, { flags: u64, mode: u64, resolve: u64 });

/** `struct pollfd` */
export const Pollfd: Layout<'fd' | 'events' | 'revents'> =
  struct('pollfd', 8, { fd: i32, events: u16, revents: u16 });

/** Linux: packed on x86-64, so `data` is at offset 4. */
const packedU64: Codec<bigint> = { ...u64, align: 1 };

/** `struct epoll_event` */
export const EpollEvent: Layout<'events', 'data'> =
  struct('epoll_event', 12, { events: u32, data: packedU64 });

/** `struct inotify_event`: `len` bytes of name follow. */
export const InotifyEvent: Layout<'wd' | 'mask' | 'cookie' | 'len'> =
  struct('inotify_event', 16, { wd: i32, mask: u32, cookie: u32, len: u32 });

/** `struct utimbuf` of utime(2). */
export const Utimbuf: Layout<'actime' | 'modtime'> =
  struct('utimbuf', 16, { actime: i64, modtime: i64 });
