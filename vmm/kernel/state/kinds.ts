// The number of each record kind. They are the guest kernel's ABI: they stand in func-images, so a
// number is never reused for something else; a change here or in a kind's fields changes
// KERNEL_ABI.

/** Version of the record layouts that an image carries; images of another version are refused. */
export const KERNEL_ABI = 3;

export const KIND = {
  // Containers (state/)
  bytes: 1,
  words: 2,
  // Machine-wide (records/sandbox.ts)
  sandbox: 8,
  // Processes and threads (records/task.ts)
  process: 10,
  task: 11,
  taskTable: 12,
  signalActions: 13,
  pendingSignal: 14,
  futexWaiter: 15,
  waitQueue: 16,
  waiter: 17,
  // Memory (records/mm.ts)
  mm: 20,
  vma: 21,
  vmaTable: 22,
  // Files (records/vfs.ts)
  inode: 30,
  dentry: 31,
  file: 32,
  fdTable: 33,
  fileSlots: 34,
  mount: 35,
  pageTable: 36,
  fileLock: 37,
  // Objects behind descriptors (records/ipc.ts)
  pipe: 40,
  eventFd: 41,
  epoll: 42,
  epollItem: 43,
  epollItemTable: 44,
  socket: 45,
  socketMessage: 46,
  timerFd: 47,
  signalFd: 48,
  console: 49,
  // Time (records/time.ts)
  timer: 55,
  // inotify (records/inotify.ts)
  inotify: 65,
  inotifyWatch: 66,
  inotifyWatchTable: 67,
  inotifyEvent: 68,
  // pidfds (records/pidfd.ts)
  pidFd: 69,
  // Pseudo-terminals (records/pty.ts)
  pty: 70,
} as const;
