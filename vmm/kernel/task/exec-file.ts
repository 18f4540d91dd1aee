// Finding the program of an execve: permission checks, scripts ("#!"), reading the ELF header.
import type { Kernel } from '../kernel.ts';
import type { Process } from '../records/task.ts';
import type { Dentry, Inode } from '../records/vfs.ts';
import { lookupPath } from '../vfs/lookup.ts';
import { kernelBuffer } from '../vfs/io-buffer.ts';
import { readFilePages } from '../mm/page-cache.ts';
import { ElfError, type ElfImage, parseElf } from '../../../formats/elf.ts';
import {
  EACCES, EIO, EINVAL, ELIBBAD, ELOOP, ENOEXEC, ENOENT,
} from '../../abi/errno.ts';
import { S_IFMT, S_IFREG } from '../../abi/stat.ts';

/** Linux: BINPRM_BUF_SIZE. */
const HEAD_BYTES = 256;
/** Linux: an interpreter of an interpreter …, at most 5 deep. */
const SCRIPT_DEPTH = 5;
const ANY_EXECUTE = 0o111;
const SPACE = 0x20;
const TAB = 0x09;
const NEWLINE = 0x0a;

/** A file that may be executed. */
export interface Executable {
  dentry: Dentry;
  inode: Inode;
}

/** What an execve will run, after scripts have been followed. */
export interface Program {
  file: Executable;
  image: ElfImage;
  argv: Uint8Array[];
  /** Path as given, a script's too: AT_EXECFN. */
  path: Uint8Array;
  /** What the thread is named after. */
  name: Uint8Array;
}

/** Reads up to `count` bytes at `offset`; shorter at the end, or -errno. */
export function readAt(
  k: Kernel,
  inode: Inode,
  offset: number,
  count: number,
): Uint8Array | number {
  const bytes = new Uint8Array(count);
  const result = readFilePages(k, inode, offset, kernelBuffer(bytes));
  return result < 0 ? result : bytes.subarray(0, result);
}

/** Opens a path for execution: -ENOENT, -EACCES … as execve(2). */
export function openExecutable(
  k: Kernel,
  process: Process,
  path: Uint8Array,
): Executable | number {
  const dentry = lookupPath(k, process, path);
  return typeof dentry === 'number' ? dentry : checkExecutable(dentry);
}

/** Whether what was found may be executed. */
export function checkExecutable(dentry: Dentry): Executable | number {
  const { inode } = dentry;
  if (inode === null) return -ENOENT;
  if ((inode.mode & S_IFMT) !== S_IFREG) return -EACCES;
  if ((inode.mode & ANY_EXECUTE) === 0) return -EACCES;
  return { dentry, inode };
}

/** What execve(2) or execveat(2) was asked to run. */
export interface ExecRequest {
  /** As the program and a script's interpreter get it. */
  path: Uint8Array;
  name: Uint8Array;
  /** What the path led to; null: it is yet to be looked up. */
  file: Executable | null;
  /** The descriptor in `path` is closed by the exec, so that a script could not be read. */
  isUnreachable: boolean;
  argv: Uint8Array[];
  env: Uint8Array[];
}

/** What execve(2) asks for. */
export function requestOf(path: Uint8Array, argv: Uint8Array[], env: Uint8Array[]): ExecRequest {
  const name = path.subarray(path.lastIndexOf(0x2f) + 1);
  return { path, name, file: null, isUnreachable: false, argv, env };
}

/** Resolves path and arguments to an ELF program, or -errno. */
export function findProgram(
  k: Kernel,
  process: Process,
  request: ExecRequest,
): Program | number {
  const { path } = request;
  let current = path;
  let args = request.argv;
  for (let depth = 0; depth <= SCRIPT_DEPTH; depth++) {
    const isFirst = depth === 0 && request.file !== null;
    const file = isFirst ? request.file as Executable : openExecutable(k, process, current);
    if (typeof file === 'number') return file;
    const head = readAt(k, file.inode, 0, HEAD_BYTES);
    if (typeof head === 'number') return head;
    if (head[0] !== 0x23 || head[1] !== 0x21) {
      const image = parse(k, file.inode, 'program');
      if (typeof image === 'number') return image;
      return { file, image, argv: args, path, name: request.name };
    }
    const line = parseShebang(head);
    if (line === null) return -ENOEXEC;
    if (depth === 0 && request.isUnreachable) return -ENOENT;
    args = [...line, current, ...args.slice(1)];
    current = line[0] as Uint8Array;
  }
  return -ELOOP;
}

/** Parses an ELF file; -errno as execve gives it. */
export function parse(
  k: Kernel,
  inode: Inode,
  role: 'program' | 'interpreter',
): ElfImage | number {
  const head = readAt(k, inode, 0, 4096);
  if (typeof head === 'number') return head;
  const reader = (offset: number, count: number): Uint8Array => {
    if (!(offset < 2 ** 53)) return new Uint8Array();
    const part = readAt(k, inode, offset, Math.min(count, 65536));
    return typeof part === 'number' ? new Uint8Array() : part;
  };
  try {
    return parseElf(head, { role, readAt: reader });
  } catch (error) {
    if (!(error instanceof ElfError)) throw error;
    const numbers = { ENOEXEC, ELIBBAD, EINVAL, EIO } as const;
    return -numbers[error.errno];
  }
}

/** The interpreter and its optional single argument, or null when the line is malformed. */
function parseShebang(head: Uint8Array): Uint8Array[] | null {
  const newline = head.indexOf(NEWLINE);
  const end = newline < 0 ? head.indexOf(0) : newline;
  const line = head.subarray(2, end < 0 ? head.length : end);
  const from = line.findIndex((byte) => byte !== SPACE && byte !== TAB);
  if (from < 0) return null;
  const rest = line.subarray(from);
  const split = rest.findIndex((byte) => byte === SPACE || byte === TAB);
  if (split < 0) return end < 0 ? null : [rest.slice()];
  const argument = trim(rest.subarray(split));
  return argument.length === 0 ? [rest.slice(0, split)] : [rest.slice(0, split), argument.slice()];
}

function trim(bytes: Uint8Array): Uint8Array {
  let from = 0;
  let to = bytes.length;
  while (from < to && (bytes[from] === SPACE || bytes[from] === TAB)) from++;
  while (to > from && (bytes[to - 1] === SPACE || bytes[to - 1] === TAB)) to--;
  return bytes.subarray(from, to);
}
