// A lower file system in memory, from an object literal, for kernels in tests.
//
//   treeFs({ etc: { passwd: 'root:x:0:0\n' }, bin: { sh: lowerFile(bytes, { mode: 0o100755 }),
//     bash: lowerLink('sh') } })
//
// Strings and bytes are regular files 0644, objects are directories 0755. Nodes can be changed
// while a test runs (`tree.write(path, bytes)` keeps the identity, `tree.replace` changes it).
import { EINVAL, ENOENT, ENOTDIR } from '../../vmm/abi/errno.ts';
import type { LowerAttribute, LowerEntry, LowerFs, LowerStat } from '../../vmm/kernel/ports.ts';

const S_IFMT = 0o170000;
const S_IFDIR = 0o040000;
const S_IFREG = 0o100000;
const S_IFLNK = 0o120000;

export interface LowerNode {
  ino: number;
  mode: number;
  /** Content of a file, target of a symlink. */
  content: Uint8Array;
  children: Map<string, LowerNode> | null;
  uid: number;
  gid: number;
  rdev: number;
  mtimeSec: number;
  mtimeNsec: number;
  /** Extended attributes. */
  attributes?: Record<string, string>;
}

/** What a tree is written with. */
export type LowerTree = { [name: string]: string | Uint8Array | LowerNode | LowerTree };

export interface TestLower extends LowerFs {
  readonly root: LowerNode;
  /** Node at `path` (no leading slash), or undefined. Symlinks are not followed. */
  node(path: string): LowerNode | undefined;
  /** Changes a file's bytes without changing its identity (but the size). */
  write(path: string, content: string | Uint8Array): void;
  /** Puts another file there, with another inode number. */
  replace(path: string, content: string | Uint8Array): void;
  remove(path: string): void;
  /** How many handles are open, and how many reads were made. */
  readonly openHandles: number;
  reads: number;
}

let nextIno = 1000;

function bytesOf(content: string | Uint8Array): Uint8Array {
  return typeof content === 'string' ? new TextEncoder().encode(content) : content;
}

function makeNode(mode: number, content: Uint8Array, fields: Partial<LowerNode> = {}): LowerNode {
  const times = { mtimeSec: 1_700_000_000, mtimeNsec: 5 };
  const ids = { ino: nextIno++, uid: 0, gid: 0, rdev: 0 };
  return { ...ids, ...times, mode, content, children: null, ...fields };
}

/** A regular file (or, by `fields.mode`, anything else). */
export function lowerFile(
  content: string | Uint8Array,
  fields: Partial<LowerNode> = {},
): LowerNode {
  return makeNode(S_IFREG | 0o644, bytesOf(content), fields);
}

export function lowerLink(target: string, fields: Partial<LowerNode> = {}): LowerNode {
  return makeNode(S_IFLNK | 0o777, bytesOf(target), fields);
}

function isNode(value: LowerNode | LowerTree): value is LowerNode {
  return typeof (value as LowerNode).ino === 'number' && 'children' in value;
}

function makeDirectory(tree: LowerTree): LowerNode {
  const children = new Map<string, LowerNode>();
  for (const [name, value] of Object.entries(tree)) {
    if (typeof value === 'string' || value instanceof Uint8Array) {
      children.set(name, lowerFile(value));
    } else {
      children.set(name, isNode(value) ? value : makeDirectory(value));
    }
  }
  return makeNode(S_IFDIR | 0o755, new Uint8Array(0), { children });
}

function statOf(node: LowerNode): LowerStat {
  const { ino, mode, uid, gid, rdev, mtimeSec, mtimeNsec } = node;
  const isDirectory = node.children !== null;
  return {
    dev: 0x801, ino, mode, nlink: isDirectory ? 2 : 1, uid, gid, rdev,
    bytes: isDirectory ? 4096 : node.content.length,
    atimeSec: mtimeSec, atimeNsec: mtimeNsec, mtimeSec, mtimeNsec,
    ctimeSec: mtimeSec, ctimeNsec: mtimeNsec,
  };
}

const decoder: TextDecoder = new TextDecoder();

/** Linux: DT_* is the type part of the mode. */
function entriesOf(node: LowerNode): LowerEntry[] {
  return [...(node.children ?? [])].map(([name, child]) => ({
    name: new TextEncoder().encode(name),
    ino: child.ino,
    type: (child.mode & S_IFMT) >> 12,
  }));
}

function attributesOf({ attributes = {} }: LowerNode): LowerAttribute[] {
  return Object.entries(attributes)
    .map(([name, value]) => ({ name: bytesOf(name), value: bytesOf(value) }));
}

/** The node at a path, or -ENOENT, -ENOTDIR. Symlinks are not followed: the kernel does that. */
function findNode(root: LowerNode, path: string): LowerNode | number {
  let node = root;
  for (const name of path.split('/').filter((part) => part !== '')) {
    if (node.children === null) return -ENOTDIR;
    const child = node.children.get(name);
    if (child === undefined) return -ENOENT;
    node = child;
  }
  return node;
}

function nodeOrNothing(found: LowerNode | number): LowerNode | undefined {
  return typeof found === 'number' ? undefined : found;
}

/** Makes the file system of a tree. */
export function treeFs(tree: LowerTree): TestLower {
  const root = makeDirectory(tree);
  const handles = new Map<number, LowerNode>();
  let nextHandle = 3;
  const walk = (path: Uint8Array): LowerNode | number => findNode(root, decoder.decode(path));
  function parentOf(path: string): [Map<string, LowerNode>, string] {
    const at = path.lastIndexOf('/');
    const parent = findNode(root, path.slice(0, Math.max(at, 0)));
    if (typeof parent === 'number' || parent.children === null) throw new Error(`no ${path}`);
    return [parent.children, path.slice(at + 1)];
  }
  const made: TestLower = {
    root,
    reads: 0,
    get openHandles(): number { return handles.size; },
    node: (path) => nodeOrNothing(findNode(root, path)),
    write(path, content) {
      const node = findNode(root, path);
      if (typeof node === 'number') throw new Error(`no ${path}`);
      node.content = bytesOf(content);
    },
    replace(path, content) {
      const [children, name] = parentOf(path);
      children.set(name, lowerFile(content));
    },
    remove(path) {
      const [children, name] = parentOf(path);
      children.delete(name);
    },
    stat(path) {
      const node = walk(path);
      return typeof node === 'number' ? node : statOf(node);
    },
    open(path) {
      const node = walk(path);
      if (typeof node === 'number') return node;
      handles.set(nextHandle, node);
      return nextHandle++;
    },
    fstat(handle) {
      const node = handles.get(handle);
      return node === undefined ? -EINVAL : statOf(node);
    },
    read(handle, offset, target) {
      made.reads++;
      const content = handles.get(handle)?.content;
      if (content === undefined) return -EINVAL;
      const part = content.subarray(offset, offset + target.length);
      target.set(part);
      return part.length;
    },
    readlink(path) {
      const node = walk(path);
      if (typeof node === 'number') return node;
      return (node.mode & S_IFMT) === S_IFLNK ? node.content : -EINVAL;
    },
    list(path) {
      const node = walk(path);
      if (typeof node === 'number') return node;
      return node.children === null ? -ENOTDIR : entriesOf(node);
    },
    attributes(path) {
      const node = walk(path);
      return typeof node === 'number' ? node : attributesOf(node);
    },
    close(handle) { handles.delete(handle); },
  };
  return made;
}
