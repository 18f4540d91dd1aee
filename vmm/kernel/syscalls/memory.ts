// mmap(2), munmap(2), mprotect(2), mremap(2), madvise(2), brk(2), mincore(2), msync(2), mlock(2)
// and its family, membarrier(2).
import {
  EACCES, EBADF, EBUSY, EFAULT, EINVAL, ENODEV, ENOMEM, ENOSYS, EOPNOTSUPP, EPERM,
} from '../../abi/errno.ts';
import {
  F_SEAL_FUTURE_WRITE, F_SEAL_WRITE, O_ACCMODE, O_RDONLY, O_WRONLY,
} from '../../abi/fcntl.ts';
import * as mman from '../../abi/mman.ts';
import {
  MAP_ANONYMOUS, MAP_GROWSDOWN, MAP_HUGETLB, MAP_LOCKED, MAP_PRIVATE, MAP_SHARED,
  MAP_SHARED_VALIDATE, MAP_TYPE, PROT_EXEC, PROT_GROWSDOWN, PROT_GROWSUP, PROT_READ,
  PROT_SEM, PROT_WRITE,
} from '../../abi/mman.ts';
import type { Kernel } from '../kernel.ts';
import { adviseRange, isKnownAdvice, isWholeMapped, residency } from '../mm/advise.ts';
import { setBrk } from '../mm/address-space.ts';
import { mustMm } from '../mm/limits.ts';
import { checkLock, lockAll, lockRange, unlockedIn } from '../mm/lock.ts';
import { mapRegion, pageUp, protectRegion, unmapRegion } from '../mm/map.ts';
import { remapRegion } from '../mm/remap.ts';
import { copyOut, isOutOfRange, USER_END } from '../mm/user-memory.ts';
import { findIndex, vmaAt } from '../mm/vma.ts';
import { PAGE_BYTES } from '../ports.ts';
import type { Task } from '../records/task.ts';
import { type File, FILE_DEVICE, FILE_REGULAR } from '../records/vfs.ts';
import { getFile } from '../vfs/file.ts';
import type { Args } from './args.ts';
import { type Family, full, missing, partial } from './define.ts';

const PROT_ALL: number = PROT_READ | PROT_WRITE | PROT_EXEC;
/** Flags that MAP_SHARED_VALIDATE knows. Linux: LEGACY_MAP_MASK. */
const FLAGS_VALIDATED: number = MAP_TYPE | mman.MAP_FIXED | MAP_ANONYMOUS | mman.MAP_32BIT |
  MAP_GROWSDOWN | mman.MAP_DENYWRITE | mman.MAP_EXECUTABLE | MAP_LOCKED | mman.MAP_NORESERVE |
  mman.MAP_POPULATE | mman.MAP_NONBLOCK | mman.MAP_STACK | MAP_HUGETLB | mman.MAP_ABOVE4G |
  mman.MAP_FIXED_NOREPLACE;
/** makedev(1, 5): mapping it is mapping anonymous memory. */
const DEV_ZERO = 0x105;

function mmap(k: Kernel, task: Task, a: Args): number {
  const gva = a.u64(0);
  const bytes = a.u64(1);
  const prot = a.u32(2);
  const flags = a.u32(3);
  if (a.u32(5) % PAGE_BYTES !== 0) return -EINVAL;
  if ((flags & MAP_ANONYMOUS) !== 0) return mapAnonymous(k, gva, bytes, prot, flags);
  const file = getFile(task, a.i32(4));
  if (file === null) return -EBADF;
  if ((flags & MAP_HUGETLB) !== 0 || bytes === 0) return -EINVAL;
  const maxProt = checkFile(file, prot, flags);
  if (maxProt < 0) return maxProt;
  if (file.kind === FILE_DEVICE) return mapRegion(k, { gva, bytes, prot, flags });
  const { inode, dentry } = file;
  return mapRegion(k, {
    gva, bytes, prot, flags, inode, dentry, fileOffset: a.u64(5), maxProt,
  });
}

function mapAnonymous(
  k: Kernel,
  gva: number,
  bytes: number,
  prot: number,
  flags: number,
): number {
  const type = flags & MAP_TYPE;
  if (bytes === 0) return -EINVAL;
  // Linux: as with vm.nr_hugepages = 0.
  if ((flags & MAP_HUGETLB) !== 0) return -ENOMEM;
  if (type !== MAP_PRIVATE && type !== MAP_SHARED) return -EINVAL;
  if (type === MAP_SHARED && (flags & MAP_GROWSDOWN) !== 0) return -EINVAL;
  return mapRegion(k, { gva, bytes, prot, flags });
}

/**
 * What the descriptor allows, in do_mmap's order: the PROT_* that mprotect may reach, or -errno.
 */
function checkFile(file: File, prot: number, flags: number): number {
  const access = file.flags & O_ACCMODE;
  const type = flags & MAP_TYPE;
  let maxProt = PROT_ALL;
  if (type === MAP_SHARED_VALIDATE && (flags & ~FLAGS_VALIDATED) !== 0) return -EOPNOTSUPP;
  if (type === MAP_SHARED || type === MAP_SHARED_VALIDATE) {
    if ((prot & PROT_WRITE) !== 0 && access === O_RDONLY) return -EACCES;
    if (access === O_RDONLY) maxProt &= ~PROT_WRITE;
  } else if (type !== MAP_PRIVATE) {
    return -EINVAL;
  }
  if (access === O_WRONLY) return -EACCES;
  if (!isMappable(file)) return -ENODEV;
  if ((flags & MAP_GROWSDOWN) !== 0) return -EINVAL;
  return type === MAP_PRIVATE ? maxProt : checkSeals(file, prot, maxProt);
}

function isMappable(file: File): boolean {
  if (file.kind === FILE_REGULAR) return file.inode !== null;
  return file.kind === FILE_DEVICE && file.inode?.rdev === DEV_ZERO;
}

/** Linux: seal_check_write of a memfd. */
function checkSeals(file: File, prot: number, maxProt: number): number {
  const sealed = ((file.inode?.seals ?? 0) & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE)) !== 0;
  if (!sealed) return maxProt;
  return (prot & PROT_WRITE) !== 0 ? -EPERM : maxProt & ~PROT_WRITE;
}

function munmap(k: Kernel, _task: Task, a: Args): number {
  if (a.u32(0) % PAGE_BYTES !== 0) return -EINVAL;
  return unmapRegion(k, a.u64(0), a.u64(1));
}

function mprotect(k: Kernel, _task: Task, a: Args): number {
  let gva = a.u64(0);
  const bytes = pageUp(a.u64(1));
  const prot = a.u32(2);
  const grows = prot & (PROT_GROWSDOWN | PROT_GROWSUP);
  if (grows === (PROT_GROWSDOWN | PROT_GROWSUP) || a.u32(0) % PAGE_BYTES !== 0) return -EINVAL;
  if (bytes === 0) return 0;
  let end = gva + bytes;
  if (end > 2 ** 64) return -ENOMEM;
  if ((prot & ~(PROT_ALL | PROT_SEM | grows)) !== 0) return -EINVAL;
  const mm = mustMm(k);
  const index = findIndex(mm, gva);
  if (index >= mm.vmas.length) return -ENOMEM;
  const vma = vmaAt(mm, index);
  if (grows === PROT_GROWSDOWN) {
    if (vma.start >= end) return -ENOMEM;
    if ((vma.flags & MAP_GROWSDOWN) === 0) return -EINVAL;
    gva = vma.start;
  } else if (vma.start > gva) {
    return -ENOMEM;
  } else if (grows === PROT_GROWSUP) {
    return -EINVAL;
  }
  end = Math.min(end, USER_END + PAGE_BYTES);
  return protectRegion(k, gva, end - gva, prot & PROT_ALL);
}

function mremap(k: Kernel, _task: Task, a: Args): number {
  if (a.u32(0) % PAGE_BYTES !== 0) return -EINVAL;
  return remapRegion(k, {
    gva: a.u64(0), oldBytes: a.u64(1), newBytes: a.u64(2), flags: a.u32(3), newGva: a.u64(4),
  });
}

function brk(k: Kernel, _task: Task, a: Args): number {
  return setBrk(k, a.u64(0));
}

/** Checks what madvise, msync and mlock have in common: the end of the range, 0 length = start. */
function rangeEnd(gva: number, bytes: number): number {
  return gva + pageUp(bytes);
}

function madvise(k: Kernel, _task: Task, a: Args): number {
  const gva = a.u64(0);
  const advice = a.i32(2);
  if (!isKnownAdvice(advice) || a.u32(0) % PAGE_BYTES !== 0) return -EINVAL;
  const end = rangeEnd(gva, a.u64(1));
  if (end >= 2 ** 64) return -EINVAL;
  if (end === gva) return 0;
  return adviseRange(k, mustMm(k), gva, end, advice);
}

function mincore(k: Kernel, _task: Task, a: Args): number {
  const gva = a.u64(0);
  if (a.u32(0) % PAGE_BYTES !== 0) return -EINVAL;
  const end = rangeEnd(gva, a.u64(1));
  if (end > USER_END) return -ENOMEM;
  if (isOutOfRange(a.u64(2), (end - gva) / PAGE_BYTES)) return -EFAULT;
  const mm = mustMm(k);
  const vector = new Uint8Array(PAGE_BYTES);
  for (let at = gva, out = a.u64(2); at < end;) {
    const count = Math.min((end - at) / PAGE_BYTES, vector.length);
    const part = vector.subarray(0, count);
    if (!residency(k, mm, at, part)) return -ENOMEM;
    if (copyOut(k, out, part) !== count) return -EFAULT;
    at += count * PAGE_BYTES;
    out += count;
  }
  return 0;
}

/** Shared pages are the page cache, so there is nothing to write back. */
function msync(k: Kernel, _task: Task, a: Args): number {
  const gva = a.u64(0);
  const flags = a.u32(2);
  const { MS_ASYNC, MS_INVALIDATE, MS_SYNC } = mman;
  if ((flags & ~(MS_ASYNC | MS_INVALIDATE | MS_SYNC)) !== 0) return -EINVAL;
  if (a.u32(0) % PAGE_BYTES !== 0) return -EINVAL;
  if ((flags & MS_ASYNC) !== 0 && (flags & MS_SYNC) !== 0) return -EINVAL;
  const end = rangeEnd(gva, a.u64(1));
  if (end >= 2 ** 64) return -ENOMEM;
  const mm = mustMm(k);
  for (let index = findIndex(mm, gva); index < mm.vmas.length; index++) {
    const vma = vmaAt(mm, index);
    if (vma.start >= end) break;
    if ((flags & MS_INVALIDATE) !== 0 && (vma.flags & MAP_LOCKED) !== 0) return -EBUSY;
  }
  return isWholeMapped(mm, gva, end) ? 0 : -ENOMEM;
}

function lock(k: Kernel, a: Args, onFault: boolean): number {
  const start = a.u64(0) - a.u64(0) % PAGE_BYTES;
  const end = start + pageUp(a.u64(1) + a.u64(0) % PAGE_BYTES);
  const mm = mustMm(k);
  const refused = checkLock(k, mm, unlockedIn(mm, start, end), ENOMEM);
  if (refused < 0) return refused;
  if (end >= 2 ** 64) return -EINVAL;
  return end === start ? 0 : lockRange(k, mm, start, end, true, onFault);
}

function mlock(k: Kernel, _task: Task, a: Args): number {
  return lock(k, a, false);
}

function mlock2(k: Kernel, _task: Task, a: Args): number {
  if ((a.u32(2) & ~mman.MLOCK_ONFAULT) !== 0) return -EINVAL;
  return lock(k, a, (a.u32(2) & mman.MLOCK_ONFAULT) !== 0);
}

function munlock(k: Kernel, _task: Task, a: Args): number {
  const start = a.u64(0) - a.u64(0) % PAGE_BYTES;
  const end = start + pageUp(a.u64(1) + a.u64(0) % PAGE_BYTES);
  if (end >= 2 ** 64) return -EINVAL;
  return end === start ? 0 : lockRange(k, mustMm(k), start, end, false, false);
}

function mlockall(k: Kernel, _task: Task, a: Args): number {
  const flags = a.u32(0);
  const { MCL_CURRENT, MCL_FUTURE, MCL_ONFAULT } = mman;
  if (flags === 0 || flags === MCL_ONFAULT) return -EINVAL;
  if ((flags & ~(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT)) !== 0) return -EINVAL;
  const mm = mustMm(k);
  const isNow = (flags & MCL_CURRENT) !== 0;
  const refused = checkLock(k, mm, isNow ? unlockedIn(mm, 0, USER_END) : 0, ENOMEM);
  if (refused < 0) return refused;
  mm.lockFuture = (flags & MCL_FUTURE) !== 0 ? flags : 0;
  if (isNow) lockAll(k, mm, true, (flags & MCL_ONFAULT) !== 0);
  return 0;
}

function munlockall(k: Kernel): number {
  const mm = mustMm(k);
  mm.lockFuture = 0;
  lockAll(k, mm, false, false);
  return 0;
}

/** REGISTER_* commands, each with the command that it permits. */
const BARRIERS: ReadonlyMap<number, number> = new Map([
  [mman.MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED, mman.MEMBARRIER_CMD_GLOBAL_EXPEDITED],
  [mman.MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, mman.MEMBARRIER_CMD_PRIVATE_EXPEDITED],
  [
    mman.MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE,
    mman.MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE,
  ],
]);

/** There is one CPU and every switch of threads is a full barrier: only the bookkeeping is left. */
function membarrier(k: Kernel, _task: Task, a: Args): number {
  const command = a.i32(0);
  if (a.u32(1) !== 0) return -EINVAL;
  const mm = mustMm(k);
  if (command === mman.MEMBARRIER_CMD_QUERY) {
    let known = mman.MEMBARRIER_CMD_GLOBAL | mman.MEMBARRIER_CMD_GET_REGISTRATIONS;
    for (const [register, use] of BARRIERS) known |= register | use;
    return known;
  }
  if (command === mman.MEMBARRIER_CMD_GET_REGISTRATIONS) return mm.barriers;
  if (BARRIERS.has(command)) {
    mm.barriers |= command;
    return 0;
  }
  if (command === mman.MEMBARRIER_CMD_GLOBAL) return 0;
  if (command === mman.MEMBARRIER_CMD_GLOBAL_EXPEDITED) return 0;
  for (const [register, use] of BARRIERS) {
    if (command === use) return (mm.barriers & register) !== 0 ? 0 : -EPERM;
  }
  return -EINVAL;
}

export const memoryCalls: Family = {
  mmap: partial(mmap, 'MAP_HUGETLB is ENOMEM, MAP_SYNC is EOPNOTSUPP.'),
  munmap: full(munmap),
  mprotect: full(mprotect),
  mremap: full(mremap),
  brk: full(brk),
  madvise: partial(
    madvise,
    'MADV_FREE frees at once; MADV_COLLAPSE, MADV_GUARD_INSTALL and MADV_HWPOISON are EINVAL.',
  ),
  mincore: full(mincore),
  msync: full(msync),
  mlock: full(mlock),
  mlock2: full(mlock2),
  munlock: full(munlock),
  mlockall: full(mlockall),
  munlockall: full(munlockall),
  membarrier: partial(membarrier, 'The rseq commands are EINVAL.'),
  process_madvise: missing(ENOSYS, 'As before Linux 5.10: callers use madvise(2).'),
};
