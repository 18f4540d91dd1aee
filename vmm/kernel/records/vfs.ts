// Files: inodes with their page cache, names (dentries), open files and descriptor tables.
//
//   FdTable ─► File (open file description) ─► Inode ─► pages: frames of its content
//                 └► Dentry ─parent─► Dentry …     (a Dentry with a null inode: known not to exist)
//
// An inode is both layers of the overlay at once: content below `lowerBytes` whose page is absent
// comes from the read-only lower file; whatever was written lives in the page cache. Nothing is
// copied up.
import { Bytes, type Table, tableKind, Words } from '../state/containers.ts';
import { KIND } from '../state/kinds.ts';
import {
  fAny, fBool, fI32, fMust, fNum, fRef, fU32, fU8, fUsers, held, kind, type Kind, nosave,
  type Rec, within,
} from '../state/record.ts';
import { chain, head, next, previous } from '../state/rules.ts';
import { InotifyWatch } from './inotify.ts';
import { EpollItem } from './ipc.ts';
import { Process, WaitQueue } from './task.ts';
import { Vma } from './mm.ts';

/** Inode.fs: which file system answers for it. */
export const FS_OVERLAY = 1;
export const FS_PROC = 2;
export const FS_DEV = 3;
export const FS_SYS = 4;
/** Pipes, sockets, eventfds, memfd and shared anonymous memory: no name in the tree. */
export const FS_ANON = 5;

export interface Inode extends Rec {
  /** Identity within the sandbox, stable over save and restore; st_ino of upper files. */
  serial: number;
  fs: number;
  /** Open files, dentries and mappings that name it. */
  refs: number;
  /** S_IFMT and permission bits. */
  mode: number;
  uid: number;
  gid: number;
  nlink: number;
  rdev: number;
  /** Size in bytes (i_size). */
  bytes: number;
  atimeSec: number;
  atimeNsec: number;
  mtimeSec: number;
  mtimeNsec: number;
  ctimeSec: number;
  ctimeNsec: number;
  /** Path below the rootfs of the lower file, null when it exists in the upper layer only. */
  lowerPath: Bytes | null;
  /** Identity of the lower file when first seen; a file that differs later is an error. */
  lowerDev: number;
  lowerIno: number;
  lowerSize: number;
  lowerMtimeSec: number;
  lowerMtimeNsec: number;
  /** How much of the lower content is still visible (shrinks at truncate). */
  lowerBytes: number;
  /** Page cache: chunks of 512 frame ids; see mm/page-cache.ts. */
  pages: Table<Words> | null;
  /** Symlink target. */
  target: Bytes | null;
  /** Generator number of a proc, sys or dev file, and its argument. */
  generator: number;
  generatorArgument: number;
  /** Mappings of this inode. */
  firstVma: Vma | null;
  locks: FileLock | null;
  /** Who waits for a lock to go; made at the first wait. */
  lockQueue: WaitQueue | null;
  xattrs: Bytes | null;
  /** Those of the lower file are in `xattrs`, as far as they were not changed. */
  hasLowerXattrs: boolean;
  /** A directory whose lower entries have all been listed into dentries. */
  complete: boolean;
  /** F_SEAL_* of a memfd. */
  seals: number;
  /** Since the last boot: lower content verified; it was told that a log is not granted. */
  lowerChecked: boolean;
  /** What a FIFO's or socket's name leads to: a Pipe or Socket while somebody has it open. */
  object: Rec | null;
  /** Made by O_TMPFILE and not linked yet: it has no link but may get one. */
  isTemporary: boolean;
  /** Found through a read-only mount: nothing about it may change (EROFS). */
  readOnly: boolean;
  /** Who is told what happens to it (inotify). */
  watches: InotifyWatch | null;
}

export const Inode: Kind<Inode> = kind<Inode>(KIND.inode, 'Inode', {
  serial: fU32,
  fs: fU8,
  refs: fUsers,
  mode: fU32,
  uid: fU32,
  gid: fU32,
  nlink: fU32,
  rdev: fU32,
  bytes: within(fNum, 0, 2 ** 53),
  atimeSec: fNum,
  atimeNsec: fU32,
  mtimeSec: fNum,
  mtimeNsec: fU32,
  ctimeSec: fNum,
  ctimeNsec: fU32,
  lowerPath: fRef(() => Bytes),
  lowerDev: fNum,
  lowerIno: fNum,
  lowerSize: fNum,
  lowerMtimeSec: fNum,
  lowerMtimeNsec: fU32,
  lowerBytes: within(fNum, 0, 2 ** 53),
  pages: fRef(() => PageChunks),
  target: fRef(() => Bytes),
  generator: fU32,
  generatorArgument: fNum,
  firstVma: head(fRef(() => Vma), 'inode', 'inode'),
  locks: head(fRef(() => FileLock), 'inode'),
  lockQueue: fRef(() => WaitQueue),
  xattrs: fRef(() => Bytes),
  hasLowerXattrs: fBool,
  complete: fBool,
  seals: fU32,
  lowerChecked: nosave(fBool),
  object: fAny,
  isTemporary: fBool,
  readOnly: fBool,
  watches: head(fRef(() => InotifyWatch), 'inode', 'inode'),
});

export const PageChunks: Kind<Table<Words>> = tableKind(KIND.pageTable, 'PageChunks', () => Words);

export interface Dentry extends Rec {
  name: Bytes;
  /** null for the root of a mount. */
  parent: Dentry | null;
  /** null: the name is known not to exist (a whiteout when `pinned`). */
  inode: Inode | null;
  firstChild: Dentry | null;
  nextSibling: Dentry | null;
  previousSibling: Dentry | null;
  /** Open files, cwd, mappings and children that hold it. */
  refs: number;
  /** Differs from the lower layer (created, renamed, removed): must be kept. */
  pinned: boolean;
  /** The lower layer has this name here; removing it must leave a whiteout. */
  inLower: boolean;
  /** Root of what is mounted here. */
  mounted: Dentry | null;
  /** For the root of a mount: where it is mounted. */
  mountPoint: Dentry | null;
  /** Unlinked while in use. */
  deleted: boolean;
}

export const Dentry: Kind<Dentry> = kind<Dentry>(KIND.dentry, 'Dentry', {
  name: fMust(() => Bytes),
  parent: chain(held(fRef(() => Dentry))),
  inode: held(fRef(() => Inode)),
  firstChild: head(fRef(() => Dentry), 'children', 'parent'),
  nextSibling: next(fRef(() => Dentry), 'children', { back: 'previousSibling', owner: 'parent' }),
  previousSibling: previous(fRef(() => Dentry), 'nextSibling'),
  refs: fUsers,
  pinned: fBool,
  inLower: fBool,
  mounted: previous(held(fRef(() => Dentry)), 'mountPoint'),
  mountPoint: chain(previous(held(fRef(() => Dentry)), 'mounted')),
  deleted: fBool,
});

/** File.kind: which operations (vfs/file-ops.ts) a description has. */
export const FILE_REGULAR = 1;
export const FILE_DIRECTORY = 2;
export const FILE_PIPE = 3;
export const FILE_SOCKET = 4;
export const FILE_EVENTFD = 5;
export const FILE_EPOLL = 6;
export const FILE_CONSOLE = 7;
export const FILE_DEVICE = 8;
export const FILE_GENERATED = 9;
export const FILE_TIMERFD = 10;
export const FILE_SIGNALFD = 11;
export const FILE_PATH = 12;
export const FILE_ENTRY = 13;
export const FILE_LOG = 14;
export const FILE_INOTIFY = 15;
export const FILE_PIDFD = 16;
export const FILE_PTY = 17;

/** An open file description (open(2)): shared by dup'ed descriptors. */
export interface File extends Rec {
  kind: number;
  /** Descriptors that refer to it, plus kernel uses. */
  refs: number;
  /** O_ACCMODE and status flags. */
  flags: number;
  /** File offset in bytes; for directories an entry index. */
  position: number;
  inode: Inode | null;
  dentry: Dentry | null;
  /** Pipe, Socket, EventFd, Epoll, Console, TimerFd, SignalFd… by kind. */
  object: Rec | null;
  /** Content of a generated file (/proc), made at open. */
  content: Bytes | null;
  /** F_SETOWN, F_SETSIG. */
  owner: number;
  ownerSignal: number;
  /** Epoll interests in this file. */
  epollItems: EpollItem | null;
  serial: number;
  /** Kind-specific: pipe end (0 read, 1 write), console stream (0, 1, 2), device minor. */
  variant: number;
}

export const File: Kind<File> = kind<File>(KIND.file, 'File', {
  kind: fU8,
  refs: fUsers,
  flags: fU32,
  position: within(fNum, 0, 2 ** 63),
  inode: held(fRef(() => Inode)),
  dentry: held(fRef(() => Dentry)),
  object: held(fAny),
  content: fRef(() => Bytes),
  owner: fI32,
  ownerSignal: fU32,
  epollItems: head(fRef(() => EpollItem), 'file', 'file'),
  serial: fU32,
  variant: fU32,
});

export const FileSlots: Kind<Table<File>> =
  tableKind(KIND.fileSlots, 'FileSlots', () => File, { holds: true });

export interface FdTable extends Rec {
  /** Indexed by descriptor. */
  slots: Table<File>;
  /** Bitmap, 32 descriptors a word: close-on-exec. */
  closeOnExec: Words;
  /** Lowest descriptor that may be free. */
  hint: number;
}

export const FdTable: Kind<FdTable> = kind<FdTable>(KIND.fdTable, 'FdTable', {
  slots: fMust(() => FileSlots),
  closeOnExec: fMust(() => Words),
  hint: fU32,
});

/** A record lock (fcntl) or whole-file lock (flock) on an inode. */
export interface FileLock extends Rec {
  next: FileLock | null;
  /** F_RDLCK or F_WRLCK. */
  type: number;
  start: number;
  /** Exclusive; Infinity for "to the end". */
  end: number;
  /** POSIX locks belong to a process, OFD and flock locks to a file. */
  process: Process | null;
  file: File | null;
  isFlock: boolean;
}

export const FileLock: Kind<FileLock> = kind<FileLock>(KIND.fileLock, 'FileLock', {
  next: next(fRef(() => FileLock), 'inode'),
  type: fU32,
  start: within(fNum, 0, 2 ** 63),
  end: within(fNum, 0, Infinity),
  process: fRef(() => Process),
  file: fRef(() => File),
  isFlock: fBool,
});
