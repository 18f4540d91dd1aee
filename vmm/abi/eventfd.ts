// eventfd2(2), inotify(7), pidfd_open(2). Source: <linux/eventfd.h>, <linux/inotify.h>,
// <linux/pidfd.h>.

// eventfd2(2)
export const EFD_SEMAPHORE = 0o1;
export const EFD_CLOEXEC = 0o2000000;
export const EFD_NONBLOCK = 0o4000;

// inotify_init1(2)
export const IN_CLOEXEC = 0o2000000;
export const IN_NONBLOCK = 0o4000;

// inotify events
export const IN_ACCESS = 0x1;
export const IN_MODIFY = 0x2;
export const IN_ATTRIB = 0x4;
export const IN_CLOSE_WRITE = 0x8;
export const IN_CLOSE_NOWRITE = 0x10;
export const IN_OPEN = 0x20;
export const IN_MOVED_FROM = 0x40;
export const IN_MOVED_TO = 0x80;
export const IN_CREATE = 0x100;
export const IN_DELETE = 0x200;
export const IN_DELETE_SELF = 0x400;
export const IN_MOVE_SELF = 0x800;
export const IN_UNMOUNT = 0x2000;
export const IN_Q_OVERFLOW = 0x4000;
export const IN_IGNORED = 0x8000;
export const IN_ONLYDIR = 0x1000000;
export const IN_DONT_FOLLOW = 0x2000000;
export const IN_EXCL_UNLINK = 0x4000000;
export const IN_MASK_CREATE = 0x10000000;
export const IN_MASK_ADD = 0x20000000;
export const IN_ISDIR = 0x40000000;
export const IN_ONESHOT = 0x80000000;
export const IN_ALL_EVENTS = 0xfff;

// pidfd_open(2)
export const PIDFD_NONBLOCK = 0o4000;
export const PIDFD_THREAD = 0o200;

// pidfd_send_signal(2)
export const PIDFD_SIGNAL_THREAD = 0x1;
export const PIDFD_SIGNAL_THREAD_GROUP = 0x2;
export const PIDFD_SIGNAL_PROCESS_GROUP = 0x4;
