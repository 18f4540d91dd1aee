// The memory system calls: every row of the tables was seen on Linux 6.18 (a C program made the
// same calls as root; only mmap_min_addr differs, which root may ignore there).
import { assert, suite } from '../../../harness.ts';
import { call } from '../../../helpers/call.ts';
import { makeTestKernel, type TestKernel } from '../../../helpers/kernel.ts';
import {
  EACCES, EBADF, EEXIST, EFAULT, EINVAL, ENODEV, ENOMEM, EOPNOTSUPP, EOVERFLOW, EPERM,
} from '../../../../vmm/abi/errno.ts';
import { F_SEAL_WRITE, O_PATH, O_RDONLY, O_RDWR, O_WRONLY } from '../../../../vmm/abi/fcntl.ts';
import { RLIMIT_MEMLOCK } from '../../../../vmm/abi/resource.ts';
import { checkMm } from '../../../../vmm/kernel/mm/check.ts';
import { mapRegion } from '../../../../vmm/kernel/mm/map.ts';
import { copyIn, copyOut } from '../../../../vmm/kernel/mm/user-memory.ts';
import { Process } from '../../../../vmm/kernel/records/task.ts';
import {
  FILE_DEVICE, FILE_PATH, FILE_PIPE, type Inode,
} from '../../../../vmm/kernel/records/vfs.ts';
import { f64 } from '../../../../vmm/kernel/state/memory.ts';
import { memoryCalls } from '../../../../vmm/kernel/syscalls/memory.ts';
import { getFile } from '../../../../vmm/kernel/vfs/file.ts';
import { lowerInode, openInode, pattern } from './files.ts';

const test = suite('kernel/syscalls/memory');
const PAGE = 4096;
/** 256 pages of PROT_NONE, as in the C program. */
const B = 0x1000_0000;
const HOLE = 0x2000_0000;

type Row = [name: string, wanted: number, ...args: (number | bigint)[]];

function start(): TestKernel {
  const t = makeTestKernel({ lower: { f: pattern(2) } });
  mapRegion(t.k, { gva: B, bytes: 256 * PAGE, prot: 0, flags: 0x32 });
  return t;
}

function expectRows(
  rows: readonly Row[], prepare: (t: TestKernel) => void = () => undefined,
): void {
  for (const [name, wanted, ...args] of rows) {
    const t = start();
    prepare(t);
    const shown = args.map((argument) => `0x${argument.toString(16)}`).join(', ');
    assert.is(call(t, memoryCalls, name, ...args), wanted, `${name}(${shown})`);
    checkMm(t.k, t.mm);
    t.close();
  }
}

test('mmap() of anonymous memory checks as Linux does', () => {
  expectRows([
    ['mmap', -EINVAL, 0, 0, 3, 0x22, -1, 0],
    ['mmap', -EINVAL, 0, 4096, 3, 0x2, -1, 1],
    ['mmap', -EINVAL, 0, 4096, 3, 0x20, -1, 0],
    ['mmap', -EINVAL, 0, 4096, 3, 0x23, -1, 0],
    ['mmap', -EINVAL, 0, 4096, 3, 0x121, -1, 0],
    ['mmap', -ENOMEM, 0, 4096, 3, 0x40022, -1, 0],
    ['mmap', -ENOMEM, 0, 2 ** 47, 3, 0x4022, -1, 0],
    ['mmap', -ENOMEM, 0, -1, 3, 0x4022, -1, 0],
    ['mmap', -ENOMEM, 0, -4096, 3, 0x4022, -1, 0],
    ['mmap', -EINVAL, B + 1, 4096, 3, 0x32, -1, 0],
    ['mmap', -ENOMEM, 0x7fff_ffff_f000, 4096, 3, 0x32, -1, 0],
    ['mmap', 0x7fff_ffff_e000, 0x7fff_ffff_e000, 4096, 3, 0x32, -1, 0],
    ['mmap', -EPERM, 0x1000, 4096, 3, 0x32, -1, 0],
    ['mmap', -EEXIST, B, 4096, 3, 0x10_0022, -1, 0],
    ['mmap', -ENOMEM, 1n << 63n, 4096, 3, 0x10_0022, -1, 0],
    ['mmap', 0x7fff_f7ff_e000, 1n << 63n, 4096, 3, 0x22, -1, 0],
    ['mmap', -ENOMEM, 0, 2 ** 40, 3, 0x22, -1, 0],
    ['mmap', 0x4000_0000, 0, 4096, 3, 0x62, -1, 0],
  ]);
});

/** Descriptors 0… of one file with different access, then of what cannot be mapped. */
function openAll(t: TestKernel): void {
  const inode = lowerInode(t, 'f');
  for (const flags of [O_RDONLY, O_WRONLY, O_RDWR]) openInode(t, inode, flags);
  const kinds: [number, number][] = [
    [FILE_PATH, O_PATH], [FILE_PIPE, O_RDONLY], [FILE_DEVICE, O_RDWR],
  ];
  for (const [kind, flags] of kinds) {
    const opened = kind === FILE_DEVICE ? device(t, 0x103) : inode;
    const file = getFile(t.task, openInode(t, opened, flags));
    if (file !== null) file.kind = kind;
  }
  const zero = getFile(t.task, openInode(t, device(t, 0x105), O_RDWR));
  if (zero !== null) zero.kind = FILE_DEVICE;
}

function device(t: TestKernel, rdev: number): Inode {
  const inode = lowerInode(t, 'f');
  inode.rdev = rdev;
  inode.mode = 0o020666;
  return inode;
}

test('mmap() of a file checks the descriptor as Linux does', () => {
  const [ro, wo, rw, path, pipe, nul] = [0, 1, 2, 3, 4, 5];
  expectRows([
    ['mmap', -EBADF, 0, 4096, 3, 2, 99, 0],
    ['mmap', -EBADF, 0, 0, 3, 2, 99, 0],
    ['mmap', -EBADF, 0, 4096, 1, 2, path, 0],
    ['mmap', -EACCES, 0, 4096, 3, 1, ro, 0],
    ['mmap', B + 0x200 * PAGE, B + 0x200 * PAGE, 4096, 1, 0x11, ro, 0],
    ['mmap', -EACCES, 0, 4096, 1, 2, wo, 0],
    ['mmap', -EACCES, 0, 4096, 2, 1, wo, 0],
    ['mmap', -ENODEV, 0, 4096, 1, 2, pipe, 0],
    ['mmap', -ENODEV, 0, 4096, 1, 2, nul, 0],
    ['mmap', -EINVAL, 0, 4096, 1, 0, rw, 0],
    ['mmap', -EOPNOTSUPP, 0, 4096, 1, 0x8000_0003, rw, 0],
    ['mmap', -EOPNOTSUPP, 0, 4096, 1, 0x8_0003, rw, 0],
    ['mmap', -EINVAL, 0, 4096, 1, 0x102, rw, 0],
    ['mmap', -EINVAL, 0, 4096, 1, 0x4_0002, rw, 0],
    ['mmap', -EOVERFLOW, 0, 4096, 1, 2, rw, 0x7fff_ffff_ffff_f000n],
    ['mmap', -EOVERFLOW, 0, 4096, 1, 2, rw, -4096],
  ], openAll);
});

test('mmap() of /dev/zero is anonymous memory', () => {
  const t = start();
  openAll(t);
  const zero = 6;
  const at = call(t, memoryCalls, 'mmap', 0, 2 * PAGE, 3, 1, zero, 0);
  assert.ok(at > 0);
  assert.is(copyOut(t.k, at, Uint8Array.of(1, 2, 3)), 3);
  t.close();
});

test('mmap() honours the seals of a memfd', () => {
  const t = start();
  openAll(t);
  const inode = getFile(t.task, 2)?.inode as Inode;
  inode.seals = F_SEAL_WRITE;
  assert.is(call(t, memoryCalls, 'mmap', 0, PAGE, 3, 1, 2, 0), -EPERM);
  const at = call(t, memoryCalls, 'mmap', 0, PAGE, 1, 1, 2, 0);
  assert.ok(at > 0);
  assert.is(call(t, memoryCalls, 'mprotect', at, PAGE, 3), -EACCES);
  assert.ok(call(t, memoryCalls, 'mmap', 0, PAGE, 3, 2, 2, 0) > 0, 'private mappings are free');
  t.close();
});

test('mprotect() may not make a shared mapping of a read-only descriptor writable', () => {
  const t = start();
  openAll(t);
  const at = call(t, memoryCalls, 'mmap', 0, PAGE, 1, 1, 0, 0);
  assert.is(call(t, memoryCalls, 'mprotect', at, PAGE, 3), -EACCES);
  assert.is(call(t, memoryCalls, 'mprotect', at, PAGE, 5), 0);
  const own = call(t, memoryCalls, 'mmap', 0, PAGE, 1, 2, 0, 0);
  assert.is(call(t, memoryCalls, 'mprotect', own, PAGE, 3), 0);
  t.close();
});

test('munmap() and mprotect() check as Linux does', () => {
  expectRows([
    ['munmap', -EINVAL, B + 1, 4096],
    ['munmap', -EINVAL, B, 0],
    ['munmap', -EINVAL, 0x7fff_ffff_f000, 4096],
    ['munmap', 0, HOLE, 4096],
    ['munmap', -EINVAL, B, -1],
    ['mprotect', -EINVAL, B + 1, 4096, 1],
    ['mprotect', 0, B, 0, 1],
    ['mprotect', -EINVAL, B, 4096, 0x100],
    ['mprotect', 0, B, 0, 0x100],
    ['mprotect', -EINVAL, B, 4096, 0x300_0000],
    ['mprotect', -EINVAL, B, 4096, 0x200_0001],
    ['mprotect', -EINVAL, B, 4096, 0x100_0001],
    ['mprotect', -ENOMEM, HOLE, 4096, 1],
    ['mprotect', -ENOMEM, B, -4096, 1],
    ['mprotect', 0, B, 4096, 8],
    ['mprotect', -ENOMEM, B, 257 * PAGE, 1],
  ]);
});

test('mremap() checks as Linux does', () => {
  expectRows([
    ['mremap', -EINVAL, B, 4096, 4096, 8, 0],
    ['mremap', -EINVAL, B, 4096, 4096, 2, 0],
    ['mremap', -EINVAL, B, 4096, 8192, 5, 0],
    ['mremap', -EINVAL, B + 1, 4096, 4096, 1, 0],
    ['mremap', -EINVAL, B, 4096, 0, 1, 0],
    ['mremap', -EFAULT, HOLE, 4096, 8192, 1, 0],
    ['mremap', -EINVAL, B, 0, 4096, 1, 0],
    ['mremap', -EFAULT, B, 0x20_0000, 0x30_0000, 1, 0],
    ['mremap', -ENOMEM, B, 4096, 8192, 0, 0],
    ['mremap', -EINVAL, B, 8192, 8192, 3, B + 4096],
    ['mremap', -EINVAL, B, 4096, 4096, 3, B + 0x1001],
    ['mremap', -EINVAL, B, 4096, 4096, 3, 0x7fff_ffff_f000],
    ['mremap', B, B, 4096, 4096, 0, 0],
  ]);
});

test('madvise(), msync(), mincore() and mlock() check as Linux does', () => {
  expectRows([
    ['madvise', -EINVAL, B, 4096, 77],
    ['madvise', -EINVAL, B + 1, 4096, 4],
    ['madvise', 0, B, 0, 4],
    ['madvise', -ENOMEM, HOLE, 4096, 4],
    ['madvise', -EINVAL, B, -1, 4],
    ['madvise', -EINVAL, B, 4096, 9],
    ['madvise', -EINVAL, B, 4096, 22],
    ['madvise', -ENOMEM, HOLE, 4096, 22],
    ['msync', -EINVAL, B, 4096, 8],
    ['msync', -EINVAL, B, 4096, 5],
    ['msync', -EINVAL, B + 1, 4096, 4],
    ['msync', 0, B, 0, 4],
    ['msync', 0, HOLE, 0, 4],
    ['msync', -ENOMEM, HOLE, 4096, 4],
    ['msync', 0, B, 4096, 4],
    ['mincore', -EINVAL, B + 1, 4096, B],
    ['mincore', -ENOMEM, HOLE, 4096, B],
    ['mincore', -EFAULT, B, 4096, 8],
    ['mincore', -EFAULT, HOLE, 4096, 0x7fff_ffff_f000],
    ['mincore', -ENOMEM, 0x7fff_ffff_e000, 0x3000, B],
    ['mincore', 0, B, 0, B],
    ['mlock', -ENOMEM, HOLE, 4096],
    ['mlock', 0, B, 0],
    ['mlock2', -EINVAL, B, 4096, 2],
    ['mlockall', -EINVAL, 0],
    ['mlockall', -EINVAL, 8],
    ['mlockall', -EINVAL, 4],
    ['membarrier', -EPERM, 8, 0, 0],
    ['membarrier', -EINVAL, 3, 0, 0],
    ['membarrier', -EINVAL, 0, 1, 0],
  ]);
});

test('mincore() writes one byte a page', () => {
  const t = start();
  const at = call(t, memoryCalls, 'mmap', 0, 40 * PAGE, 3, 0x22, -1, 0);
  copyOut(t.k, at, Uint8Array.of(1));
  const vector = call(t, memoryCalls, 'mmap', 0, PAGE, 3, 0x22, -1, 0);
  assert.is(call(t, memoryCalls, 'mincore', at, 40 * PAGE, vector), 0);
  const bytes = new Uint8Array(41);
  copyIn(t.k, vector, bytes);
  assert.is(bytes[0], 1);
  assert.is(bytes[39], 0);
  t.close();
});

test('mlock() is bounded by RLIMIT_MEMLOCK for other users than root', () => {
  const t = start();
  t.process.uid = 1000;
  const limit = ((t.process.address + Process.offset('limits')) >> 3) + RLIMIT_MEMLOCK * 2;
  f64[limit] = 8 * PAGE;
  const at = call(t, memoryCalls, 'mmap', 0, 16 * PAGE, 3, 0x22, -1, 0);
  assert.is(call(t, memoryCalls, 'mlock', at, 9 * PAGE), -ENOMEM);
  assert.is(call(t, memoryCalls, 'mlock', at + 100, 7 * PAGE), 0);
  assert.is(t.mm.residentPages >= 8, true, 'locked memory is present');
  assert.is(call(t, memoryCalls, 'mlock', at, 8 * PAGE), 0, 'what is locked counts once');
  assert.is(call(t, memoryCalls, 'mlock', at + 8 * PAGE, PAGE), -ENOMEM);
  assert.is(call(t, memoryCalls, 'madvise', at, PAGE, 4), -EINVAL, 'locked pages stay');
  assert.is(call(t, memoryCalls, 'munlock', at, 8 * PAGE), 0);
  f64[limit] = 0;
  assert.is(call(t, memoryCalls, 'mlock', at, PAGE), -EPERM);
  checkMm(t.k, t.mm);
  t.close();
});

test('mlockall(MCL_FUTURE) locks what is mapped later', () => {
  const t = start();
  assert.is(call(t, memoryCalls, 'mlockall', 2), 0);
  call(t, memoryCalls, 'mmap', 0, 20 * PAGE, 3, 0x22, -1, 0);
  assert.is(t.mm.residentPages, 20);
  assert.is(call(t, memoryCalls, 'munlockall'), 0);
  call(t, memoryCalls, 'mmap', 0, 20 * PAGE, 3, 0x22, -1, 0);
  assert.is(t.mm.residentPages, 20);
  t.close();
});

test('membarrier() works once it is registered', () => {
  const t = start();
  const known = call(t, memoryCalls, 'membarrier', 0, 0, 0);
  assert.is(known & 0x7f, 0x7f);
  assert.is(call(t, memoryCalls, 'membarrier', 16, 0, 0), 0);
  assert.is(call(t, memoryCalls, 'membarrier', 8, 0, 0), 0);
  assert.is(call(t, memoryCalls, 'membarrier', 32, 0, 0), -EPERM);
  assert.is(call(t, memoryCalls, 'membarrier', 512, 0, 0), 16);
  t.close();
});

test('no arguments of a memory call make the kernel throw', () => {
  const t = start();
  openAll(t);
  const values = [
    0, 1, -1, 4096, B, B + 1, B + PAGE, HOLE, 2 ** 47, 2 ** 53, 1n << 63n, -4096, 3, 0x22, 0x32,
  ];
  let seed = 7;
  const pick = (): number | bigint => {
    seed = (Math.imul(seed, 1103515245) + 12345) >>> 0;
    return values[(seed >>> 8) % values.length] as number | bigint;
  };
  for (let round = 0; round < 3000; round++) {
    for (const name of Object.keys(memoryCalls)) {
      if (name === 'mlockall') continue;
      const result = call(t, memoryCalls, name, pick(), pick(), pick(), pick(), pick(), pick());
      assert.ok(Number.isSafeInteger(result), `${name} gave ${result}`);
    }
    if (round % 100 === 0) checkMm(t.k, t.mm);
  }
  t.close();
});

test.run();
