// Starting a program in a fresh sandbox: the mounted tree, the first process, its descriptors,
// execve.
import {
  errnoName, EACCES, EBUSY, EISDIR, ENOENT, ENOEXEC, ENOTDIR,
} from '../../abi/errno.ts';
import type { Kernel } from '../../kernel/kernel.ts';
import type { Process, Task } from '../../kernel/records/task.ts';
import { execProgram } from '../../kernel/task/exec.ts';
import { requestOf } from '../../kernel/task/exec-file.ts';
import { makeProcess, makeTask } from '../../kernel/task/make-process.ts';
import { makeConsole } from '../../kernel/ipc/console.ts';
import { installFd } from '../../kernel/vfs/fd-table.ts';
import { lookupPath } from '../../kernel/vfs/lookup.ts';
import { dropDentry, holdDentry } from '../../kernel/vfs/dentry.ts';
import { mountRoot } from '../../kernel/vfs/mount.ts';
import { mountTmpfs } from '../../kernel/vfs/mount-tmpfs.ts';
import { mountVolume } from '../../kernel/vfs/mount-volume.ts';
import { S_IFDIR, S_IFMT } from '../../abi/stat.ts';
import { CatavmmError } from '../../errors.ts';
import type { Volume } from '../../options.ts';

/** What is to be started. Strings are encoded as UTF-8. */
export interface StartRequest {
  argv: Uint8Array[];
  env: Uint8Array[];
  cwd: Uint8Array;
  /** Volumes of ports.lower, by number; their targets are in their plainest form. */
  volumes: readonly Volume[];
  /** Where empty file systems in memory are mounted. */
  tmpfs: readonly string[];
}

const SLASH = 0x2f;
const COLON = 0x3a;
const PATH_PREFIX = 'PATH=';
const DEFAULT_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
const encoder = new TextEncoder();

/**
 * Makes the first process and loads the program.
 * @throws CatavmmError CATAVMM_NOT_FOUND or CATAVMM_NOT_EXECUTABLE
 */
export function startProgram(k: Kernel, request: StartRequest): Task {
  mountRoot(k);
  const process = makeProcess(k);
  mountAll(k, process, request);
  const task = makeTask(k, process);
  const { stdin, stdout, stderr } = makeConsole(k);
  for (const file of [stdin, stdout, stderr]) installFd(k, process, file, 0, false);
  enterDirectory(k, process, request.cwd);
  const name = request.argv[0];
  if (name === undefined || name.length === 0) {
    throw new CatavmmError('CATAVMM_OPTION', 'No command was given.');
  }
  const errno = tryPaths(k, task, candidates(name, request.env), request);
  if (errno !== 0) throw notStarted(new TextDecoder().decode(name), errno);
  return task;
}

interface Mount {
  target: string;
  mount: (target: Uint8Array) => number;
}

/** Outer ones first, whatever the order in which they were given. */
function mountAll(k: Kernel, process: Process, { volumes, tmpfs }: StartRequest): void {
  const mounts: Mount[] = [
    ...volumes.map(({ target, readOnly }, index): Mount => ({
      target, mount: (at) => mountVolume(k, process, index, { target: at, readOnly }),
    })),
    ...tmpfs.map((target): Mount => ({ target, mount: (at) => mountTmpfs(k, process, at) })),
  ];
  for (const { target, mount } of mounts.sort((a, b) => a.target.length - b.target.length)) {
    const error = mount(encoder.encode(target));
    if (error === 0) continue;
    const why = WHY_NOT_MOUNTED.get(-error) ?? errnoName(-error);
    throw new CatavmmError('CATAVMM_OPTION', `Nothing can be mounted on ${target}: ${why}.`);
  }
}

const WHY_NOT_MOUNTED: ReadonlyMap<number, string> = new Map([
  [EBUSY, 'something is mounted there already'],
  [EISDIR, 'it is a directory, but the source is a file'],
  [ENOTDIR, 'it is no directory, or one of those above it is none'],
]);

function enterDirectory(k: Kernel, process: Process, cwd: Uint8Array): void {
  const dentry = lookupPath(k, process, cwd);
  const path = new TextDecoder().decode(cwd);
  if (typeof dentry === 'number') {
    throw new CatavmmError('CATAVMM_OPTION', `The working directory ${path} does not exist.`);
  }
  if (((dentry.inode?.mode ?? 0) & S_IFMT) !== S_IFDIR) {
    throw new CatavmmError('CATAVMM_OPTION', `The working directory ${path} is not a directory.`);
  }
  dropDentry(k, process.cwd);
  process.cwd = holdDentry(k, dentry);
}

/** The paths that a command name may mean, as execvp(3) tries them. */
function candidates(name: Uint8Array, env: readonly Uint8Array[]): Uint8Array[] {
  if (name.includes(SLASH)) return [name];
  const decoder = new TextDecoder();
  const own = env.map((entry) => decoder.decode(entry)).find((e) => e.startsWith(PATH_PREFIX));
  const path = encoder.encode(own === undefined ? DEFAULT_PATH : own.slice(PATH_PREFIX.length));
  const paths: Uint8Array[] = [];
  for (let from = 0; from <= path.length;) {
    const colon = path.indexOf(COLON, from);
    const end = colon < 0 ? path.length : colon;
    const directory = end === from ? encoder.encode('.') : path.subarray(from, end);
    paths.push(Uint8Array.from([...directory, SLASH, ...name]));
    from = end + 1;
  }
  return paths;
}

/** 0, or the errno that execvp(3) would report. */
function tryPaths(
  k: Kernel,
  task: Task,
  paths: readonly Uint8Array[],
  request: StartRequest,
): number {
  let worst = ENOENT;
  for (const path of paths) {
    const result = execProgram(k, task, requestOf(path, request.argv, request.env));
    if (result === 0) return 0;
    const errno = -result;
    if (errno === ENOENT || errno === ENOTDIR) continue;
    if (errno !== EACCES) return errno;
    worst = EACCES;
  }
  return worst;
}

function notStarted(name: string, errno: number): CatavmmError {
  if (errno === ENOENT || errno === ENOTDIR) {
    return new CatavmmError(
      'CATAVMM_NOT_FOUND',
      `${name}: there is no such program (or its interpreter) in the rootfs.`,
      'Give a path that exists below --rootfs, or set PATH with -e.',
    );
  }
  const why = errno === ENOEXEC ? 'it is not an x86-64 ELF program or a script' : errnoName(errno);
  return new CatavmmError('CATAVMM_NOT_EXECUTABLE', `${name} cannot be executed: ${why}.`);
}
