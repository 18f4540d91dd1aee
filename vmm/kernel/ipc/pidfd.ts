// pidfds, pidfd_open(2): files that mean a process, also when its number means another one.
//
//   File ─ object ─► PidFd ◄─ pidfd ─ Process        one PidFd for all files of a process
//
// Ownership: the last file frees the PidFd; a process that is freed before leaves it empty.
import { O_RDWR } from '../../abi/fcntl.ts';
import { POLLHUP, POLLIN, POLLRDNORM } from '../../abi/poll.ts';
import type { Kernel } from '../kernel.ts';
import { PidFd } from '../records/pidfd.ts';
import type { Process } from '../records/task.ts';
import { type File, FILE_PIDFD } from '../records/vfs.ts';
import { makeWaitQueue } from '../task/block.ts';
import { defineFileOps } from '../vfs/file-ops.ts';
import { freeQueue, makeAnonFile } from './anon-file.ts';
import { wakeFor } from './epoll-ready.ts';

/** A file that means no process yet: bindPidFd() gives it one. `flags` are status flags. */
export function makePidFd(k: Kernel, flags: number): File {
  const pidFd = k.arena.make(PidFd);
  pidFd.queue = makeWaitQueue(k);
  pidFd.refs = 1;
  return makeAnonFile(k, FILE_PIDFD, O_RDWR | flags, pidFd);
}

/** Makes a new file mean `process`, which has no other. */
export function bindPidFd(k: Kernel, file: File, process: Process): void {
  const pidFd = pidFdOf(k, file);
  pidFd.process = process;
  process.pidfd = pidFd;
}

/** A file that means `process`. */
export function openPidFd(k: Kernel, process: Process, flags: number): File {
  const known = process.pidfd;
  if (known === null) {
    const file = makePidFd(k, flags);
    bindPidFd(k, file, process);
    return file;
  }
  const file = makeAnonFile(k, FILE_PIDFD, O_RDWR | flags, known);
  known.refs++;
  return file;
}

function pidFdOf(k: Kernel, file: File): PidFd {
  return k.arena.at(PidFd, file.object?.address ?? 0);
}

/** The process that a pidfd means; null when it is gone. Preconditions: it is a pidfd. */
export function processOfPidFd(k: Kernel, file: File): Process | null {
  const { process } = pidFdOf(k, file);
  return process === null || process.isGone ? null : process;
}

/** A process has ended: who polls hears of it. */
export function tellPidFd(k: Kernel, process: Process): void {
  const { pidfd } = process;
  if (pidfd !== null) wakeFor(k, pidfd.queue, POLLIN | POLLRDNORM);
}

/** A process is being freed. */
export function emptyPidFd(k: Kernel, process: Process): void {
  const { pidfd } = process;
  if (pidfd === null) return;
  pidfd.process = null;
  process.pidfd = null;
  wakeFor(k, pidfd.queue, POLLIN | POLLRDNORM | POLLHUP);
}

function pollPidFd(k: Kernel, file: File): number {
  const process = processOfPidFd(k, file);
  if (process === null) return POLLIN | POLLRDNORM | POLLHUP;
  return process.exited ? POLLIN | POLLRDNORM : 0;
}

function releasePidFd(k: Kernel, file: File): void {
  const pidFd = pidFdOf(k, file);
  file.object = null;
  pidFd.refs--;
  if (pidFd.refs > 0) return;
  if (pidFd.process !== null) pidFd.process.pidfd = null;
  freeQueue(k, pidFd.queue);
  k.arena.free(pidFd);
}

defineFileOps(FILE_PIDFD, {
  seekable: false,
  poll: pollPidFd,
  queue: (k, file) => pidFdOf(k, file).queue,
  release: releasePidFd,
});
