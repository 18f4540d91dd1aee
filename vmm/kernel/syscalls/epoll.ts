// epoll_create(2), epoll_create1(2), epoll_ctl(2), epoll_wait(2), epoll_pwait(2), epoll_pwait2(2).
import { EBADF, EFAULT, EINTR, EINVAL } from '../../abi/errno.ts';
import { INT_MAX } from '../../abi/limits.ts';
import { EPOLL_CLOEXEC, EPOLL_CTL_DEL } from '../../abi/poll.ts';
import { NSEC_PER_MSEC } from '../../abi/time.ts';
import { installOrDrop } from '../ipc/anon-file.ts';
import { collectEvents, controlEpoll, EPOLL_EVENT_BYTES, makeEpoll } from '../ipc/epoll.ts';
import { hasTimedOut, readTimeout, startWait } from '../ipc/wait-timeout.ts';
import type { Kernel } from '../kernel.ts';
import { readStruct, USER_END } from '../mm/user-memory.ts';
import type { Task } from '../records/task.ts';
import { FILE_EPOLL } from '../records/vfs.ts';
import { beginTemporaryMask } from '../signal/mask.ts';
import { block } from '../task/block.ts';
import { getFile } from '../vfs/file.ts';
import { opsOf } from '../vfs/file-ops.ts';
import type { Args } from './args.ts';
import { type Family, full } from './define.ts';

/** Linux: EP_MAX_EVENTS. */
const EVENTS_MOST = Math.floor(INT_MAX / EPOLL_EVENT_BYTES);

function epollCreate(k: Kernel, task: Task, a: Args): number {
  if (a.i32(0) <= 0) return -EINVAL;
  return installOrDrop(k, task, makeEpoll(k), false);
}

function epollCreate1(k: Kernel, task: Task, a: Args): number {
  const flags = a.i32(0);
  if ((flags & ~EPOLL_CLOEXEC) !== 0) return -EINVAL;
  return installOrDrop(k, task, makeEpoll(k), (flags & EPOLL_CLOEXEC) !== 0);
}

function epollCtl(k: Kernel, task: Task, a: Args): number {
  const op = a.i32(1);
  const fd = a.i32(2);
  let events = 0;
  let data = 0n;
  if (op !== EPOLL_CTL_DEL) {
    const event = readStruct(k, a.u64(3), EPOLL_EVENT_BYTES);
    if (event === null) return -EFAULT;
    events = event.getUint32(0, true);
    data = event.getBigUint64(4, true);
  }
  const file = getFile(task, a.i32(0));
  if (file === null) return -EBADF;
  const target = getFile(task, fd);
  if (target === null) return -EBADF;
  return controlEpoll(k, file, op, target, fd, events, data);
}

function epollWait(k: Kernel, task: Task, a: Args): number {
  return waitFor(k, task, a, millisecondsOf(a.i32(3)));
}

function epollPwait(k: Kernel, task: Task, a: Args): number {
  const masked = beginTemporaryMask(k, task, a.u64(4), a.u64(5));
  return masked < 0 ? masked : waitFor(k, task, a, millisecondsOf(a.i32(3)));
}

function epollPwait2(k: Kernel, task: Task, a: Args): number {
  const timeoutNs = readTimeout(k, task, a.u64(3));
  if (timeoutNs < 0) return timeoutNs;
  const masked = beginTemporaryMask(k, task, a.u64(4), a.u64(5));
  return masked < 0 ? masked : waitFor(k, task, a, timeoutNs);
}

function millisecondsOf(timeoutMs: number): number {
  return timeoutMs < 0 ? Infinity : timeoutMs * NSEC_PER_MSEC;
}

/** The common part: (epfd, events, maxevents) are the first three arguments of all three calls. */
function waitFor(k: Kernel, task: Task, a: Args, timeoutNs: number): number {
  const gva = a.u64(1);
  const most = a.i32(2);
  const file = getFile(task, a.i32(0));
  if (file === null) return -EBADF;
  if (most <= 0 || most > EVENTS_MOST) return -EINVAL;
  if (gva + most * EPOLL_EVENT_BYTES > USER_END) return -EFAULT;
  if (file.kind !== FILE_EPOLL) return -EINVAL;
  startWait(k, task, timeoutNs);
  const count = collectEvents(k, file, gva, most);
  if (count !== 0) return count;
  if (timeoutNs === 0 || hasTimedOut(k, task)) return 0;
  const queue = opsOf(file).queue(k, file);
  return block(k, task, queue === null ? [] : [queue], EINTR);
}

export const epollCalls: Family = {
  epoll_create: full(epollCreate),
  epoll_create1: full(epollCreate1),
  epoll_ctl: full(epollCtl),
  epoll_wait: full(epollWait),
  epoll_pwait: full(epollPwait),
  epoll_pwait2: full(epollPwait2),
};
