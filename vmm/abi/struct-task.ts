// Structs of processes and threads, limits, the system's names. Source: <linux/sched.h>,
// <linux/resource.h>, <linux/sysinfo.h>, <linux/utsname.h>, <linux/rseq.h>, <linux/futex.h>.
import {
  blob, type Codec, i32, i64, type Layout, pad, struct, u16, u32, u64, usize,
} from './layout.ts';

/** `struct rlimit` (rlimit64). RLIM64_INFINITY is all ones. */
export const Rlimit: Layout<never, 'rlim_cur' | 'rlim_max'> =
  struct('rlimit', 16, { rlim_cur: u64, rlim_max: u64 });

/** `struct rusage`; the two timevals are flattened. */
export const Rusage: Layout<
  | 'ru_utime_sec' | 'ru_utime_usec' | 'ru_stime_sec' | 'ru_stime_usec' | 'ru_maxrss' | 'ru_ixrss'
  | 'ru_idrss' | 'ru_isrss' | 'ru_minflt' | 'ru_majflt' | 'ru_nswap' | 'ru_inblock'
  | 'ru_oublock' | 'ru_msgsnd' | 'ru_msgrcv' | 'ru_nsignals' | 'ru_nvcsw' | 'ru_nivcsw'
> = struct('rusage', 144, {
  ru_utime_sec: i64,
  ru_utime_usec: i64,
  ru_stime_sec: i64,
  ru_stime_usec: i64,
  ru_maxrss: i64,
  ru_ixrss: i64,
  ru_idrss: i64,
  ru_isrss: i64,
  ru_minflt: i64,
  ru_majflt: i64,
  ru_nswap: i64,
  ru_inblock: i64,
  ru_oublock: i64,
  ru_msgsnd: i64,
  ru_msgrcv: i64,
  ru_nsignals: i64,
  ru_nvcsw: i64,
  ru_nivcsw: i64,
});

/** `struct sysinfo`; `loads` are three u64, fixed point with 16 fraction bits. */
export const Sysinfo: Layout<
  | 'uptime' | 'loads' | 'totalram' | 'freeram' | 'sharedram' | 'bufferram' | 'totalswap'
  | 'freeswap' | 'procs' | 'totalhigh' | 'freehigh' | 'mem_unit'
> = struct('sysinfo', 112, {
  uptime: i64,
  loads: blob(24, 8),
  totalram: usize,
  freeram: usize,
  sharedram: usize,
  bufferram: usize,
  totalswap: usize,
  freeswap: usize,
  procs: u16,
  _pad0: u16,
  totalhigh: usize,
  freehigh: usize,
  mem_unit: u32,
});

const utsField: Codec<number> = blob(65);

/** `struct utsname` (new_utsname): six NUL-terminated strings of 65 bytes. */
export const Utsname: Layout<
  'sysname' | 'nodename' | 'release' | 'version' | 'machine' | 'domainname'
> = struct('utsname', 390, {
  sysname: utsField,
  nodename: utsField,
  release: utsField,
  version: utsField,
  machine: utsField,
  domainname: utsField,
});

/** `struct clone_args` of clone3(2), version 2. */
export const CloneArgs: Layout<
  | 'pidfd' | 'child_tid' | 'parent_tid' | 'exit_signal' | 'stack' | 'stack_size' | 'tls'
  | 'set_tid' | 'set_tid_size' | 'cgroup',
  'flags'
> = struct('clone_args', 88, {
  flags: u64,
  pidfd: usize,
  child_tid: usize,
  parent_tid: usize,
  exit_signal: usize,
  stack: usize,
  stack_size: usize,
  tls: usize,
  set_tid: usize,
  set_tid_size: usize,
  cgroup: usize,
});

/** `struct robust_list_head`: `list` is the first entry's address, bit 0 of entries means PI. */
export const RobustListHead: Layout<'list' | 'futex_offset' | 'list_op_pending'> =
  struct('robust_list_head', 24, { list: usize, futex_offset: i64, list_op_pending: usize });

/** `struct futex_waitv` */
export const FutexWaitv: Layout<'uaddr' | 'flags' | '__reserved', 'val'> =
  struct('futex_waitv', 24, { val: u64, uaddr: usize, flags: u32, __reserved: u32 });

/** `struct rseq`, its first 32 bytes; the area is aligned to 32. */
export const Rseq: Layout<
  'cpu_id_start' | 'cpu_id' | 'rseq_cs' | 'flags' | 'node_id' | 'mm_cid'
> = struct('rseq', 32, {
  cpu_id_start: u32,
  cpu_id: u32,
  rseq_cs: usize,
  flags: u32,
  node_id: u32,
  mm_cid: u32,
  _pad: u32,
});

/** `struct rseq_cs` */
export const RseqCs: Layout<
  'version' | 'flags' | 'start_ip' | 'post_commit_offset' | 'abort_ip'
> = struct('rseq_cs', 32, {
  version: u32,
  flags: u32,
  start_ip: usize,
  post_commit_offset: usize,
  abort_ip: usize,
});

/** `struct sched_param` */
export const SchedParam: Layout<'sched_priority'> =
  struct('sched_param', 4, { sched_priority: i32 });

/** `struct sched_attr`, version 1. */
export const SchedAttr: Layout<
  | 'size' | 'sched_policy' | 'sched_nice' | 'sched_priority' | 'sched_util_min'
  | 'sched_util_max',
  'sched_flags' | 'sched_runtime' | 'sched_deadline' | 'sched_period'
> = struct('sched_attr', 56, {
  size: u32,
  sched_policy: u32,
  sched_flags: u64,
  sched_nice: i32,
  sched_priority: u32,
  sched_runtime: u64,
  sched_deadline: u64,
  sched_period: u64,
  sched_util_min: u32,
  sched_util_max: u32,
});

/** `struct __user_cap_header_struct` and one of the two data records of version 3. */
export const UserCapHeader: Layout<'version' | 'pid'> =
  struct('__user_cap_header_struct', 8, { version: u32, pid: i32 });
export const UserCapData: Layout<'effective' | 'permitted' | 'inheritable'> =
  struct('__user_cap_data_struct', 12, { effective: u32, permitted: u32, inheritable: u32 });
