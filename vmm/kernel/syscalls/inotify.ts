// inotify_init(2), inotify_init1(2), inotify_add_watch(2), inotify_rm_watch(2).
import { EBADF, EINVAL } from '../../abi/errno.ts';
import {
  IN_ALL_EVENTS, IN_CLOEXEC, IN_DONT_FOLLOW, IN_EXCL_UNLINK, IN_IGNORED, IN_ISDIR, IN_MASK_ADD,
  IN_MASK_CREATE, IN_NONBLOCK, IN_ONESHOT, IN_ONLYDIR, IN_Q_OVERFLOW, IN_UNMOUNT,
} from '../../abi/eventfd.ts';
import { AT_FDCWD } from '../../abi/fcntl.ts';
import { installOrDrop } from '../ipc/anon-file.ts';
import { addWatch, dropWatch, makeInotify } from '../ipc/inotify.ts';
import type { Kernel } from '../kernel.ts';
import type { Task } from '../records/task.ts';
import { FILE_INOTIFY } from '../records/vfs.ts';
import { getFile } from '../vfs/file.ts';
import { lookupAt, LOOKUP_DIRECTORY, LOOKUP_FOLLOW } from '../vfs/lookup.ts';
import { checkPermission, MAY_READ } from '../vfs/permission.ts';
import { readPath } from '../vfs/user-path.ts';
import type { Args } from './args.ts';
import { type Family, full, partial } from './define.ts';

/** Linux: ALL_INOTIFY_BITS. */
const KNOWN_BITS: number = IN_ALL_EVENTS | IN_UNMOUNT | IN_Q_OVERFLOW | IN_IGNORED | IN_ONLYDIR |
  IN_DONT_FOLLOW | IN_EXCL_UNLINK | IN_MASK_ADD | IN_MASK_CREATE | IN_ISDIR | IN_ONESHOT;

function inotifyInit(k: Kernel, task: Task): number {
  return openInotify(k, task, 0);
}

function inotifyInit1(k: Kernel, task: Task, a: Args): number {
  return openInotify(k, task, a.i32(0));
}

function openInotify(k: Kernel, task: Task, flags: number): number {
  if ((flags & ~(IN_CLOEXEC | IN_NONBLOCK)) !== 0) return -EINVAL;
  const file = makeInotify(k, flags & IN_NONBLOCK);
  return typeof file === 'number'
    ? file : installOrDrop(k, task, file, (flags & IN_CLOEXEC) !== 0);
}

function inotifyAddWatch(k: Kernel, task: Task, a: Args): number {
  const mask = a.u32(2);
  if ((mask & ~KNOWN_BITS) !== 0 || mask === 0) return -EINVAL;
  const file = getFile(task, a.i32(0));
  if (file === null) return -EBADF;
  if ((mask & IN_MASK_ADD) !== 0 && (mask & IN_MASK_CREATE) !== 0) return -EINVAL;
  if (file.kind !== FILE_INOTIFY) return -EINVAL;
  const path = readPath(k, a.u64(1));
  if (typeof path === 'number') return path;
  const flags = ((mask & IN_DONT_FOLLOW) === 0 ? LOOKUP_FOLLOW : 0) |
    ((mask & IN_ONLYDIR) !== 0 ? LOOKUP_DIRECTORY : 0);
  const place = lookupAt(k, task.process, AT_FDCWD, path, flags);
  if (typeof place === 'number') return place;
  const { inode, dentry } = place;
  if (inode === null) return -EINVAL;
  const denied = checkPermission(task.process, inode, MAY_READ);
  return denied !== 0 ? denied : addWatch(k, file, inode, dentry, mask);
}

function inotifyRmWatch(k: Kernel, task: Task, a: Args): number {
  const file = getFile(task, a.i32(0));
  if (file === null) return -EBADF;
  return file.kind === FILE_INOTIFY ? dropWatch(k, file, a.i32(1)) : -EINVAL;
}

const UNSEEN = 'What the host changes below the root directory is not seen.';

export const inotifyCalls: Family = {
  inotify_init: full(inotifyInit),
  inotify_init1: full(inotifyInit1),
  inotify_add_watch: partial(inotifyAddWatch, UNSEEN),
  inotify_rm_watch: full(inotifyRmWatch),
};
