// A mounted test kernel whose system calls are called by name with JavaScript values: strings and
// bytes are put into guest memory, `out` is a buffer there for results.
//
//   const g = makeGuest({ etc: { motd: 'hi\n' } });
//   g.call('mkdir', '/tmp', 0o755);  g.open('/etc/motd');  g.text(fd)  → 'hi\n'
import { MAP_ANONYMOUS, MAP_PRIVATE, PROT_READ, PROT_WRITE } from '../../../../vmm/abi/mman.ts';
import { errnoName } from '../../../../vmm/abi/errno.ts';
import { AT_FDCWD, O_RDONLY } from '../../../../vmm/abi/fcntl.ts';
import { Stat } from '../../../../vmm/abi/struct-file.ts';
import { mapRegion } from '../../../../vmm/kernel/mm/map.ts';
import { copyIn, copyOut } from '../../../../vmm/kernel/mm/user-memory.ts';
import type { Kernel } from '../../../../vmm/kernel/kernel.ts';
import type { Process, Task } from '../../../../vmm/kernel/records/task.ts';
import { argsOf, REG, setReg } from '../../../../vmm/kernel/syscalls/args.ts';
import { BLOCKED, type Family } from '../../../../vmm/kernel/syscalls/define.ts';
import { descriptorCalls } from '../../../../vmm/kernel/syscalls/descriptor.ts';
import { directoryCalls } from '../../../../vmm/kernel/syscalls/directory.ts';
import { filesystemCalls } from '../../../../vmm/kernel/syscalls/filesystem.ts';
import { inotifyCalls } from '../../../../vmm/kernel/syscalls/inotify.ts';
import { lockCalls } from '../../../../vmm/kernel/syscalls/lock.ts';
import { openCalls } from '../../../../vmm/kernel/syscalls/open.ts';
import { pipeCalls } from '../../../../vmm/kernel/syscalls/pipe.ts';
import { readWriteCalls } from '../../../../vmm/kernel/syscalls/read-write.ts';
import { messageCalls } from '../../../../vmm/kernel/syscalls/message.ts';
import { socketCalls } from '../../../../vmm/kernel/syscalls/socket.ts';
import { spliceCalls } from '../../../../vmm/kernel/syscalls/splice.ts';
import { statCalls } from '../../../../vmm/kernel/syscalls/stat.ts';
import { holdDentry } from '../../../../vmm/kernel/vfs/dentry.ts';
import { mountRoot } from '../../../../vmm/kernel/vfs/mount.ts';
import {
  makeTestKernel, type TestKernel, type TestKernelOptions,
} from '../../../helpers/kernel.ts';
import type { LowerTree } from '../../../helpers/lower-tree.ts';

const calls: Family = {
  ...openCalls, ...readWriteCalls, ...statCalls, ...directoryCalls, ...descriptorCalls,
  ...filesystemCalls, ...inotifyCalls, ...lockCalls, ...pipeCalls, ...socketCalls,
  ...messageCalls, ...spliceCalls,
};
const REGISTERS = [REG.rdi, REG.rsi, REG.rdx, REG.r10, REG.r8, REG.r9] as const;
const MEMORY_BYTES = 4 * 1024 * 1024;
const OUT_BYTES = 1024 * 1024;

export type Argument = number | string | Uint8Array;

export interface StatResult {
  mode: number;
  nlink: number;
  size: number;
  ino: number;
  dev: number;
  uid: number;
  gid: number;
  rdev: number;
  blocks: number;
  mtime: number;
  ctime: number;
}

export interface DirectoryEntry {
  name: string;
  ino: number;
  type: number;
  next: number;
}

export class Guest {
  readonly t: TestKernel;
  readonly k: Kernel;
  readonly process: Process;
  readonly task: Task;
  /** Guest address of a buffer of 1 MiB for results. */
  readonly out: number;
  #next: number;
  readonly #first: number;

  constructor(t: TestKernel) {
    this.t = t;
    this.k = t.k;
    this.process = t.process;
    this.task = t.task;
    mountRoot(t.k);
    const root = t.k.root.rootDentry;
    if (root === null) throw new Error('no root');
    this.process.root = holdDentry(t.k, root);
    this.process.cwd = holdDentry(t.k, root);
    const prot = PROT_READ | PROT_WRITE;
    const flags = MAP_PRIVATE | MAP_ANONYMOUS;
    const gva = mapRegion(t.k, { gva: 0, bytes: MEMORY_BYTES, prot, flags });
    if (gva < 0) throw new Error(`mapRegion: ${gva}`);
    this.out = gva;
    this.#first = gva + OUT_BYTES;
    this.#next = this.#first;
  }

  /** Puts bytes into guest memory (a string gets a NUL); returns the address. */
  put(data: string | Uint8Array): number {
    const bytes = typeof data === 'string' ? new TextEncoder().encode(`${data}\0`) : data;
    const end = this.#first + MEMORY_BYTES - OUT_BYTES;
    if (this.#next + bytes.length > end) this.#next = this.#first;
    const gva = this.#next;
    this.#next += Math.ceil(bytes.length / 16) * 16 + 16;
    if (copyOut(this.k, gva, bytes) !== bytes.length) throw new Error('test memory is full');
    return gva;
  }

  peek(gva: number, bytes: number): Uint8Array {
    const data = new Uint8Array(bytes);
    if (copyIn(this.k, gva, data) !== bytes) throw new Error('bad test address');
    return data;
  }

  /** First execution of a call. */
  call(name: string, ...args: readonly Argument[]): number {
    return this.callAs(this.task, name, ...args);
  }

  callAs(task: Task, name: string, ...args: readonly Argument[]): number {
    REGISTERS.forEach((register, index) => {
      const value = args[index] ?? 0;
      setReg(task, register, typeof value === 'number' ? value : this.put(value));
    });
    clearWait(task);
    return this.again(task, name);
  }

  /** Executes a call again, as after a wake-up. */
  again(task: Task, name: string): number {
    const row = calls[name];
    if (row === undefined) throw new Error(`no call ${name}`);
    this.k.current = task;
    const result = row.handler(this.k, task, argsOf(task));
    if (result !== BLOCKED) clearWait(task);
    return result;
  }

  /** Like call(), but errors come as names: 'ENOENT'. */
  try(name: string, ...args: readonly Argument[]): string | number {
    return nameOf(this.call(name, ...args));
  }

  open(path: string, flags: number = O_RDONLY, mode: number = 0o644): number {
    return this.call('openat', AT_FDCWD, path, flags, mode);
  }

  /** Reads a descriptor to its end. */
  text(fd: number): string {
    return new TextDecoder().decode(this.bytes(fd));
  }

  bytes(fd: number): Uint8Array {
    const parts: number[] = [];
    for (;;) {
      const count = this.call('read', fd, this.out, 65536);
      if (count < 0) throw new Error(`read: ${errnoName(-count)}`);
      if (count === 0) return Uint8Array.from(parts);
      for (const byte of this.peek(this.out, count)) parts.push(byte);
    }
  }

  /** Content of a file, or an errno's name. */
  file(path: string): string {
    const fd = this.open(path);
    if (fd < 0) return errnoName(-fd);
    const text = this.text(fd);
    this.call('close', fd);
    return text;
  }

  /** Makes or replaces a file. */
  write(path: string, content: string, flags: number = 0o1101): number {
    const fd = this.open(path, flags);
    if (fd < 0) return fd;
    const data = new TextEncoder().encode(content);
    const result = this.call('write', fd, data, data.length);
    this.call('close', fd);
    return result;
  }

  stat(path: string, flags: number = 0x100): StatResult | string {
    const error = this.call('newfstatat', AT_FDCWD, path, this.out, flags);
    return error < 0 ? errnoName(-error) : this.readStat();
  }

  fstat(fd: number): StatResult {
    const error = this.call('fstat', fd, this.out);
    if (error < 0) throw new Error(errnoName(-error));
    return this.readStat();
  }

  mustStat(path: string, flags?: number): StatResult {
    const result = this.stat(path, flags);
    if (typeof result === 'string') throw new Error(`${path}: ${result}`);
    return result;
  }

  readStat(): StatResult {
    const raw = this.peek(this.out, Stat.bytes);
    const view = new DataView(raw.buffer);
    return {
      mode: Stat.st_mode.get(view, 0),
      nlink: Stat.st_nlink.get(view, 0),
      size: Stat.st_size.get(view, 0),
      ino: Stat.st_ino.get(view, 0),
      dev: Stat.st_dev.get(view, 0),
      uid: Stat.st_uid.get(view, 0),
      gid: Stat.st_gid.get(view, 0),
      rdev: Stat.st_rdev.get(view, 0),
      blocks: Stat.st_blocks.get(view, 0),
      mtime: Stat.st_mtime.get(view, 0),
      ctime: Stat.st_ctime.get(view, 0),
    };
  }

  readlink(path: string): string {
    const count = this.call('readlink', path, this.out, 65536);
    return count < 0 ? errnoName(-count) : new TextDecoder().decode(this.peek(this.out, count));
  }

  cwd(): string {
    const count = this.call('getcwd', this.out, 65536);
    return count < 0 ? errnoName(-count) : new TextDecoder().decode(this.peek(this.out, count - 1));
  }

  /** One getdents64 into a buffer of `room` bytes. */
  entries(fd: number, room: number = 65536): DirectoryEntry[] {
    const count = this.call('getdents64', fd, this.out, room);
    if (count < 0) throw new Error(errnoName(-count));
    const raw = this.peek(this.out, count);
    const view = new DataView(raw.buffer);
    const entries: DirectoryEntry[] = [];
    for (let at = 0; at < count; at += view.getUint16(at + 16, true)) {
      const end = raw.indexOf(0, at + 19);
      entries.push({
        ino: view.getUint32(at, true) + view.getUint32(at + 4, true) * 2 ** 32,
        next: view.getUint32(at + 8, true),
        type: raw[at + 18] as number,
        name: new TextDecoder().decode(raw.subarray(at + 19, end)),
      });
    }
    return entries;
  }

  /** All names of a directory, sorted, without dots. */
  list(path: string): string[] {
    const fd = this.open(path, 0o200000);
    if (fd < 0) return [errnoName(-fd)];
    const names: string[] = [];
    for (;;) {
      const some = this.entries(fd, 512);
      if (some.length === 0) break;
      for (const { name } of some) if (name !== '.' && name !== '..') names.push(name);
    }
    this.call('close', fd);
    return names.sort();
  }

  close(): void {
    this.t.close();
  }
}

function clearWait(task: Task): void {
  task.waitDeadlineNs = 0;
  task.waitProgress = 0;
  task.waitState = 0;
  task.waitArgument = 0;
}

/** A result, or the name of its error. */
export function nameOf(result: number): string | number {
  return result < 0 && result > -4096 ? errnoName(-result) : result;
}

export function makeGuest(lower: LowerTree = {}, options: TestKernelOptions = {}): Guest {
  return new Guest(makeTestKernel({ ...options, lower }));
}
