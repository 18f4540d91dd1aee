// Processes: exit(2), clone(2) and its relatives, waiting, process groups, sessions. There is one
// process: it has no children and nobody to trace.
import { E2BIG, EAGAIN, ECHILD, EFAULT, EINVAL, ENOSYS, EPERM, ESRCH } from '../../abi/errno.ts';
import {
  CLONE_ARGS_SIZE_VER0, CLONE_DETACHED, CLONE_PARENT, CLONE_THREAD, CSIGNAL,
} from '../../abi/sched.ts';
import { CloneArgs } from '../../abi/struct-task.ts';
import {
  __WALL, __WCLONE, __WNOTHREAD, P_ALL, P_PGID, P_PID, P_PIDFD, WCONTINUED, WEXITED, WNOHANG,
  WNOWAIT,
  WSTOPPED, WUNTRACED,
} from '../../abi/wait.ts';
import type { Kernel } from '../kernel.ts';
import { clearUser, copyIn, USER_END } from '../mm/user-memory.ts';
import type { Task } from '../records/task.ts';
import { type CloneRequest, cloneTask } from '../task/clone.ts';
import { exitProcess, exitTask } from '../task/exit.ts';
import type { Args } from './args.ts';
import { type Family, full, missing, NO_RESULT, partial } from './define.ts';

const PAGE_BYTES = 4096;
const NSIG = 64;

function exit(k: Kernel, task: Task, a: Args): number {
  exitTask(k, task, a.i32(0));
  return NO_RESULT;
}

function exitGroup(k: Kernel, task: Task, a: Args): number {
  exitProcess(k, task.process, a.i32(0), 0);
  return NO_RESULT;
}

function clone(k: Kernel, task: Task, a: Args): number {
  const flags = a.u32(0);
  return cloneTask(k, task, {
    flags: flags - flags % 0x100,
    exitSignal: flags & CSIGNAL,
    stack: a.u64(1),
    parentTid: a.u64(2),
    childTid: a.u64(3),
    tls: a.u64(4),
  });
}

/** Linux: copy_clone_args_from_user(), clone3_args_valid(). */
function clone3(k: Kernel, task: Task, a: Args): number {
  const gva = a.u64(0);
  const bytes = a.u64(1);
  if (bytes > PAGE_BYTES) return -E2BIG;
  if (bytes < CLONE_ARGS_SIZE_VER0) return -EINVAL;
  const raw = new Uint8Array(Math.max(bytes, CloneArgs.bytes));
  if (copyIn(k, gva, raw.subarray(0, bytes)) !== bytes) return -EFAULT;
  // A newer struct is fine as long as what is not known here is zero.
  if (raw.subarray(CloneArgs.bytes).some((byte) => byte !== 0)) return -E2BIG;
  const request = readCloneArgs(new DataView(raw.buffer));
  return typeof request === 'number' ? request : cloneTask(k, task, request);
}

function readCloneArgs(view: DataView): CloneRequest | number {
  const flags = Number(CloneArgs.flags.get(view, 0));
  const exitSignal = CloneArgs.exit_signal.get(view, 0);
  const stack = CloneArgs.stack.get(view, 0);
  const stackBytes = CloneArgs.stack_size.get(view, 0);
  const setTid = CloneArgs.set_tid.get(view, 0);
  if ((setTid === 0) !== (CloneArgs.set_tid_size.get(view, 0) === 0)) return -EINVAL;
  if (exitSignal > NSIG) return -EINVAL;
  if (flags >= 2 ** 34 || (flags & (CLONE_DETACHED | CSIGNAL)) !== 0) return -EINVAL;
  if ((flags & (CLONE_THREAD | CLONE_PARENT)) !== 0 && exitSignal !== 0) return -EINVAL;
  if (stack === 0 ? stackBytes > 0 : stackBytes === 0) return -EINVAL;
  if (!(stack + stackBytes < USER_END)) return -EINVAL;
  if (setTid !== 0) return -EPERM;
  return {
    flags,
    exitSignal,
    stack: stack === 0 ? 0 : stack + stackBytes,
    tls: CloneArgs.tls.get(view, 0),
    parentTid: CloneArgs.parent_tid.get(view, 0),
    childTid: CloneArgs.child_tid.get(view, 0),
  };
}

function getpid(_k: Kernel, task: Task): number {
  return task.process.pid;
}

function getppid(_k: Kernel, task: Task): number {
  return task.process.ppid;
}

function getpgrp(_k: Kernel, task: Task): number {
  return task.process.pgid;
}

function getpgid(_k: Kernel, task: Task, a: Args): number {
  return isSelf(task, a.i32(0)) ? task.process.pgid : -ESRCH;
}

function getsid(_k: Kernel, task: Task, a: Args): number {
  return isSelf(task, a.i32(0)) ? task.process.sid : -ESRCH;
}

function setpgid(_k: Kernel, task: Task, a: Args): number {
  const pid = a.i32(0);
  const pgid = a.i32(1);
  const { process } = task;
  if (pgid < 0) return -EINVAL;
  if (!isSelf(task, pid)) return -ESRCH;
  // A session leader cannot change its group; another group there is none.
  if (process.sid === process.pid) return -EPERM;
  const wanted = pgid === 0 ? process.pid : pgid;
  if (wanted !== process.pid && wanted !== process.pgid) return -EPERM;
  process.pgid = wanted;
  return 0;
}

function setsid(_k: Kernel, task: Task): number {
  const { process } = task;
  if (process.pgid === process.pid) return -EPERM;
  process.sid = process.pid;
  process.pgid = process.pid;
  return process.sid;
}

function isSelf(task: Task, pid: number): boolean {
  return pid === 0 || pid === task.process.pid;
}

const WAIT4_OPTIONS = WNOHANG | WUNTRACED | WCONTINUED | __WNOTHREAD | __WCLONE | __WALL;
const WAITID_OPTIONS = WAIT4_OPTIONS | WNOWAIT | WEXITED | WSTOPPED;
const INT_MIN = -0x8000_0000;

function wait4(_k: Kernel, _task: Task, a: Args): number {
  if ((a.i32(2) & ~WAIT4_OPTIONS) !== 0) return -EINVAL;
  return a.i32(0) === INT_MIN ? -ESRCH : -ECHILD;
}

function waitid(k: Kernel, _task: Task, a: Args): number {
  const infoGva = a.u64(2);
  const result = checkWaitid(a);
  // Linux: the siginfo is written, as zeros, although there is an error.
  if (infoGva !== 0 && !clearWaitInfo(k, infoGva)) return -EFAULT;
  return result;
}

/** si_signo, si_errno, si_code; behind the padding si_pid, si_uid, si_status. */
function clearWaitInfo(k: Kernel, gva: number): boolean {
  return clearUser(k, gva, 12) === 12 && clearUser(k, gva + 16, 12) === 12;
}

function checkWaitid(a: Args): number {
  const kind = a.i32(0);
  const id = a.i32(1);
  const options = a.i32(3);
  if ((options & ~WAITID_OPTIONS) !== 0) return -EINVAL;
  if ((options & (WEXITED | WSTOPPED | WCONTINUED)) === 0) return -EINVAL;
  if (kind === P_PID && id <= 0) return -EINVAL;
  if ((kind === P_PGID || kind === P_PIDFD) && id < 0) return -EINVAL;
  if (kind !== P_ALL && kind !== P_PID && kind !== P_PGID && kind !== P_PIDFD) return -EINVAL;
  return -ECHILD;
}

const NO_PROCESSES = 'There is one process; more come later.';

export const processCalls: Family = {
  exit: full(exit),
  exit_group: full(exitGroup),
  clone: partial(clone, 'Threads only: what is not CLONE_THREAD fails with EAGAIN.'),
  clone3: partial(clone3, 'Threads only: what is not CLONE_THREAD fails with EAGAIN.'),
  fork: missing(EAGAIN, NO_PROCESSES),
  vfork: missing(EAGAIN, NO_PROCESSES),
  getpid: full(getpid),
  getppid: full(getppid),
  getpgrp: full(getpgrp),
  getpgid: full(getpgid),
  setpgid: full(setpgid),
  getsid: full(getsid),
  setsid: full(setsid),
  wait4: partial(wait4, 'There are no children: ECHILD.'),
  waitid: partial(waitid, 'There are no children: ECHILD.'),
  ptrace: missing(EPERM, 'Nothing can be traced.'),
  kcmp: missing(ENOSYS, NO_PROCESSES),
  pidfd_open: missing(ENOSYS, NO_PROCESSES),
  pidfd_getfd: missing(ENOSYS, NO_PROCESSES),
  pidfd_send_signal: missing(ENOSYS, NO_PROCESSES),
  unshare: missing(EPERM, 'Namespaces cannot be made.'),
  setns: missing(EPERM, 'Namespaces cannot be entered.'),
};
