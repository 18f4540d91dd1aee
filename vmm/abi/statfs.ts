// File system magic numbers (statfs.f_type) and flags. Source: <linux/magic.h>, <linux/statfs.h>.

// f_type
export const TMPFS_MAGIC = 0x1021994;
export const PROC_SUPER_MAGIC = 0x9fa0;
export const SYSFS_MAGIC = 0x62656572;
export const OVERLAYFS_SUPER_MAGIC = 0x794c7630;
export const EXT4_SUPER_MAGIC = 0xef53;
export const DEVPTS_SUPER_MAGIC = 0x1cd1;
export const PIPEFS_MAGIC = 0x50495045;
export const SOCKFS_MAGIC = 0x534f434b;
export const ANON_INODE_FS_MAGIC = 0x9041934;
export const CGROUP_SUPER_MAGIC = 0x27e0eb;
export const CGROUP2_SUPER_MAGIC = 0x63677270;
export const RAMFS_MAGIC = 0x858458f6;
export const SQUASHFS_MAGIC = 0x73717368;
export const HUGETLBFS_MAGIC = 0x958458f6;
export const NSFS_MAGIC = 0x6e736673;
export const XFS_SUPER_MAGIC = 0x58465342;
export const BTRFS_SUPER_MAGIC = 0x9123683e;
export const DEBUGFS_MAGIC = 0x64626720;
export const MQUEUE_MAGIC = 0x19800202;
export const PID_FS_MAGIC = 0x50494446;

// f_flags
export const ST_RDONLY = 0x1;
export const ST_NOSUID = 0x2;
export const ST_NODEV = 0x4;
export const ST_NOEXEC = 0x8;
export const ST_SYNCHRONOUS = 0x10;
export const ST_VALID = 0x20;
export const ST_MANDLOCK = 0x40;
export const ST_NOATIME = 0x400;
export const ST_NODIRATIME = 0x800;
export const ST_RELATIME = 0x1000;

// mount(2) flags
export const MS_RDONLY = 0x1;
export const MS_NOSUID = 0x2;
export const MS_NODEV = 0x4;
export const MS_NOEXEC = 0x8;
export const MS_REMOUNT = 0x20;
export const MS_BIND = 0x1000;
export const MS_MOVE = 0x2000;
export const MS_REC = 0x4000;
export const MS_PRIVATE = 0x40000;
export const MS_SLAVE = 0x80000;
export const MS_SHARED = 0x100000;
