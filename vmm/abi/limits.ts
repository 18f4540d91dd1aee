// Sizes and counts that Linux limits. Source: <linux/limits.h>, <linux/uio.h>, <linux/binfmts.h>,
// fs/pipe.c.

export const NAME_MAX = 255;
export const PATH_MAX = 4096;
export const IOV_MAX = 1024;
export const PIPE_BUF = 4096;
export const XATTR_NAME_MAX = 255;
export const XATTR_SIZE_MAX = 65536;
export const XATTR_LIST_MAX = 65536;
export const TASK_COMM_LEN = 16;
export const UTS_LEN = 64;

// Most bytes one read or write moves (MAX_RW_COUNT)
export const MAX_RW_COUNT = 0x7ffff000;

// Most symbolic links in one walk (ELOOP beyond)
export const MAXSYMLINKS = 40;

// execve(2): one string, all strings (a quarter of the stack limit, at most 6 MiB)
export const MAX_ARG_STRLEN = 131072;
export const MAX_ARG_STRINGS = 0x7fffffff;

// Pipes: default and highest capacity in bytes
export const PIPE_DEFAULT_BYTES = 65536;
export const PIPE_MAX_BYTES = 1048576;

// Highest descriptor limit (fs.nr_open)
export const NR_OPEN = 1048576;

// Mappings of a process (vm.max_map_count)
export const MAX_MAP_COUNT = 65530;

// Most directory entry bytes getdents64 reads in one call is INT_MAX
export const INT_MAX = 0x7fffffff;
export const UINT_MAX = 0xffffffff;

// Lowest address a mapping may have (vm.mmap_min_addr)
export const MMAP_MIN_ADDR = 0x10000;

// inotify: fs.inotify.max_user_instances, max_user_watches, max_queued_events
export const INOTIFY_INSTANCES_MOST = 128;
export const INOTIFY_WATCHES_MOST = 65_536;
export const INOTIFY_EVENTS_MOST = 16_384;
