// pidfd_open(2), pidfd_send_signal(2), pidfd_getfd(2).
import { EBADF, EFAULT, EINVAL, ENOENT, EPERM, ESRCH } from '../../abi/errno.ts';
import {
  PIDFD_NONBLOCK, PIDFD_SIGNAL_PROCESS_GROUP, PIDFD_SIGNAL_THREAD, PIDFD_SIGNAL_THREAD_GROUP,
  PIDFD_THREAD,
} from '../../abi/eventfd.ts';
import { SI_USER } from '../../abi/signal.ts';
import { installOrDrop } from '../ipc/anon-file.ts';
import { openPidFd, processOfPidFd } from '../ipc/pidfd.ts';
import type { Kernel } from '../kernel.ts';
import { readU32 } from '../mm/user-memory.ts';
import type { Process, Task } from '../records/task.ts';
import { type File, FILE_DIRECTORY, FILE_PIDFD, FS_PROC } from '../records/vfs.ts';
import { makeInfo, sendSignal } from '../signal/pending.ts';
import { isSignal } from '../signal/set.ts';
import { findProcess, findThread, groupOf } from '../task/family.ts';
import { getFile, holdFile } from '../vfs/file.ts';
import { GEN } from '../vfs/proc/ids.ts';
import type { Args } from './args.ts';
import { type Family, full, partial } from './define.ts';
import { isReserved, maySignal, readInfo } from './kill.ts';

function pidfdOpen(k: Kernel, task: Task, a: Args): number {
  const [pid, flags] = [a.i32(0), a.u32(1)];
  if ((flags & ~(PIDFD_NONBLOCK | PIDFD_THREAD)) !== 0 || pid <= 0) return -EINVAL;
  const process = findProcess(k, pid);
  if (process !== null) return installOrDrop(k, task, openPidFd(k, process, flags), true);
  if (findThread(k, pid) === null) return -ESRCH;
  return (flags & PIDFD_THREAD) !== 0 ? -EINVAL : -ENOENT;
}

/** The pidfd `fd`, or -EBADF. */
export function getPidFd(task: Task, fd: number): File | number {
  const file = getFile(task, fd);
  return file === null || file.kind !== FILE_PIDFD ? -EBADF : file;
}

/** Whom a pidfd, or an open /proc/<pid>, means; null when it is gone. */
function signalled(k: Kernel, file: File): Process | null | number {
  if (file.kind === FILE_PIDFD) return processOfPidFd(k, file);
  const { inode, kind } = file;
  const isDirectory = kind === FILE_DIRECTORY && inode?.fs === FS_PROC;
  if (!isDirectory || inode.generator !== GEN.pidDir) return -EBADF;
  return findProcess(k, inode.generatorArgument);
}

const SCOPES: readonly number[] =
  [0, PIDFD_SIGNAL_THREAD, PIDFD_SIGNAL_THREAD_GROUP, PIDFD_SIGNAL_PROCESS_GROUP];

function pidfdSendSignal(k: Kernel, task: Task, a: Args): number {
  const [signal, infoGva, flags] = [a.i32(1), a.u64(2), a.u32(3)];
  if (!SCOPES.includes(flags)) return -EINVAL;
  const file = getFile(task, a.i32(0));
  const target = file === null ? -EBADF : signalled(k, file);
  if (typeof target === 'number') return target;
  const sender = task.process;
  let info = makeInfo(signal, SI_USER, sender.pid, sender.realUid);
  if (infoGva !== 0) {
    const told = readInfo(k, infoGva, signal);
    if (told === null) return -EFAULT;
    // si_signo comes first.
    if (readU32(k, infoGva) !== signal >>> 0) return -EINVAL;
    const isOwn = target === sender && flags !== PIDFD_SIGNAL_PROCESS_GROUP;
    if (!isOwn && isReserved(told)) return -EPERM;
    info = told;
  }
  if (target === null) return -ESRCH;
  if (signal !== 0 && !isSignal(signal)) return -EINVAL;
  const targets = flags === PIDFD_SIGNAL_PROCESS_GROUP ? groupOf(k, target.pgid) : [target];
  const permitted = targets.filter((one) => maySignal(sender, one, signal));
  if (permitted.length === 0) return -EPERM;
  if (signal !== 0) for (const one of permitted) sendSignal(k, one, info);
  return 0;
}

/** Linux: ptrace_may_access(PTRACE_MODE_ATTACH_REALCREDS), as far as there are users. */
function mayAttach(process: Process, target: Process): boolean {
  if (process.realUid === 0 || process === target) return true;
  const { uid, realUid, savedUid, gid, realGid, savedGid } = target;
  return target.dumpable === 1 && [uid, realUid, savedUid].every((id) => id === process.realUid) &&
    [gid, realGid, savedGid].every((id) => id === process.realGid);
}

function pidfdGetfd(k: Kernel, task: Task, a: Args): number {
  if (a.u32(2) !== 0) return -EINVAL;
  const file = getPidFd(task, a.i32(0));
  if (typeof file === 'number') return file;
  const target = processOfPidFd(k, file);
  if (target === null || target.exited) return -ESRCH;
  if (!mayAttach(task.process, target)) return -EPERM;
  const wanted = target.fds.slots.get(a.i32(1));
  return wanted === null ? -EBADF : installOrDrop(k, task, holdFile(wanted), true);
}

export const pidfdCalls: Family = {
  pidfd_open: partial(pidfdOpen, 'PIDFD_THREAD only for main threads.'),
  pidfd_send_signal: full(pidfdSendSignal),
  pidfd_getfd: full(pidfdGetfd),
};
