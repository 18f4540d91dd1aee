// The same file operations on the guest and on a temporary directory of the host, for comparison. Each
// operation is one system call; its outcome is a number, a text, or the name of an error.
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { errnoName } from '../../../../vmm/abi/errno.ts';
import type { LowerTree } from '../../../helpers/lower-tree.ts';
import type { Guest } from './guest.ts';

export type Operation = readonly [name: string, ...args: (string | number)[]];
export type Outcome = string | number;

const O_CREAT_WRONLY = 0o101;

function errorOf(error: unknown): string {
  const { code, errno } = error as { code?: string; errno?: number };
  return code ?? (errno === undefined ? String(error) : errnoName(Math.abs(errno)));
}

/** A temporary directory with the tree in it. Ownership: the caller removes it with `remove()`. */
export class Host {
  readonly root: string;

  constructor(tree: LowerTree) {
    this.root = fs.mkdtempSync(join(tmpdir(), 'catavmm-vfs-'));
    fill(this.root, tree);
  }

  run(operation: Operation): Outcome {
    try {
      return this.#run(operation);
    } catch (error) {
      return errorOf(error);
    }
  }

  #run([name, ...args]: Operation): Outcome {
    const path = `${this.root}/${args[0]}`;
    const second = `${this.root}/${args[1]}`;
    switch (name) {
      case 'mkdir': fs.mkdirSync(path, 0o755); return 0;
      case 'rmdir': fs.rmdirSync(path); return 0;
      case 'unlink': fs.unlinkSync(path); return 0;
      case 'rename': fs.renameSync(path, second); return 0;
      case 'link': fs.linkSync(path, second); return 0;
      case 'symlink': fs.symlinkSync(String(args[0]), second); return 0;
      case 'readlink': return fs.readlinkSync(path);
      case 'chmod': fs.chmodSync(path, Number(args[1])); return 0;
      case 'truncate': fs.truncateSync(path, Number(args[1])); return 0;
      case 'open': fs.closeSync(fs.openSync(path, Number(args[1]), 0o644)); return 0;
      case 'write': return writeHost(path, Number(args[1]), String(args[2]));
      case 'read': return fs.readFileSync(path, 'latin1');
      case 'list': return fs.readdirSync(path).sort().join(' ');
      case 'lstat': return describe(fs.lstatSync(path));
      case 'stat': return describe(fs.statSync(path));
      default: throw new Error(`no operation ${name}`);
    }
  }

  remove(): void {
    fs.rmSync(this.root, { recursive: true, force: true });
  }
}

function writeHost(path: string, flags: number, text: string): number {
  const fd = fs.openSync(path, flags | O_CREAT_WRONLY, 0o644);
  try {
    return fs.writeSync(fd, text);
  } finally {
    fs.closeSync(fd);
  }
}

function describe(found: { mode: number; nlink: number; size: number }): string {
  const isDirectory = (found.mode & 0o170000) === 0o040000;
  return isDirectory
    ? `${found.mode.toString(8)}`
    : `${found.mode.toString(8)} ${found.nlink} ${found.size}`;
}

/** Writes the tree's plain parts: directories, strings and links. */
function fill(root: string, tree: LowerTree): void {
  for (const [name, value] of Object.entries(tree)) {
    const path = join(root, name);
    if (typeof value === 'string' || value instanceof Uint8Array) {
      fs.writeFileSync(path, value, { mode: 0o644 });
    } else if (value.content instanceof Uint8Array) {
      fs.symlinkSync(new TextDecoder().decode(value.content), path);
    } else {
      fs.mkdirSync(path, 0o755);
      fill(path, value as LowerTree);
    }
  }
}

/** Runs an operation in the guest, below its root directory. */
export function runInGuest(g: Guest, [name, ...args]: Operation): Outcome {
  const path = `/${args[0]}`;
  switch (name) {
    case 'mkdir': return g.try('mkdir', path, 0o755);
    case 'rmdir':
    case 'unlink': return g.try(name, path);
    case 'rename':
    case 'link': return g.try(name, path, `/${args[1]}`);
    case 'symlink': return g.try('symlink', String(args[0]), `/${args[1]}`);
    case 'readlink': return g.readlink(path);
    case 'chmod':
    case 'truncate': return g.try(name, path, Number(args[1]));
    case 'open': return openInGuest(g, path, Number(args[1]));
    case 'write': {
      const count = g.write(path, String(args[2]), Number(args[1]) | O_CREAT_WRONLY);
      return count < 0 ? errnoName(-count) : count;
    }
    case 'read': return readInGuest(g, path);
    case 'list': return g.list(path).join(' ');
    case 'lstat':
    case 'stat': {
      const found = g.stat(path, name === 'stat' ? 0 : 0x100);
      return typeof found === 'string' ? found : describe(found);
    }
    default: throw new Error(`no operation ${name}`);
  }
}

function openInGuest(g: Guest, path: string, flags: number): Outcome {
  const fd = g.open(path, flags);
  if (fd < 0) return errnoName(-fd);
  g.call('close', fd);
  return 0;
}

function readInGuest(g: Guest, path: string): Outcome {
  const fd = g.open(path);
  if (fd < 0) return errnoName(-fd);
  const count = g.call('read', fd, g.out, 65536);
  g.call('close', fd);
  if (count < 0) return errnoName(-count);
  return String.fromCharCode(...g.peek(g.out, count));
}

/** Every path below the root with its type, content and link count, one a line. */
export function dumpTree(run: (operation: Operation) => Outcome, path: string = '.'): string {
  const lines: string[] = [];
  const names = String(run(['list', path])).split(' ').filter((name) => name !== '');
  for (const name of names) {
    const below = path === '.' ? name : `${path}/${name}`;
    const found = String(run(['lstat', below]));
    const isDirectory = found.startsWith('4');
    const isLink = found.startsWith('12');
    const content = isDirectory ? '' : isLink ? run(['readlink', below]) : run(['read', below]);
    lines.push(`${below} ${found} ${content}`);
    if (isDirectory) lines.push(dumpTree(run, below));
  }
  return lines.filter((line) => line !== '').join('\n');
}
