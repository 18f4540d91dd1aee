// The table of mappings of an address space: finding, inserting, splitting, merging, removing. Page
// table entries are not touched here.
//
// Invariants: vmas are sorted by start, page-aligned and disjoint; slots from `length` on are null.
// Each mapping of an inode is in that inode's list (Inode.firstVma) and holds one reference of the
// inode and of its dentry. mm.mappedBytes is the sum of all.
// Binary searches read the records' words directly: a view per probe would cost more than the
// search.
import { ENOMEM } from '../../abi/errno.ts';
import { MAX_MAP_COUNT } from '../../abi/limits.ts';
import type { Kernel } from '../kernel.ts';
import { type Mm, Vma, VmaTable } from '../records/mm.ts';
import type { Dentry, Inode } from '../records/vfs.ts';
import { growTable } from '../state/containers.ts';
import { f64, u32 } from '../state/memory.ts';
import { dropDentry, holdDentry } from '../vfs/dentry.ts';
import { dropInode, holdInode } from '../vfs/inode.ts';

const START: number = Vma.offset('start') >> 3;
const END: number = Vma.offset('end') >> 3;
const FLAGS: number = Vma.offset('flags') >> 2;
const SLOTS: number = VmaTable.fixedBytes >> 2;

/** What a new mapping is made of. */
export interface VmaFields {
  start: number;
  end: number;
  prot: number;
  flags: number;
  role: number;
  maxProt: number;
  inode: Inode | null;
  dentry: Dentry | null;
  fileOffset: number;
}

/** Start of the mapping at `index`. Preconditions: index < length. */
export function startAt(mm: Mm, index: number): number {
  return f64[((u32[(mm.vmas.address >> 2) + SLOTS + index] as number) >> 3) + START] as number;
}

/** End of the mapping at `index`. Preconditions: index < length. */
export function endAt(mm: Mm, index: number): number {
  return f64[((u32[(mm.vmas.address >> 2) + SLOTS + index] as number) >> 3) + END] as number;
}

/** MAP_* of the mapping at `index`. Preconditions: index < length. */
export function flagsAt(mm: Mm, index: number): number {
  const address = u32[(mm.vmas.address >> 2) + SLOTS + index] as number;
  return u32[(address >> 2) + FLAGS] as number;
}

/** The mapping at `index`. Preconditions: index < length. */
export function vmaAt(mm: Mm, index: number): Vma {
  return mm.vmas.get(index) as Vma;
}

/**
 * Index of the first mapping that ends above `gva` (Linux: find_vma); length when there is none.
 */
export function findIndex(mm: Mm, gva: number): number {
  const { vmas } = mm;
  const slots = (vmas.address >> 2) + SLOTS;
  let low = 0;
  let high = vmas.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const end = f64[((u32[slots + middle] as number) >> 3) + END] as number;
    if (end > gva) high = middle;
    else low = middle + 1;
  }
  return low;
}

/** The mapping that contains `gva`, or null. */
export function findVma(mm: Mm, gva: number): Vma | null {
  const index = findIndex(mm, gva);
  if (index >= mm.vmas.length || startAt(mm, index) > gva) return null;
  return mm.vmas.get(index);
}

/** Whether anything is mapped in [start, end). */
export function isMapped(mm: Mm, start: number, end: number): boolean {
  const index = findIndex(mm, start);
  return index < mm.vmas.length && startAt(mm, index) < end;
}

/** Bytes mapped in [start, end). */
export function mappedIn(mm: Mm, start: number, end: number): number {
  let bytes = 0;
  for (let index = findIndex(mm, start); index < mm.vmas.length; index++) {
    const from = startAt(mm, index);
    if (from >= end) break;
    bytes += Math.min(endAt(mm, index), end) - Math.max(from, start);
  }
  return bytes;
}

/** Makes a mapping and puts it into the table. Preconditions: its range is free. */
export function insertVma(k: Kernel, mm: Mm, fields: VmaFields): Vma {
  return insertAt(k, mm, findIndex(mm, fields.start), fields);
}

/** @throws ArenaFullError, before anything changed */
function insertAt(k: Kernel, mm: Mm, index: number, fields: VmaFields): Vma {
  if (mm.vmas.length === mm.vmas.capacity) {
    mm.vmas = growTable(VmaTable, mm.vmas, mm.vmas.length + 1);
  }
  const vma = k.arena.make(Vma);
  vma.mm = mm;
  vma.start = fields.start;
  vma.end = fields.end;
  vma.prot = fields.prot;
  vma.flags = fields.flags;
  vma.role = fields.role;
  vma.maxProt = fields.maxProt;
  vma.fileOffset = fields.fileOffset;
  if (fields.inode !== null) linkVma(vma, fields.inode);
  if (fields.dentry !== null) vma.dentry = holdDentry(k, fields.dentry);
  const { vmas } = mm;
  const slots = (vmas.address >> 2) + SLOTS;
  u32.copyWithin(slots + index + 1, slots + index, slots + vmas.length);
  u32[slots + index] = vma.address;
  vmas.length++;
  mm.mappedBytes += fields.end - fields.start;
  return vma;
}

/**
 * Removes the mappings [from, to) from the table and frees them. Their pages are unmapped already.
 */
export function removeVmas(k: Kernel, mm: Mm, from: number, to: number): void {
  if (from >= to) return;
  const { vmas } = mm;
  const gone: Vma[] = [];
  for (let index = from; index < to; index++) gone.push(vmaAt(mm, index));
  const slots = (vmas.address >> 2) + SLOTS;
  const { length } = vmas;
  u32.copyWithin(slots + from, slots + to, slots + length);
  u32.fill(0, slots + length - (to - from), slots + length);
  vmas.length = length - (to - from);
  reopenGaps(mm, from);
  for (const vma of gone) {
    mm.mappedBytes -= vma.end - vma.start;
    freeVma(k, vma);
  }
}

/** The gap below the mapping at `index` has grown: what is known to be full ends above it. */
function reopenGaps(mm: Mm, index: number): void {
  if (mm.fullFrom === 0) return;
  const end = index < mm.vmas.length ? startAt(mm, index) : Infinity;
  if (end >= mm.mmapBase) mm.fullFrom = 0;
  else if (end > mm.fullFrom) mm.fullFrom = end;
}

/** Frees a mapping that is in no table. */
function freeVma(k: Kernel, vma: Vma): void {
  const { inode, dentry } = vma;
  if (inode !== null) unlinkVma(vma, inode);
  k.arena.free(vma);
  if (dentry !== null) dropDentry(k, dentry);
  if (inode !== null) dropInode(k, inode);
}

function linkVma(vma: Vma, inode: Inode): void {
  vma.inode = holdInode(inode);
  vma.nextOfInode = inode.firstVma;
  if (inode.firstVma !== null) inode.firstVma.previousOfInode = vma;
  inode.firstVma = vma;
}

function unlinkVma(vma: Vma, inode: Inode): void {
  const { nextOfInode, previousOfInode } = vma;
  if (previousOfInode === null) inode.firstVma = nextOfInode;
  else previousOfInode.nextOfInode = nextOfInode;
  if (nextOfInode !== null) nextOfInode.previousOfInode = previousOfInode;
}

/**
 * Cuts the mapping at `index` in two at `gva`, which lies inside it; the upper part is new.
 * @returns 0, or -ENOMEM when there would be too many mappings
 */
export function splitVma(k: Kernel, mm: Mm, index: number, gva: number): number {
  if (mm.vmas.length >= MAX_MAP_COUNT) return -ENOMEM;
  const low = vmaAt(mm, index);
  const { end } = low;
  const fileOffset = low.inode === null ? 0 : low.fileOffset + (gva - low.start);
  const { prot, flags, role, maxProt, advice, inode, dentry } = low;
  const high = insertAt(k, mm, index + 1, {
    start: gva, end, prot, flags, role, maxProt, inode, dentry, fileOffset,
  });
  high.advice = advice;
  low.end = gva;
  mm.mappedBytes -= end - gva;
  return 0;
}

/**
 * Makes [start, end) begin and end at edges of mappings, as far as it is mapped.
 * @returns 0, or -ENOMEM; a split that was made stays, it changes nothing that the guest can see
 */
export function isolate(k: Kernel, mm: Mm, start: number, end: number): number {
  const first = findIndex(mm, start);
  if (first >= mm.vmas.length || startAt(mm, first) >= end) return 0;
  if (startAt(mm, first) < start) {
    const failed = splitVma(k, mm, first, start);
    if (failed < 0) return failed;
  }
  const last = findIndex(mm, end - 1);
  if (last >= mm.vmas.length || startAt(mm, last) >= end || endAt(mm, last) <= end) return 0;
  return splitVma(k, mm, last, end);
}

/** Joins neighbours that belong together, among those that touch [start, end]. */
export function mergeAround(k: Kernel, mm: Mm, start: number, end: number): void {
  let index = Math.max(findIndex(mm, start) - 1, 0);
  while (index + 1 < mm.vmas.length && startAt(mm, index) <= end) {
    if (!tryMerge(k, mm, index)) index++;
  }
}

/** Joins the mapping at `index` with the next one if they differ in nothing. */
function tryMerge(k: Kernel, mm: Mm, index: number): boolean {
  if (endAt(mm, index) !== startAt(mm, index + 1)) return false;
  const low = vmaAt(mm, index);
  const high = vmaAt(mm, index + 1);
  if (low.prot !== high.prot || low.flags !== high.flags || low.role !== high.role) return false;
  if (low.maxProt !== high.maxProt || low.advice !== high.advice) return false;
  if (low.inode !== high.inode || low.dentry !== high.dentry) return false;
  const offset = low.fileOffset + (low.end - low.start);
  if (low.inode !== null && offset !== high.fileOffset) return false;
  const { end } = high;
  removeVmas(k, mm, index + 1, index + 2);
  mm.mappedBytes += end - low.end;
  low.end = end;
  return true;
}
