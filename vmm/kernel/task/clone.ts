// New threads: what clone(2) and clone3(2) come to once their arguments are read.
//
// There are only threads so far. Programs cope best with a fork that fails for lack of resources,
// so whatever is not a thread is EAGAIN.
import { EAGAIN, EINVAL, EPERM } from '../../abi/errno.ts';
import { RLIMIT_NPROC } from '../../abi/resource.ts';
import {
  CLONE_CHILD_CLEARTID, CLONE_CHILD_SETTID, CLONE_CLEAR_SIGHAND, CLONE_FILES, CLONE_FS,
  CLONE_INTO_CGROUP, CLONE_NEWCGROUP, CLONE_NEWIPC, CLONE_NEWNET, CLONE_NEWNS, CLONE_NEWPID,
  CLONE_NEWTIME, CLONE_NEWUSER, CLONE_NEWUTS, CLONE_PARENT_SETTID, CLONE_PIDFD, CLONE_SETTLS,
  CLONE_SIGHAND, CLONE_THREAD, CLONE_VM,
} from '../../abi/sched.ts';
import type { Kernel } from '../kernel.ts';
import { USER_END, writeU32 } from '../mm/user-memory.ts';
import type { Task } from '../records/task.ts';
import { type Bytes, makeBytes } from '../state/containers.ts';
import { disableAltStack } from '../signal/alt-stack.ts';
import { REG, setReg } from '../syscalls/args.ts';
import { readFpu } from './fpu.ts';
import { softLimit } from './limits.ts';
import { makeTask } from './make-process.ts';

/** `struct clone_args` as far as threads need it. */
export interface CloneRequest {
  /** CLONE_*; may exceed 32 bits. */
  flags: number;
  exitSignal: number;
  /** Value of rsp in the child; 0 = the parent's. */
  stack: number;
  tls: number;
  parentTid: number;
  childTid: number;
}

const NAMESPACES = CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER |
  CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWTIME;
/**
 * What a thread of ours shares, whether it asks for it or not; asking for less is not supported.
 */
const SHARED = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND;

/** Makes a thread; returns its tid or -errno. */
export function cloneTask(k: Kernel, parent: Task, request: CloneRequest): number {
  const refused = checkRequest(k, parent, request);
  if (refused !== 0) return refused;
  const flags = request.flags | 0;
  const child = copyTask(k, parent);
  setReg(child, REG.rax, 0);
  if (request.stack !== 0) setReg(child, REG.rsp, request.stack);
  if ((flags & CLONE_SETTLS) !== 0) child.fsBase = request.tls;
  if ((flags & CLONE_CHILD_CLEARTID) !== 0) child.clearChildTid = request.childTid;
  // Linux: kernel_clone() and schedule_tail() do not look whether these two succeed.
  if ((flags & CLONE_PARENT_SETTID) !== 0) writeU32(k, request.parentTid, child.tid);
  if ((flags & CLONE_CHILD_SETTID) !== 0) writeU32(k, request.childTid, child.tid);
  return child.tid;
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
  if (!isThread || (low & SHARED) !== SHARED) return -EAGAIN;
  const most = Math.min(k.limits.threads, softLimit(parent.process, RLIMIT_NPROC));
  if (parent.process.tasks.length >= most) return -EAGAIN;
  if ((low & CLONE_SETTLS) !== 0 && !(request.tls < USER_END)) return -EPERM;
  return 0;
}

function clearsHandlersOfSharer(flags: number): boolean {
  const high = Math.floor(flags / 2 ** 32) * 2 ** 32;
  return high >= CLONE_INTO_CGROUP + CLONE_CLEAR_SIGHAND ||
    (high === CLONE_CLEAR_SIGHAND && (flags & CLONE_SIGHAND) !== 0);
}

/**
 * A runnable copy of the thread: registers, FPU, mask, scheduling; no pending signals or alt stack.
 */
function copyTask(k: Kernel, parent: Task): Task {
  const fpu: Bytes = makeBytes(k.arena, readFpu(k, parent));
  let child: Task;
  try {
    child = makeTask(k, parent.process);
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
  disableAltStack(child);
  child.schedPolicy = parent.schedPolicy;
  child.schedPriority = parent.schedPriority;
  child.nice = parent.nice;
  child.timerSlackNs = parent.timerSlackNs;
  return child;
}
