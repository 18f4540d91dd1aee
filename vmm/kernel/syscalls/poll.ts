// poll(2), ppoll(2), select(2), pselect6(2).
//
// The timeout is read once (ipc/wait-timeout.ts). select, pselect6 and ppoll write the time left to
// the guest when they end; an interrupted call that is restarted goes on with what was written.
// poll keeps its deadline instead.
import { EBADF, EFAULT, EINTR, EINVAL } from '../../abi/errno.ts';
import { readI64, readUsize } from '../../abi/layout.ts';
import {
  POLLERR, POLLHUP, POLLIN, POLLNVAL, POLLOUT, POLLPRI, POLLRDBAND, POLLRDNORM, POLLWRBAND,
  POLLWRNORM,
} from '../../abi/poll.ts';
import { NSEC_PER_MSEC, NSEC_PER_SEC, NSEC_PER_USEC, USEC_PER_SEC } from '../../abi/time.ts';
import { pollFd, QueueSet } from '../ipc/poll.ts';
import { hasTimedOut, readTimeout, startWait, timeLeftNs, toTimeout } from '../ipc/wait-timeout.ts';
import type { Kernel } from '../kernel.ts';
import { copyIn, copyOut, readStruct, writeU64 } from '../mm/user-memory.ts';
import type { Task } from '../records/task.ts';
import { beginTemporaryMask } from '../signal/mask.ts';
import { block } from '../task/block.ts';
import { getFile } from '../vfs/file.ts';
import { descriptorLimit } from '../vfs/fd-table.ts';
import type { Args } from './args.ts';
import {
  BLOCKED, ERESTART_RESTARTBLOCK, ERESTARTNOHAND, type Family, full,
} from './define.ts';

/** `struct pollfd`: i32 fd, i16 events, i16 revents. */
const POLLFD_BYTES = 8;

// poll

function poll(k: Kernel, task: Task, a: Args): number {
  const timeoutMs = a.i32(2);
  const timeoutNs = timeoutMs < 0 ? Infinity : timeoutMs * NSEC_PER_MSEC;
  return pollMany(k, task, a.u64(0), a.u32(1), timeoutNs, ERESTART_RESTARTBLOCK);
}

function ppoll(k: Kernel, task: Task, a: Args): number {
  const gva = a.u64(0);
  const count = a.u32(1);
  const timeoutGva = a.u64(2);
  const timeoutNs = readTimeout(k, task, timeoutGva);
  if (timeoutNs < 0) return timeoutNs;
  const masked = beginTemporaryMask(k, task, a.u64(3), a.u64(4));
  if (masked < 0) return masked;
  const result = pollMany(k, task, gva, count, timeoutNs, ERESTARTNOHAND);
  return writeTimeLeft(k, task, timeoutGva, 1, result);
}

function pollMany(
  k: Kernel,
  task: Task,
  gva: number,
  count: number,
  timeoutNs: number,
  interruption: number,
): number {
  if (count > descriptorLimit(k, task.process)) return -EINVAL;
  const raw = new Uint8Array(count * POLLFD_BYTES);
  if (copyIn(k, gva, raw) !== raw.length) return -EFAULT;
  const view = new DataView(raw.buffer);
  startWait(k, task, timeoutNs);
  let ready = 0;
  for (let at = 0; at < raw.length; at += POLLFD_BYTES) {
    const revents = pollFd(k, task, view.getInt32(at, true), view.getUint16(at + 4, true));
    view.setUint16(at + 6, revents, true);
    if (revents !== 0) ready++;
  }
  if (ready === 0 && timeoutNs !== 0 && !hasTimedOut(k, task)) {
    const queues = new QueueSet();
    for (let at = 0; at < raw.length; at += POLLFD_BYTES) {
      queues.add(k, task, view.getInt32(at, true));
    }
    const result = block(k, task, queues.list(), interruption);
    if (result === BLOCKED) return BLOCKED;
    // Linux writes the revents (all zero) of an interrupted call, too.
    return writeRevents(k, gva, raw) ? result : -EFAULT;
  }
  return writeRevents(k, gva, raw) ? ready : -EFAULT;
}

/**
 * Writes only the revents: the rest belongs to the guest, and other threads may change it
 * meanwhile.
 */
function writeRevents(k: Kernel, gva: number, raw: Uint8Array): boolean {
  for (let at = 0; at < raw.length; at += POLLFD_BYTES) {
    if (copyOut(k, gva + at + 6, raw.subarray(at + 6, at + 8)) !== 2) return false;
  }
  return true;
}

// select

const IN_SET = POLLRDNORM | POLLRDBAND | POLLIN | POLLHUP | POLLERR;
const OUT_SET = POLLWRBAND | POLLWRNORM | POLLOUT | POLLERR;
const EXCEPT_SET = POLLPRI;

function select(k: Kernel, task: Task, a: Args): number {
  const timeoutGva = a.u64(4);
  const timeoutNs = readTimeval(k, task, timeoutGva);
  if (timeoutNs < 0) return timeoutNs;
  const result = selectMany(k, task, a, timeoutNs);
  return writeTimeLeft(k, task, timeoutGva, NSEC_PER_USEC, result);
}

function pselect6(k: Kernel, task: Task, a: Args): number {
  const timeoutGva = a.u64(4);
  const packGva = a.u64(5);
  let maskGva = 0;
  let maskBytes = 0;
  if (packGva !== 0) {
    const pack = readStruct(k, packGva, 16);
    if (pack === null) return -EFAULT;
    maskGva = readUsize(pack, 0);
    maskBytes = readUsize(pack, 8);
  }
  const timeoutNs = readTimeout(k, task, timeoutGva);
  if (timeoutNs < 0) return timeoutNs;
  const masked = beginTemporaryMask(k, task, maskGva, maskBytes);
  if (masked < 0) return masked;
  return writeTimeLeft(k, task, timeoutGva, 1, selectMany(k, task, a, timeoutNs));
}

/** Reads a `struct timeval`; too many microseconds carry over into seconds, as on Linux. */
function readTimeval(k: Kernel, task: Task, gva: number): number {
  if (gva === 0 || task.waitState !== 0) return Infinity;
  const view = readStruct(k, gva, 16);
  if (view === null) return -EFAULT;
  const usec = readI64(view, 8);
  const sec = readI64(view, 0) + Math.trunc(usec / USEC_PER_SEC);
  return toTimeout(sec, usec % USEC_PER_SEC * NSEC_PER_USEC);
}

/** The six bitmaps of one select call; those asked for are null when the guest passed none. */
interface SelectSets {
  readonly count: number;
  readonly asked: readonly (Uint8Array | null)[];
  readonly found: readonly (Uint8Array | null)[];
}

const SET_EVENTS: readonly number[] = [IN_SET, OUT_SET, EXCEPT_SET];
const SET_NAMES: readonly number[] = [1, 2, 3];

function selectMany(k: Kernel, task: Task, a: Args, timeoutNs: number): number {
  const wanted = a.i32(0);
  if (wanted < 0) return -EINVAL;
  const addresses = SET_NAMES.map((index) => a.u64(index));
  // Linux: descriptors beyond the table's size are left out.
  const count = Math.min(wanted, task.process.fds.slots.capacity);
  const asked: (Uint8Array | null)[] = [];
  for (const gva of addresses) {
    const set = gva === 0 ? null : new Uint8Array(Math.ceil(count / 64) * 8);
    if (set !== null && copyIn(k, gva, set) !== set.length) return -EFAULT;
    asked.push(set);
  }
  const found = asked.map((set) => set === null ? null : new Uint8Array(set.length));
  const sets: SelectSets = { count, asked, found };
  startWait(k, task, timeoutNs);
  const ready = lookAtSets(k, task, sets);
  if (ready < 0) return ready;
  if (ready === 0 && timeoutNs !== 0 && !hasTimedOut(k, task)) {
    const queues = new QueueSet();
    forEachFd(sets, (fd) => queues.add(k, task, fd));
    return block(k, task, queues.list(), ERESTARTNOHAND);
  }
  for (const [index, set] of found.entries()) {
    if (set !== null && copyOut(k, addresses[index] ?? 0, set) !== set.length) return -EFAULT;
  }
  return ready;
}

/** Calls `visit` for each descriptor in any set, ascending, with the events asked for. */
function forEachFd(sets: SelectSets, visit: (fd: number, events: number) => void): void {
  const [first, second, third] = sets.asked;
  for (let byte = 0; byte * 8 < sets.count; byte++) {
    const any = (first?.[byte] ?? 0) | (second?.[byte] ?? 0) | (third?.[byte] ?? 0);
    if (any === 0) continue;
    for (let bit = 0; bit < 8; bit++) {
      const fd = byte * 8 + bit;
      if (((any >> bit) & 1) === 0 || fd >= sets.count) continue;
      let events = 0;
      sets.asked.forEach((set, index) => {
        if (set !== null && (((set[byte] ?? 0) >> bit) & 1) !== 0) events |= SET_EVENTS[index] ?? 0;
      });
      visit(fd, events);
    }
  }
}

/** Fills the result sets; returns how many bits they have, or -EBADF for a descriptor not open. */
function lookAtSets(k: Kernel, task: Task, sets: SelectSets): number {
  let ready = 0;
  let isBad = false;
  forEachFd(sets, (fd) => {
    if (getFile(task, fd) === null) isBad = true;
  });
  if (isBad) return -EBADF;
  forEachFd(sets, (fd, events) => {
    const revents = pollFd(k, task, fd, events) & ~POLLNVAL;
    sets.found.forEach((set, index) => {
      const asked = sets.asked[index]?.[fd >> 3] ?? 0;
      if (set === null || ((asked >> (fd & 7)) & 1) === 0) return;
      if ((revents & (SET_EVENTS[index] ?? 0)) === 0) return;
      set[fd >> 3] = (set[fd >> 3] ?? 0) | 1 << (fd & 7);
      ready++;
    });
  });
  return ready;
}

/**
 * Writes the time left as seconds and `unitNs` units when the call ends (Linux:
 * poll_select_finish). A call whose time could not be written is not restarted.
 */
function writeTimeLeft(
  k: Kernel,
  task: Task,
  gva: number,
  unitNs: number,
  result: number,
): number {
  if (gva === 0 || result === BLOCKED || task.waitDeadlineNs === 0) return result;
  const leftNs = timeLeftNs(k, task);
  const sec = Math.floor(leftNs / NSEC_PER_SEC);
  const part = Math.floor((leftNs - sec * NSEC_PER_SEC) / unitNs);
  if (writeU64(k, gva, sec) && writeU64(k, gva + 8, part)) return result;
  return result === -ERESTARTNOHAND ? -EINTR : result;
}

export const pollCalls: Family = {
  poll: full(poll),
  ppoll: full(ppoll),
  select: full(select),
  pselect6: full(pselect6),
};
