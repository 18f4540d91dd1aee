// prctl(2), personality(2), seccomp(2).
import { EFAULT, EINVAL, ENOSYS, EPERM } from '../../abi/errno.ts';
import { TASK_COMM_LEN } from '../../abi/limits.ts';
import {
  CAP_LAST_CAP, PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, PR_CAP_AMBIENT_IS_SET,
  PR_CAP_AMBIENT_LOWER, PR_CAP_AMBIENT_RAISE, PR_CAPBSET_DROP, PR_CAPBSET_READ,
  PR_GET_CHILD_SUBREAPER, PR_GET_DUMPABLE, PR_GET_KEEPCAPS, PR_GET_NAME, PR_GET_NO_NEW_PRIVS,
  PR_GET_PDEATHSIG, PR_GET_SECCOMP, PR_GET_SECUREBITS, PR_GET_THP_DISABLE, PR_GET_TID_ADDRESS,
  PR_GET_TIMERSLACK, PR_GET_TIMING, PR_GET_TSC, PR_SET_CHILD_SUBREAPER, PR_SET_DUMPABLE,
  PR_SET_KEEPCAPS, PR_SET_NAME, PR_SET_NO_NEW_PRIVS, PR_SET_PDEATHSIG, PR_SET_PTRACER,
  PR_SET_THP_DISABLE, PR_SET_TIMERSLACK, PR_SET_TIMING, PR_SET_TSC, PR_SET_VMA,
  PR_SET_VMA_ANON_NAME, PR_TIMING_STATISTICAL, PR_TSC_ENABLE,
} from '../../abi/prctl.ts';
import { NSEC_PER_USEC } from '../../abi/time.ts';
import type { Kernel } from '../kernel.ts';
import { copyIn, copyOut, writeU32, writeU64 } from '../mm/user-memory.ts';
import type { Task } from '../records/task.ts';
import type { Args } from './args.ts';
import { type Family, missing, partial } from './define.ts';

const SIGNAL_MOST = 64;
const CAP_SETPCAP = 8;
const DEFAULT_SLACK_NS = 50 * NSEC_PER_USEC;

function prctl(k: Kernel, task: Task, a: Args): number {
  switch (a.i32(0)) {
    case PR_SET_NAME: return setName(k, task, a.u64(1));
    case PR_GET_NAME: return copyOut(k, a.u64(1), task.name) === TASK_COMM_LEN ? 0 : -EFAULT;
    case PR_SET_PDEATHSIG: return setDeathSignal(task, a.u64(1));
    case PR_GET_PDEATHSIG: return put(k, a.u64(1), task.process.parentDeathSignal);
    case PR_GET_TID_ADDRESS: return writeU64(k, a.u64(1), task.clearChildTid) ? 0 : -EFAULT;
    case PR_SET_TIMERSLACK: return setSlack(task, a.i64(1));
    case PR_GET_TIMERSLACK: return Math.min(task.timerSlackNs, 0x7fff_ffff);
    case PR_GET_TIMING: return PR_TIMING_STATISTICAL;
    case PR_SET_TIMING: return a.u64(1) === PR_TIMING_STATISTICAL ? 0 : -EINVAL;
    case PR_GET_TSC: return put(k, a.u64(1), PR_TSC_ENABLE);
    case PR_SET_TSC: return a.u64(1) === PR_TSC_ENABLE ? 0 : -EINVAL;
    case PR_GET_SECCOMP: return 0;
    case PR_SET_PTRACER: return 0;
    case PR_SET_VMA: return a.u64(1) === PR_SET_VMA_ANON_NAME ? 0 : -EINVAL;
    default: return prctlOfProcess(k, task, a) ?? prctlOfCapabilities(task, a);
  }
}

/** Options about the whole process; null when it is none of them. */
function prctlOfProcess(k: Kernel, task: Task, a: Args): number | null {
  const { process } = task;
  const value = a.u64(1);
  const hasRest = a.u64(2) !== 0 || a.u64(3) !== 0 || a.u64(4) !== 0;
  switch (a.i32(0)) {
    case PR_GET_DUMPABLE:
      return process.dumpable;
    case PR_SET_DUMPABLE:
      if (value > 1) return -EINVAL;
      process.dumpable = value;
      return 0;
    case PR_SET_NO_NEW_PRIVS:
      if (value !== 1 || hasRest) return -EINVAL;
      process.noNewPrivileges = true;
      return 0;
    case PR_GET_NO_NEW_PRIVS:
      return value !== 0 || hasRest ? -EINVAL : Number(process.noNewPrivileges);
    case PR_SET_THP_DISABLE:
      if (hasRest) return -EINVAL;
      process.hugePagesDisabled = value !== 0;
      return 0;
    case PR_GET_THP_DISABLE:
      return value !== 0 || hasRest ? -EINVAL : Number(process.hugePagesDisabled);
    case PR_SET_CHILD_SUBREAPER:
      process.isSubreaper = value !== 0;
      return 0;
    case PR_GET_CHILD_SUBREAPER:
      return put(k, value, Number(process.isSubreaper));
    default:
      return null;
  }
}

function prctlOfCapabilities(task: Task, a: Args): number {
  const { process } = task;
  const value = a.u64(1);
  switch (a.i32(0)) {
    case PR_GET_KEEPCAPS:
      return Number(process.keepCaps);
    case PR_SET_KEEPCAPS:
      if (value > 1) return -EINVAL;
      process.keepCaps = value === 1;
      return 0;
    case PR_GET_SECUREBITS:
      return 0;
    case PR_CAPBSET_READ:
      if (value > CAP_LAST_CAP) return -EINVAL;
      return Number(process.capBounding >> BigInt(value) & 1n);
    case PR_CAPBSET_DROP:
      if ((process.capEffective & 1n << BigInt(CAP_SETPCAP)) === 0n) return -EPERM;
      if (value > CAP_LAST_CAP) return -EINVAL;
      process.capBounding &= ~(1n << BigInt(value));
      return 0;
    case PR_CAP_AMBIENT:
      return ambient(task, value, a.u64(2), a.u64(3) !== 0 || a.u64(4) !== 0);
    default:
      return -EINVAL;
  }
}

function ambient(task: Task, operation: number, capability: number, hasRest: boolean): number {
  const { process } = task;
  if (hasRest) return -EINVAL;
  if (operation === PR_CAP_AMBIENT_CLEAR_ALL) {
    if (capability !== 0) return -EINVAL;
    process.capAmbient = 0n;
    return 0;
  }
  if (capability > CAP_LAST_CAP) return -EINVAL;
  const bit = 1n << BigInt(capability);
  switch (operation) {
    case PR_CAP_AMBIENT_IS_SET:
      return Number((process.capAmbient & bit) !== 0n);
    case PR_CAP_AMBIENT_RAISE:
      if ((process.capPermitted & process.capInheritable & bit) === 0n) return -EPERM;
      process.capAmbient |= bit;
      return 0;
    case PR_CAP_AMBIENT_LOWER:
      process.capAmbient &= ~bit;
      return 0;
    default:
      return -EINVAL;
  }
}

function put(k: Kernel, gva: number, value: number): number {
  return writeU32(k, gva, value) ? 0 : -EFAULT;
}

/** Linux: strncpy_from_user(), at most 15 bytes and a NUL; the rest is not read. */
function setName(k: Kernel, task: Task, gva: number): number {
  const name = new Uint8Array(TASK_COMM_LEN - 1);
  const copied = copyIn(k, gva, name);
  const nul = name.subarray(0, copied).indexOf(0);
  if (nul < 0 && copied < name.length) return -EFAULT;
  task.name = nul < 0 ? name : name.subarray(0, nul);
  return 0;
}

function setDeathSignal(task: Task, signal: number): number {
  if (signal > SIGNAL_MOST) return -EINVAL;
  task.process.parentDeathSignal = signal;
  return 0;
}

function setSlack(task: Task, ns: number): number {
  task.timerSlackNs = ns <= 0 ? DEFAULT_SLACK_NS : ns;
  return 0;
}

const PERSONALITY_QUERY = 0xffff_ffff;

function personality(_k: Kernel, task: Task, a: Args): number {
  const wanted = a.u32(0);
  const old = task.process.personality;
  if (wanted !== PERSONALITY_QUERY) task.process.personality = wanted;
  return old;
}

export const prctlCalls: Family = {
  prctl: partial(prctl, 'Names, dumpable, capabilities, no_new_privs, timer slack; other options ' +
    'are EINVAL. PR_SET_VMA names are dropped.'),
  personality: partial(personality, 'Kept, without effect.'),
  seccomp: missing(ENOSYS, 'There are no filters.'),
};
