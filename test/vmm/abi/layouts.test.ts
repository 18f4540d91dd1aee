// Every layout of vmm/abi against the C compiler: sizeof and offsetof of the struct it names.
// Without gcc the tests are skipped, and say so.
import { assert, suite } from '../../harness.ts';
import { askCompiler, gccMissing } from './c-compiler.ts';
import * as kvm from '../../../vmm/abi/kvm.ts';
import * as kvmRun from '../../../vmm/abi/kvm-run.ts';
import * as files from '../../../vmm/abi/struct-file.ts';
import * as signals from '../../../vmm/abi/struct-signal.ts';
import * as sockets from '../../../vmm/abi/struct-socket.ts';
import * as tasks from '../../../vmm/abi/struct-task.ts';
import * as terminals from '../../../vmm/abi/struct-terminal.ts';
import * as times from '../../../vmm/abi/struct-time.ts';

interface AnyLayout {
  readonly name: string;
  readonly bytes: number;
}

/** How the C side spells a layout, where that is not `struct <name>` with the same members. */
interface Spelling {
  /** The type, when it is not `struct <name>`. */
  type?: string;
  /** Members by our field name; a function for a rule. */
  members?: Record<string, string> | ((field: string) => string);
}

// The kernel's headers; structs that are in none of them (or clash) are spelled out here.
const KERNEL_PROLOGUE = `
#include <stddef.h>
#include <stdio.h>
#include <linux/types.h>
#include <linux/kvm.h>
#include <asm/sigcontext.h>
#include <linux/stat.h>
#include <asm/stat.h>
#include <asm/statfs.h>
#include <asm/termbits.h>
#include <linux/rseq.h>
#include <linux/futex.h>
#include <linux/openat2.h>
#include <linux/sched.h>
#include <linux/capability.h>
#include <linux/signalfd.h>
#include <linux/inotify.h>
#include <linux/sysinfo.h>
#include <linux/utsname.h>
#include <linux/netlink.h>
#include <linux/utime.h>
#include <linux/timex.h>
#include <linux/sched/types.h>
struct kernel_sigaction {
  unsigned long sa_handler, sa_flags, sa_restorer, sa_mask;
};
struct linux_dirent64 {
  __u64 d_ino; __s64 d_off; unsigned short d_reclen; unsigned char d_type; char d_name[];
};
struct linux_dirent {
  unsigned long d_ino, d_off; unsigned short d_reclen; char d_name[];
};
struct sigset_argpack { void *p; unsigned long size; };
#include <asm/signal.h>
#include <asm/siginfo.h>
#include <asm/ucontext.h>
struct rt_sigframe { char *pretcode; struct ucontext uc; siginfo_t info; };
`;

// The C library's headers, for structs whose kernel headers cannot be included beside those above.
const LIBRARY_PROLOGUE = `
#define _GNU_SOURCE
#include <stddef.h>
#include <stdio.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/times.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <time.h>
`;

function flattenTime(field: string): string {
  return field.replace(/_(sec|nsec|usec)$/, '.tv_$1');
}

const SIGINFO: Spelling = { type: 'siginfo_t' };

/** By exported name. */
const SPELLINGS: Record<string, Spelling> = {
  KvmRun: {
    members: (f) => f.replace(/^io_/, 'io.').replace(/^(regs|sregs|events)$/, 's.regs.$1'),
  },
  KvmExitFailEntry: { type: 'typeof(((struct kvm_run *)0)->fail_entry)' },
  KvmExitException: { type: 'typeof(((struct kvm_run *)0)->ex)' },
  KvmExitMmio: { type: 'typeof(((struct kvm_run *)0)->mmio)' },
  KvmExitInternal: { type: 'typeof(((struct kvm_run *)0)->internal)' },
  KvmExitEmulationFailure: { type: 'typeof(((struct kvm_run *)0)->emulation_failure)' },
  KvmVcpuEvents: {
    members: (f) =>
      /^exception_(has_payload|payload)$/.test(f)
        ? f
        : f.replace(/^(exception|interrupt|nmi|smi|triple_fault)_/, '$1.'),
  },
  Statx: {
    members: (f) => f.replace(/time$/, 'time.tv_sec').replace(/time_nsec$/, 'time.tv_nsec'),
  },
  Siginfo: SIGINFO,
  SiginfoTimer: SIGINFO,
  SiginfoFault: SIGINFO,
  SiginfoChild: SIGINFO,
  SiginfoPoll: SIGINFO,
  SiginfoSys: SIGINFO,
  StackT: { type: 'stack_t' },
  Fpstate: {
    type: 'struct _fpstate_64',
    members: (f) => f.replace(/^(magic1|extended_size|xfeatures|xstate_size)$/, 'sw_reserved.$1'),
  },
  Sigevent: { members: { sigev_notify_thread_id: '_sigev_un._tid' } },
  Itimerspec: { members: flattenTime },
  Itimerval: { members: flattenTime },
  Rusage: { members: flattenTime },
  Timex: { members: flattenTime },
  Utsname: { type: 'struct new_utsname' },
};

/** Layouts whose structs come from the C library's headers. */
const FROM_LIBRARY = new Set([
  'Timespec', 'Timeval', 'Timezone', 'Itimerspec', 'Itimerval', 'Tms', 'Sigevent', 'Iovec', 'Flock',
  'FOwnerEx', 'Pollfd', 'EpollEvent', 'Msghdr', 'Mmsghdr', 'Cmsghdr', 'Ucred', 'Linger',
  'SockaddrUn', 'SockaddrIn', 'SockaddrIn6', 'Rlimit', 'Rusage', 'SchedParam', 'StackT', 'Winsize',
  'SiginfoTimer', 'Siginfo', 'SiginfoFault', 'SiginfoChild', 'SiginfoPoll', 'SiginfoSys',
]);

/** Newer than the oldest headers that we accept. */
const OPTIONAL_FIELDS = new Set(['Rseq.node_id', 'Rseq.mm_cid']);

function isLayout(value: unknown): value is AnyLayout {
  return typeof value === 'object' && value !== null && 'bytes' in value && 'name' in value;
}

const layouts: [string, AnyLayout][] =
  [kvm, kvmRun, files, signals, sockets, tasks, terminals, times]
    .flatMap((module) => Object.entries(module) as [string, unknown][])
    .filter((entry): entry is [string, AnyLayout] => isLayout(entry[1]));

function fieldsOf(layout: AnyLayout): [string, number][] {
  return Object.entries(layout)
    .filter(([name, value]) => !name.startsWith('_') && typeof value === 'object')
    .map(([name, value]) => [name, (value as { offset: number }).offset]);
}

/** Each line of the program's output is `<layout>.<field> <number>`; the size is `sizeof`. */
function questions(name: string, layout: AnyLayout): string[] {
  const spelling = SPELLINGS[name] ?? {};
  const type = spelling.type ?? `struct ${layout.name}`;
  const lines = [`printf("${name}.sizeof %zu\\n", sizeof(${type}));`];
  for (const [field] of fieldsOf(layout)) {
    if (OPTIONAL_FIELDS.has(`${name}.${field}`)) continue;
    const { members } = spelling;
    const member = typeof members === 'function' ? members(field) : members?.[field] ?? field;
    lines.push(`printf("${name}.${field} %zu\\n", offsetof(${type}, ${member}));`);
  }
  return lines;
}

const test = suite('vmm/abi/struct-*');
const missing: string | undefined = gccMissing();

for (const [title, prologue, fromLibrary] of [
  ["the kernel's", KERNEL_PROLOGUE, false],
  ["the C library's", LIBRARY_PROLOGUE, true],
] as const) {
  const name = `layouts agree with ${title} headers`;
  if (missing !== undefined) {
    test.skip(name, missing);
    continue;
  }
  test(name, () => {
    const mine = layouts.filter(([key]) => FROM_LIBRARY.has(key) === fromLibrary);
    const answers = askCompiler(prologue, mine.flatMap(([key, layout]) => questions(key, layout)));
    const wrong: string[] = [];
    for (const [key, layout] of mine) {
      for (const [field, offset] of [...fieldsOf(layout), ['sizeof', layout.bytes] as const]) {
        const expected = answers.get(`${key}.${field}`);
        if (expected === undefined && OPTIONAL_FIELDS.has(`${key}.${field}`)) continue;
        if (expected !== offset) wrong.push(`${key}.${field} is ${offset}, C says ${expected}`);
      }
    }
    assert.equal(wrong, []);
    assert.ok(answers.size > 100, `only ${answers.size} answers`);
  }, { timeoutMs: 60_000 });
}

test('FROM_LIBRARY and SPELLINGS name only layouts that exist', () => {
  const names = new Set(layouts.map(([name]) => name));
  assert.equal([...FROM_LIBRARY, ...Object.keys(SPELLINGS)].filter((name) => !names.has(name)), []);
});

test('EpollEvent is packed', () => {
  const view = new DataView(new ArrayBuffer(12));
  files.EpollEvent.data.set(view, 0, 0x1122_3344_5566_7788n);
  assert.is(view.getUint32(4, true), 0x5566_7788);
});

test('SockaddrIn.sin_port is in network order', () => {
  const view = new DataView(new ArrayBuffer(16));
  sockets.SockaddrIn.sin_port.set(view, 0, 8080);
  assert.is(view.getUint8(2), 0x1f);
  assert.is(sockets.SockaddrIn.sin_port.get(view, 0), 8080);
});

test.run();
