// Robust futexes: locks whose owner died (set_robust_list(2)).
//
//   struct robust_list_head { void *next; long futex_offset; void *list_op_pending; }     24 bytes
//   each entry is { void *next; }; bit 0 of a pointer says that its lock inherits priority
import {
  FUTEX_BITSET_MATCH_ANY, FUTEX_OWNER_DIED, FUTEX_TID_MASK, FUTEX_WAITERS, ROBUST_LIST_LIMIT,
} from '../../abi/futex.ts';
import { readI64, readUsize } from '../../abi/layout.ts';
import type { Kernel } from '../kernel.ts';
import { readStruct, readU32, readU64, writeU32 } from '../mm/user-memory.ts';
import type { Task } from '../records/task.ts';
import { wakeFutex } from './futex.ts';
import { handOverLock } from './futex-lock.ts';

/** sizeof(struct robust_list_head), the only length set_robust_list(2) takes. */
export const ROBUST_HEAD_BYTES = 24;

/**
 * Marks the locks that a thread still holds when it ends (Linux: exit_robust_list). The list is the
 * guest's: at most ROBUST_LIST_LIMIT entries, and the first bad address ends it.
 */
export function releaseRobustList(k: Kernel, task: Task): void {
  const head = task.robustList;
  if (head === 0) return;
  task.robustList = 0;
  const view = readStruct(k, head, ROBUST_HEAD_BYTES);
  if (view === null) return;
  let entry = readUsize(view, 0);
  const offset = readI64(view, 8);
  const pending = readUsize(view, 16);
  for (let left = ROBUST_LIST_LIMIT; left > 0; left--) {
    const address = pointerOf(entry);
    if (address === head) break;
    // The next pointer is read first: the lock may be reused as soon as it is marked.
    const next = readU64(k, address);
    const isPending = address === pointerOf(pending);
    if (!isPending && !markDead(k, task, address + offset, isLockPi(entry), false)) return;
    if (next < 0) return;
    entry = next;
  }
  if (pointerOf(pending) !== 0) {
    markDead(k, task, pointerOf(pending) + offset, isLockPi(pending), true);
  }
}

/** Linux: handle_futex_death. False when the address is bad. */
function markDead(k: Kernel, task: Task, gva: number, isPi: boolean, isPending: boolean): boolean {
  if (gva % 4 !== 0) return false;
  const value = readU32(k, gva);
  if (value < 0) return false;
  if (isPending && !isPi && value === 0) {
    // It unlocked the word and died before it woke the next one.
    wakeFutex(k, task, gva, true, 1, FUTEX_BITSET_MATCH_ANY);
    return true;
  }
  if ((value & FUTEX_TID_MASK) !== task.tid) return true;
  const hasWaiters = (value & FUTEX_WAITERS) !== 0;
  if (!writeU32(k, gva, (value & FUTEX_WAITERS) | FUTEX_OWNER_DIED)) return false;
  if (!hasWaiters) return true;
  if (isPi) handOverLock(k, task, gva, FUTEX_OWNER_DIED);
  else wakeFutex(k, task, gva, true, 1, FUTEX_BITSET_MATCH_ANY);
  return true;
}

function pointerOf(entry: number): number {
  return entry - entry % 2;
}

function isLockPi(entry: number): boolean {
  return entry % 2 === 1;
}
