// Sending and receiving on sockets.
//
// What waits is executed again from the start: addresses are resolved anew, bytes done are in
// task.waitProgress, messages done (sendmmsg, recvmmsg) in task.waitArgument.
import { EAGAIN, EFAULT, EINVAL, EOPNOTSUPP } from '../../abi/errno.ts';
import { IOV_MAX, MAX_RW_COUNT } from '../../abi/limits.ts';
import { MSG_DONTWAIT, MSG_OOB, MSG_WAITFORONE } from '../../abi/socket.ts';
import { Mmsghdr } from '../../abi/struct-socket.ts';
import { receiveMessage, sendMessage } from '../ipc/message-calls.ts';
import { familyOf } from '../ipc/socket-family.ts';
import { getSocket } from '../ipc/socket-file.ts';
import { readAddress, writeAddress } from '../ipc/socket-name.ts';
import { dropFiles } from '../ipc/socket-queue.ts';
import { receiveAll, sendAll } from '../ipc/socket-transfer.ts';
import type { Kernel } from '../kernel.ts';
import { isOutOfRange, readStruct, readU64, writeU32 } from '../mm/user-memory.ts';
import type { Task } from '../records/task.ts';
import { nowNs, toNs } from '../time/clock.ts';
import { userBuffer } from '../vfs/io-buffer.ts';
import type { Args } from './args.ts';
import { BLOCKED, type Family, partial } from './define.ts';

/** Linux: import_ubuf, before the descriptor is looked at. */
function isBadBuffer(a: Args): boolean {
  return isOutOfRange(a.u64(1), Math.min(a.u64(2), MAX_RW_COUNT));
}

function sendto(k: Kernel, task: Task, a: Args): number {
  if (isBadBuffer(a)) return -EFAULT;
  const open = getSocket(task, a.i32(0));
  if (typeof open === 'number') return open;
  const flags = a.u32(3);
  const addressGva = a.u64(4);
  let raw: Uint8Array | null = null;
  if (addressGva !== 0) {
    const address = readAddress(k, addressGva, a.i32(5));
    if (typeof address === 'number') return address;
    raw = address;
  }
  if ((flags & MSG_OOB) !== 0) return -EOPNOTSUPP;
  const to = familyOf(open.socket).resolve(k, task, open.socket, raw);
  if (typeof to === 'number') return to;
  const done = task.waitProgress;
  const from = userBuffer(k, a.u64(1) + done, Math.max(0, a.u64(2) - done));
  return sendAll(k, task, open.file, open.socket, from, to, [], flags);
}

function recvfrom(k: Kernel, task: Task, a: Args): number {
  if (isBadBuffer(a)) return -EFAULT;
  const open = getSocket(task, a.i32(0));
  if (typeof open === 'number') return open;
  const flags = a.u32(3);
  if ((flags & MSG_OOB) !== 0) return -EOPNOTSUPP;
  const done = task.waitProgress;
  const to = userBuffer(k, a.u64(1) + done, Math.max(0, a.u64(2) - done));
  const received = receiveAll(k, task, open.file, open.socket, to, flags);
  dropFiles(k, received.files);
  if (received.result < 0 || a.u64(4) === 0) return received.result;
  const name = familyOf(open.socket).senderName(open.socket, received.name);
  const written = writeAddress(k, name, a.u64(4), a.u64(5));
  return written < 0 ? written : received.result;
}

function sendmsg(k: Kernel, task: Task, a: Args): number {
  const open = getSocket(task, a.i32(0));
  if (typeof open === 'number') return open;
  return sendMessage(k, task, open.file, open.socket, a.u64(1), a.u32(2));
}

function recvmsg(k: Kernel, task: Task, a: Args): number {
  const open = getSocket(task, a.i32(0));
  if (typeof open === 'number') return open;
  return receiveMessage(k, task, open.file, open.socket, a.u64(1), a.u32(2));
}

function sendmmsg(k: Kernel, task: Task, a: Args): number {
  const open = getSocket(task, a.i32(0));
  if (typeof open === 'number') return open;
  const { file, socket: from } = open;
  const count = Math.min(a.u32(2), IOV_MAX);
  const flags = a.u32(3);
  return forEachMessage(k, task, a.u64(1), count, (gva) =>
    sendMessage(k, task, file, from, gva, flags));
}

function recvmmsg(k: Kernel, task: Task, a: Args): number {
  const timeoutGva = a.u64(4);
  let timeoutNs = Infinity;
  if (timeoutGva !== 0 && task.waitState === 0) {
    const view = readStruct(k, timeoutGva, 16);
    if (view === null) return -EFAULT;
    const sec = readU64(k, timeoutGva);
    const nsec = readU64(k, timeoutGva + 8);
    if (sec >= 2 ** 63 || nsec >= 1_000_000_000) return -EINVAL;
    timeoutNs = toNs(sec, nsec);
  }
  const open = getSocket(task, a.i32(0));
  if (typeof open === 'number') return open;
  const { file, socket: from } = open;
  const flags = a.u32(3);
  const deadlineNs = nowNs(k) + timeoutNs;
  const count = Math.min(a.u32(2), IOV_MAX);
  return forEachMessage(k, task, a.u64(1), count, (gva, index) => {
    // Linux: the time is looked at between messages only.
    if (index > 0 && nowNs(k) >= deadlineNs) return -EAGAIN;
    const waitsForOne = (flags & MSG_WAITFORONE) !== 0 && index > 0;
    return receiveMessage(k, task, file, from, gva, waitsForOne ? flags | MSG_DONTWAIT : flags);
  });
}

/** Calls `transfer` for each `struct mmsghdr`; an error counts only when it is the first's. */
function forEachMessage(
  k: Kernel,
  task: Task,
  gva: number,
  count: number,
  transfer: (gva: number, index: number) => number,
): number {
  for (let index = task.waitArgument; index < count; index++) {
    const at = gva + index * Mmsghdr.bytes;
    const result = transfer(at, index);
    if (result === BLOCKED) {
      task.waitArgument = index;
      return BLOCKED;
    }
    if (result < 0) return index > 0 ? index : result;
    task.waitProgress = 0;
    if (!writeU32(k, at + Mmsghdr.msg_len.offset, result)) return index > 0 ? index : -EFAULT;
  }
  return count;
}

const OOB = 'MSG_OOB is EOPNOTSUPP.';
const CONTROL = 'Ancillary data: SCM_RIGHTS and SCM_CREDENTIALS; MSG_OOB is EOPNOTSUPP.';

export const messageCalls: Family = {
  sendto: partial(sendto, OOB),
  recvfrom: partial(recvfrom, OOB),
  sendmsg: partial(sendmsg, CONTROL),
  recvmsg: partial(recvmsg, CONTROL),
  sendmmsg: partial(sendmmsg, 'As sendmsg.'),
  recvmmsg: partial(recvmmsg, 'As recvmsg; the timeout begins anew when the call has waited.'),
};
