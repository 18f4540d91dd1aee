// From an exit to a handler and back: finds the row, executes it, stores the result in rax.
//
//   dispatchSyscall ─► handler ─► result ≥ 0 or -errno ─► rax, task.syscall = -1
//                        │ ▲
//                 BLOCKED│ │resumeSyscall, after task/block.ts has woken the task
//                        ▼ │
//                 task.syscall = number, registers untouched, wait fields kept
//
// A handler that a signal interrupted returns -ERESTART*. That goes into rax as it is and
// task.syscall stays: signal/deliver.ts, which runs before each return to the guest, makes of it a
// restart (rip -= 2, rax = number) or -EINTR.
//
// Invariant: no guest input makes this throw. What is thrown here is a broken kernel or host, and
// ends the sandbox; only a full arena is the guest's ENOMEM.
import { ENOMEM, ENOSYS, MAX_ERRNO } from '../../abi/errno.ts';
import { readI64 } from '../../abi/layout.ts';
import type { Kernel } from '../kernel.ts';
import { Task, TASK_DEAD } from '../records/task.ts';
import { ArenaFullError } from '../state/arena.ts';
import { view } from '../state/memory.ts';
import { ERESTARTNOINTR, wasInterrupted } from '../signal/restart.ts';
import { removeWaiters } from '../task/block.ts';
import { disarmTimer } from '../time/timers.ts';
import { argsOf, REG, setReg } from './args.ts';
import {
  BLOCKED, ERESTART_RESTARTBLOCK, ERESTARTNOHAND, ERESTARTSYS, NO_RESULT,
} from './define.ts';
import { type SyscallRow, type SyscallTable, syscallTable } from './table.ts';

const REGS = Task.offset('regs');
/** Numbers that are no call are counted together: a guest must not fill the counter with them. */
const UNKNOWN = -1;

/**
 * Executes the call that `task`'s registers ask for.
 * @returns what the handler returned: a result, -errno, -ERESTART*, BLOCKED or NO_RESULT
 */
export function dispatchSyscall(
  k: Kernel,
  task: Task,
  table: SyscallTable = syscallTable,
): number {
  // Linux: do_syscall_64() looks at the low 32 bits only.
  const nr = view.getUint32(task.address + REGS + REG.rax, true);
  k.root.syscallCount++;
  const row = table.rowOf(nr);
  if (row.name === '') return refuseUnknown(k, task, nr);
  k.counters.begin(nr);
  if (row.support === 'missing' && k.counters.callsOf(nr) === 1) {
    k.ports.events.event('missing-call', row.name);
  }
  clearWait(task);
  task.syscall = nr;
  return execute(k, task, row);
}

/**
 * Executes again the call of a task that was woken. No effect on a task whose call waits for
 * deliverSignals() to settle it.
 * Preconditions: task.syscall ≥ 0, the task is runnable.
 */
export function resumeSyscall(k: Kernel, task: Task, table: SyscallTable = syscallTable): number {
  const restart = pendingRestart(task);
  if (restart !== 0) return -restart;
  return execute(k, task, table.rowOf(task.syscall));
}

/** The ERESTART* that waits for deliverSignals(), or 0. */
export function pendingRestart(task: Task): number {
  if (task.syscall < 0) return 0;
  return wasInterrupted(task) ? -readResult(task) : 0;
}

/** rax as a call's result: a signed 64-bit number, exact within ±2^53. */
export function readResult(task: Task): number {
  return readI64(view, task.address + REGS + REG.rax);
}

function execute(k: Kernel, task: Task, row: SyscallRow): number {
  const startMs = k.counters.now();
  const result = callHandler(k, task, row);
  k.counters.spend(row.nr, startMs);
  if (result === BLOCKED) return BLOCKED;
  if (task.state === TASK_DEAD) {
    // exit(2), exit_group(2): nobody will read the result, and what waited was taken apart.
    task.syscall = -1;
    return NO_RESULT;
  }
  stopWaiting(k, task);
  if (result === NO_RESULT) {
    task.syscall = -1;
    return NO_RESULT;
  }
  setReg(task, REG.rax, result);
  if (isRestart(result)) return result;
  task.syscall = -1;
  if (result < 0 && result >= -MAX_ERRNO) k.counters.fail(row.nr);
  return result;
}

function callHandler(k: Kernel, task: Task, row: SyscallRow): number {
  try {
    return row.handler(k, task, argsOf(task));
  } catch (error) {
    if (error instanceof ArenaFullError) return -ENOMEM;
    throw error;
  }
}

function refuseUnknown(k: Kernel, task: Task, nr: number): number {
  setReg(task, REG.rax, -ENOSYS);
  k.counters.begin(UNKNOWN);
  k.counters.fail(UNKNOWN);
  if (k.counters.callsOf(UNKNOWN) === 1) k.ports.events.event('unknown-call', `number ${nr}`);
  return -ENOSYS;
}

/** Leaves the queues that an execution which did not block in the end may have entered. */
function stopWaiting(k: Kernel, task: Task): void {
  if (task.waiters !== null) removeWaiters(k, task);
  if (task.waitTimer !== null) disarmTimer(k, task.waitTimer);
  clearWait(task);
}

function clearWait(task: Task): void {
  task.waitDeadlineNs = 0;
  task.waitIsReal = false;
  task.waitProgress = 0;
  task.waitState = 0;
  task.waitArgument = 0;
}

function isRestart(result: number): boolean {
  return result === -ERESTARTSYS || result === -ERESTARTNOINTR || result === -ERESTARTNOHAND ||
    result === -ERESTART_RESTARTBLOCK;
}
