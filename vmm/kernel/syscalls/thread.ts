// Threads: ids and thread-local storage. Scheduling is in sched.ts, membarrier(2) in memory.ts.
import { EINVAL, ENOSYS, EFAULT, EPERM } from '../../abi/errno.ts';
import { ARCH_GET_FS, ARCH_GET_GS, ARCH_SET_FS, ARCH_SET_GS } from '../../abi/prctl.ts';
import type { Kernel } from '../kernel.ts';
import { USER_END, writeU32, writeU64 } from '../mm/user-memory.ts';
import type { Task } from '../records/task.ts';
import type { Args } from './args.ts';
import { type Family, full, missing, partial } from './define.ts';

function gettid(_k: Kernel, task: Task): number {
  return task.tid;
}

function setTidAddress(_k: Kernel, task: Task, a: Args): number {
  task.clearChildTid = a.u64(0);
  return task.tid;
}

function archPrctl(k: Kernel, task: Task, a: Args): number {
  const address = a.u64(1);
  switch (a.i32(0)) {
    case ARCH_SET_FS:
      if (!(address < USER_END)) return -EPERM;
      task.fsBase = address;
      return 0;
    case ARCH_SET_GS:
      if (!(address < USER_END)) return -EPERM;
      task.gsBase = address;
      return 0;
    case ARCH_GET_FS:
      return writeU64(k, address, task.fsBase) ? 0 : -EFAULT;
    case ARCH_GET_GS:
      return writeU64(k, address, task.gsBase) ? 0 : -EFAULT;
    default:
      return -EINVAL;
  }
}

function getcpu(k: Kernel, _task: Task, a: Args): number {
  const cpuGva = a.u64(0);
  const nodeGva = a.u64(1);
  if (cpuGva !== 0 && !writeU32(k, cpuGva, 0)) return -EFAULT;
  if (nodeGva !== 0 && !writeU32(k, nodeGva, 0)) return -EFAULT;
  return 0;
}

export const threadCalls: Family = {
  gettid: full(gettid),
  set_tid_address: full(setTidAddress),
  arch_prctl: partial(archPrctl, 'ARCH_SET_FS, ARCH_SET_GS, ARCH_GET_FS, ARCH_GET_GS.'),
  getcpu: full(getcpu),
  rseq: missing(ENOSYS, 'Restartable sequences: C libraries do without.'),
  set_thread_area: missing(ENOSYS, '32-bit programs only.'),
  get_thread_area: missing(ENOSYS, '32-bit programs only.'),
  modify_ldt: missing(ENOSYS, 'There is no LDT.'),
};
