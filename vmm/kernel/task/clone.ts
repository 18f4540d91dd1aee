// New threads and processes: what clone(2) and clone3(2) come to once their arguments are read.
//
// A process shares no table of descriptors, directories or handlers with another: what asks for
// that without being a thread is EAGAIN, as if for lack of resources, which programs cope with.
import { EAGAIN, EFAULT, EINVAL, EPERM } from '../../abi/errno.ts';
import { RLIMIT_NPROC } from '../../abi/resource.ts';
import {
  CLONE_CHILD_CLEARTID, CLONE_CHILD_SETTID, CLONE_CLEAR_SIGHAND, CLONE_FILES, CLONE_FS,
  CLONE_INTO_CGROUP, CLONE_NEWCGROUP, CLONE_NEWIPC, CLONE_NEWNET, CLONE_NEWNS, CLONE_NEWPID,
  CLONE_NEWTIME, CLONE_NEWUSER, CLONE_NEWUTS, CLONE_PARENT_SETTID, CLONE_PIDFD, CLONE_SETTLS,
  CLONE_SIGHAND, CLONE_THREAD, CLONE_VM,
} from '../../abi/sched.ts';
import { installOrDrop } from '../ipc/anon-file.ts';
import { bindPidFd, makePidFd } from '../ipc/pidfd.ts';
import type { Kernel } from '../kernel.ts';
import { readU32, USER_END, writeU32 } from '../mm/user-memory.ts';
import type { Process, Task } from '../records/task.ts';
import { type Bytes, makeBytes } from '../state/containers.ts';
import { disableAltStack } from '../signal/alt-stack.ts';
import { REG, setReg } from '../syscalls/args.ts';
import { placeFd, removeFd } from '../vfs/fd-table.ts';
import { dropFile } from '../vfs/file.ts';
import { countThreads } from './family.ts';
import { forkProcess } from './fork-process.ts';
import { readFpu } from './fpu.ts';
import { softLimit } from './limits.ts';
import { makeTask } from './make-process.ts';

/** `struct clone_args` as far as it is needed here. */
export interface CloneRequest {
  /** CLONE_*; may exceed 32 bits. */
  flags: number;
  exitSignal: number;
  /** Value of rsp in the child; 0 = the parent's. */
  stack: number;
  tls: number;
  parentTid: number;
  /** Where CLONE_PIDFD puts the descriptor. */
  pidfd: number;
  childTid: number;
}

const NAMESPACES = CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER |
  CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWTIME;
/**
 * What a thread of ours shares, whether it asks for it or not; asking for less is not supported.
 */
const SHARED = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND;
/** What processes cannot have or share. */
const NOT_FOR_PROCESSES = CLONE_FS | CLONE_FILES | CLONE_SIGHAND;

/** Makes a thread or a process; returns its tid or -errno. */
export function cloneTask(k: Kernel, parent: Task, request: CloneRequest): number {
  const refused = checkRequest(k, parent, request);
  if (refused !== 0) return refused;
  const flags = request.flags | 0;
  if ((flags & CLONE_THREAD) === 0) {
    if ((flags & CLONE_PIDFD) !== 0) return forkWithPidFd(k, parent, request);
    return forkProcess(k, parent, request).pid;
  }
  const child = copyTask(k, parent, parent.process);
  disableAltStack(child);
  setReg(child, REG.rax, 0);
  if (request.stack !== 0) setReg(child, REG.rsp, request.stack);
  if ((flags & CLONE_SETTLS) !== 0) child.fsBase = request.tls;
  if ((flags & CLONE_CHILD_CLEARTID) !== 0) child.clearChildTid = request.childTid;
  // Linux: kernel_clone() and schedule_tail() do not look whether these two succeed.
  if ((flags & CLONE_PARENT_SETTID) !== 0) writeU32(k, request.parentTid, child.tid);
  if ((flags & CLONE_CHILD_SETTID) !== 0) writeU32(k, request.childTid, child.tid);
  return child.tid;
}

/**
 * CLONE_PIDFD. Order: the child must see neither the descriptor nor its number, and what can fail
 * comes before it is made.
 */
function forkWithPidFd(k: Kernel, parent: Task, request: CloneRequest): number {
  const { fds } = parent.process;
  const old = readU32(k, request.pidfd);
  if (old < 0 || !writeU32(k, request.pidfd, old)) return -EFAULT;
  const file = makePidFd(k, 0);
  const fd = installOrDrop(k, parent, file, true);
  if (fd < 0) return fd;
  removeFd(fds, fd);
  try {
    const child = forkProcess(k, parent, request);
    bindPidFd(k, file, child);
    placeFd(fds, fd, file, true);
    writeU32(k, request.pidfd, fd);
    return child.pid;
  } catch (error) {
    dropFile(k, file);
    throw error;
  }
}

/** The checks of copy_process(), in its order. */
function checkRequest(k: Kernel, parent: Task, request: CloneRequest): number {
  const low = request.flags | 0;
  const high = request.flags >= 2 ** 32;
  const isThread = (low & CLONE_THREAD) !== 0;
  if ((low & CLONE_NEWNS) !== 0 && (low & CLONE_FS) !== 0) return -EINVAL;
  if (isThread && (low & CLONE_SIGHAND) === 0) return -EINVAL;
  if ((low & CLONE_SIGHAND) !== 0 && (low & CLONE_VM) === 0) return -EINVAL;
  if (isThread && (low & (CLONE_NEWUSER | CLONE_NEWPID)) !== 0) return -EINVAL;
  if (high && (isThread || clearsHandlersOfSharer(request.flags))) return -EINVAL;
  if (isThread && (low & CLONE_PIDFD) !== 0) return -EINVAL;
  if ((low & NAMESPACES) !== 0) return -EPERM;
  if (isThread ? (low & SHARED) !== SHARED : (low & NOT_FOR_PROCESSES) !== 0) return -EAGAIN;
  if (countThreads(k) >= k.limits.threads || isUserAtLimit(k, parent)) return -EAGAIN;
  if ((low & CLONE_SETTLS) !== 0 && !(request.tls < USER_END)) return -EPERM;
  return 0;
}

/** RLIMIT_NPROC: threads of all processes of the user. Linux: root (INIT_USER) may have more. */
function isUserAtLimit(k: Kernel, { process }: Task): boolean {
  const { realUid } = process;
  const most = softLimit(process, RLIMIT_NPROC);
  return realUid !== 0 && most !== Infinity && countThreads(k, realUid) >= most;
}

function clearsHandlersOfSharer(flags: number): boolean {
  const high = Math.floor(flags / 2 ** 32) * 2 ** 32;
  return high >= CLONE_INTO_CGROUP + CLONE_CLEAR_SIGHAND ||
    (high === CLONE_CLEAR_SIGHAND && (flags & CLONE_SIGHAND) !== 0);
}

/**
 * A runnable copy of the thread in `process`: registers, FPU, mask, scheduling; no pending signals
 * or alternate stack.
 */
export function copyTask(k: Kernel, parent: Task, process: Process): Task {
  const fpu: Bytes = makeBytes(k.arena, readFpu(k, parent));
  let child: Task;
  try {
    child = makeTask(k, process);
  } catch (error) {
    k.arena.free(fpu);
    throw error;
  }
  child.xsave = fpu;
  child.regs = parent.regs;
  child.fsBase = parent.fsBase;
  child.gsBase = parent.gsBase;
  child.mask = parent.mask;
  child.name = parent.name;
  child.schedPolicy = parent.schedPolicy;
  child.schedPriority = parent.schedPriority;
  child.nice = parent.nice;
  child.timerSlackNs = parent.timerSlackNs;
  return child;
}
