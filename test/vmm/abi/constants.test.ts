// Every constant of vmm/abi that a header of this machine defines as a macro has the header's
// value. Constants that are newer than the headers, enumerators or ours are not checked; how many
// is bounded.
import { assert, suite } from '../../harness.ts';
import { askCompiler, gccMissing } from './c-compiler.ts';
import * as auxv from '../../../vmm/abi/auxv.ts';
import * as elf from '../../../vmm/abi/elf.ts';
import * as errno from '../../../vmm/abi/errno.ts';
import * as eventfd from '../../../vmm/abi/eventfd.ts';
import * as fcntl from '../../../vmm/abi/fcntl.ts';
import * as futex from '../../../vmm/abi/futex.ts';
import * as ioctl from '../../../vmm/abi/ioctl.ts';
import * as kvm from '../../../vmm/abi/kvm.ts';
import * as limits from '../../../vmm/abi/limits.ts';
import * as mman from '../../../vmm/abi/mman.ts';
import * as poll from '../../../vmm/abi/poll.ts';
import * as prctl from '../../../vmm/abi/prctl.ts';
import * as random from '../../../vmm/abi/random.ts';
import * as resource from '../../../vmm/abi/resource.ts';
import * as sched from '../../../vmm/abi/sched.ts';
import * as signal from '../../../vmm/abi/signal.ts';
import * as socket from '../../../vmm/abi/socket.ts';
import * as stat from '../../../vmm/abi/stat.ts';
import * as statfs from '../../../vmm/abi/statfs.ts';
import * as time from '../../../vmm/abi/time.ts';
import * as wait from '../../../vmm/abi/wait.ts';

/** Modules, the headers to ask, and the share of constants that those must know at least. */
const TOPICS: [name: string, module: object, headers: string, knownMin: number][] = [
  ['auxv', auxv, 'linux/auxvec.h asm/auxvec.h', 0.7],
  ['elf', elf, 'elf.h', 0.8],
  ['errno', errno, 'errno.h', 0.95],
  ['eventfd', eventfd, 'sys/eventfd.h sys/inotify.h', 0.6],
  ['fcntl', fcntl, 'fcntl.h stdio.h unistd.h sys/file.h linux/openat2.h linux/fs.h ' +
    'linux/falloc.h linux/close_range.h linux/xattr.h', 0.7],
  ['futex', futex, 'linux/futex.h', 0.6],
  ['ioctl', ioctl, 'asm/ioctls.h linux/fs.h asm/termbits.h asm/termios.h linux/random.h ' +
    'linux/fiemap.h', 0.85],
  ['kvm', kvm, 'linux/kvm.h asm/kvm.h sys/ioctl.h', 0.6],
  ['limits', limits, 'linux/limits.h limits.h sys/uio.h', 0.2],
  ['mman', mman, 'sys/mman.h linux/memfd.h linux/mempolicy.h', 0.6],
  ['poll', poll, 'poll.h sys/epoll.h', 0.5],
  ['prctl', prctl, 'linux/prctl.h asm/prctl.h linux/seccomp.h linux/capability.h', 0.7],
  ['random', random, 'sys/random.h', 0.9],
  ['resource', resource, 'linux/resource.h asm/resource.h', 0.8],
  ['sched', sched, 'linux/sched.h linux/ioprio.h', 0.6],
  ['signal', signal, 'signal.h', 0.7],
  ['socket', socket, 'sys/socket.h netinet/in.h netinet/tcp.h linux/sockios.h', 0.7],
  ['stat', stat, 'linux/stat.h sys/stat.h', 0.7],
  ['statfs', statfs, 'linux/magic.h linux/mount.h', 0.4],
  ['time', time, 'time.h sys/time.h linux/timerfd.h', 0.5],
  ['wait', wait, 'linux/wait.h', 0.6],
];

/** Where the kernel and the C library's macro of the same name differ on purpose. */
const DIFFERENT: Record<string, string> = {
  NSIG: 'the library counts one more',
  O_LARGEFILE: 'the library hides it on x86-64',
  SIGRTMIN: 'the library keeps two',
  MINSIGSTKSZ: 'a run-time value in new libraries',
  MAX_ARG_STRINGS: 'not in user headers',
  RWF_SUPPORTED: 'grows with each release',
  NR_OPEN: 'the default of fs.nr_open, not the header\'s old limit',
};

/** `export const` numbers that fit the 64-bit comparison. */
function numbersOf(module: object): [string, number][] {
  return (Object.entries(module) as [string, unknown][])
    .filter((entry): entry is [string, number] => typeof entry[1] === 'number')
    .filter(([name]) => !(name in DIFFERENT));
}

const test = suite('vmm/abi');
const missing: string | undefined = gccMissing();

for (const [topic, module, headers, knownMin] of TOPICS) {
  const name = `${topic}.ts agrees with ${headers.split(' ')[0]}`;
  if (missing !== undefined) {
    test.skip(name, missing);
    continue;
  }
  test(name, () => {
    const includes = headers.split(' ')
      .map((header) => `#if __has_include(<${header}>)\n#include <${header}>\n#endif`);
    const mine = numbersOf(module);
    const answers = askCompiler(
      `#define _GNU_SOURCE\n#include <stdio.h>\n${includes.join('\n')}`,
      mine.map(([key]) => `#ifdef ${key}\nprintf("${key} %lld\\n", (long long)(${key}));\n#endif`),
    );
    const wrong = mine.filter(([key, value]) => {
      const expected = answers.get(key);
      return expected !== undefined && expected !== value && expected >>> 0 !== value >>> 0;
    }).map(([key, value]) => `${key} is ${value}, the header says ${answers.get(key)}`);
    assert.equal(wrong, []);
    const share = answers.size / mine.length;
    assert.ok(share >= knownMin, `only ${answers.size} of ${mine.length} are known to the headers`);
  });
}

test('errnoName() and errnoText() know every errno constant', () => {
  const secondNames = ['EWOULDBLOCK', 'EDEADLOCK', 'ENOTSUP'];
  for (const [name, value] of numbersOf(errno)) {
    if (!/^E[A-Z0-9]+$/.test(name) || secondNames.includes(name)) continue;
    assert.is(errno.errnoName(value), name);
    assert.not(errno.errnoText(value).startsWith('Unknown'));
  }
});

test('errnoName() answers something for any number', () => {
  assert.is(errno.errnoName(4000), 'E?4000');
  assert.is(errno.errnoText(4000), 'Unknown error 4000');
});

test('W_EXITCODE() puts the code above the signal', () => {
  assert.is(wait.W_EXITCODE(1, 0), 0x100);
  assert.is(wait.W_EXITCODE(0, signal.SIGKILL), 9);
});

test('S_ISDIR() and its siblings look at the type bits only', () => {
  assert.ok(stat.S_ISDIR(0o40755));
  assert.not(stat.S_ISDIR(0o100755));
  assert.ok(stat.S_ISREG(0o104755));
  assert.ok(stat.S_ISSOCK(0o140777));
  assert.not(stat.S_ISBLK(0o140777));
});

test.run();
