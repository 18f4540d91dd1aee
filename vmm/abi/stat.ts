// File types and permission bits (st_mode), utimensat(2) and statx(2). Source: <linux/stat.h>.

// File types
export const S_IFMT = 0o170000;
export const S_IFSOCK = 0o140000;
export const S_IFLNK = 0o120000;
export const S_IFREG = 0o100000;
export const S_IFBLK = 0o60000;
export const S_IFDIR = 0o40000;
export const S_IFCHR = 0o20000;
export const S_IFIFO = 0o10000;

// Permissions
export const S_ISUID = 0o4000;
export const S_ISGID = 0o2000;
export const S_ISVTX = 0o1000;
export const S_IRWXU = 0o700;
export const S_IRUSR = 0o400;
export const S_IWUSR = 0o200;
export const S_IXUSR = 0o100;
export const S_IRWXG = 0o70;
export const S_IRGRP = 0o40;
export const S_IWGRP = 0o20;
export const S_IXGRP = 0o10;
export const S_IRWXO = 0o7;
export const S_IROTH = 0o4;
export const S_IWOTH = 0o2;
export const S_IXOTH = 0o1;
export const S_IALLUGO = 0o7777;
export const S_IRWXUGO = 0o777;

// utimensat(2)
export const UTIME_NOW = 0x3fffffff;
export const UTIME_OMIT = 0x3ffffffe;

// statx(2) mask
export const STATX_TYPE = 0x1;
export const STATX_MODE = 0x2;
export const STATX_NLINK = 0x4;
export const STATX_UID = 0x8;
export const STATX_GID = 0x10;
export const STATX_ATIME = 0x20;
export const STATX_MTIME = 0x40;
export const STATX_CTIME = 0x80;
export const STATX_INO = 0x100;
export const STATX_SIZE = 0x200;
export const STATX_BLOCKS = 0x400;
export const STATX_BASIC_STATS = 0x7ff;
export const STATX_BTIME = 0x800;
export const STATX_ALL = 0xfff;
export const STATX_MNT_ID = 0x1000;
export const STATX_DIOALIGN = 0x2000;
export const STATX__RESERVED = 0x80000000;

// statx(2) attributes
export const STATX_ATTR_COMPRESSED = 0x4;
export const STATX_ATTR_IMMUTABLE = 0x10;
export const STATX_ATTR_APPEND = 0x20;
export const STATX_ATTR_NODUMP = 0x40;
export const STATX_ATTR_ENCRYPTED = 0x800;
export const STATX_ATTR_AUTOMOUNT = 0x1000;
export const STATX_ATTR_MOUNT_ROOT = 0x2000;
export const STATX_ATTR_VERITY = 0x100000;
export const STATX_ATTR_DAX = 0x200000;

/** S_ISREG(mode) */
export function S_ISREG(mode: number): boolean {
  return (mode & S_IFMT) === S_IFREG;
}

export function S_ISDIR(mode: number): boolean {
  return (mode & S_IFMT) === S_IFDIR;
}

export function S_ISLNK(mode: number): boolean {
  return (mode & S_IFMT) === S_IFLNK;
}

export function S_ISCHR(mode: number): boolean {
  return (mode & S_IFMT) === S_IFCHR;
}

export function S_ISBLK(mode: number): boolean {
  return (mode & S_IFMT) === S_IFBLK;
}

export function S_ISFIFO(mode: number): boolean {
  return (mode & S_IFMT) === S_IFIFO;
}

export function S_ISSOCK(mode: number): boolean {
  return (mode & S_IFMT) === S_IFSOCK;
}
