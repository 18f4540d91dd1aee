// What becomes of a system call that a signal interrupted. The dispatcher has stored -ERESTART* in
// rax and left Task.syscall; rip is behind the `syscall` instruction, two bytes long.
//
//   code                     no handler runs            a handler runs
//   ERESTARTSYS         512  the call is made again     again with SA_RESTART, else EINTR
//   ERESTARTNOINTR      513  again                      again
//   ERESTARTNOHAND      514  again                      EINTR
//   ERESTART_RESTARTBLOCK 516  again, with the time left  EINTR
//
// "With the time left": Linux leaves a restart block for restart_syscall(2). Here block() keeps the
// absolute deadline in Task.restartDeadlineNs; the call is made again as it was, computes a new
// deadline, and block() replaces it by the kept one. restartRip tells whether the thread still
// stands before that call: if it is elsewhere, the call has been made without waiting and the
// deadline is void.
import { EINTR } from '../../abi/errno.ts';
import { SA_RESTART } from '../../abi/signal.ts';
import { Task } from '../records/task.ts';
import { view } from '../state/memory.ts';
import { getReg, REG, setReg } from '../syscalls/args.ts';
import { ERESTART_RESTARTBLOCK, ERESTARTNOHAND, ERESTARTSYS } from '../syscalls/define.ts';

/** Linux: always restarted, <linux/errno.h>. */
export const ERESTARTNOINTR = 513;
/** Bytes of the `syscall` instruction. */
const SYSCALL_BYTES = 2;
const RAX = Task.offset('regs') + REG.rax;

/** The result in rax as a number within ± 2^31, or 0 when it is not in that range. */
export function callResult(task: Task): number {
  const at = task.address + RAX;
  const low = view.getInt32(at, true);
  return view.getInt32(at + 4, true) === low >> 31 ? low : 0;
}

/** Whether rax holds one of the codes above. Preconditions: task.syscall ≥ 0. */
export function wasInterrupted(task: Task): boolean {
  const code = -callResult(task);
  return code === ERESTARTSYS || code === ERESTARTNOINTR || code === ERESTARTNOHAND ||
    code === ERESTART_RESTARTBLOCK;
}

/**
 * Ends the call that `task` returns from, if any.
 * @param handlerFlags sa_flags of the handler that runs next, or null when none does
 */
export function settleCall(task: Task, handlerFlags: number | null): void {
  if (task.syscall < 0) {
    if (task.restartDeadlineNs !== 0) settleRestart(task, handlerFlags !== null);
    return;
  }
  const code = wasInterrupted(task) ? -callResult(task) : 0;
  if (code !== 0 && mayRestart(code, handlerFlags)) {
    setReg(task, REG.rip, getReg(task, REG.rip) - SYSCALL_BYTES);
    setReg(task, REG.rax, task.syscall);
    if (code === ERESTART_RESTARTBLOCK) task.restartRip = getReg(task, REG.rip);
    else task.restartDeadlineNs = 0;
  } else {
    if (code !== 0) setReg(task, REG.rax, -EINTR);
    task.restartDeadlineNs = 0;
  }
  task.syscall = -1;
}

function mayRestart(code: number, handlerFlags: number | null): boolean {
  if (handlerFlags === null || code === ERESTARTNOINTR) return true;
  return code === ERESTARTSYS && (handlerFlags & SA_RESTART) !== 0;
}

/** The thread stands before the restarted call, or has made it already. */
function settleRestart(task: Task, runsHandler: boolean): void {
  const isBefore = getReg(task, REG.rip) === task.restartRip;
  if (isBefore && !runsHandler) return;
  if (isBefore) {
    // A handler runs before the call was made again: it fails with EINTR after all.
    setReg(task, REG.rip, task.restartRip + SYSCALL_BYTES);
    setReg(task, REG.rax, -EINTR);
  }
  task.restartDeadlineNs = 0;
  task.restartRip = 0;
}
