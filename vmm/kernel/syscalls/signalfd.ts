// signalfd(2), signalfd4(2).
import { EBADF, EFAULT, EINVAL } from '../../abi/errno.ts';
import { SFD_CLOEXEC, SFD_NONBLOCK } from '../../abi/signal.ts';
import { installOrDrop } from '../ipc/anon-file.ts';
import { makeSignalFd, setSignalFd } from '../ipc/signalfd.ts';
import type { Kernel } from '../kernel.ts';
import type { Task } from '../records/task.ts';
import { readSignalSet, SIGSET_BYTES } from '../signal/mask.ts';
import { getFile } from '../vfs/file.ts';
import type { Args } from './args.ts';
import { type Family, full } from './define.ts';

function signalfd(k: Kernel, task: Task, a: Args): number {
  return openSignalFd(k, task, a, 0);
}

function signalfd4(k: Kernel, task: Task, a: Args): number {
  return openSignalFd(k, task, a, a.i32(3));
}

function openSignalFd(k: Kernel, task: Task, a: Args, flags: number): number {
  if (a.u64(2) !== SIGSET_BYTES) return -EINVAL;
  const mask = readSignalSet(k, a.u64(1));
  if (mask === null) return -EFAULT;
  if ((flags & ~(SFD_CLOEXEC | SFD_NONBLOCK)) !== 0) return -EINVAL;
  const fd = a.i32(0);
  if (fd === -1) {
    const file = makeSignalFd(k, mask, flags & SFD_NONBLOCK);
    return installOrDrop(k, task, file, (flags & SFD_CLOEXEC) !== 0);
  }
  const file = getFile(task, fd);
  if (file === null) return -EBADF;
  const result = setSignalFd(k, file, mask);
  return result < 0 ? result : fd;
}

export const signalfdCalls: Family = { signalfd: full(signalfd), signalfd4: full(signalfd4) };
