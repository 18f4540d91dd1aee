// Stressors of stress-ng that verify what the kernel gives them; each does a fixed amount of work.

import type { Script } from './suites.ts';

/** Stressor, and how many bogo operations. */
const stressors: readonly (readonly [string, number])[] = [
  ['access', 20], ['affinity', 200], ['aiol', 0], ['alarm', 3], ['brk', 2000], ['cap', 200],
  ['chdir', 100], ['chmod', 50], ['chown', 200], ['clock', 20], ['clone', 50], ['close', 200],
  ['copy-file', 3], ['cpu', 20], ['daemon', 20], ['dentry', 500], ['dev-shm', 5], ['dir', 200],
  ['dirdeep', 100], ['dup', 200], ['env', 3], ['epoll', 200], ['eventfd', 500], ['exec', 20],
  ['exit-group', 20], ['fallocate', 10], ['fault', 100], ['fcntl', 200], ['fiemap', 0],
  ['fifo', 500], ['filename', 50], ['flock', 200], ['fork', 50], ['fp-error', 50],
  ['fstat', 200], ['full', 50], ['futex', 500], ['get', 20], ['getdent', 50], ['getrandom', 200],
  ['handle', 20], ['hdd', 20], ['hrtimers', 50], ['inode-flags', 5], ['inotify', 5], ['io', 50],
  ['itimer', 200], ['kcmp', 20], ['kill', 500], ['link', 50], ['locka', 200], ['lockf', 200],
  ['lockofd', 200], ['madvise', 50], ['malloc', 500], ['mcontend', 20], ['membarrier', 20],
  ['memcpy', 20], ['memfd', 5], ['memthrash', 2], ['mincore', 200], ['mknod', 100],
  ['mlock', 20], ['mmap', 5], ['mmapaddr', 50], ['mmapfixed', 50], ['mmapfork', 2],
  ['mmapmany', 2], ['mprotect', 200], ['mq', 200], ['mremap', 20], ['msg', 200], ['msync', 20],
  ['munmap', 2], ['mutex', 500], ['nanosleep', 50], ['nice', 50], ['null', 500], ['open', 200],
  ['pageswap', 5], ['personality', 20], ['pidfd', 50], ['pipe', 500], ['poll', 200],
  ['prctl', 20], ['procfs', 2], ['pthread', 50], ['ptrace', 50], ['pty', 2], ['quota', 5],
  ['readahead', 50], ['rename', 200], ['resources', 5], ['revio', 50], ['rlimit', 20],
  ['rtc', 2], ['schedpolicy', 50], ['seccomp', 20], ['seek', 50], ['sem', 500],
  ['sem-sysv', 200], ['sendfile', 20], ['session', 10], ['set', 20], ['shellsort', 1],
  ['shm', 5], ['shm-sysv', 2], ['sigabrt', 10], ['sigchld', 50], ['sigfd', 500], ['sigfpe', 50],
  ['sigio', 50], ['signal', 500], ['signest', 50], ['sigpending', 200], ['sigpipe', 50],
  ['sigq', 500], ['sigrt', 50], ['sigsegv', 200], ['sigsuspend', 200], ['sigtrap', 200],
  ['sleep', 50], ['sock', 20], ['sockabuse', 5], ['sockfd', 50], ['sockpair', 50],
  ['splice', 100], ['stack', 50], ['switch', 500], ['symlink', 50], ['sync-file', 20],
  ['sysinfo', 50], ['tee', 50], ['timer', 500], ['timerfd', 500], ['tmpfs', 5], ['udp', 50],
  ['uname', 200], ['unshare', 10], ['urandom', 50], ['userfaultfd', 5], ['utime', 100],
  ['vdso', 500], ['vfork', 50], ['vm', 5], ['vm-splice', 50], ['wait', 20], ['xattr', 5],
  ['yield', 500], ['zero', 500], ['zombie', 20],
];

export const stressScripts: readonly Script[] = stressors.map(([name, count]) => {
  const amount = count === 0 ? '--timeout 3' : `--${name}-ops ${count} --timeout 20`;
  // 3: not implemented on this kernel; natively that is no pass.
  return { id: name, quiet: true, code: `stress-ng --verify --no-rand-seed --${name} 1 ${amount}` };
});
