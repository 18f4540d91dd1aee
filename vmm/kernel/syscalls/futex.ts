// futex(2), set_robust_list(2), get_robust_list(2).
import { EAGAIN, EFAULT, EINVAL, ENOSYS, ESRCH } from '../../abi/errno.ts';
import {
  FUTEX_BITSET_MATCH_ANY, FUTEX_CLOCK_REALTIME, FUTEX_CMP_REQUEUE, FUTEX_LOCK_PI, FUTEX_LOCK_PI2,
  FUTEX_OP_ADD, FUTEX_OP_ANDN, FUTEX_OP_CMP_EQ, FUTEX_OP_CMP_GE, FUTEX_OP_CMP_GT, FUTEX_OP_CMP_LE,
  FUTEX_OP_CMP_LT, FUTEX_OP_CMP_NE, FUTEX_OP_OPARG_SHIFT, FUTEX_OP_OR, FUTEX_OP_SET, FUTEX_OP_XOR,
  FUTEX_PRIVATE_FLAG, FUTEX_REQUEUE, FUTEX_TRYLOCK_PI, FUTEX_UNLOCK_PI, FUTEX_WAIT,
  FUTEX_WAIT_BITSET, FUTEX_WAKE, FUTEX_WAKE_BITSET, FUTEX_WAKE_OP,
} from '../../abi/futex.ts';
import { Timespec } from '../../abi/struct-time.ts';
import { toTimeout } from '../ipc/wait-timeout.ts';
import type { Kernel } from '../kernel.ts';
import { readStruct, readU32, writeU32, writeU64 } from '../mm/user-memory.ts';
import type { Task } from '../records/task.ts';
import {
  continueFutexWait, futexKey, requeueFutex, startFutexWait, wakeByKey,
} from '../task/futex.ts';
import { lockFutex, unlockFutex } from '../task/futex-lock.ts';
import { findThread } from '../task/family.ts';
import { ROBUST_HEAD_BYTES } from '../task/robust-list.ts';
import { FOREVER_NS, nowNs, realToMonotonicNs } from '../time/clock.ts';
import type { Args } from './args.ts';
import {
  ERESTART_RESTARTBLOCK, ERESTARTSYS, type Family, full, missing, partial,
} from './define.ts';

/** The arguments of futex(2), named. */
interface FutexCall {
  gva: number;
  operation: number;
  isShared: boolean;
  isRealtime: boolean;
  value: number;
  /** The timeout's address, or a second count. */
  timeoutGva: number;
  count2: number;
  gva2: number;
  value3: number;
}

function futex(k: Kernel, task: Task, a: Args): number {
  const code = a.u32(1);
  const call: FutexCall = {
    gva: a.u64(0),
    operation: code & ~(FUTEX_PRIVATE_FLAG | FUTEX_CLOCK_REALTIME),
    isShared: (code & FUTEX_PRIVATE_FLAG) === 0,
    isRealtime: (code & FUTEX_CLOCK_REALTIME) !== 0,
    value: a.u32(2),
    timeoutGva: a.u64(3),
    count2: a.i32(3),
    gva2: a.u64(4),
    value3: a.u32(5),
  };
  // A thread that is in the list executes its wait again; its arguments were checked the first
  // time.
  if (task.futex !== null) return continueFutexWait(k, task, interruptionOf(task));
  if (hasTimeout(call.operation) && call.timeoutGva !== 0) {
    const result = readDeadline(k, task, call);
    if (result !== 0) return result;
  }
  if (call.isRealtime && !mayBeRealtime(call.operation)) return -ENOSYS;
  return operate(k, task, call);
}

function operate(k: Kernel, task: Task, call: FutexCall): number {
  const count = call.value | 0;
  switch (call.operation) {
    case FUTEX_WAIT:
      return wait(k, task, call, FUTEX_BITSET_MATCH_ANY);
    case FUTEX_WAIT_BITSET:
      return wait(k, task, call, call.value3);
    case FUTEX_WAKE:
      return wakeBitset(k, task, call, FUTEX_BITSET_MATCH_ANY);
    case FUTEX_WAKE_BITSET:
      return wakeBitset(k, task, call, call.value3);
    case FUTEX_REQUEUE:
      return requeue(k, task, call, count, false);
    case FUTEX_CMP_REQUEUE:
      return requeue(k, task, call, count, true);
    case FUTEX_WAKE_OP:
      return wakeOp(k, task, call, count);
    case FUTEX_LOCK_PI:
    case FUTEX_LOCK_PI2:
      return lock(k, task, call, false);
    case FUTEX_TRYLOCK_PI:
      return lock(k, task, call, true);
    case FUTEX_UNLOCK_PI:
      return unlock(k, task, call);
    default:
      return -ENOSYS;
  }
}

function hasTimeout(operation: number): boolean {
  return operation === FUTEX_WAIT || operation === FUTEX_WAIT_BITSET ||
    operation === FUTEX_LOCK_PI || operation === FUTEX_LOCK_PI2;
}

function mayBeRealtime(operation: number): boolean {
  return operation === FUTEX_WAIT_BITSET || operation === FUTEX_LOCK_PI2;
}

/** FUTEX_WAIT's timeout is relative, the others' are points in time. 0 or -errno. */
function readDeadline(k: Kernel, task: Task, call: FutexCall): number {
  const view = readStruct(k, call.timeoutGva, Timespec.bytes);
  if (view === null) return -EFAULT;
  const sec = Timespec.tv_sec.get(view, 0);
  const nsec = Timespec.tv_nsec.get(view, 0);
  const timeoutNs = toTimeout(sec, nsec);
  if (timeoutNs < 0) return timeoutNs;
  let deadlineNs = timeoutNs;
  if (call.operation === FUTEX_WAIT) deadlineNs = nowNs(k) + timeoutNs;
  else if (call.isRealtime || call.operation === FUTEX_LOCK_PI) {
    deadlineNs = realToMonotonicNs(k, { sec, nsec });
    task.waitIsReal = true;
  }
  task.waitDeadlineNs = Math.min(Math.max(1, deadlineNs), FOREVER_NS);
  return 0;
}

function interruptionOf(task: Task): number {
  return task.waitDeadlineNs === 0 ? ERESTARTSYS : ERESTART_RESTARTBLOCK;
}

function wait(k: Kernel, task: Task, call: FutexCall, bitset: number): number {
  if (bitset === 0) return -EINVAL;
  const key = futexKey(task, call.gva, call.isShared);
  if (typeof key === 'number') return key;
  return startFutexWait(k, task, call.gva, key, call.value, bitset, interruptionOf(task));
}

function wakeBitset(k: Kernel, task: Task, call: FutexCall, bitset: number): number {
  if (bitset === 0) return -EINVAL;
  const key = futexKey(task, call.gva, call.isShared);
  if (typeof key === 'number') return key;
  return wakeByKey(k, key, call.value | 0, bitset);
}

function requeue(
  k: Kernel,
  task: Task,
  call: FutexCall,
  wakeCount: number,
  isCompared: boolean,
): number {
  if (wakeCount < 0 || call.count2 < 0) return -EINVAL;
  const from = futexKey(task, call.gva, call.isShared);
  if (typeof from === 'number') return from;
  const to = futexKey(task, call.gva2, call.isShared);
  if (typeof to === 'number') return to;
  if (isCompared) {
    const value = readU32(k, call.gva);
    if (value < 0) return -EFAULT;
    if (value !== call.value3) return -EAGAIN;
  }
  return requeueFutex(k, from, to, wakeCount, call.count2);
}

function wakeOp(k: Kernel, task: Task, call: FutexCall, wakeCount: number): number {
  const first = futexKey(task, call.gva, call.isShared);
  if (typeof first === 'number') return first;
  const second = futexKey(task, call.gva2, call.isShared);
  if (typeof second === 'number') return second;
  const holds = applyWakeOp(k, call.gva2, call.value3);
  if (holds < 0) return holds;
  const woken = wakeByKey(k, first, wakeCount, FUTEX_BITSET_MATCH_ANY);
  if (woken < 0 || holds === 0) return woken;
  const more = wakeByKey(k, second, call.count2, FUTEX_BITSET_MATCH_ANY);
  return more < 0 ? more : woken + more;
}

/**
 * Changes the word and compares its old value: `op` 4 bits, `cmp` 4, two signed operands of 12
 * bits.
 * @returns 1 or 0 for the comparison, or -ENOSYS, -EFAULT
 */
function applyWakeOp(k: Kernel, gva: number, encoded: number): number {
  const operation = encoded >>> 28 & 7;
  const comparison = encoded >>> 24 & 15;
  let operand = encoded << 8 >> 20;
  const compared = encoded << 20 >> 20;
  if ((encoded >>> 28 & FUTEX_OP_OPARG_SHIFT) !== 0) operand = 1 << (operand & 31);
  const old = readU32(k, gva);
  if (old < 0) return -EFAULT;
  const changed = changeWord(operation, old, operand);
  if (changed === null) return -ENOSYS;
  if (!writeU32(k, gva, changed)) return -EFAULT;
  return compareWord(comparison, old | 0, compared);
}

function changeWord(operation: number, old: number, operand: number): number | null {
  switch (operation) {
    case FUTEX_OP_SET: return operand;
    case FUTEX_OP_ADD: return old + operand | 0;
    case FUTEX_OP_OR: return old | operand;
    case FUTEX_OP_ANDN: return old & ~operand;
    case FUTEX_OP_XOR: return old ^ operand;
    default: return null;
  }
}

function compareWord(comparison: number, old: number, operand: number): number {
  switch (comparison) {
    case FUTEX_OP_CMP_EQ: return Number(old === operand);
    case FUTEX_OP_CMP_NE: return Number(old !== operand);
    case FUTEX_OP_CMP_LT: return Number(old < operand);
    case FUTEX_OP_CMP_LE: return Number(old <= operand);
    case FUTEX_OP_CMP_GT: return Number(old > operand);
    case FUTEX_OP_CMP_GE: return Number(old >= operand);
    default: return -ENOSYS;
  }
}

function lock(k: Kernel, task: Task, call: FutexCall, isTry: boolean): number {
  const key = futexKey(task, call.gva, call.isShared);
  return typeof key === 'number' ? key : lockFutex(k, task, call.gva, key, isTry);
}

function unlock(k: Kernel, task: Task, call: FutexCall): number {
  const key = futexKey(task, call.gva, call.isShared);
  return typeof key === 'number' ? key : unlockFutex(k, task, call.gva);
}

function setRobustList(_k: Kernel, task: Task, a: Args): number {
  if (a.u64(1) !== ROBUST_HEAD_BYTES) return -EINVAL;
  task.robustList = a.u64(0);
  return 0;
}

function getRobustList(k: Kernel, task: Task, a: Args): number {
  const tid = a.i32(0);
  const target = tid === 0 ? task : findThread(k, tid);
  if (target === null) return -ESRCH;
  if (!writeU64(k, a.u64(2), ROBUST_HEAD_BYTES)) return -EFAULT;
  return writeU64(k, a.u64(1), target.robustList) ? 0 : -EFAULT;
}

const NEW_INTERFACE = 'The interface of Linux 6.7 is not there; C libraries use futex(2).';

export const futexCalls: Family = {
  futex: partial(futex, 'FUTEX_WAIT_REQUEUE_PI, FUTEX_CMP_REQUEUE_PI and FUTEX_FD are ENOSYS; ' +
    'priority inheritance has no effect.'),
  set_robust_list: full(setRobustList),
  get_robust_list: full(getRobustList),
  futex_waitv: missing(ENOSYS, 'C libraries do not use it.'),
  futex_wake: missing(ENOSYS, NEW_INTERFACE),
  futex_wait: missing(ENOSYS, NEW_INTERFACE),
  futex_requeue: missing(ENOSYS, NEW_INTERFACE),
};
