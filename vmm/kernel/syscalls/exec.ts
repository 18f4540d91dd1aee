// execve(2), execveat(2): reads the path, the arguments and the environment, and has task/exec.ts
// replace the program. Other threads end when the new program is in place, and the caller becomes
// the main thread.
import { E2BIG, EACCES, EFAULT, EINVAL, ELOOP } from '../../abi/errno.ts';
import { AT_EMPTY_PATH, AT_FDCWD, AT_SYMLINK_NOFOLLOW } from '../../abi/fcntl.ts';
import { MAX_ARG_STRLEN } from '../../abi/limits.ts';
import { S_ISLNK } from '../../abi/stat.ts';
import type { Kernel } from '../kernel.ts';
import { readString, readU64 } from '../mm/user-memory.ts';
import type { Process, Task } from '../records/task.ts';
import {
  checkExecutable, type ExecRequest, openExecutable, requestOf,
} from '../task/exec-file.ts';
import { execProgram } from '../task/exec.ts';
import { exitTask } from '../task/exit.ts';
import { deletePosixTimer } from '../time/posix-timers.ts';
import { isCloseOnExec } from '../vfs/fd-table.ts';
import { lookupAt } from '../vfs/lookup.ts';
import { readPath } from '../vfs/user-path.ts';
import type { Args } from './args.ts';
import { type Family, full, NO_RESULT } from './define.ts';
import { lookupFlags } from './stat.ts';

/** Linux: a quarter of the stack limit of 8 MiB; the pointers count too. */
const STRINGS_BYTES_MAX = 2 * 1024 * 1024;
const POINTER_BYTES = 8;

/** What is left for strings of argv and envp together. */
interface Budget {
  bytes: number;
}

/** A NULL-terminated array of strings. Linux: NULL itself counts as an empty array. */
function readStrings(k: Kernel, gva: number, budget: Budget): Uint8Array[] | number {
  const strings: Uint8Array[] = [];
  for (let at = gva; at !== 0; at += POINTER_BYTES) {
    const pointer = readU64(k, at);
    if (pointer < 0) return -EFAULT;
    if (pointer === 0) break;
    const string = readString(k, pointer, MAX_ARG_STRLEN);
    if (string === null) return -EFAULT;
    if (string === undefined) return -E2BIG;
    budget.bytes -= string.length + 1 + POINTER_BYTES;
    if (budget.bytes < 0) return -E2BIG;
    strings.push(string);
  }
  return strings;
}

function execve(k: Kernel, task: Task, a: Args): number {
  const [argvGva, envGva] = [a.u64(1), a.u64(2)];
  const path = readPath(k, a.u64(0));
  if (typeof path === 'number') return path;
  // Linux: the file is opened before the strings are read, so ENOENT comes before EFAULT.
  const file = openExecutable(k, task.process, path);
  if (typeof file === 'number') return file;
  return replaceProgram(k, task, requestOf(path, [], []), argvGva, envGva);
}

/** Linux: do_open_execat(), alloc_bprm(). The program sees its file as /dev/fd/N[/path]. */
function execveat(k: Kernel, task: Task, a: Args): number {
  const [dirfd, argvGva, envGva, flags] = [a.i32(0), a.u64(2), a.u64(3), a.u32(4)];
  const path = readPath(k, a.u64(1));
  if (typeof path === 'number') return path;
  if ((flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)) !== 0) return -EINVAL;
  const place = lookupAt(k, task.process, dirfd, path, lookupFlags(flags));
  if (typeof place === 'number') return place;
  const { dentry } = place;
  if (dentry === null) return -EACCES;
  if (dentry.inode !== null && S_ISLNK(dentry.inode.mode)) return -ELOOP;
  const file = checkExecutable(dentry);
  if (typeof file === 'number') return file;
  const isPlain = dirfd === AT_FDCWD || path[0] === SLASH;
  const name = isPlain ? path : joinBytes(encoder.encode(
    path.length === 0 ? `/dev/fd/${dirfd}` : `/dev/fd/${dirfd}/`), path);
  const request: ExecRequest = {
    ...requestOf(name, [], []),
    file,
    isUnreachable: !isPlain && isCloseOnExec(task.process.fds, dirfd),
  };
  if (path.length === 0) request.name = dentry.name.data.slice();
  return replaceProgram(k, task, request, argvGva, envGva);
}

function joinBytes(first: Uint8Array, second: Uint8Array): Uint8Array {
  return Uint8Array.from([...first, ...second]);
}

const SLASH = 0x2f;
const encoder: TextEncoder = new TextEncoder();

/** Reads the strings and execs. */
function replaceProgram(
  k: Kernel, task: Task, request: ExecRequest, argvGva: number, envGva: number,
): number {
  const budget: Budget = { bytes: STRINGS_BYTES_MAX };
  const argv = readStrings(k, argvGva, budget);
  if (typeof argv === 'number') return argv;
  const env = readStrings(k, envGva, budget);
  if (typeof env === 'number') return env;
  const result = execProgram(k, task, { ...request, argv, env });
  if (result < 0) return result;
  endOtherThreads(k, task);
  endTimers(k, task.process);
  return NO_RESULT;
}

/** Linux: de_thread(). Their addresses mean nothing in the new program, so nothing is cleared. */
function endOtherThreads(k: Kernel, task: Task): void {
  const { process } = task;
  const others: Task[] = [];
  for (let index = 0; index < process.tasks.length; index++) {
    const other = process.tasks.get(index);
    if (other !== null && other !== task) others.push(other);
  }
  for (const other of others) {
    other.clearChildTid = 0;
    other.robustList = 0;
    exitTask(k, other, 0);
  }
  task.tid = process.pid;
}

/** POSIX timers end with the program; ITIMER_REAL goes on. */
function endTimers(k: Kernel, process: Process): void {
  while (process.posixTimers !== null) deletePosixTimer(k, process, process.posixTimers);
}

export const execCalls: Family = {
  execve: full(execve),
  execveat: full(execveat),
};
