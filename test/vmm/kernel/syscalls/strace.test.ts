// strace's lines: arguments by format, results, calls that wait, the summary.
import { assert, suite } from '../../../harness.ts';
import { makeTestKernel, type TestKernel } from '../../../helpers/kernel.ts';
import { SYSCALL_NUMBERS } from '../../../../vmm/abi/syscall-numbers.ts';
import { EINTR, ENOENT } from '../../../../vmm/abi/errno.ts';
import { MAP_ANONYMOUS, MAP_PRIVATE, PROT_READ, PROT_WRITE } from '../../../../vmm/abi/mman.ts';
import { SIGKILL } from '../../../../vmm/abi/signal.ts';
import { mapRegion } from '../../../../vmm/kernel/mm/map.ts';
import { copyOut } from '../../../../vmm/kernel/mm/user-memory.ts';
import type { Task } from '../../../../vmm/kernel/records/task.ts';
import { REG, setReg, setRegBig } from '../../../../vmm/kernel/syscalls/args.ts';
import { SyscallCounter } from '../../../../vmm/kernel/syscalls/counter.ts';
import {
  ERESTARTSYS, full, type Handler,
} from '../../../../vmm/kernel/syscalls/define.ts';
import { dispatchSyscall, resumeSyscall } from '../../../../vmm/kernel/syscalls/dispatch.ts';
import {
  formatCall, formatResult, formatSummary, Strace,
} from '../../../../vmm/kernel/syscalls/strace.ts';
import { SyscallTable } from '../../../../vmm/kernel/syscalls/table.ts';
import { block, makeWaitQueue, wake } from '../../../../vmm/kernel/task/block.ts';

const test = suite('vmm/kernel/syscalls/strace');
const BAD = 0x10;
const ARGUMENTS = [REG.rdi, REG.rsi, REG.rdx, REG.r10, REG.r8, REG.r9] as const;

interface Fixture {
  t: TestKernel;
  /** Puts bytes into guest memory and returns their address. */
  put: (data: string | Uint8Array) => number;
  /** The line of a call. */
  line: (name: string, ...args: (number | bigint)[]) => string;
}

function setCall(task: Task, name: string, args: readonly (number | bigint)[]): void {
  setReg(task, REG.rax, SYSCALL_NUMBERS[name] as number);
  ARGUMENTS.forEach((register, index) => setRegBig(task, register, BigInt(args[index] ?? 0)));
}

function prepare(): Fixture {
  const t = makeTestKernel();
  Object.assign(t.k, { counters: new SyscallCounter() });
  let next = mapRegion(t.k, {
    gva: 0,
    bytes: 16384,
    prot: PROT_READ | PROT_WRITE,
    flags: MAP_PRIVATE | MAP_ANONYMOUS,
    inode: null,
    fileOffset: 0,
    maxProt: 7,
  });
  return {
    t,
    put(data) {
      const bytes = typeof data === 'string' ? new TextEncoder().encode(data) : data;
      const at = next;
      assert.is(copyOut(t.k, at, bytes), bytes.length);
      next += Math.ceil((bytes.length + 1) / 8) * 8;
      return at;
    },
    line(name, ...args) {
      setCall(t.task, name, args);
      return formatCall(t.k, t.task, SYSCALL_NUMBERS[name] as number);
    },
  };
}

function words(...values: (number | bigint)[]): Uint8Array {
  return new Uint8Array(BigInt64Array.from(values, BigInt).buffer);
}

test('formatCall() shows paths, flags and the mode only of an open that creates', () => {
  const { t, put, line } = prepare();
  const path = put('/etc/passwd');
  assert.is(line('openat', -100, path, 0o2000000, 0o777),
    'openat(AT_FDCWD, "/etc/passwd", O_RDONLY|O_CLOEXEC)');
  assert.is(line('openat', 3, path, 0o1102, 0o644),
    'openat(3, "/etc/passwd", O_RDWR|O_CREAT|O_TRUNC, 0644)');
  assert.is(line('open', path, 0o4010001), 'open("/etc/passwd", O_WRONLY|O_SYNC)');
  assert.is(line('access', path, 0), 'access("/etc/passwd", F_OK)');
  assert.is(line('access', path, 5), 'access("/etc/passwd", X_OK|R_OK)');
  t.close();
});

test('formatCall() shows memory calls', () => {
  const { t, line } = prepare();
  assert.is(line('mmap', 0, 8192, 3, 0x22, -1, 0),
    'mmap(NULL, 8192, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0)');
  assert.is(line('mmap', 0x7f0000000000, 4096, 0, 0x11, 3, 0x1000),
    'mmap(0x7f0000000000, 4096, PROT_NONE, MAP_SHARED|MAP_FIXED, 3, 0x1000)');
  assert.is(line('mprotect', 0x1000, 4096, 0x80000001),
    'mprotect(0x1000, 4096, PROT_READ|0x80000000)');
  assert.is(line('madvise', 0x1000, 4096, 4), 'madvise(0x1000, 4096, MADV_DONTNEED)');
  assert.is(line('brk', 0), 'brk(NULL)');
  t.close();
});

test('formatCall() escapes bytes and shortens buffers', () => {
  const { t, put, line } = prepare();
  const data = put(Uint8Array.of(104, 105, 10, 34, 92, 27, 49, 0, 200));
  assert.is(line('write', 1, data, 9), 'write(1, "hi\\n\\"\\\\\\0331\\0\\310", 9)');
  const long = put('x'.repeat(100));
  assert.is(line('write', 1, long, 100), `write(1, "${'x'.repeat(32)}"..., 100)`);
  assert.is(line('write', 1, BAD, 4), 'write(1, 0x10, 4)');
  assert.is(line('read', 0, long, 100), `read(0, 0x${long.toString(16)}, 100)`);
  t.close();
});

test('formatCall() shows structures that the call reads', () => {
  const { t, put, line } = prepare();
  const time = put(words(1, 500));
  assert.is(line('nanosleep', time, 0), 'nanosleep({tv_sec=1, tv_nsec=500}, NULL)');
  const set = put(words(0x4002));
  assert.is(line('rt_sigprocmask', 0, set, 0, 8), 'rt_sigprocmask(SIG_BLOCK, [INT TERM], NULL, 8)');
  const all = put(words(-1n));
  assert.is(line('rt_sigprocmask', 2, all, 0, 8), 'rt_sigprocmask(SIG_SETMASK, ~[], NULL, 8)');
  const text = put('out');
  const iov = put(words(text, 3, BAD, 2));
  assert.is(line('writev', 1, iov, 2),
    'writev(1, [{iov_base="out", iov_len=3}, {iov_base=0x10, iov_len=2}], 2)');
  const argv = put(words(text, 0));
  assert.is(line('execve', text, argv, 0), 'execve("out", ["out"], NULL)');
  t.close();
});

test('formatCall() shows addresses, sockets and epoll', () => {
  const { t, put, line } = prepare();
  assert.is(line('socket', 1, 0o2000001, 0), 'socket(AF_UNIX, SOCK_STREAM|SOCK_CLOEXEC, 0)');
  const inet = put(Uint8Array.of(2, 0, 0x1f, 0x90, 127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0));
  assert.is(line('bind', 3, inet, 16),
    'bind(3, {sa_family=AF_INET, sin_port=htons(8080), sin_addr=inet_addr("127.0.0.1")}, 16)');
  const unix = put(Uint8Array.of(1, 0, 0, 97, 98));
  assert.is(line('connect', 3, unix, 5), 'connect(3, {sa_family=AF_UNIX, sun_path=@"ab"}, 5)');
  const event = put(Uint8Array.of(1, 0, 0, 0x80, 7, 0, 0, 0, 0, 0, 0, 0));
  assert.is(line('epoll_ctl', 4, 1, 5, event),
    'epoll_ctl(4, EPOLL_CTL_ADD, 5, {events=EPOLLIN|EPOLLET, data=0x7})');
  assert.is(line('setsockopt', 3, 1, 2, 0, 4), 'setsockopt(3, SOL_SOCKET, SO_REUSEADDR, NULL, 4)');
  assert.is(line('setsockopt', 3, 6, 1, 0, 4), 'setsockopt(3, SOL_TCP, TCP_NODELAY, NULL, 4)');
  t.close();
});

test('formatCall() shows only the arguments that a futex operation has', () => {
  const { t, line } = prepare();
  assert.is(line('futex', 0x1000, 0x81, 1, 2, 3, 4), 'futex(0x1000, FUTEX_WAKE|FUTEX_PRIVATE, 1)');
  assert.is(line('futex', 0x1000, 0x80, 5, 0), 'futex(0x1000, FUTEX_WAIT|FUTEX_PRIVATE, 5, NULL)');
  assert.is(line('futex', 0x1000, 0x189, 5, 0, 0, 0xffffffff),
    'futex(0x1000, FUTEX_WAIT_BITSET|FUTEX_PRIVATE|FUTEX_CLOCK_REALTIME, 5, NULL, NULL, ' +
    '0xffffffff)');
  t.close();
});

test('formatCall() shows symbols of other calls', () => {
  const { t, line } = prepare();
  assert.is(line('clone', 0x3d0f00, 0x1000, 0, 0, 0).split(',')[0],
    'clone(CLONE_VM|CLONE_FS|CLONE_FILES|CLONE_SIGHAND|CLONE_THREAD|CLONE_SYSVSEM|' +
    'CLONE_SETTLS|CLONE_PARENT_SETTID|CLONE_CHILD_CLEARTID');
  assert.is(line('clone', 0x1200011, 0).split(',')[0],
    'clone(CLONE_CHILD_CLEARTID|CLONE_CHILD_SETTID|SIGCHLD');
  assert.is(line('fcntl', 3, 4, 0x800), 'fcntl(3, F_SETFL, 0x800)');
  assert.is(line('ioctl', 1, 0x5401, 0x10), 'ioctl(1, TCGETS, 0x10)');
  assert.is(line('ioctl', 1, 0xabcd, 0), 'ioctl(1, 0xabcd, 0)');
  assert.is(line('kill', 1, 34), 'kill(1, SIGRT_2)');
  assert.is(line('kill', 1, 0), 'kill(1, 0)');
  assert.is(line('clock_gettime', 1, 0x10), 'clock_gettime(CLOCK_MONOTONIC, 0x10)');
  assert.is(line('prctl', 15, 0x10), 'prctl(PR_SET_NAME, 0x10, 0, 0, 0)');
  assert.is(line('prctl', 1, 9), 'prctl(PR_SET_PDEATHSIG, 0x9, 0, 0, 0)');
  assert.is(line('getpid'), 'getpid()');
  t.close();
});

test('formatCall() shows numbers that are no call', () => {
  const { t } = prepare();
  setReg(t.task, REG.rdi, 5);
  assert.is(formatCall(t.k, t.task, 999), 'syscall_0x3e7(0x5, NULL, NULL, NULL, NULL, NULL)');
  t.close();
});

test('formatCall() answers for every call whatever its arguments', () => {
  const { t, line } = prepare();
  const values = [0n, BigInt(BAD), 0x7fff_ffff_f000n, 0xffff_ffff_ffff_ffffn, 0x8000_0000n];
  for (const name of Object.keys(SYSCALL_NUMBERS)) {
    for (const value of values) {
      const text = line(name, value, value, value, value, value, value);
      assert.match(text, /^\w+\([\x20-\x7e]*\)$/);
    }
  }
  t.close();
});

test('formatResult() shows errors by name, addresses in hexadecimal', () => {
  assert.is(formatResult(3), '3');
  assert.is(formatResult(-ENOENT), '-1 ENOENT (No such file or directory)');
  assert.is(formatResult(-EINTR), '-1 EINTR (Interrupted system call)');
  assert.is(formatResult(0x7f0000001000, 'mmap'), '0x7f0000001000');
  assert.is(formatResult(-ERESTARTSYS), '? ERESTARTSYS (To be restarted if SA_RESTART is set)');
});

/** Runs one call with strace around it and returns the lines. */
function trace(handler: Handler): { f: Fixture; lines: string[]; strace: Strace; run: () => void } {
  const f = prepare();
  const table = new SyscallTable({ fake: { getpid: full(handler) } });
  const lines: string[] = [];
  const strace = new Strace(f.t.k, (line) => lines.push(line), table);
  const { k, task } = f.t;
  return {
    f,
    lines,
    strace,
    run() {
      if (task.syscall < 0) {
        setCall(task, 'getpid', []);
        strace.before(task);
        dispatchSyscall(k, task, table);
      } else {
        resumeSyscall(k, task, table);
      }
      strace.after(task);
    },
  };
}

test('Strace writes one line for a call that finishes at once', () => {
  const { f, lines, run } = trace(() => 42);
  run();
  assert.equal(lines, [`${'getpid()'.padEnd(39)} = 42`]);
  f.t.close();
});

test('Strace splits a call that waits, once, and names the thread when there are several', () => {
  let done = false;
  const { f, lines, run } = trace((k, task) => done ? 7 : block(k, task, [queue]));
  const queue = makeWaitQueue(f.t.k);
  f.t.addTask();
  run();
  wake(f.t.k, queue);
  run();
  done = true;
  wake(f.t.k, queue);
  run();
  const pid = `[pid ${String(f.t.task.tid).padStart(5)}]`;
  assert.equal(lines, [
    `${pid} getpid( <unfinished ...>`,
    `${pid} ${'<... getpid resumed>)'.padEnd(39)} = 7`,
  ]);
  f.t.close();
});

test('Strace shows a restart, and nothing more for it', () => {
  const { f, lines, run } = trace(() => -ERESTARTSYS);
  run();
  run();
  assert.is(lines.length, 1);
  assert.match(lines[0] as string, / = \? ERESTARTSYS/);
  f.t.close();
});

test('Strace shows the end of the process', () => {
  const { f, lines, strace, run } = trace((_k, task) => {
    task.process.exited = true;
    return 0;
  });
  run();
  assert.match(lines[0] as string, / = \?$/);
  strace.end(f.t.process);
  f.t.process.exitSignal = SIGKILL;
  strace.end(f.t.process);
  assert.equal(lines.slice(1), ['+++ exited with 0 +++', '+++ killed by SIGKILL +++']);
  f.t.close();
});

test('formatSummary() lists calls with a total', () => {
  const counter = new SyscallCounter();
  counter.begin(0);
  counter.begin(0);
  counter.fail(0);
  counter.begin(-1);
  const lines = formatSummary(counter).split('\n');
  assert.match(lines[2] as string, /^ +0\.00 +0\.000000 +0 +2 +1 read$/);
  assert.match(lines[3] as string, / 1 +unknown$/);
  assert.match(lines[5] as string, / 3 +1 total$/);
});

test.run();
