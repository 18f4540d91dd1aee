// One list of system calls on two kernels: the guest's and the host's, for comparison. The host
// works in a temporary directory, the guest in `/w`; both name files relative to a descriptor of
// it.
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { errnoName } from '../../../../vmm/abi/errno.ts';
import { AT_REMOVEDIR, AT_SYMLINK_NOFOLLOW } from '../../../../vmm/abi/fcntl.ts';
import { Stat } from '../../../../vmm/abi/struct-file.ts';
import { SYSCALL_NUMBERS } from '../../../../vmm/abi/syscall-numbers.ts';
import {
  close, lastErrno, mmap, open, syscall, viewNative,
} from '../../../../vmm/host/libc.ts';
import type { LowerTree } from '../../../helpers/lower-tree.ts';
import { type Argument, type Guest, makeGuest } from './guest.ts';

export type Operation = readonly [name: string, ...args: (string | number)[]];
export type Outcome = string | number;

/** A kernel that answers system calls about a directory. */
export interface Side {
  /** Descriptor of the directory. */
  readonly dir: number;
  /** Address of a buffer for results. */
  readonly out: number;
  call(name: string, ...args: readonly Argument[]): number;
  peek(address: number, bytes: number): Uint8Array;
  close(): void;
}

const BUFFER_BYTES = 1024 * 1024;
const OUT_BYTES = BUFFER_BYTES / 2;
const PROT_READ_WRITE = 3;
const MAP_PRIVATE_ANONYMOUS = 0x22;

/** The host's kernel, in a temporary directory that holds `tree`. */
export class HostSide implements Side {
  readonly dir: number;
  readonly out: number;
  readonly #root: string;
  readonly #memory: Uint8Array;
  #next: number = OUT_BYTES;

  constructor(tree: LowerTree) {
    this.#root = fs.mkdtempSync(join(tmpdir(), 'catavmm-vfs-'));
    fill(this.#root, tree);
    this.out = mmap(0, BUFFER_BYTES, PROT_READ_WRITE, MAP_PRIVATE_ANONYMOUS, -1, 0);
    this.#memory = new Uint8Array(viewNative(this.out, BUFFER_BYTES));
    this.dir = open(this.#root, 0o200000);
  }

  call(name: string, ...args: readonly Argument[]): number {
    this.#next = OUT_BYTES;
    const [a = 0, b = 0, c = 0, d = 0, e = 0] = args.map((value) => this.#pass(value));
    const number = (SYSCALL_NUMBERS as Readonly<Record<string, number>>)[name];
    if (number === undefined) throw new Error(`no call ${name}`);
    // SAFETY: pointers lead into #memory, which lives as long as this object, or are bad on
    // purpose.
    const result = syscall(number, a, b, c, d, e);
    return result === -1 ? -lastErrno() : result;
  }

  #pass(value: Argument): number {
    if (typeof value === 'number') return value;
    const bytes = typeof value === 'string' ? new TextEncoder().encode(`${value}\0`) : value;
    const at = this.#next;
    this.#memory.set(bytes, at);
    this.#next += Math.ceil(bytes.length / 16) * 16;
    return this.out + at;
  }

  peek(address: number, bytes: number): Uint8Array {
    return this.#memory.slice(address - this.out, address - this.out + bytes);
  }

  close(): void {
    close(this.dir);
    fs.rmSync(this.#root, { recursive: true, force: true });
  }
}

/** Writes the tree's plain parts: directories, strings and links. */
function fill(root: string, tree: LowerTree): void {
  for (const [name, value] of Object.entries(tree)) {
    const path = join(root, name);
    if (typeof value === 'string' || value instanceof Uint8Array) {
      fs.writeFileSync(path, value, { mode: 0o644 });
    } else if (value['content'] instanceof Uint8Array) {
      fs.symlinkSync(new TextDecoder().decode(value['content']), path);
    } else {
      fs.mkdirSync(path, 0o755);
      fill(path, value as LowerTree);
    }
  }
}

/** The guest's kernel; the tree is its lower layer, below `/w`. */
export class GuestSide implements Side {
  readonly guest: Guest;
  readonly dir: number;
  readonly out: number;

  constructor(tree: LowerTree) {
    this.guest = makeGuest({ w: tree });
    this.dir = this.guest.open('/w', 0o200000);
    this.out = this.guest.out;
  }

  call(name: string, ...args: readonly Argument[]): number {
    return this.guest.call(name, ...args);
  }

  peek(address: number, bytes: number): Uint8Array {
    return this.guest.peek(address, bytes);
  }

  close(): void {
    this.guest.close();
  }
}

function outcome(result: number): Outcome {
  return result < 0 && result > -4096 ? errnoName(-result) : result;
}

/** Opens, does something with the descriptor, closes. */
function withFile(side: Side, path: string, flags: number, use: (fd: number) => number): number {
  const fd = side.call('openat', side.dir, path, flags, 0o644);
  if (fd < 0) return fd;
  const result = use(fd);
  side.call('close', fd);
  return result;
}

/** Runs one operation; paths are relative to the side's directory. */
export function run(side: Side, [name, ...args]: Operation): Outcome {
  const { dir } = side;
  const path = String(args[0]);
  switch (name) {
    case 'mkdir': return outcome(side.call('mkdirat', dir, path, 0o755));
    case 'rmdir': return outcome(side.call('unlinkat', dir, path, AT_REMOVEDIR));
    case 'unlink': return outcome(side.call('unlinkat', dir, path, 0));
    case 'rename':
      return outcome(side.call('renameat2', dir, path, dir, String(args[1]), Number(args[2] ?? 0)));
    case 'link': return outcome(side.call('linkat', dir, path, dir, String(args[1]), 0));
    case 'symlink': return outcome(side.call('symlinkat', path, dir, String(args[1])));
    case 'chmod': return outcome(side.call('fchmodat', dir, path, Number(args[1])));
    case 'truncate':
      return outcome(withFile(side, path, 1, (fd) => side.call('ftruncate', fd, Number(args[1]))));
    case 'open': return outcome(withFile(side, path, Number(args[1]), () => 0));
    case 'write': return outcome(writeText(side, path, Number(args[1]), String(args[2])));
    case 'readlink': return readlink(side, path);
    case 'read': return read(side, path);
    case 'list': return list(side, path);
    case 'lstat': return stat(side, path, AT_SYMLINK_NOFOLLOW);
    case 'stat': return stat(side, path, 0);
    default: throw new Error(`no operation ${name}`);
  }
}

function writeText(side: Side, path: string, flags: number, text: string): number {
  const data = new TextEncoder().encode(text);
  return withFile(side, path, flags | 0o101, (fd) => side.call('write', fd, data, data.length));
}

function textAt(side: Side, count: number): Outcome {
  return count < 0 ? outcome(count) : String.fromCharCode(...side.peek(side.out, count));
}

function readlink(side: Side, path: string): Outcome {
  return textAt(side, side.call('readlinkat', side.dir, path, side.out, 4096));
}

function read(side: Side, path: string): Outcome {
  return textAt(side, withFile(side, path, 0, (fd) => side.call('read', fd, side.out, 65536)));
}

function stat(side: Side, path: string, flags: number): Outcome {
  const error = side.call('newfstatat', side.dir, path, side.out, flags);
  if (error < 0) return outcome(error);
  const raw = side.peek(side.out, Stat.bytes);
  const view = new DataView(raw.buffer, raw.byteOffset);
  const mode = Stat.st_mode.get(view, 0);
  if ((mode & 0o170000) === 0o040000) return mode.toString(8);
  return `${mode.toString(8)} ${Stat.st_nlink.get(view, 0)} ${Stat.st_size.get(view, 0)}`;
}

/** Names of a directory with their types, sorted. */
function list(side: Side, path: string): Outcome {
  const names: string[] = [];
  const result = withFile(side, path, 0o200000, (fd) => {
    for (;;) {
      const count = side.call('getdents64', fd, side.out, 4096);
      if (count <= 0) return count;
      const raw = side.peek(side.out, count);
      const view = new DataView(raw.buffer, raw.byteOffset, count);
      for (let at = 0; at < count; at += view.getUint16(at + 16, true)) {
        const name = new TextDecoder().decode(raw.subarray(at + 19, raw.indexOf(0, at + 19)));
        if (name !== '.' && name !== '..') names.push(`${name}:${raw[at + 18]}`);
      }
    }
  });
  return result < 0 ? outcome(result) : names.sort().join(' ');
}

/** Every path below the directory with its type, content and link count, one a line. */
export function dumpTree(side: Side, path: string = '.'): string {
  const lines: string[] = [];
  const names = String(run(side, ['list', path])).split(' ').filter((name) => name !== '');
  for (const name of names) {
    const below = `${path}/${name.slice(0, name.lastIndexOf(':'))}`;
    const found = String(run(side, ['lstat', below]));
    const isDirectory = found.startsWith('4');
    const reader = found.startsWith('12') ? 'readlink' : found.startsWith('100') ? 'read' : '';
    lines.push(`${below} ${found} ${reader === '' ? '' : run(side, [reader, below])}`);
    if (isDirectory) lines.push(dumpTree(side, below));
  }
  return lines.filter((line) => line !== '').join('\n');
}
