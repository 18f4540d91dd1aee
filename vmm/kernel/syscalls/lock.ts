// flock(2) and the record locks of fcntl(2): F_SETLK and F_OFD_SETLK with their relatives.
import {
  EAGAIN, EBADF, EFAULT, EINVAL, EWOULDBLOCK,
} from '../../abi/errno.ts';
import {
  F_GETLK, F_OFD_GETLK, F_OFD_SETLK, F_OFD_SETLKW, F_RDLCK, F_SETLKW, F_UNLCK, F_WRLCK, LOCK_EX,
  LOCK_NB, LOCK_SH, LOCK_UN, SEEK_SET,
} from '../../abi/fcntl.ts';
import { Flock } from '../../abi/struct-file.ts';
import type { Kernel } from '../kernel.ts';
import { copyIn, copyOut } from '../mm/user-memory.ts';
import type { Task } from '../records/task.ts';
import type { File, FileLock, Inode } from '../records/vfs.ts';
import { block } from '../task/block.ts';
import { getFile } from '../vfs/file.ts';
import { findConflict, lockQueue, type LockOwner, lockRange, setLock } from '../vfs/locks.ts';
import { isReadable, isWritable } from '../vfs/open.ts';
import type { Args } from './args.ts';
import { type Family, full } from './define.ts';

/** fcntl(2) with a `struct flock` at `gva`. */
export function fcntlLock(
  k: Kernel,
  task: Task,
  file: File,
  command: number,
  gva: number,
): number {
  const { inode } = file;
  const raw = new Uint8Array(Flock.bytes);
  if (copyIn(k, gva, raw) !== raw.length) return -EFAULT;
  const view = new DataView(raw.buffer);
  const type = Flock.l_type.get(view, 0);
  const isQuery = command === F_GETLK || command === F_OFD_GETLK;
  const isOfd = command === F_OFD_GETLK || command === F_OFD_SETLK || command === F_OFD_SETLKW;
  if (isQuery && type !== F_RDLCK && type !== F_WRLCK) return -EINVAL;
  const request = lockRange(
    file, type, Flock.l_whence.get(view, 0), Flock.l_start.get(view, 0), Flock.l_len.get(view, 0),
  );
  if (typeof request === 'number') return request;
  if (isOfd && Flock.l_pid.get(view, 0) !== 0) return -EINVAL;
  if (inode === null) return -EBADF;
  const owner: LockOwner = isOfd
    ? { process: null, file, isFlock: false }
    : { process: task.process, file: null, isFlock: false };
  if (isQuery) {
    describeConflict(view, findConflict(inode, request, owner));
    return copyOut(k, gva, raw) === raw.length ? 0 : -EFAULT;
  }
  if (type === F_RDLCK && !isReadable(file)) return -EBADF;
  if (type === F_WRLCK && !isWritable(file)) return -EBADF;
  const result = setLock(k, inode, request, owner);
  const waits = command === F_SETLKW || command === F_OFD_SETLKW;
  return result === -EAGAIN && waits ? waitForLock(k, task, inode) : result;
}

function describeConflict(view: DataView, lock: FileLock | null): void {
  if (lock === null) {
    Flock.l_type.set(view, 0, F_UNLCK);
    return;
  }
  Flock.l_type.set(view, 0, lock.type);
  Flock.l_whence.set(view, 0, SEEK_SET);
  Flock.l_start.set(view, 0, lock.start);
  Flock.l_len.set(view, 0, Number.isFinite(lock.end) ? lock.end - lock.start : 0);
  Flock.l_pid.set(view, 0, lock.process?.pid ?? -1);
}

function waitForLock(k: Kernel, task: Task, inode: Inode): number {
  return block(k, task, [lockQueue(k, inode)]);
}

const LOCK_MAND = 32;

function flock(k: Kernel, task: Task, a: Args): number {
  const operation = a.u32(1);
  // Linux: mandatory locks never worked and are ignored.
  if ((operation & LOCK_MAND) !== 0) return 0;
  const kind = operation & ~LOCK_NB;
  if (kind !== LOCK_SH && kind !== LOCK_EX && kind !== LOCK_UN) return -EINVAL;
  const file = getFile(task, a.i32(0));
  if (file === null || file.inode === null) return -EBADF;
  const type = kind === LOCK_UN ? F_UNLCK : kind === LOCK_EX ? F_WRLCK : F_RDLCK;
  const request = { type, start: 0, end: Infinity };
  const owner: LockOwner = { process: null, file, isFlock: true };
  const result = setLock(k, file.inode, request, owner);
  if (result !== -EAGAIN) return result;
  return (operation & LOCK_NB) !== 0 ? -EWOULDBLOCK : waitForLock(k, task, file.inode);
}

export const lockCalls: Family = {
  flock: full(flock),
};

