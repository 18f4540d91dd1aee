// Asserts the invariants of the file system's records. For tests, and for images before their first
// run: a forged list that leads back into itself would otherwise never end. Linear in the number of
// records.
import { S_ISDIR } from '../../abi/stat.ts';
import type { Kernel } from '../kernel.ts';
import { FILE_BYTES_MOST } from '../mm/page-cache.ts';
import { Process } from '../records/task.ts';
import {
  Dentry, FdTable, File, FILE_DIRECTORY, FILE_GENERATED, FILE_PTY, FILE_REGULAR, FileSlots,
  FS_ANON, FS_OVERLAY, Inode,
} from '../records/vfs.ts';
import { kindIdAt, kinds, type Rec } from '../state/record.ts';
import { saveObjects } from '../state/save.ts';
import { isDots } from './remove.ts';

/** The records of the file system contradict each other: a bug, or a forged image. */
export class VfsCorruptError extends Error {
  override readonly name = 'VfsCorruptError';
}

function must(condition: boolean, what: string): void {
  if (!condition) throw new VfsCorruptError(what);
}

/**
 * Checks every dentry, inode, open file and descriptor table that can be reached from the root
 * record.
 * @throws VfsCorruptError at the first thing that is wrong
 */
export function checkVfs(k: Kernel): void {
  const records = [...saveObjects(k.root).offsets.keys()].map((address) => k.arena.atAny(address));
  const dentries = records.filter((record) => isKind(record, Dentry)) as Dentry[];
  const listed = checkTree(k);
  for (const dentry of dentries) checkDentry(dentry, listed);
  checkParents(dentries);
  for (const record of records) {
    if (isKind(record, Inode)) checkInode(record as Inode);
    else if (isKind(record, File)) checkFile(record as File);
    else if (isKind(record, FdTable)) checkFdTable(record as FdTable);
    else if (isKind(record, Process)) checkProcess(record as Process);
  }
  checkCounts(k, records);
}

function isKind(record: Rec, kind: { id: number }): boolean {
  return kindIdAt(record.address) === kind.id;
}

function nameOf(dentry: Dentry): string {
  return `dentry ${JSON.stringify(String.fromCharCode(...dentry.name.data))}`;
}

/** Walks the tree from the root through mounts; returns all dentries that hang in it. */
function checkTree(k: Kernel): ReadonlySet<Dentry> {
  const { rootDentry } = k.root;
  const seen: Set<Dentry> = new Set();
  if (rootDentry === null) return seen;
  must(rootDentry.parent === null && rootDentry.mountPoint === null, 'the root has a parent');
  seen.add(rootDentry);
  for (const dentry of seen) {
    const { mounted } = dentry;
    if (mounted !== null) {
      const isMatched = mounted.mountPoint === dentry && mounted.parent === null;
      must(isMatched, `${nameOf(dentry)}: bad mount`);
      must(!seen.has(mounted), `${nameOf(dentry)}: mounted twice`);
      seen.add(mounted);
    }
    let previous: Dentry | null = null;
    for (let child = dentry.firstChild; child !== null; child = child.nextSibling) {
      must(!seen.has(child), `${nameOf(child)} is in two places`);
      must(child.parent === dentry, `${nameOf(child)} is in the list of another directory`);
      must(child.previousSibling === previous, `${nameOf(child)}: broken list`);
      must(!child.deleted, `${nameOf(child)} is deleted and in a list`);
      seen.add(child);
      previous = child;
    }
  }
  return seen;
}

function checkDentry(dentry: Dentry, listed: ReadonlySet<Dentry>): void {
  const name = nameOf(dentry);
  const { inode, deleted, parent } = dentry;
  must(listed.has(dentry) || deleted, `${name} is not in the tree`);
  must(!deleted || (inode !== null && !dentry.pinned), `${name} is deleted and kept`);
  must(!deleted || dentry.firstChild === null, `${name} is deleted and has children`);
  if (parent !== null) {
    const { data } = dentry.name;
    const isName = data.length > 0 && data.length <= 255 && !isDots(data) && !data.includes(0x2f) &&
      !data.includes(0);
    must(isName, `${name} is no name`);
  }
  const isDirectory = inode !== null && S_ISDIR(inode.mode);
  if (dentry.firstChild !== null) must(isDirectory, `${name} has children`);
  if (dentry.mounted !== null) {
    const root = dentry.mounted.inode;
    must(inode !== null && root !== null, `${name}: a mount of nothing`);
    must(isDirectory === S_ISDIR(root?.mode ?? 0), `${name}: a mount of another type`);
  }
}

/** Every chain of parents ends, also those of deleted dentries. */
function checkParents(dentries: readonly Dentry[]): void {
  const ends: Set<Dentry> = new Set();
  for (const dentry of dentries) {
    const chain: Set<Dentry> = new Set();
    let at: Dentry | null = dentry;
    while (at !== null && !ends.has(at)) {
      must(!chain.has(at), `${nameOf(at)} is its own parent`);
      chain.add(at);
      at = at.parent ?? at.mountPoint;
    }
    for (const one of chain) ends.add(one);
  }
}

function isCount(value: number, most: number): boolean {
  return Number.isInteger(value) && value >= 0 && value <= most;
}

function checkInode(inode: Inode): void {
  const name = `inode ${inode.serial}`;
  must(inode.fs >= FS_OVERLAY && inode.fs <= FS_ANON, `${name} is in no file system`);
  must(isCount(inode.bytes, Number.MAX_SAFE_INTEGER), `${name} has ${inode.bytes} bytes`);
  must(isCount(inode.lowerBytes, inode.bytes), `${name}: more lower bytes than bytes`);
  if (inode.lowerPath === null) must(inode.lowerBytes === 0, `${name} has content from nowhere`);
  else must(inode.lowerPath.length <= 4096, `${name}: its path is too long`);
  if (inode.pages !== null) must(inode.bytes <= FILE_BYTES_MOST, `${name} is too large`);
  const { atimeSec, mtimeSec, ctimeSec, lowerIno, lowerDev } = inode;
  for (const value of [atimeSec, mtimeSec, ctimeSec, lowerIno, lowerDev]) {
    must(Number.isInteger(value), `${name} has a field that is no number`);
  }
  const seen: Set<Rec> = new Set();
  for (let lock = inode.locks; lock !== null; lock = lock.next) {
    must(!seen.has(lock), `${name}: its locks lead back`);
    must(lock.start >= 0 && lock.start < lock.end, `${name}: a lock without bytes`);
    must((lock.process === null) !== (lock.file === null), `${name}: a lock of nobody`);
    seen.add(lock);
  }
}

function checkFile(file: File): void {
  const name = `file ${file.serial}`;
  must(file.kind >= FILE_REGULAR && file.kind <= FILE_PTY, `${name} has kind ${file.kind}`);
  must(Number.isInteger(file.position), `${name} is at ${file.position}`);
  if (file.kind === FILE_REGULAR || file.kind === FILE_GENERATED) {
    must(file.inode !== null, `${name} has no inode`);
  }
  if (file.kind === FILE_DIRECTORY) {
    must(file.dentry !== null && file.dentry.inode === file.inode, `${name} has no directory`);
  }
}

function checkFdTable(table: FdTable): void {
  const { slots, closeOnExec, hint } = table;
  must(slots.length <= slots.capacity, 'a descriptor table is longer than it is');
  must(closeOnExec.capacity * 32 >= slots.capacity, 'a descriptor table has too few bits');
  must(hint <= slots.capacity, 'a descriptor table begins beyond its end');
  for (let fd = 0; fd < hint; fd++) must(slots.get(fd) !== null, `descriptor ${fd} was overlooked`);
  for (let fd = slots.length; fd < slots.capacity; fd++) {
    must(slots.get(fd) === null, `descriptor ${fd} is beyond the end`);
  }
}

function checkProcess({ root, cwd, exe }: Process): void {
  for (const dentry of [root, cwd]) {
    const isDirectory = dentry.inode !== null && S_ISDIR(dentry.inode.mode);
    must(isDirectory, `${nameOf(dentry)} is no directory to be in`);
  }
  must(exe === null || exe.inode !== null, 'the program has no file');
}

/** Recounts references and compares with what the records say. */
function checkCounts(k: Kernel, records: readonly Rec[]): void {
  const counted: Map<Rec, number> = new Map();
  const add = (target: Rec | null): void => {
    if (target !== null) counted.set(target, (counted.get(target) ?? 0) + 1);
  };
  for (const record of records) addReferences(record, add);
  for (const record of records) {
    if (!isKind(record, Dentry) && !isKind(record, Inode) && !isKind(record, File)) continue;
    const { refs } = record as Dentry | Inode | File;
    const found = counted.get(record) ?? 0;
    must(refs === found, `${describe(record)} counts ${refs} users and has ${found}`);
  }
}

/** The references that are counted (record.ts: held). */
function addReferences(record: Rec, add: (target: Rec | null) => void): void {
  const kind = kinds[kindIdAt(record.address)];
  for (const { offset, type } of kind?.fields ?? []) {
    if (type.holds === true) add(type.get(record, record.address + offset) as Rec | null);
  }
  if (!isKind(record, FileSlots)) return;
  const slots = record as FdTable['slots'];
  for (let index = 0; index < slots.capacity; index++) add(slots.get(index));
}

function describe(record: Rec): string {
  if (isKind(record, Dentry)) return nameOf(record as Dentry);
  if (isKind(record, Inode)) return `inode ${(record as Inode).serial}`;
  return `file ${(record as File).serial}`;
}
