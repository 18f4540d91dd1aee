// Signal descriptors, signalfd(2): reading takes pending signals as 128-byte structures.
//
// Whose signals: those of the thread that reads or polls and of the process. Operations on files do
// not know the thread; it is the one whose call is being executed, the head of the run list.
import { EAGAIN, EFAULT, EINVAL } from '../../abi/errno.ts';
import { O_RDWR } from '../../abi/fcntl.ts';
import { POLLIN } from '../../abi/poll.ts';
import { SI_TIMER, SIGBUS, SIGCHLD, SIGFPE, SIGILL, SIGSEGV, SIGTRAP } from '../../abi/signal.ts';
import { SignalfdSiginfo } from '../../abi/struct-signal.ts';
import type { Kernel } from '../kernel.ts';
import { SignalFd } from '../records/ipc.ts';
import type { Process, Task } from '../records/task.ts';
import { type File, FILE_SIGNALFD } from '../records/vfs.ts';
import { UNBLOCKABLE } from '../signal/mask.ts';
import { dequeueSignal, pendingSet, type SignalInfo } from '../signal/pending.ts';
import { makeWaitQueue, wake } from '../task/block.ts';
import { defineFileOps, type IoBuffer } from '../vfs/file-ops.ts';
import { freeQueue, makeAnonFile, seekNowhere } from './anon-file.ts';
import { wakeFor } from './epoll-ready.ts';

/** A file that reads the signals of `mask` (bit n-1 = signal n). */
export function makeSignalFd(k: Kernel, mask: bigint, flags: number): File {
  const signalFd = k.arena.make(SignalFd);
  signalFd.queue = makeWaitQueue(k);
  signalFd.mask = mask & ~UNBLOCKABLE;
  return makeAnonFile(k, FILE_SIGNALFD, O_RDWR | flags, signalFd);
}

/** Changes the signals of an existing file; -EINVAL when it is another kind. */
export function setSignalFd(k: Kernel, file: File, mask: bigint): number {
  if (file.kind !== FILE_SIGNALFD) return -EINVAL;
  const signalFd = behind(k, file);
  signalFd.mask = mask & ~UNBLOCKABLE;
  wake(k, signalFd.queue);
  return 0;
}

function behind(k: Kernel, file: File): SignalFd {
  return k.arena.at(SignalFd, file.object?.address ?? 0);
}

/**
 * A signal became pending in `process` or one of its tasks: wakes readers of signal descriptors.
 */
export function notifySignalFds(k: Kernel, process: Process): void {
  const { slots } = process.fds;
  for (let fd = 0; fd < slots.length; fd++) {
    const file = slots.get(fd);
    if (file !== null && file.kind === FILE_SIGNALFD) wakeFor(k, behind(k, file).queue, POLLIN);
  }
}

function readerOf(k: Kernel): Task | null {
  return k.current ?? k.root.runHead ?? k.root.process?.tasks.get(0) ?? null;
}

function readSignals(k: Kernel, file: File, to: IoBuffer): number {
  if (to.remaining < SignalfdSiginfo.bytes) return -EINVAL;
  const task = readerOf(k);
  if (task === null) return -EAGAIN;
  const { mask } = behind(k, file);
  let done = 0;
  while (to.remaining >= SignalfdSiginfo.bytes) {
    const info = dequeueSignal(k, task, mask);
    if (info === null) break;
    if (to.put(encodeInfo(info)) < SignalfdSiginfo.bytes) return done > 0 ? done : -EFAULT;
    done += SignalfdSiginfo.bytes;
  }
  return done > 0 ? done : -EAGAIN;
}

/** Linux: signalfd_copyinfo. Which fields hold the value depends on where the signal comes from. */
function encodeInfo(info: SignalInfo): Uint8Array {
  const raw = new Uint8Array(SignalfdSiginfo.bytes);
  const view = new DataView(raw.buffer);
  SignalfdSiginfo.ssi_signo.set(view, 0, info.signal);
  SignalfdSiginfo.ssi_errno.set(view, 0, info.errno);
  SignalfdSiginfo.ssi_code.set(view, 0, info.code);
  if (info.code === SI_TIMER) {
    SignalfdSiginfo.ssi_tid.set(view, 0, info.pid);
    SignalfdSiginfo.ssi_overrun.set(view, 0, info.uid);
    setValue(view, info);
    return raw;
  }
  if (info.code > 0 && FAULTS.includes(info.signal)) {
    SignalfdSiginfo.ssi_addr.set(view, 0, BigInt(Math.trunc(info.value)));
    return raw;
  }
  SignalfdSiginfo.ssi_pid.set(view, 0, info.pid);
  SignalfdSiginfo.ssi_uid.set(view, 0, info.uid);
  if (info.signal === SIGCHLD && info.code > 0) {
    SignalfdSiginfo.ssi_status.set(view, 0, info.value);
  } else if (info.code < 0) {
    setValue(view, info);
  }
  return raw;
}

const FAULTS: readonly number[] = [SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP];

function setValue(view: DataView, info: SignalInfo): void {
  SignalfdSiginfo.ssi_ptr.set(view, 0, BigInt.asUintN(64, info.sigval));
  SignalfdSiginfo.ssi_int.set(view, 0, Number(BigInt.asIntN(32, info.sigval)));
}

function pollSignals(k: Kernel, file: File): number {
  const task = readerOf(k);
  return task !== null && (pendingSet(task) & behind(k, file).mask) !== 0n ? POLLIN : 0;
}

function releaseSignalFd(k: Kernel, file: File): void {
  const signalFd = behind(k, file);
  file.object = null;
  freeQueue(k, signalFd.queue);
  k.arena.free(signalFd);
}

defineFileOps(FILE_SIGNALFD, {
  seekable: false,
  read: readSignals,
  poll: pollSignals,
  queue: (k, file) => behind(k, file).queue,
  seek: seekNowhere,
  release: releaseSignalFd,
});
