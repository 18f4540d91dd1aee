// Resource limits and usage: prlimit64(2), getrlimit(2), setrlimit(2), getrusage(2).
import { EFAULT, EINVAL, EPERM, ESRCH } from '../../abi/errno.ts';
import { NR_OPEN } from '../../abi/limits.ts';
import {
  RLIM64_INFINITY, RLIM_NLIMITS, RLIMIT_NOFILE, RUSAGE_CHILDREN, RUSAGE_SELF, RUSAGE_THREAD,
} from '../../abi/resource.ts';
import { Rlimit, Rusage } from '../../abi/struct-task.ts';
import { NSEC_PER_USEC } from '../../abi/time.ts';
import type { Kernel } from '../kernel.ts';
import { copyOut, readStruct } from '../mm/user-memory.ts';
import { PAGE_BYTES } from '../ports.ts';
import type { Process, Task } from '../records/task.ts';
import { hardLimit, setLimit, softLimit } from '../task/limits.ts';
import { findThread } from '../task/family.ts';
import { processCpuNs, taskCpuNs, toMoment } from '../time/clock.ts';
import type { Args } from './args.ts';
import { type Family, full, partial } from './define.ts';

interface Limit {
  soft: number;
  hard: number;
}

function prlimit64(k: Kernel, task: Task, a: Args): number {
  const pid = a.i32(0);
  const resource = a.u32(1);
  const newGva = a.u64(2);
  const oldGva = a.u64(3);
  const wanted = newGva === 0 ? null : readLimit(k, newGva);
  if (wanted === undefined) return -EFAULT;
  const target = pid === 0 ? task.process : findThread(k, pid)?.process ?? null;
  if (target === null) return -ESRCH;
  if (!mayLimit(task.process, target)) return -EPERM;
  if (resource >= RLIM_NLIMITS) return -EINVAL;
  const old = limitOf(target, resource);
  if (wanted !== null) {
    const result = changeLimit(target, resource, wanted);
    if (result !== 0) return result;
  }
  return oldGva === 0 ? 0 : writeLimit(k, oldGva, old);
}

/** Linux: check_prlimit_permission(). */
function mayLimit(caller: Process, target: Process): boolean {
  if (caller === target || caller.uid === 0) return true;
  const { realUid, uid, savedUid } = target;
  return [realUid, uid, savedUid].every((id) => id === caller.realUid);
}

function getrlimit(k: Kernel, task: Task, a: Args): number {
  const resource = a.u32(0);
  if (resource >= RLIM_NLIMITS) return -EINVAL;
  return writeLimit(k, a.u64(1), limitOf(task.process, resource));
}

function setrlimit(k: Kernel, task: Task, a: Args): number {
  const resource = a.u32(0);
  const wanted = readLimit(k, a.u64(1));
  if (wanted === undefined) return -EFAULT;
  if (resource >= RLIM_NLIMITS) return -EINVAL;
  return changeLimit(task.process, resource, wanted);
}

/**
 * Linux: do_prlimit(). Raising a hard limit needs CAP_SYS_RESOURCE, which containers do not have.
 */
function changeLimit(process: Process, resource: number, { soft, hard }: Limit): number {
  if (soft > hard) return -EINVAL;
  if (resource === RLIMIT_NOFILE && hard > NR_OPEN) return -EPERM;
  if (hard > hardLimit(process, resource)) return -EPERM;
  setLimit(process, resource, soft, hard);
  return 0;
}

function limitOf(process: Process, resource: number): Limit {
  return { soft: softLimit(process, resource), hard: hardLimit(process, resource) };
}

function readLimit(k: Kernel, gva: number): Limit | undefined {
  const view = readStruct(k, gva, Rlimit.bytes);
  if (view === null) return undefined;
  return {
    soft: decodeLimit(Rlimit.rlim_cur.get(view, 0)),
    hard: decodeLimit(Rlimit.rlim_max.get(view, 0)),
  };
}

function writeLimit(k: Kernel, gva: number, { soft, hard }: Limit): number {
  const raw = new Uint8Array(Rlimit.bytes);
  const view = new DataView(raw.buffer);
  Rlimit.rlim_cur.set(view, 0, encodeLimit(soft));
  Rlimit.rlim_max.set(view, 0, encodeLimit(hard));
  return copyOut(k, gva, raw) === raw.length ? 0 : -EFAULT;
}

/** Limits beyond 2^53 are rounded to what a double holds: no guest has that much of anything. */
function decodeLimit(value: bigint): number {
  return value === RLIM64_INFINITY ? Infinity : Number(value);
}

function encodeLimit(value: number): bigint {
  return value === Infinity ? RLIM64_INFINITY : BigInt(value);
}

function getrusage(k: Kernel, task: Task, a: Args): number {
  const who = a.i32(0);
  if (who !== RUSAGE_SELF && who !== RUSAGE_CHILDREN && who !== RUSAGE_THREAD) return -EINVAL;
  const raw = new Uint8Array(Rusage.bytes);
  encodeUsage(k, task, who, new DataView(raw.buffer));
  return copyOut(k, a.u64(1), raw) === raw.length ? 0 : -EFAULT;
}

function cpuNsOf(k: Kernel, task: Task, who: number): number {
  if (who === RUSAGE_CHILDREN) return task.process.childrenCpuNs;
  return who === RUSAGE_THREAD ? taskCpuNs(k, task) : processCpuNs(k, task.process);
}

function encodeUsage(k: Kernel, task: Task, who: number, view: DataView): void {
  const { process } = task;
  const used = toMoment(cpuNsOf(k, task, who));
  Rusage.ru_utime_sec.set(view, 0, used.sec);
  Rusage.ru_utime_usec.set(view, 0, Math.floor(used.nsec / NSEC_PER_USEC));
  const pages = who === RUSAGE_CHILDREN ? 0 : process.mm?.residentPages ?? 0;
  Rusage.ru_maxrss.set(view, 0, Math.floor(pages * PAGE_BYTES / 1024));
}

export const limitsCalls: Family = {
  prlimit64: full(prlimit64),
  getrlimit: full(getrlimit),
  setrlimit: full(setrlimit),
  getrusage: partial(getrusage,
    'CPU time (all as user time) and resident memory, no other counts.'),
};
