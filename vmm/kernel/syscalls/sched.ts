// Scheduling: one CPU, round robin. Policies and priorities are kept for whoever asks; they have no
// effect. Real-time policies are refused as they are to a container without CAP_SYS_NICE.
import { E2BIG, EACCES, EFAULT, EINVAL, EPERM, ESRCH } from '../../abi/errno.ts';
import {
  PRIO_MAX, PRIO_MIN, PRIO_PGRP, PRIO_PROCESS, PRIO_USER, RLIMIT_NICE,
} from '../../abi/resource.ts';
import {
  IOPRIO_CLASS_BE, IOPRIO_CLASS_IDLE, IOPRIO_CLASS_NONE, IOPRIO_CLASS_RT, IOPRIO_CLASS_SHIFT,
  IOPRIO_WHO_PGRP, IOPRIO_WHO_PROCESS, IOPRIO_WHO_USER, SCHED_BATCH, SCHED_DEADLINE, SCHED_FIFO,
  SCHED_IDLE, SCHED_NORMAL, SCHED_RESET_ON_FORK, SCHED_RR,
} from '../../abi/sched.ts';
import { SchedAttr, SchedParam } from '../../abi/struct-task.ts';
import { NSEC_PER_MSEC } from '../../abi/time.ts';
import type { Kernel } from '../kernel.ts';
import { copyIn, copyOut, readU32, writeU32, writeU64 } from '../mm/user-memory.ts';
import type { Task } from '../records/task.ts';
import { softLimit } from '../task/limits.ts';
import { findThread, forEachProcess } from '../task/family.ts';
import { rotate } from '../task/run-queue.ts';
import type { Args } from './args.ts';
import { type Family, full, partial } from './define.ts';

/** Bytes of a CPU mask here: one word for one CPU. */
const CPU_MASK_BYTES = 8;
const RT_PRIORITY_MAX = 99;

/** The thread that a tid means; 0 is the caller. A number or -errno otherwise. */
function threadOf(k: Kernel, task: Task, tid: number): Task | number {
  if (tid < 0) return -EINVAL;
  if (tid === 0) return task;
  return findThread(k, tid) ?? -ESRCH;
}

function schedYield(k: Kernel): number {
  rotate(k);
  return 0;
}

function schedSetaffinity(k: Kernel, task: Task, a: Args): number {
  const bytes = a.u32(1);
  const mask = new Uint8Array(CPU_MASK_BYTES);
  const count = Math.min(bytes, CPU_MASK_BYTES);
  if (copyIn(k, a.u64(2), mask.subarray(0, count)) !== count) return -EFAULT;
  const target = threadOf(k, task, a.i32(0));
  if (typeof target === 'number') return target === -EINVAL ? -ESRCH : target;
  return ((mask[0] as number) & 1) === 0 ? -EINVAL : 0;
}

function schedGetaffinity(k: Kernel, task: Task, a: Args): number {
  const bytes = a.u32(1);
  if (bytes * 8 < 1 || bytes % 8 !== 0) return -EINVAL;
  const target = threadOf(k, task, a.i32(0));
  if (typeof target === 'number') return -ESRCH;
  return writeU64(k, a.u64(2), 1) ? CPU_MASK_BYTES : -EFAULT;
}

function schedSetscheduler(k: Kernel, task: Task, a: Args): number {
  const policy = a.i32(1);
  if (policy < 0) return -EINVAL;
  return setScheduler(k, task, a.i32(0), policy & ~SCHED_RESET_ON_FORK, a.u64(2));
}

function schedSetparam(k: Kernel, task: Task, a: Args): number {
  const target = threadOf(k, task, a.i32(0));
  const policy = typeof target === 'number' ? SCHED_NORMAL : target.schedPolicy;
  return setScheduler(k, task, a.i32(0), policy, a.u64(1));
}

function setScheduler(k: Kernel, task: Task, tid: number, policy: number, gva: number): number {
  if (gva === 0 || tid < 0) return -EINVAL;
  const priority = readU32(k, gva);
  if (priority < 0) return -EFAULT;
  const target = threadOf(k, task, tid);
  if (typeof target === 'number') return target;
  return applyPolicy(target, policy, priority | 0);
}

function applyPolicy(target: Task, policy: number, priority: number): number {
  const isRealTime = policy === SCHED_FIFO || policy === SCHED_RR;
  const isPlain = policy === SCHED_NORMAL || policy === SCHED_BATCH || policy === SCHED_IDLE;
  if (!isRealTime && !isPlain) return -EINVAL;
  if (isRealTime ? priority < 1 || priority > RT_PRIORITY_MAX : priority !== 0) return -EINVAL;
  if (isRealTime) return -EPERM;
  target.schedPolicy = policy;
  target.schedPriority = priority;
  return 0;
}

function schedGetscheduler(k: Kernel, task: Task, a: Args): number {
  const target = threadOf(k, task, a.i32(0));
  return typeof target === 'number' ? target : target.schedPolicy;
}

function schedGetparam(k: Kernel, task: Task, a: Args): number {
  const gva = a.u64(1);
  if (gva === 0) return -EINVAL;
  const target = threadOf(k, task, a.i32(0));
  if (typeof target === 'number') return target;
  const raw = new Uint8Array(SchedParam.bytes);
  SchedParam.sched_priority.set(new DataView(raw.buffer), 0, target.schedPriority);
  return copyOut(k, gva, raw) === raw.length ? 0 : -EFAULT;
}

function schedGetPriorityMax(_k: Kernel, _task: Task, a: Args): number {
  return priorityBound(a.i32(0), RT_PRIORITY_MAX);
}

function schedGetPriorityMin(_k: Kernel, _task: Task, a: Args): number {
  return priorityBound(a.i32(0), 1);
}

function priorityBound(policy: number, ofRealTime: number): number {
  if (policy === SCHED_FIFO || policy === SCHED_RR) return ofRealTime;
  const isKnown = policy === SCHED_NORMAL || policy === SCHED_BATCH || policy === SCHED_IDLE ||
    policy === SCHED_DEADLINE;
  return isKnown ? 0 : -EINVAL;
}

/** What one turn of a thread is worth here; Linux answers its scheduler's slice. */
const SLICE_NS = 4 * NSEC_PER_MSEC;

function schedRrGetInterval(k: Kernel, task: Task, a: Args): number {
  const target = threadOf(k, task, a.i32(0));
  if (typeof target === 'number') return target;
  const gva = a.u64(1);
  return writeU64(k, gva, 0) && writeU64(k, gva + 8, SLICE_NS) ? 0 : -EFAULT;
}

function schedSetattr(k: Kernel, task: Task, a: Args): number {
  const gva = a.u64(1);
  if (gva === 0 || a.u32(2) !== 0) return -EINVAL;
  const raw = new Uint8Array(SchedAttr.bytes);
  const view = new DataView(raw.buffer);
  const stated = readU32(k, gva);
  if (stated < 0) return -EFAULT;
  const bytes = stated === 0 ? 48 : stated;
  if (bytes < 48 || bytes > 4096) return writeU32(k, gva, SchedAttr.bytes) ? -E2BIG : -EFAULT;
  const count = Math.min(bytes, raw.length);
  if (copyIn(k, gva, raw.subarray(0, count)) !== count) return -EFAULT;
  const target = threadOf(k, task, a.i32(0));
  if (typeof target === 'number') return target;
  const nice = SchedAttr.sched_nice.get(view, 0);
  const policy = SchedAttr.sched_policy.get(view, 0);
  const result = applyPolicy(target, policy, SchedAttr.sched_priority.get(view, 0));
  return result === 0 && policy === SCHED_NORMAL ? setNice(target, nice, EPERM) : result;
}

function schedGetattr(k: Kernel, task: Task, a: Args): number {
  const bytes = a.u32(2);
  if (a.u64(1) === 0 || a.u32(3) !== 0 || bytes < 48 || bytes > 4096) return -EINVAL;
  const target = threadOf(k, task, a.i32(0));
  if (typeof target === 'number') return target;
  const raw = new Uint8Array(SchedAttr.bytes);
  const view = new DataView(raw.buffer);
  const count = Math.min(bytes, raw.length);
  SchedAttr.size.set(view, 0, count);
  SchedAttr.sched_policy.set(view, 0, target.schedPolicy);
  SchedAttr.sched_nice.set(view, 0, target.nice);
  SchedAttr.sched_priority.set(view, 0, target.schedPriority);
  return copyOut(k, a.u64(1), raw.subarray(0, count)) === count ? 0 : -EFAULT;
}

/** Whom getpriority(2) and setpriority(2) mean: a thread, or all of them for a group or user. */
function priorityTargets(k: Kernel, task: Task, which: number, who: number): Task[] {
  const { process } = task;
  if (which === PRIO_PROCESS) {
    const target = threadOf(k, task, who);
    return typeof target === 'number' ? [] : [target];
  }
  const wanted = who !== 0 ? who : which === PRIO_PGRP ? process.pgid : process.realUid;
  const all: Task[] = [];
  forEachProcess(k, ({ pgid, realUid, tasks, exited }) => {
    if (exited || (which === PRIO_PGRP ? pgid : realUid) !== wanted) return;
    for (let i = 0; i < tasks.length; i++) all.push(tasks.get(i) as Task);
  });
  return all;
}

function getpriority(k: Kernel, task: Task, a: Args): number {
  const which = a.i32(0);
  if (which < PRIO_PROCESS || which > PRIO_USER) return -EINVAL;
  const targets = priorityTargets(k, task, which, a.i32(1));
  if (targets.length === 0) return -ESRCH;
  // Linux: 20 - nice, so that the result is never negative; the C library turns it back.
  return Math.max(...targets.map((target) => 20 - target.nice));
}

function setpriority(k: Kernel, task: Task, a: Args): number {
  const which = a.i32(0);
  if (which < PRIO_PROCESS || which > PRIO_USER) return -EINVAL;
  const targets = priorityTargets(k, task, which, a.i32(1));
  if (targets.length === 0) return -ESRCH;
  let result = 0;
  for (const target of targets) result = setNice(target, a.i32(2), EACCES) || result;
  return result;
}

/** Lowering needs RLIMIT_NICE (20 - nice ≤ limit) or CAP_SYS_NICE, which containers do not have. */
function setNice(target: Task, wanted: number, refusal: number): number {
  const nice = Math.max(PRIO_MIN, Math.min(PRIO_MAX - 1, wanted));
  if (nice < target.nice && 20 - nice > softLimit(target.process, RLIMIT_NICE)) return -refusal;
  target.nice = nice;
  return 0;
}

function ioprioGet(k: Kernel, task: Task, a: Args): number {
  const which = a.i32(0);
  if (which < IOPRIO_WHO_PROCESS || which > IOPRIO_WHO_USER) return -EINVAL;
  if (which === IOPRIO_WHO_PROCESS) {
    const target = threadOf(k, task, a.i32(1));
    if (typeof target === 'number') return -ESRCH;
  }
  return IOPRIO_CLASS_NONE << IOPRIO_CLASS_SHIFT;
}

function ioprioSet(k: Kernel, task: Task, a: Args): number {
  const which = a.i32(0);
  const ioClass = a.i32(2) >> IOPRIO_CLASS_SHIFT;
  if (ioClass === IOPRIO_CLASS_RT) return -EPERM;
  if (ioClass < IOPRIO_CLASS_NONE || ioClass > IOPRIO_CLASS_IDLE) return -EINVAL;
  if (ioClass === IOPRIO_CLASS_BE && (a.i32(2) & 0x1fff) > 7) return -EINVAL;
  if (which < IOPRIO_WHO_PROCESS || which > IOPRIO_WHO_USER) return -EINVAL;
  if (which === IOPRIO_WHO_PGRP || which === IOPRIO_WHO_USER) return 0;
  return typeof threadOf(k, task, a.i32(1)) === 'number' ? -ESRCH : 0;
}

const NO_EFFECT = 'Kept, without effect; real-time policies are EPERM.';

export const schedCalls: Family = {
  sched_yield: full(schedYield),
  sched_setaffinity: full(schedSetaffinity),
  sched_getaffinity: full(schedGetaffinity),
  sched_setscheduler: partial(schedSetscheduler, NO_EFFECT),
  sched_getscheduler: full(schedGetscheduler),
  sched_setparam: partial(schedSetparam, NO_EFFECT),
  sched_getparam: full(schedGetparam),
  sched_get_priority_max: full(schedGetPriorityMax),
  sched_get_priority_min: full(schedGetPriorityMin),
  sched_rr_get_interval: full(schedRrGetInterval),
  sched_setattr: partial(schedSetattr, NO_EFFECT),
  sched_getattr: full(schedGetattr),
  getpriority: full(getpriority),
  setpriority: partial(setpriority, 'Kept, without effect.'),
  ioprio_get: partial(ioprioGet, 'Always IOPRIO_CLASS_NONE.'),
  ioprio_set: partial(ioprioSet, 'Without effect.'),
};
