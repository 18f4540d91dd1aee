// Generated file systems (/proc, /sys): an inode there has a generator number and an argument (a
// pid, a tid, a descriptor), and the generator tells its children, its text or its target. Names
// come into being when they are looked up and are checked again at each lookup.
import { EINVAL, EIO, ENOENT } from '../../../abi/errno.ts';
import { S_ISLNK } from '../../../abi/stat.ts';
import type { Kernel } from '../../kernel.ts';
import type { Process } from '../../records/task.ts';
import { type Dentry, type File, FS_PROC, FS_SYS, type Inode } from '../../records/vfs.ts';
import { makeInode } from '../inode.ts';
import { GEN } from './ids.ts';
import { descriptorOf, procProcess } from './target-process.ts';

/** A child of a generated directory. */
export interface GeneratedRef {
  generator: number;
  argument: number;
}

export interface GeneratedEntry extends GeneratedRef {
  name: string;
}

/** Where a magic link leads: a name in the tree, or an open file without one. */
export interface MagicTarget {
  dentry: Dentry | null;
  file: File | null;
}

/** What stands behind one generator number. Which members it has follows from `mode`. */
export interface Generator {
  /** st_mode, type included. */
  readonly mode: number;
  /** Directories: the child of that name, or null. */
  child?(k: Kernel, argument: number, name: string): GeneratedRef | null;
  /** Directories: all children. */
  list?(k: Kernel, argument: number): GeneratedEntry[];
  /** Files: the content as of now, or -errno. */
  text?(k: Kernel, argument: number): string | Uint8Array | number;
  /** Files that can be written: takes all bytes of one write, returns 0 or -errno. */
  write?(k: Kernel, argument: number, data: Uint8Array): number;
  /** Links: what readlink says, or -errno. */
  link?(k: Kernel, argument: number): string | Uint8Array | number;
  /** Links that lead somewhere without a walk. */
  target?(k: Kernel, argument: number): MagicTarget | number;
  /** False when what the argument names is gone. */
  exists?(k: Kernel, argument: number): boolean;
  /** st_size; 0 unless given. */
  readonly bytes?: number;
}

const generators: (Generator | undefined)[] = [];

/** Registers a generator; once, at module load. */
export function defineGenerator(id: number, generator: Generator): void {
  if (generators[id] !== undefined) throw new Error(`generator ${id} is defined twice`);
  generators[id] = generator;
}

/** The generator of an inode of /proc or /sys. */
export function generatorOf(inode: Inode): Generator {
  const found = generators[inode.generator];
  // An image may name any number: such a file exists but says nothing.
  return found ?? UNKNOWN;
}

const UNKNOWN: Generator = { mode: 0o100000, exists: () => false };

export function isGenerated(inode: Inode): boolean {
  return inode.fs === FS_PROC || inode.fs === FS_SYS;
}

/** The process that a file of /proc is about; null for the others. */
function ownerOf(k: Kernel, { generator, argument }: GeneratedRef): Process | null {
  if (argument <= 0) return null;
  const isDescriptor = generator === GEN.fdLink || generator === GEN.fdinfo;
  return procProcess(k, isDescriptor ? descriptorOf(argument).pid : argument);
}

/** Makes the inode of a generated file. */
export function makeGeneratedInode(k: Kernel, fs: number, ref: GeneratedRef): Inode {
  const generator = generators[ref.generator];
  if (generator === undefined) throw new Error(`no generator ${ref.generator}`);
  const inode = makeInode(k, fs, generator.mode);
  inode.generator = ref.generator;
  inode.generatorArgument = ref.argument;
  inode.bytes = generator.bytes ?? 0;
  const process = fs === FS_PROC ? ownerOf(k, ref) : null;
  if (process !== null) {
    inode.uid = process.uid;
    inode.gid = process.gid;
  }
  if (generator.list !== undefined) inode.nlink = 2;
  return inode;
}

/** The child of a generated directory, as a new inode, or null. */
export function generatedChild(k: Kernel, dir: Inode, name: Uint8Array): Inode | null {
  const text = String.fromCharCode(...name);
  const ref = generatorOf(dir).child?.(k, dir.generatorArgument, text) ?? null;
  return ref === null ? null : makeGeneratedInode(k, dir.fs, ref);
}

/** Whether a name of /proc that was looked up before still means something. */
export function isStillThere(k: Kernel, dentry: Dentry): boolean {
  const { inode } = dentry;
  if (inode === null) return false;
  return generatorOf(inode).exists?.(k, inode.generatorArgument) ?? true;
}

export function isMagicLink(inode: Inode): boolean {
  return isGenerated(inode) && generatorOf(inode).target !== undefined;
}

/** Where a magic link leads, or -errno. */
export function followMagicLink(k: Kernel, inode: Inode): MagicTarget | number {
  return generatorOf(inode).target?.(k, inode.generatorArgument) ?? -ENOENT;
}

/** The text of a generated link, or -errno. */
export function readGeneratedLink(
  k: Kernel,
  _process: Process,
  inode: Inode,
): Uint8Array | number {
  if (!S_ISLNK(inode.mode)) return -EINVAL;
  return toBytes(generatorOf(inode).link?.(k, inode.generatorArgument) ?? -EIO);
}

/** The content of a generated file, or -errno. */
export function generateText(k: Kernel, inode: Inode): Uint8Array | number {
  const generator = generatorOf(inode);
  if (!(generator.exists?.(k, inode.generatorArgument) ?? true)) return -ENOENT;
  return toBytes(generator.text?.(k, inode.generatorArgument) ?? '');
}

const encoder: TextEncoder = new TextEncoder();

function toBytes(value: string | Uint8Array | number): Uint8Array | number {
  return typeof value === 'string' ? encoder.encode(value) : value;
}

/** A directory with fixed children that keep the directory's own argument. */
export function staticDirectory(
  children: Readonly<Record<string, number>>,
  mode: number = 0o40555,
): Generator {
  const ids = new Map(Object.entries(children));
  return {
    mode,
    child: (_k, argument, name) => {
      const generator = ids.get(name);
      return generator === undefined ? null : { generator, argument };
    },
    list: (_k, argument) =>
      [...ids].map(([name, generator]) => ({ name, generator, argument })),
  };
}
