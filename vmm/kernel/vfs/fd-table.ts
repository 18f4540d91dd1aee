// Descriptor tables: numbers to open files, and the close-on-exec bits.
//
// Invariant: every slot below `hint` is in use.
import { EBADF, EMFILE } from '../../abi/errno.ts';
import { RLIMIT_NOFILE } from '../../abi/resource.ts';
import type { Kernel } from '../kernel.ts';
import { FdTable, type File, FILE_PATH, FileSlots } from '../records/vfs.ts';
import { growTable, growWords, makeWords } from '../state/containers.ts';
import { softLimit } from '../task/limits.ts';
import type { Process } from '../records/task.ts';
import { dropFile, holdFile } from './file.ts';
import { dropProcessLocks } from './locks.ts';

const FIRST_CAPACITY = 64;

/** An empty table. @throws ArenaFullError, with nothing left of it */
export function makeFdTable(k: Kernel, capacity: number = FIRST_CAPACITY): FdTable {
  const { arena } = k;
  const slots = arena.make(FileSlots, capacity * 4);
  try {
    const closeOnExec = makeWords(arena, (capacity + 31) >> 5);
    try {
      const table = arena.make(FdTable);
      table.slots = slots;
      table.closeOnExec = closeOnExec;
      return table;
    } catch (error) {
      arena.free(closeOnExec);
      throw error;
    }
  } catch (error) {
    arena.free(slots);
    throw error;
  }
}

/** The same descriptors for another process (fork). */
export function copyFdTable(k: Kernel, from: FdTable): FdTable {
  const { slots, closeOnExec } = from;
  const table = makeFdTable(k, slots.capacity);
  table.closeOnExec.data.set(closeOnExec.data.subarray(0, table.closeOnExec.data.length));
  table.slots.length = slots.length;
  table.hint = from.hint;
  for (let fd = 0; fd < slots.length; fd++) {
    const file = slots.get(fd);
    if (file !== null) table.slots.set(fd, holdFile(file));
  }
  return table;
}

/** Soft RLIMIT_NOFILE, bounded by the sandbox's own limit. */
export function descriptorLimit(k: Kernel, process: Process): number {
  return Math.min(softLimit(process, RLIMIT_NOFILE), k.limits.descriptors);
}

/**
 * Puts `file` at the lowest free descriptor ≥ `minimum`.
 * Ownership: takes over the caller's reference; on failure the caller still owns it.
 * @returns the descriptor, or -EMFILE
 */
export function installFd(
  k: Kernel,
  process: Process,
  file: File,
  minimum: number = 0,
  cloexec: boolean = false,
): number {
  const table = process.fds;
  const fd = findFree(table, minimum);
  if (fd >= descriptorLimit(k, process)) return -EMFILE;
  placeFd(table, fd, file, cloexec);
  return fd;
}

/** Puts `file` at `fd`, which is free. Ownership: takes over the caller's reference. */
export function placeFd(table: FdTable, fd: number, file: File, cloexec: boolean): void {
  if (fd >= table.slots.capacity) {
    table.slots = growTable(FileSlots, table.slots, fd + 1);
    table.closeOnExec = growWords(table.closeOnExec, (table.slots.capacity + 31) >> 5);
  }
  table.slots.set(fd, file);
  if (fd >= table.slots.length) table.slots.length = fd + 1;
  setCloseOnExec(table, fd, cloexec);
  if (fd === table.hint) table.hint = fd + 1;
}

function findFree(table: FdTable, minimum: number): number {
  const { slots } = table;
  let fd = Math.max(minimum, table.hint);
  while (fd < slots.length && slots.get(fd) !== null) fd++;
  if (minimum <= table.hint) table.hint = fd;
  return fd;
}

/** Takes the file out of the table without dropping it; null when `fd` is not open. */
export function removeFd(table: FdTable, fd: number): File | null {
  const file = table.slots.get(fd);
  if (file === null) return null;
  table.slots.set(fd, null);
  setCloseOnExec(table, fd, false);
  if (fd < table.hint) table.hint = fd;
  return file;
}

/** Closes a descriptor; 0 or -EBADF. */
export function closeFd(k: Kernel, process: Process, fd: number): number {
  const file = removeFd(process.fds, fd);
  if (file === null) return -EBADF;
  closeFile(k, process, file);
  return 0;
}

/** What closing a descriptor does to the file it led to: POSIX locks end with any descriptor. */
export function closeFile(k: Kernel, process: Process, file: File): void {
  const { inode } = file;
  if (inode !== null && inode.locks !== null && file.kind !== FILE_PATH) {
    dropProcessLocks(k, inode, process);
  }
  dropFile(k, file);
}

/** Closes what execve closes. */
export function closeOnExec(k: Kernel, process: Process): void {
  const { fds } = process;
  for (let fd = 0; fd < fds.slots.length; fd++) {
    if (fds.slots.get(fd) !== null && isCloseOnExec(fds, fd)) closeFd(k, process, fd);
  }
}

/** Closes everything (the process ends). The table itself stays. */
export function closeAllFds(k: Kernel, process: Process): void {
  for (let fd = 0; fd < process.fds.slots.length; fd++) closeFd(k, process, fd);
}

export function isCloseOnExec(table: FdTable, fd: number): boolean {
  return (((table.closeOnExec.data[fd >> 5] ?? 0) >>> (fd & 31)) & 1) !== 0;
}

/** Preconditions: `fd` is within the table. */
export function setCloseOnExec(table: FdTable, fd: number, on: boolean): void {
  const { data } = table.closeOnExec;
  const word = data[fd >> 5] ?? 0;
  const bit = 1 << (fd & 31);
  data[fd >> 5] = on ? word | bit : word & ~bit;
}
