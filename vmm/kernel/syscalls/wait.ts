// Waiting for children: wait4(2), waitid(2).
import { EAGAIN, ECHILD, EFAULT, EINVAL, ESRCH } from '../../abi/errno.ts';
import { O_NONBLOCK } from '../../abi/fcntl.ts';
import {
  CLD_CONTINUED, CLD_EXITED, CLD_KILLED, CLD_STOPPED, SIGCHLD, SIGCONT,
} from '../../abi/signal.ts';
import { Rusage } from '../../abi/struct-task.ts';
import { NSEC_PER_USEC } from '../../abi/time.ts';
import {
  __WALL, __WCLONE, __WNOTHREAD, P_ALL, P_PGID, P_PID, P_PIDFD, W_EXITCODE, WCONTINUED, WEXITED,
  WNOHANG, WNOWAIT, WSTOPPED, WUNTRACED,
} from '../../abi/wait.ts';
import { processOfPidFd } from '../ipc/pidfd.ts';
import type { Kernel } from '../kernel.ts';
import { clearUser, copyOut, writeU32 } from '../mm/user-memory.ts';
import type { Task } from '../records/task.ts';
import { block } from '../task/block.ts';
import { type ChildChange, takeChange, type WaitRequest } from '../task/wait.ts';
import { childQueueOf } from '../task/zombie.ts';
import { toMoment } from '../time/clock.ts';
import type { Args } from './args.ts';
import { type Family, full } from './define.ts';
import { getPidFd } from './pidfd.ts';

const WAIT4_OPTIONS = WNOHANG | WUNTRACED | WCONTINUED | __WNOTHREAD | __WCLONE | __WALL;
const WAITID_OPTIONS = WAIT4_OPTIONS | WNOWAIT | WEXITED | WSTOPPED;
const INT_MIN = -0x8000_0000;
const STOPPED_STATUS = 0x7f;
const CONTINUED_STATUS = 0xffff;

function wait4(k: Kernel, task: Task, a: Args): number {
  const pid = a.i32(0);
  const options = a.i32(2);
  if ((options & ~WAIT4_OPTIONS) !== 0) return -EINVAL;
  if (pid === INT_MIN) return -ESRCH;
  const change = waitFor(k, task, { ...whom(task, pid), options: options | WEXITED });
  if (typeof change === 'number') return change;
  const statusGva = a.u64(1);
  const usageGva = a.u64(3);
  // Linux: the child is gone although its status cannot be written.
  if (statusGva !== 0 && !writeU32(k, statusGva, statusOf(change))) return -EFAULT;
  if (usageGva !== 0 && !writeUsage(k, usageGva, change)) return -EFAULT;
  return change.pid;
}

function whom(task: Task, pid: number): Pick<WaitRequest, 'kind' | 'id'> {
  if (pid === -1) return { kind: 'any', id: 0 };
  if (pid > 0) return { kind: 'pid', id: pid };
  return { kind: 'group', id: pid === 0 ? task.process.pgid : -pid };
}

/** A change; 0 with WNOHANG while there is none, -ECHILD, or what block() returns. */
function waitFor(k: Kernel, task: Task, request: WaitRequest): ChildChange | number {
  const outcome = takeChange(k, task.process, request);
  if (outcome === 'childless') return -ECHILD;
  if (outcome !== 'none') return outcome;
  if ((request.options & WNOHANG) !== 0) return 0;
  return block(k, task, [childQueueOf(k, task.process)]);
}

function statusOf({ kind, value }: ChildChange): number {
  switch (kind) {
    case 'exited': return W_EXITCODE(value, 0);
    case 'killed': return W_EXITCODE(0, value);
    case 'stopped': return value << 8 | STOPPED_STATUS;
    case 'continued': return CONTINUED_STATUS;
  }
}

/** struct rusage of a child that was waited for: its CPU time; the rest is zero. */
function writeUsage(k: Kernel, gva: number, { cpuNs }: ChildChange): boolean {
  const raw = new Uint8Array(Rusage.bytes);
  const view = new DataView(raw.buffer);
  const used = toMoment(cpuNs);
  Rusage.ru_utime_sec.set(view, 0, used.sec);
  Rusage.ru_utime_usec.set(view, 0, Math.floor(used.nsec / NSEC_PER_USEC));
  return copyOut(k, gva, raw) === raw.length;
}

function waitid(k: Kernel, task: Task, a: Args): number {
  const infoGva = a.u64(2);
  const usageGva = a.u64(4);
  const refused = checkWaitid(a);
  const change = refused !== 0 ? refused : waitForId(k, task, a);
  if (typeof change !== 'number') {
    if (usageGva !== 0 && !writeUsage(k, usageGva, change)) return -EFAULT;
    return infoGva === 0 || writeInfo(k, infoGva, change) ? 0 : -EFAULT;
  }
  // Linux: the siginfo is written, as zeros, although there is an error or nothing yet.
  const isAnswer = change === 0 || change === -ECHILD || refused !== 0;
  if (isAnswer && infoGva !== 0 && !clearInfo(k, infoGva)) return -EFAULT;
  return change;
}

function waitForId(k: Kernel, task: Task, a: Args): ChildChange | number {
  const [kind, id, options] = [a.i32(0), a.i32(1), a.i32(3)];
  if (kind !== P_PIDFD) return waitFor(k, task, { ...whomById(task, kind, id), options });
  const file = getPidFd(task, id);
  if (typeof file === 'number') return file;
  const process = processOfPidFd(k, file);
  if (process === null) return -ECHILD;
  const noWait = (file.flags & O_NONBLOCK) !== 0 && (options & WNOHANG) === 0;
  const wanted = { kind: 'pid', id: process.pid, options: noWait ? options | WNOHANG : options };
  const change = waitFor(k, task, wanted as WaitRequest);
  return change === 0 && noWait ? -EAGAIN : change;
}

function whomById(task: Task, kind: number, id: number): Pick<WaitRequest, 'kind' | 'id'> {
  if (kind === P_ALL) return { kind: 'any', id: 0 };
  if (kind === P_PID) return { kind: 'pid', id };
  return { kind: 'group', id: id === 0 ? task.process.pgid : id };
}

function checkWaitid(a: Args): number {
  const kind = a.i32(0);
  const id = a.i32(1);
  const options = a.i32(3);
  if ((options & ~WAITID_OPTIONS) !== 0) return -EINVAL;
  if ((options & (WEXITED | WSTOPPED | WCONTINUED)) === 0) return -EINVAL;
  if (kind === P_PID && id <= 0) return -EINVAL;
  if ((kind === P_PGID || kind === P_PIDFD) && id < 0) return -EINVAL;
  if (kind !== P_ALL && kind !== P_PID && kind !== P_PGID && kind !== P_PIDFD) return -EINVAL;
  return 0;
}

const CODES = {
  exited: CLD_EXITED, killed: CLD_KILLED, stopped: CLD_STOPPED, continued: CLD_CONTINUED,
} as const;

/** si_signo, si_errno, si_code; behind the padding si_pid, si_uid, si_status: nothing else. */
function writeInfo(k: Kernel, gva: number, { kind, pid, uid, value }: ChildChange): boolean {
  const words = Uint32Array.of(SIGCHLD, 0, CODES[kind]);
  const status = kind === 'continued' ? SIGCONT : value;
  const union = Uint32Array.of(pid, uid, status);
  return copyOut(k, gva, new Uint8Array(words.buffer)) === 12 &&
    copyOut(k, gva + 16, new Uint8Array(union.buffer)) === 12;
}

function clearInfo(k: Kernel, gva: number): boolean {
  return clearUser(k, gva, 12) === 12 && clearUser(k, gva + 16, 12) === 12;
}

export const waitCalls: Family = {
  wait4: full(wait4),
  waitid: full(waitid),
};
