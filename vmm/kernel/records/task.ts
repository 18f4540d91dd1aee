// Processes, threads, wait queues and signals.
//
//   Process ──tasks──► Table<Task>      Task ──process──► Process
//      │ mm, fds, cwd, actions             │ registers, masks, what it waits for
//
// A blocked system call is not a closure: the task keeps the call's registers and a few wait
// fields, and the call is executed again when the task is woken (task/block.ts).
import { Bytes, type Table, tableKind, Words } from '../state/containers.ts';
import { KIND } from '../state/kinds.ts';
import {
  fBig, fBlob, fBool, fI32, fMust, fNum, fNumbers, fRef, fU32, fU8, fWeak, held, kind, type Kind,
  nosave, type Rec, within,
} from '../state/record.ts';
import { chain, head, next, previous } from '../state/rules.ts';
import { Mm } from './mm.ts';
import { Dentry, FdTable } from './vfs.ts';
import { EpollItem } from './ipc.ts';
import { PidFd } from './pidfd.ts';
import { Timer } from './time.ts';

/** Bytes of `struct kvm_regs`: 16 general registers, rip, rflags. */
export const REGS_BYTES = 144;
/** Signals 1..64. */
export const SIGNAL_COUNT = 64;
/** Entries of the RLIMIT_* table. */
export const RLIMIT_COUNT = 16;

export interface Process extends Rec {
  pid: number;
  ppid: number;
  pgid: number;
  sid: number;
  tasks: Table<Task>;
  mm: Mm | null;
  fds: FdTable;
  root: Dentry;
  cwd: Dentry;
  umask: number;
  exe: Dentry | null;
  /** argv as NUL-terminated strings, for /proc/self/cmdline. */
  cmdline: Bytes | null;
  environ: Bytes | null;
  actions: SignalActions;
  /** Signals sent to the process as a whole, oldest first. */
  pending: PendingSignal | null;
  /** RLIMIT_* pairs (soft, hard) as doubles; Infinity is RLIM_INFINITY. */
  limits: Uint8Array;
  /** Set once by exit_group or a fatal signal. */
  exited: boolean;
  exitCode: number;
  /** The signal that ended it, 0 for none. */
  exitSignal: number;
  /** ITIMER_REAL. */
  realTimer: Timer | null;
  uid: number;
  gid: number;
  startedNs: number;
  /** Host CPU time consumed in the guest (ns). */
  cpuNs: number;
  dumpable: number;
  noNewPrivileges: boolean;
  // Credentials (syscalls/identity.ts). `uid` and `gid` above are the effective ones.
  realUid: number;
  savedUid: number;
  fsUid: number;
  realGid: number;
  savedGid: number;
  fsGid: number;
  /** Supplementary groups; null = none. */
  groups: Words | null;
  capEffective: bigint;
  capPermitted: bigint;
  capInheritable: bigint;
  capBounding: bigint;
  capAmbient: bigint;
  keepCaps: boolean;
  /** Stopped by SIGSTOP and the like: none of its threads is in the run list. */
  stopped: boolean;
  /** Queued signals, of the process and of its threads, for RLIMIT_SIGPENDING. */
  queuedSignals: number;
  /** Woken at every signal that becomes pending (rt_sigtimedwait). */
  signalQueue: WaitQueue | null;
  /** timer_create(2), through Timer.nextOfProcess. */
  posixTimers: Timer | null;
  nextTimerId: number;
  /** The thread that exited last: its record is freed when the next one exits (task/exit.ts). */
  deadTask: Task | null;
  /** ITIMER_VIRTUAL and ITIMER_PROF: CPU time (as cpuNs) at which they expire, 0 = off; period. */
  virtualTimerNs: number;
  virtualIntervalNs: number;
  profTimerNs: number;
  profIntervalNs: number;
  // prctl(2) and personality(2)
  parentDeathSignal: number;
  personality: number;
  hugePagesDisabled: boolean;
  isSubreaper: boolean;
  // The family (task/family.ts).
  /** Null for the sandbox's first process. */
  parent: Process | null;
  /** Newest first, zombies included. */
  children: Process | null;
  nextSibling: Process | null;
  /** Woken when a child changes its state (wait4), or lets its parent go on (vfork). */
  childQueue: WaitQueue | null;
  /** What its parent is sent when it ends; SIGCHLD, or 0 for nothing. */
  childSignal: number;
  /** It has called execve(2): its parent cannot change its group any more. */
  hasExeced: boolean;
  /** Its parent waits in vfork(2) until it execs or ends. */
  holdsParent: boolean;
  /** It ended and nobody will wait for it: to be freed when nobody holds its records any more. */
  isGone: boolean;
  /** Signal that stopped it, for wait4(WUNTRACED), once; 0 = told, or not stopped. */
  stopReport: number;
  /** SIGCONT made it go on, for wait4(WCONTINUED), once. */
  continueReport: boolean;
  /** CPU time of children that were waited for, and of theirs. */
  childrenCpuNs: number;
  /** What its pidfds have in common; null when there are none. */
  pidfd: PidFd | null;
}

export const Process: Kind<Process> = kind<Process>(KIND.process, 'Process', {
  pid: fU32,
  ppid: fU32,
  pgid: fU32,
  sid: fU32,
  tasks: fMust(() => TaskTable),
  mm: fRef(() => Mm),
  fds: fMust(() => FdTable),
  root: held(fMust(() => Dentry)),
  cwd: held(fMust(() => Dentry)),
  umask: fU32,
  exe: held(fRef(() => Dentry)),
  cmdline: fRef(() => Bytes),
  environ: fRef(() => Bytes),
  actions: fMust(() => SignalActions),
  pending: head(fRef(() => PendingSignal), 'pending'),
  limits: fNumbers(RLIMIT_COUNT * 2, 0, Infinity),
  exited: fBool,
  exitCode: within(fI32, 0, 255),
  exitSignal: within(fU32, 0, SIGNAL_COUNT),
  realTimer: fRef(() => Timer),
  uid: fU32,
  gid: fU32,
  startedNs: fNum,
  cpuNs: fNum,
  dumpable: fU32,
  noNewPrivileges: fBool,
  realUid: fU32,
  savedUid: fU32,
  fsUid: fU32,
  realGid: fU32,
  savedGid: fU32,
  fsGid: fU32,
  groups: fRef(() => Words),
  capEffective: fBig,
  capPermitted: fBig,
  capInheritable: fBig,
  capBounding: fBig,
  capAmbient: fBig,
  keepCaps: fBool,
  stopped: fBool,
  queuedSignals: fU32,
  signalQueue: fRef(() => WaitQueue),
  posixTimers: head(fRef(() => Timer), 'process', 'process'),
  nextTimerId: fU32,
  deadTask: fWeak(() => Task),
  virtualTimerNs: fNum,
  virtualIntervalNs: fNum,
  profTimerNs: fNum,
  profIntervalNs: fNum,
  parentDeathSignal: fU32,
  personality: fU32,
  hugePagesDisabled: fBool,
  isSubreaper: fBool,
  parent: chain(fRef(() => Process)),
  children: head(fRef(() => Process), 'children', 'parent'),
  nextSibling: next(fRef(() => Process), 'children', { owner: 'parent' }),
  childQueue: fRef(() => WaitQueue),
  childSignal: within(fU32, 0, SIGNAL_COUNT),
  hasExeced: fBool,
  holdsParent: fBool,
  isGone: fBool,
  stopReport: within(fU32, 0, SIGNAL_COUNT),
  continueReport: fBool,
  childrenCpuNs: within(fNum, 0, 2 ** 53),
  pidfd: previous(fRef(() => PidFd), 'process'),
});

/** Task.state */
export const TASK_RUNNABLE = 1;
export const TASK_BLOCKED = 2;
export const TASK_DEAD = 3;

export interface Task extends Rec {
  tid: number;
  process: Process;
  state: number;
  /** `struct kvm_regs` as of the last exit; what the next entry loads. */
  regs: Uint8Array;
  fsBase: number;
  gsBase: number;
  /** KVM_GET_XSAVE bytes while another thread is on the vCPU; null = initial state. */
  xsave: Bytes | null;
  /** System call being executed (re-executed while blocked), or -1. */
  syscall: number;
  /** Blocked signals (bit n-1 = signal n). */
  mask: bigint;
  /** Mask to put back after sigsuspend/ppoll/epoll_pwait, when `hasSavedMask`. */
  savedMask: bigint;
  hasSavedMask: boolean;
  pending: PendingSignal | null;
  altStack: number;
  altStackBytes: number;
  altStackFlags: number;
  clearChildTid: number;
  robustList: number;
  name: Uint8Array;
  // What a blocked call keeps between its executions; all zero when a call begins.
  /** Absolute CLOCK_MONOTONIC ns at which it times out; 0 = never. */
  waitDeadlineNs: number;
  /** The deadline was given as a point of CLOCK_REALTIME (time/wall-timers.ts). */
  waitIsReal: boolean;
  /** Bytes or items done so far. */
  waitProgress: number;
  /** The call's own small state. */
  waitState: number;
  waitArgument: number;
  /** Waiters registered in queues for this call. */
  waiters: Waiter | null;
  /** Timer that wakes it at waitDeadlineNs. */
  waitTimer: Timer | null;
  futex: FutexWaiter | null;
  /** CPU time it has had, for the order of the run list (task/run-queue.ts). */
  virtualNs: number;
  runNext: Task | null;
  runPrev: Task | null;
  cpuNs: number;
  /** Bit n-1: stop for the tracer-like `entry` mechanism; see boot. */
  entryFlags: number;
  /** Set while the kernel has handed it to the vCPU. */
  onCpu: boolean;
  /** Deadline of a call that is to be made again with the time left, and its address
   * (signal/restart.ts); 0 = none. */
  restartDeadlineNs: number;
  restartRip: number;
  /** Last exception, as sigcontext shows it: vector, error code, CR2. */
  faultVector: number;
  faultError: number;
  faultAddress: number;
  schedPolicy: number;
  schedPriority: number;
  nice: number;
  /** PR_SET_TIMERSLACK; kept, without effect. */
  timerSlackNs: number;
}

export const Task: Kind<Task> = kind<Task>(KIND.task, 'Task', {
  tid: fU32,
  process: fMust(() => Process),
  state: within(fU8, TASK_RUNNABLE, TASK_DEAD),
  regs: fBlob(REGS_BYTES),
  fsBase: fNum,
  gsBase: fNum,
  xsave: fRef(() => Bytes),
  syscall: fI32,
  mask: fBig,
  savedMask: fBig,
  hasSavedMask: fBool,
  pending: head(fRef(() => PendingSignal), 'pending'),
  altStack: fNum,
  altStackBytes: fNum,
  altStackFlags: fU32,
  clearChildTid: fNum,
  robustList: fNum,
  name: fBlob(16),
  waitDeadlineNs: fNum,
  waitIsReal: fBool,
  waitProgress: fNum,
  waitState: fU32,
  waitArgument: fNum,
  waiters: head(fRef(() => Waiter), 'owner'),
  waitTimer: fRef(() => Timer),
  futex: fRef(() => FutexWaiter),
  virtualNs: within(fNum, 0, 2 ** 53),
  runNext: next(fRef(() => Task), 'running', { back: 'runPrev' }),
  runPrev: previous(fRef(() => Task), 'runNext'),
  cpuNs: fNum,
  entryFlags: fU32,
  onCpu: nosave(fBool),
  restartDeadlineNs: fNum,
  restartRip: fNum,
  faultVector: fU32,
  faultError: fU32,
  faultAddress: fNum,
  schedPolicy: fU32,
  schedPriority: fU32,
  nice: fI32,
  timerSlackNs: fNum,
});

export const TaskTable: Kind<Table<Task>> = tableKind(KIND.taskTable, 'TaskTable', () => Task);

/** `struct kernel_sigaction` for signals 1..64: handler, flags, restorer, mask (8 bytes each). */
export interface SignalActions extends Rec {
  actions: Uint8Array;
}

export const SignalActions: Kind<SignalActions> =
  kind<SignalActions>(KIND.signalActions, 'SignalActions', { actions: fBlob(SIGNAL_COUNT * 32) });

/** One queued signal with its siginfo. */
export interface PendingSignal extends Rec {
  next: PendingSignal | null;
  signal: number;
  code: number;
  pid: number;
  uid: number;
  /** si_addr, si_status or si_band, by code. */
  value: number;
  errno: number;
  /** si_value of SI_QUEUE, SI_TIMER and the like, all 64 bits. With SI_TIMER, `pid` is the timer's
   * id and `uid` its overrun count, which lie at the same place in siginfo. */
  sigval: bigint;
}

export const PendingSignal: Kind<PendingSignal> = kind<PendingSignal>(
  KIND.pendingSignal,
  'PendingSignal',
  {
    next: next(fRef(() => PendingSignal), 'pending'),
    signal: within(fU32, 1, SIGNAL_COUNT),
    code: fI32,
    pid: fU32,
    uid: fU32,
    value: fNum,
    errno: fI32,
    sigval: fBig,
  },
);

/** A thread waiting in futex(2), in the sandbox's list, oldest first. */
export interface FutexWaiter extends Rec {
  task: Task;
  /** Key: guest address, or byte offset in the shared object, and which object (task/futex.ts). */
  key: number;
  keySerial: number;
  bitset: number;
  woken: boolean;
  next: FutexWaiter | null;
  previous: FutexWaiter | null;
  /** Waits for a priority-inheritance lock (FUTEX_LOCK_PI). */
  isLock: boolean;
}

export const FutexWaiter: Kind<FutexWaiter> = kind<FutexWaiter>(KIND.futexWaiter, 'FutexWaiter', {
  task: fMust(() => Task),
  key: fNum,
  keySerial: fU32,
  bitset: fU32,
  woken: fBool,
  next: next(fRef(() => FutexWaiter), 'futexes', { back: 'previous' }),
  previous: previous(fRef(() => FutexWaiter), 'next'),
  isLock: fBool,
});

/** Threads and epoll items to tell when an object changes. */
export interface WaitQueue extends Rec {
  first: Waiter | null;
}

export const WaitQueue: Kind<WaitQueue> =
  kind<WaitQueue>(KIND.waitQueue, 'WaitQueue', {
    first: head(fRef(() => Waiter), 'queue', 'queue'),
  });

/** One entry of a wait queue: a blocked thread, or an epoll interest (`item`). */
export interface Waiter extends Rec {
  queue: WaitQueue;
  task: Task | null;
  item: EpollItem | null;
  next: Waiter | null;
  previous: Waiter | null;
  /** Next waiter of the same task (poll waits on many objects). */
  nextOfOwner: Waiter | null;
}

export const Waiter: Kind<Waiter> = kind<Waiter>(KIND.waiter, 'Waiter', {
  queue: fMust(() => WaitQueue),
  task: fRef(() => Task),
  item: fRef(() => EpollItem),
  next: next(fRef(() => Waiter), 'queue', { back: 'previous', owner: 'queue' }),
  previous: previous(fRef(() => Waiter), 'next'),
  nextOfOwner: next(fRef(() => Waiter), 'owner'),
});
