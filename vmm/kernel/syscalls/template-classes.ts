// What each call means for templates (sfork; paper, section 4.1 and Table 1): a program that is
// being made a template or an image may make it as it is (allowed), may make it because something
// puts its state right in each fork (handled, by what), or may not make it (denied, and why).
//
// Nearly all state of a call is records, frames and tables, which a fork has copies of: so few
// calls have to be denied. Denied is what promises something that a copy breaks, or has effects
// outside of the sandbox. A missing call fails and changes nothing: it is allowed to fail.
//
// Invariant: every call that is not missing is in one of these lists (a test checks).
import type { Row } from './define.ts';

export type TemplateClass = 'allowed' | 'handled' | 'denied';

export interface TemplateRule {
  readonly template: TemplateClass;
  /** What puts the state of a handled call right, or why a denied one is. Empty for allowed. */
  readonly templateNote: string;
}

type Group = readonly [note: string, names: string];

const HANDLED: readonly Group[] = [
  ['Threads are records that say where they wait; a fork has copies of all of them.',
    'clone clone3 exit set_tid_address set_robust_list get_robust_list futex sched_yield'],
  ['Processes are records with page tables of their own; a fork has copies of all of them.',
    'fork vfork'],
  ['A PID namespace of its own: ids stay what the program saw.',
    'getpid getppid gettid getpgrp getpgid setpgid getsid setsid wait4 waitid'],
  ['Each boot wakes who waits there, with its generation.', 'catavmm_entry'],
  ['Standard streams are connected to the fork\'s own; files and sockets are records.',
    'read readv write writev poll ppoll select pselect6 ioctl'],
  ['Stateless overlay: lower files are opened again when used, changes are the fork\'s own.',
    'open openat openat2 creat pread64 pwrite64 preadv pwritev preadv2 pwritev2 sendfile ' +
      'copy_file_range getdents getdents64 memfd_create truncate ftruncate fallocate'],
  ['Frames are shared until they are written, also those of shared mappings.',
    'mmap munmap mprotect mremap brk'],
  ['Ranges with MADV_WIPEONFORK are empty in each fork.', 'madvise'],
  ['Each fork draws from the host; what was drawn before is the same in all.', 'getrandom'],
  ['CLOCK_MONOTONIC goes on where it was, CLOCK_REALTIME is the host\'s.',
    'clock_gettime gettimeofday time times sysinfo'],
  ['Deadlines are kept on the clock that goes on; those of CLOCK_REALTIME move with it.',
    'nanosleep clock_nanosleep alarm getitimer setitimer timer_create timer_settime ' +
      'timer_gettime timer_getoverrun timer_delete timerfd_create timerfd_settime ' +
      'timerfd_gettime epoll_wait epoll_pwait epoll_pwait2 rt_sigtimedwait'],
  ['CPU time goes on from what it was, without the time between.', 'getrusage'],
  ['Both ends are in the sandbox, and the fork has copies of both.',
    'socket socketpair bind listen connect accept accept4 shutdown sendto recvfrom sendmsg ' +
      'recvmsg sendmmsg recvmmsg pipe pipe2 eventfd eventfd2 signalfd signalfd4 splice tee ' +
      'vmsplice'],
];

const LOCKED = 'Locked pages are promised never to reach a disk, and an image or a template is ' +
  'a copy of all pages.';

const DENIED: readonly Group[] = [
  [LOCKED, 'mlock mlock2 mlockall'],
];

/** Calls that read or change nothing but records of the sandbox, which a fork has copies of. */
const ALLOWED: readonly string[] = [
  // Processes and signals.
  'execve execveat exit_group pidfd_open pidfd_send_signal pidfd_getfd',
  'kill tkill tgkill rt_sigqueueinfo rt_tgsigqueueinfo rt_sigaction',
  'rt_sigprocmask rt_sigpending rt_sigsuspend rt_sigreturn sigaltstack pause restart_syscall',
  'prctl personality arch_prctl getcpu membarrier prlimit64 getrlimit setrlimit',
  // Scheduling, without effect on the host's.
  'sched_setaffinity sched_getaffinity sched_setscheduler sched_getscheduler sched_setparam',
  'sched_getparam sched_get_priority_max sched_get_priority_min sched_rr_get_interval',
  'sched_setattr sched_getattr getpriority setpriority ioprio_get ioprio_set',
  // Ids and the system.
  'getuid geteuid getgid getegid setuid setgid setreuid setregid setresuid setresgid getresuid',
  'getresgid setfsuid setfsgid getgroups setgroups capget capset uname syslog',
  // Files and directories.
  'close close_range dup dup2 dup3 fcntl flock lseek getcwd chdir fchdir chroot mkdir mkdirat',
  'rmdir unlink unlinkat rename renameat renameat2 link linkat symlink symlinkat mknod mknodat',
  'umask stat lstat fstat newfstatat statx access faccessat faccessat2 readlink readlinkat',
  'chmod fchmod fchmodat fchmodat2 chown lchown fchown fchownat utime utimes futimesat',
  'utimensat fadvise64 readahead sync syncfs fsync fdatasync sync_file_range statfs fstatfs',
  'setxattr lsetxattr fsetxattr getxattr lgetxattr fgetxattr listxattr llistxattr flistxattr',
  'removexattr lremovexattr fremovexattr inotify_init inotify_init1 inotify_add_watch',
  'inotify_rm_watch',
  // Memory, sockets, clocks.
  'mincore msync munlock munlockall getsockname getpeername setsockopt getsockopt',
  'epoll_create epoll_create1 epoll_ctl clock_getres clock_settime clock_adjtime adjtimex',
  'catavmm_generation',
];

const ALLOW: TemplateRule = { template: 'allowed', templateNote: '' };
const FAILS: TemplateRule = { template: 'allowed', templateNote: 'It fails, and changes nothing.' };

let rules: ReadonlyMap<string, TemplateRule> | null = null;

/** All rules, joined when they are first asked for. */
function allRules(): ReadonlyMap<string, TemplateRule> {
  rules ??= joinRules();
  return rules;
}

function joinRules(): Map<string, TemplateRule> {
  const rules: Map<string, TemplateRule> = new Map();
  const add = (names: string, rule: TemplateRule): void => {
    for (const name of names.split(' ')) {
      if (rules.has(name)) throw new Error(`${name} has two classes for templates`);
      rules.set(name, rule);
    }
  };
  for (const [note, names] of HANDLED) add(names, { template: 'handled', templateNote: note });
  for (const [note, names] of DENIED) add(names, { template: 'denied', templateNote: note });
  for (const names of ALLOWED) add(names, ALLOW);
  return rules;
}

/** The rule of a call; a missing one may always fail. */
export function templateRuleOf(name: string, { support }: Row): TemplateRule {
  return support === 'missing' ? FAILS : allRules().get(name) ?? ALLOW;
}

/** Whether a template may not make the call. */
export function isDenied(name: string): boolean {
  return DENIED.some(([, names]) => names.split(' ').includes(name));
}

/** Whether somebody has thought about the call (for a test). */
export function hasTemplateRule(name: string): boolean {
  return allRules().has(name);
}
