// eventfd(2), eventfd2(2).
import { EINVAL } from '../../abi/errno.ts';
import { EFD_CLOEXEC, EFD_NONBLOCK, EFD_SEMAPHORE } from '../../abi/eventfd.ts';
import { installOrDrop } from '../ipc/anon-file.ts';
import { makeEventFd } from '../ipc/eventfd.ts';
import type { Kernel } from '../kernel.ts';
import type { Task } from '../records/task.ts';
import type { Args } from './args.ts';
import { type Family, full } from './define.ts';

function eventfd(k: Kernel, task: Task, a: Args): number {
  return openEventFd(k, task, a.u32(0), 0);
}

function eventfd2(k: Kernel, task: Task, a: Args): number {
  return openEventFd(k, task, a.u32(0), a.i32(1));
}

function openEventFd(k: Kernel, task: Task, count: number, flags: number): number {
  if ((flags & ~(EFD_SEMAPHORE | EFD_CLOEXEC | EFD_NONBLOCK)) !== 0) return -EINVAL;
  const file = makeEventFd(k, count, (flags & EFD_SEMAPHORE) !== 0, flags & EFD_NONBLOCK);
  return installOrDrop(k, task, file, (flags & EFD_CLOEXEC) !== 0);
}

export const eventfdCalls: Family = { eventfd: full(eventfd), eventfd2: full(eventfd2) };
