// The calls about processes, threads, scheduling, identity and limits, in tables. Expected values
// are those of Linux for root in a container without children.
import {
  E2BIG, EACCES, ECHILD, EFAULT, EINVAL, ENOSYS, EPERM, ESRCH,
} from '../../../../vmm/abi/errno.ts';
import { RLIMIT_AS, RLIMIT_NOFILE, RLIMIT_STACK } from '../../../../vmm/abi/resource.ts';
import { Utsname } from '../../../../vmm/abi/struct-task.ts';
import { CONTAINER_CAPABILITIES, makeProcess } from '../../../../vmm/kernel/task/make-process.ts';
import { setDefaultLimits } from '../../../../vmm/kernel/task/limits.ts';
import { setHostname } from '../../../../vmm/kernel/syscalls/system.ts';
import { assert, suite } from '../../../harness.ts';
import { type Guest, MEMORY, withGuest } from './guest.ts';

const test = suite('vmm/kernel/task/calls');
const BAD = 0x3000;
type Row = readonly [name: string, args: readonly (number | bigint)[], result: number];

function check(g: Guest, rows: readonly Row[]): void {
  for (const [name, args, result] of rows) {
    assert.is(g.call(name, args), result, `${name}(${args.join(', ')})`);
  }
}

function asRoot(g: Guest): void {
  g.process.capEffective = CONTAINER_CAPABILITIES;
  g.process.capPermitted = CONTAINER_CAPABILITIES;
  g.process.capBounding = CONTAINER_CAPABILITIES;
}

test('ids, groups and sessions are those of a process that leads both', withGuest((g) => {
  const { pid } = g.process;
  check(g, [
    ['getpid', [], pid], ['gettid', [], g.task.tid], ['getppid', [], 0], ['getpgrp', [], pid],
    ['getpgid', [0], pid], ['getpgid', [pid], pid], ['getpgid', [77], -ESRCH],
    ['getsid', [0], pid], ['getsid', [77], -ESRCH],
    ['setsid', [], -EPERM], ['setpgid', [0, 0], -EPERM], ['setpgid', [77, 0], -ESRCH],
    ['setpgid', [0, -1], -EINVAL],
    ['set_tid_address', [MEMORY], g.task.tid],
  ]);
  g.process.sid = 500;
  g.process.pgid = 500;
  check(g, [['setpgid', [0, 77], -EPERM], ['setpgid', [0, 0], 0], ['getpgrp', [], pid]]);
  g.process.pgid = 500;
  check(g, [['setsid', [], pid], ['getpgrp', [], pid]]);
}));

test('there are no children, no tracers, no namespaces', withGuest((g) => check(g, [
  ['wait4', [-1, 0, 0, 0], -ECHILD], ['wait4', [-1, 0, 0x100, 0], -EINVAL],
  ['wait4', [-0x8000_0000, 0, 0, 0], -ESRCH],
  ['waitid', [0, 0, 0, 4, 0], -ECHILD], ['waitid', [0, 0, 0, 0, 0], -EINVAL],
  ['waitid', [0, 0, MEMORY, 4, 0], -ECHILD], ['waitid', [0, 0, BAD, 0, 0], -EFAULT],
  ['waitid', [1, 0, 0, 4, 0], -EINVAL], ['waitid', [9, 1, 0, 4, 0], -EINVAL],
  ['ptrace', [0], -EPERM], ['unshare', [0x2000_0000], -EPERM], ['setns', [3, 0], -EPERM],
  ['rseq', [MEMORY, 32, 0, 0], -ENOSYS],
])));

test('arch_prctl() keeps the bases and refuses the kernel\'s half', withGuest((g) => {
  const [SET_GS, SET_FS, GET_FS, GET_GS] = [0x1001, 0x1002, 0x1003, 0x1004];
  check(g, [
    ['arch_prctl', [SET_FS, 0x1234_5678_9000], 0], ['arch_prctl', [SET_GS, 0x77], 0],
    ['arch_prctl', [SET_FS, 0x7fff_ffff_f000], -EPERM], ['arch_prctl', [SET_GS, -1], -EPERM],
    ['arch_prctl', [GET_FS, MEMORY], 0], ['arch_prctl', [GET_GS, MEMORY + 8], 0],
    ['arch_prctl', [GET_FS, BAD], -EFAULT], ['arch_prctl', [0x3001, 0], -EINVAL],
  ]);
  assert.equal([g.peek64(MEMORY), g.peek64(MEMORY + 8)], [0x1234_5678_9000, 0x77]);
}));

test('scheduling shows one CPU and keeps plain policies', withGuest((g) => {
  const RR = 2;
  const BATCH = 3;
  g.poke64(MEMORY, 0);
  check(g, [
    ['sched_getaffinity', [0, 128, MEMORY + 64], 8], ['sched_getaffinity', [0, 4, MEMORY], -EINVAL],
    ['sched_getaffinity', [0, 0, MEMORY], -EINVAL], ['sched_getaffinity', [77, 8, MEMORY], -ESRCH],
    ['sched_getaffinity', [0, 8, BAD], -EFAULT],
    ['sched_setaffinity', [0, 8, MEMORY], -EINVAL], ['sched_setaffinity', [0, 8, MEMORY + 64], 0],
    ['sched_setaffinity', [0, 8, BAD], -EFAULT],
    ['sched_getscheduler', [0], 0], ['sched_getscheduler', [-1], -EINVAL],
    ['sched_setscheduler', [0, BATCH, MEMORY], 0], ['sched_getscheduler', [0], BATCH],
    ['sched_setscheduler', [0, RR, MEMORY], -EINVAL],
    ['sched_setscheduler', [0, 77, MEMORY], -EINVAL],
    ['sched_setscheduler', [0, BATCH, 0], -EINVAL],
    ['sched_setscheduler', [0, BATCH, BAD], -EFAULT],
    ['sched_get_priority_max', [RR], 99], ['sched_get_priority_min', [RR], 1],
    ['sched_get_priority_max', [0], 0], ['sched_get_priority_max', [9], -EINVAL],
    ['sched_rr_get_interval', [0, MEMORY], 0], ['sched_getparam', [0, MEMORY], 0],
    ['sched_getattr', [0, MEMORY, 56, 0], 0], ['sched_getattr', [0, MEMORY, 40, 0], -EINVAL],
    ['sched_setattr', [0, MEMORY, 1], -EINVAL], ['getcpu', [MEMORY, 0], 0],
    ['getcpu', [BAD, 0], -EFAULT],
  ]);
  g.poke32(MEMORY, 5);
  check(g, [['sched_setscheduler', [0, RR, MEMORY], -EPERM]]);
  assert.is(g.peek64(MEMORY + 64), 1);
  g.poke32(MEMORY + 128, 5000);
  check(g, [['sched_setattr', [0, MEMORY + 128, 0], -E2BIG]]);
}));

test('getpriority() and setpriority() let niceness rise only', withGuest((g) => {
  setDefaultLimits(g.k, g.process);
  check(g, [
    ['getpriority', [0, 0], 20], ['setpriority', [0, 0, 5], 0], ['getpriority', [0, 0], 15],
    ['setpriority', [0, 0, 0], -EACCES], ['setpriority', [0, 0, 99], 0], ['getpriority', [0, 0], 1],
    ['getpriority', [3, 0], -EINVAL], ['getpriority', [0, 77], -ESRCH], ['getpriority', [2, 0], 1],
    ['ioprio_get', [1, 0], 0], ['ioprio_get', [9, 0], -EINVAL],
    ['ioprio_set', [1, 0, 1 << 13], -EPERM],
    ['ioprio_set', [1, 0, 2 << 13 | 4], 0], ['ioprio_set', [1, 0, 7 << 13], -EINVAL],
  ]);
}));

test('sched_yield() gives the turn to the next thread', withGuest((g) => {
  const other = g.addTask();
  g.call('sched_yield', []);
  assert.is(g.k.root.runHead, other);
}));

test('setuid() and its relatives follow the rules for root and for others', withGuest((g) => {
  asRoot(g);
  check(g, [
    ['setresuid', [1000, 1001, 1002], 0], ['getuid', [], 1000], ['geteuid', [], 1001],
    ['getresuid', [MEMORY, MEMORY + 4, MEMORY + 8], 0],
    ['getresuid', [MEMORY, BAD, MEMORY], -EFAULT],
  ]);
  assert.equal([0, 4, 8].map((at) => g.peek32(MEMORY + at)), [1000, 1001, 1002]);
  assert.is(g.process.capPermitted, 0n, 'no id is 0 any more');
  check(g, [
    ['setuid', [5], -EPERM], ['setuid', [1002], 0], ['geteuid', [], 1002],
    ['setuid', [1001], -EPERM], ['setreuid', [-1, 1000], 0], ['geteuid', [], 1000],
    ['setresuid', [7, -1, -1], -EPERM], ['setresuid', [-1, 1002, 1000], 0],
    ['setfsuid', [9], 1002], ['setfsuid', [-1], 1002], ['setfsuid', [1000], 1002],
    ['setfsuid', [-1], 1000],
    ['setuid', [-1], -EINVAL],
  ]);
  assert.is(g.process.dumpable, 0);
}));

test('seteuid() away from root and back keeps the permitted capabilities', withGuest((g) => {
  asRoot(g);
  check(g, [['setresuid', [-1, 1000, -1], 0]]);
  assert.is(g.process.capEffective, 0n);
  assert.is(g.process.capPermitted, CONTAINER_CAPABILITIES);
  check(g, [['setresuid', [-1, 0, -1], 0]]);
  assert.is(g.process.capEffective, CONTAINER_CAPABILITIES);
}));

test('setgid() and setgroups() need CAP_SETGID', withGuest((g) => {
  asRoot(g);
  [30, 10, 20].forEach((id, index) => g.poke32(MEMORY + index * 4, id));
  check(g, [
    ['getgroups', [0, 0], 0], ['setgroups', [3, MEMORY], 0], ['getgroups', [0, 0], 3],
    ['getgroups', [2, MEMORY], -EINVAL], ['getgroups', [3, MEMORY], 3],
    ['getgroups', [-1, 0], -EINVAL],
    ['setgroups', [65537, MEMORY], -EINVAL], ['setgroups', [1, BAD], -EFAULT],
    ['setgid', [44], 0], ['getegid', [], 44],
  ]);
  assert.equal([0, 4, 8].map((at) => g.peek32(MEMORY + at)), [10, 20, 30], 'sorted');
  g.process.capEffective = 0n;
  check(g, [
    ['setgroups', [0, 0], -EPERM], ['setgid', [5], -EPERM], ['setresgid', [5, -1, -1], -EPERM],
    ['setregid', [44, 44], 0],
  ]);
}));

test('capget() and capset() speak version 3 and only take away', withGuest((g) => {
  asRoot(g);
  const V3 = 0x2008_0522;
  g.poke32(MEMORY, V3);
  g.poke32(MEMORY + 4, 0);
  check(g, [['capget', [MEMORY, MEMORY + 16], 0]]);
  assert.equal([0, 4, 8].map((at) => g.peek32(MEMORY + 16 + at)), [0xa804_25fb, 0xa804_25fb, 0]);
  g.poke32(MEMORY + 20, 0xffff_ffff);
  check(g, [['capset', [MEMORY, MEMORY + 16], -EPERM]]);
  g.poke32(MEMORY + 16, 0x20);
  g.poke32(MEMORY + 20, 0x25);
  check(g, [['capset', [MEMORY, MEMORY + 16], -EPERM]]);
  g.poke32(MEMORY + 20, 0x2b);
  check(g, [['capset', [MEMORY, MEMORY + 16], 0]]);
  assert.is(g.process.capEffective, 0x20n);
  g.poke32(MEMORY, 1);
  check(g, [['capget', [MEMORY, 0], 0], ['capget', [MEMORY, MEMORY + 16], 0]]);
  assert.is(g.peek32(MEMORY), V3, 'an unknown version is answered with the known one');
  g.poke32(MEMORY, 1);
  check(g, [['capget', [MEMORY, MEMORY + 16], -EINVAL]]);
}));

test('prctl() keeps names and switches', withGuest((g) => {
  asRoot(g);
  g.poke(MEMORY, new TextEncoder().encode('a-name-that-is-too-long\0'));
  check(g, [
    ['prctl', [15, MEMORY], 0], ['prctl', [16, MEMORY + 64], 0], ['prctl', [16, BAD], -EFAULT],
    ['prctl', [15, BAD], -EFAULT], ['prctl', [1, 9], 0], ['prctl', [1, 65], -EINVAL],
    ['prctl', [2, MEMORY], 0], ['prctl', [3], 1], ['prctl', [4, 0], 0], ['prctl', [3], 0],
    ['prctl', [4, 2], -EINVAL], ['prctl', [38, 1, 0, 0, 0], 0],
    ['prctl', [38, 0, 0, 0, 0], -EINVAL],
    ['prctl', [39, 0, 0, 0, 0], 1], ['prctl', [39, 1, 0, 0, 0], -EINVAL],
    ['prctl', [23, 0], 1], ['prctl', [23, 21], 0], ['prctl', [23, 41], -EINVAL],
    ['prctl', [29, 77], 0], ['prctl', [30], 77], ['prctl', [29, 0], 0], ['prctl', [30], 50_000],
    ['prctl', [22, 1], -EINVAL], ['prctl', [21], 0], ['prctl', [0x53564d41, 0, 0, 0, 0], 0],
    ['prctl', [47, 1, 5, 0, 0], 0], ['prctl', [47, 2, 5, 0, 0], -EPERM], ['prctl', [999], -EINVAL],
    ['personality', [0xffff_ffff], 0], ['personality', [0x4_0000], 0],
    ['personality', [0xffff_ffff], 0x4_0000],
  ]);
  const name = g.peek(MEMORY + 64, 16);
  assert.is(new TextDecoder().decode(name), 'a-name-that-is-\0');
  assert.is(g.peek32(MEMORY), 9);
}));

test('prlimit64() lowers limits and never raises the hard one', withGuest((g) => {
  setDefaultLimits(g.k, g.process);
  const set = (soft: number | bigint, hard: number | bigint): number => {
    g.poke64(MEMORY, soft);
    g.poke64(MEMORY + 8, hard);
    return MEMORY;
  };
  check(g, [
    ['prlimit64', [0, RLIMIT_NOFILE, 0, MEMORY + 32], 0],
    ['getrlimit', [RLIMIT_STACK, MEMORY + 64], 0],
    ['getrlimit', [16, MEMORY], -EINVAL], ['getrlimit', [RLIMIT_AS, BAD], -EFAULT],
    ['prlimit64', [77, RLIMIT_AS, 0, 0], -ESRCH], ['prlimit64', [0, 16, 0, 0], -EINVAL],
    ['prlimit64', [0, RLIMIT_AS, BAD, 0], -EFAULT],
  ]);
  assert.equal([32, 40, 64, 72].map((at) => g.peek64(MEMORY + at)), [1024, 65536, 8 << 20, -1]);
  assert.is(g.call('setrlimit', [RLIMIT_NOFILE, set(70, 60)]), -EINVAL);
  assert.is(g.call('setrlimit', [RLIMIT_NOFILE, set(60, 65537)]), -EPERM);
  assert.is(g.call('setrlimit', [RLIMIT_NOFILE, set(60, -1)]), -EPERM);
  assert.is(g.call('setrlimit', [RLIMIT_NOFILE, set(50, 60)]), 0);
  assert.is(g.call('setrlimit', [RLIMIT_NOFILE, set(50, 61)]), -EPERM);
  assert.is(g.call('setrlimit', [RLIMIT_AS, set(-1, -1)]), 0);
}));

test('uname() and sysinfo() describe the sandbox', withGuest((g) => {
  setHostname(g.k, 'box');
  check(g, [['uname', [MEMORY], 0], ['uname', [BAD], -EFAULT], ['sysinfo', [MEMORY + 512], 0]]);
  const raw = new Uint8Array(g.peek(MEMORY, 390).buffer);
  const text = (at: number): string => new TextDecoder().decode(raw.subarray(at,
    at + raw.indexOf(0, at) - at));
  assert.is(text(Utsname.sysname.offset), 'Linux');
  assert.is(text(Utsname.nodename.offset), 'box');
  assert.ok(/^6\.1\./.test(text(Utsname.release.offset)));
  assert.is(text(Utsname.machine.offset), 'x86_64');
  assert.is(g.peek64(MEMORY + 512), 1, 'uptime');
  check(g, [['sethostname', [MEMORY, 3], -EPERM], ['syslog', [3, MEMORY, 9], -EPERM], ['syslog',
    [99, 0, 0], -EINVAL]]);
}));

test('getrusage() tells CPU time', withGuest((g) => {
  g.process.cpuNs = 2_500_000_000;
  g.task.cpuNs = 1000;
  check(g, [['getrusage', [0, MEMORY], 0]]);
  assert.equal([g.peek64(MEMORY), g.peek64(MEMORY + 8)], [2, 500_000]);
  check(g, [['getrusage', [1, MEMORY], 0]]);
  assert.equal([g.peek64(MEMORY), g.peek64(MEMORY + 8)], [0, 1]);
  check(g, [['getrusage', [-1, MEMORY], 0], ['getrusage', [7, MEMORY], -EINVAL], ['getrusage', [0,
    BAD], -EFAULT]]);
}));

test('makeProcess() gives the values a container starts with', withGuest((g) => {
  g.t.isBroken = true;
  const made = makeProcess(g.k);
  assert.is(made.pid, made.pgid);
  assert.is(made.capEffective, CONTAINER_CAPABILITIES);
  assert.is(made.tasks.length, 0);
  assert.is(g.k.root.process, made);
  assert.ok(made.root.refs > 2);
}));

test.run();
