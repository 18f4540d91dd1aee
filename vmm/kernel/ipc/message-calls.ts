// One sendmsg or recvmsg on a header of the guest: the common part of sendmsg(2), recvmsg(2) and of
// each message of sendmmsg(2), recvmmsg(2).
import { EFAULT, EOPNOTSUPP } from '../../abi/errno.ts';
import { MSG_CMSG_CLOEXEC, MSG_OOB } from '../../abi/socket.ts';
import { Msghdr } from '../../abi/struct-socket.ts';
import type { Kernel } from '../kernel.ts';
import { copyOut, writeU32, writeU64 } from '../mm/user-memory.ts';
import type { Socket } from '../records/ipc.ts';
import type { Task } from '../records/task.ts';
import type { File } from '../records/vfs.ts';
import { messageBuffer, type MessageHeader, readHeader } from './message-header.ts';
import { readControl, writeControl } from './socket-control.ts';
import { familyOf, type Received } from './socket-family.ts';
import { readAddress } from './socket-name.ts';
import { receiveAll, sendAll } from './socket-transfer.ts';

/** sendmsg(2) on the header at `gva`. Returns bytes, BLOCKED or -errno. */
export function sendMessage(
  k: Kernel,
  task: Task,
  file: File,
  socket: Socket,
  gva: number,
  flags: number,
): number {
  const header = readHeader(k, gva);
  if (typeof header === 'number') return header;
  const from = messageBuffer(k, header, task.waitProgress);
  if (typeof from === 'number') return from;
  let raw: Uint8Array | null = null;
  if (header.nameBytes > 0) {
    const address = readAddress(k, header.nameGva, header.nameBytes);
    if (typeof address === 'number') return address;
    raw = address;
  }
  const files = header.controlBytes === 0
    ? []
    : readControl(k, task, header.controlGva, header.controlBytes);
  if (typeof files === 'number') return files;
  if ((flags & MSG_OOB) !== 0) return -EOPNOTSUPP;
  const receiver = familyOf(socket).resolve(k, task, socket, raw);
  if (typeof receiver === 'number') return receiver;
  return sendAll(k, task, file, socket, from, receiver, files, flags);
}

/** recvmsg(2) on the header at `gva`. Returns bytes, BLOCKED or -errno. */
export function receiveMessage(
  k: Kernel,
  task: Task,
  file: File,
  socket: Socket,
  gva: number,
  flags: number,
): number {
  const header = readHeader(k, gva);
  if (typeof header === 'number') return header;
  const to = messageBuffer(k, header, task.waitProgress);
  if (typeof to === 'number') return to;
  if ((flags & MSG_OOB) !== 0) return -EOPNOTSUPP;
  const received = receiveAll(k, task, file, socket, to, flags);
  if (received.result < 0) return received.result;
  return writeReceived(k, task, socket, gva, header, received, flags);
}

/** Writes back name, control data and flags. */
function writeReceived(
  k: Kernel,
  task: Task,
  socket: Socket,
  gva: number,
  header: MessageHeader,
  received: Received,
  flags: number,
): number {
  const control = writeControl(
    k, task, socket, received.files, header.controlGva, header.controlBytes, flags,
  );
  if (header.nameGva !== 0) {
    const name = familyOf(socket).senderName(socket, received.name);
    const part = name.subarray(0, Math.min(name.length, header.nameBytes));
    if (copyOut(k, header.nameGva, part) !== part.length) return -EFAULT;
    if (!writeU32(k, gva + Msghdr.msg_namelen.offset, name.length)) return -EFAULT;
  }
  const outFlags = received.flags | control.flags | (flags & MSG_CMSG_CLOEXEC);
  if (!writeU32(k, gva + Msghdr.msg_flags.offset, outFlags)) return -EFAULT;
  if (!writeU64(k, gva + Msghdr.msg_controllen.offset, control.bytes)) return -EFAULT;
  return received.result;
}
