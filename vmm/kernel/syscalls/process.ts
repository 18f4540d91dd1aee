// Threads and processes: exit(2), clone(2) and its relatives. Nobody can be traced.
import { E2BIG, EFAULT, EINVAL, ENOSYS, EPERM } from '../../abi/errno.ts';
import {
  CLONE_ARGS_SIZE_VER0, CLONE_DETACHED, CLONE_PARENT, CLONE_PARENT_SETTID, CLONE_PIDFD,
  CLONE_THREAD, CLONE_VFORK, CLONE_VM, CSIGNAL,
} from '../../abi/sched.ts';
import { CloneArgs } from '../../abi/struct-task.ts';
import { SIGCHLD } from '../../abi/signal.ts';
import type { Kernel } from '../kernel.ts';
import { copyIn, USER_END } from '../mm/user-memory.ts';
import type { Task } from '../records/task.ts';
import { type CloneRequest, cloneTask } from '../task/clone.ts';
import { blockUninterruptibly } from '../task/block.ts';
import { exitProcess, exitTask } from '../task/exit.ts';
import { findProcess } from '../task/family.ts';
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
  // The descriptor goes where the tid would, and a flag that means nothing else is refused.
  const excluded = CLONE_PARENT_SETTID | CLONE_DETACHED;
  if (task.waitArgument === 0 && (flags & CLONE_PIDFD) !== 0 && (flags & excluded) !== 0) {
    return -EINVAL;
  }
  return startClone(k, task, {
    flags: flags - flags % 0x100,
    exitSignal: flags & CSIGNAL,
    stack: a.u64(1),
    parentTid: a.u64(2),
    pidfd: a.u64(2),
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
  return typeof request === 'number' ? request : startClone(k, task, request);
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
    pidfd: CloneArgs.pidfd.get(view, 0),
    childTid: CloneArgs.child_tid.get(view, 0),
  };
}

function fork(k: Kernel, task: Task): number {
  return cloneProcess(k, task, 0);
}

function vfork(k: Kernel, task: Task): number {
  return cloneProcess(k, task, CLONE_VFORK | CLONE_VM);
}

function cloneProcess(k: Kernel, task: Task, flags: number): number {
  return startClone(k, task, {
    flags, exitSignal: SIGCHLD, stack: 0, tls: 0, parentTid: 0, childTid: 0, pidfd: 0,
  });
}

/** With CLONE_VFORK the call ends when the child has execed or ended. */
function startClone(k: Kernel, task: Task, request: CloneRequest): number {
  if (task.waitArgument !== 0) return awaitRelease(k, task);
  const tid = cloneTask(k, task, request);
  if (tid < 0 || (request.flags & CLONE_VFORK) === 0) return tid;
  task.waitArgument = tid;
  return awaitRelease(k, task);
}

/** Linux: wait_for_vfork_done(). Only what kills the parent interrupts it. */
function awaitRelease(k: Kernel, task: Task): number {
  const pid = task.waitArgument;
  if (findProcess(k, pid)?.holdsParent !== true) return pid;
  return blockUninterruptibly(k, task);
}

function getpid(_k: Kernel, task: Task): number {
  return task.process.pid;
}

function getppid(_k: Kernel, task: Task): number {
  return task.process.ppid;
}

const SHARES = 'A process that shares descriptors, directories or handlers fails with EAGAIN.';

export const processCalls: Family = {
  exit: full(exit),
  exit_group: full(exitGroup),
  clone: partial(clone, SHARES),
  clone3: partial(clone3, SHARES),
  fork: full(fork),
  vfork: full(vfork),
  getpid: full(getpid),
  getppid: full(getppid),
  ptrace: missing(EPERM, 'Nothing can be traced.'),
  kcmp: missing(ENOSYS, 'Kernel objects cannot be compared.'),
  unshare: missing(EPERM, 'Namespaces cannot be made.'),
  setns: missing(EPERM, 'Namespaces cannot be entered.'),
};
