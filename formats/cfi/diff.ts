// Which virtual pages two images do not have in common: for `inspect --diff A B`.
//
// Both page-table trees are walked side by side, in ascending order of addresses. An entry,
// Intel SDM volume 3, section 5.5 (four levels, 4 KiB pages, 512 entries of 8 bytes):
//
//   63 not executable | 51…12 page number | 7 large page | 2 user | 1 writable | 0 present
//
// Table i of an image has page number tablesPfn + firstIndex + i, table 0 is the root; frame i
// has basePfn + i. Only the lower half of the address space is looked at: the guest's.
// Invariant: a table is visited once, so a forged tree with shared tables ends with an error
// and not with a walk of 512^4 entries.

import { CfiError } from './error.ts';
import { cfiPageBytes } from './header.ts';
import type { CfiHeader } from './header.ts';

/** An image whose sections can be read. */
export interface CfiPages {
  header: CfiHeader;
  /** Frames of the image and its parents; those of the image alone unless given. */
  frameCount?: number;
  /** Page table `index`, 4096 bytes that stay as they are until the walk ends. */
  readTable(index: number): Uint8Array;
  /** Frame `index`, the parents' first; 4096 bytes that stay until the next call. */
  readFrame(index: number): Uint8Array;
}

/** How page numbers in an image's tables are to be read. */
export interface CfiTableGeometry {
  /** Of the guest-physical window in which page tables lie. */
  tablesPfn: number;
  /** Of the image's root within that window. */
  firstIndex: number;
  /** Of the window in which the image's frames lie. */
  basePfn: number;
}

export interface PageDifference {
  /** A multiple of 4096 below 2^47. */
  gva: number;
  /** `content` wins over `protection`; `only-a`: mapped in the first image only. */
  reason: 'content' | 'protection' | 'only-a' | 'only-b';
}

const entryCount = 512;
const userEntries = 256;
const rootLevel = 4;
const PRESENT = 1;
const WRITABLE = 2;
const USER = 4;
const LARGE = 0x80;
/** Bit 63, in the upper half of an entry. */
const NO_EXECUTE: number = 2 ** 31;

/** What all entries on the way to a page allow together. */
interface Protection {
  writable: boolean;
  user: boolean;
  executable: boolean;
}

interface Entry extends Protection {
  /** Index of a table or, on the last level, of a frame. */
  index: number;
}

function refuse(sentence: string): never {
  throw new CfiError('tables', sentence);
}

/** Checked access to one image's tree. */
class Tree {
  readonly pages: CfiPages;
  readonly geometry: CfiTableGeometry;
  readonly visited: Set<number> = new Set();

  constructor(pages: CfiPages, geometry: CfiTableGeometry) {
    this.pages = pages;
    this.geometry = geometry;
  }

  openTable(index: number): DataView {
    const { tables } = this.pages.header.memory;
    if (index < 0 || index >= tables) refuse('A page-table entry points outside the tables.');
    if (this.visited.has(index)) refuse('A page table is used in two places.');
    this.visited.add(index);
    const bytes = this.pages.readTable(index);
    if (bytes.length !== cfiPageBytes) refuse('A page table is not as long as a page.');
    return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** Entry `slot` of a table on `level`, or undefined if nothing is there. */
  readEntry(table: DataView, slot: number, level: number, above: Protection): Entry | undefined {
    const low = table.getUint32(slot * 8, true);
    if ((low & PRESENT) === 0) return undefined;
    const high = table.getUint32(slot * 8 + 4, true);
    if (level > 1 && (low & LARGE) !== 0) refuse('A page table maps a large page.');
    const pfn = (high & 0xfffff) * 2 ** 20 + (low >>> 12);
    const { tablesPfn, firstIndex, basePfn } = this.geometry;
    return {
      index: pfn - (level > 1 ? tablesPfn + firstIndex : basePfn),
      writable: above.writable && (low & WRITABLE) !== 0,
      user: above.user && (low & USER) !== 0,
      executable: above.executable && high < NO_EXECUTE,
    };
  }

  openFrame(index: number): Uint8Array {
    const frames = this.pages.frameCount ?? this.pages.header.memory.frames;
    if (index < 0 || index >= frames) refuse('A page-table entry points outside the frames.');
    return this.pages.readFrame(index);
  }
}

/** A table of both trees at the same address; one may be missing. */
interface Step {
  gva: number;
  level: number;
  left: { table: DataView; above: Protection } | undefined;
  right: { table: DataView; above: Protection } | undefined;
}

function isSame(left: Uint8Array, right: Uint8Array): boolean {
  for (let index = 0; index < cfiPageBytes; index++) {
    if (left[index] !== right[index]) return false;
  }
  return true;
}

function comparePages(
  [left, right]: [Tree, Tree],
  [a, b]: [Entry | undefined, Entry | undefined],
): PageDifference['reason'] | undefined {
  const leftFrame = a && left.openFrame(a.index);
  const rightFrame = b && right.openFrame(b.index);
  if (leftFrame === undefined || rightFrame === undefined) return a ? 'only-a' : 'only-b';
  if (!isSame(leftFrame, rightFrame)) return 'content';
  const same = a?.writable === b?.writable && a?.user === b?.user &&
    a?.executable === b?.executable;
  return same ? undefined : 'protection';
}

function* walkStep(trees: [Tree, Tree], step: Step): Generator<PageDifference> {
  const [left, right] = trees;
  const { level } = step;
  const slotBytes = cfiPageBytes * entryCount ** (level - 1);
  const slots = level === rootLevel ? userEntries : entryCount;
  for (let slot = 0; slot < slots; slot++) {
    const a = step.left && left.readEntry(step.left.table, slot, level, step.left.above);
    const b = step.right && right.readEntry(step.right.table, slot, level, step.right.above);
    if (a === undefined && b === undefined) continue;
    const gva = step.gva + slot * slotBytes;
    if (level === 1) {
      const reason = comparePages(trees, [a, b]);
      if (reason !== undefined) yield { gva, reason };
      continue;
    }
    yield* walkStep(trees, {
      gva,
      level: level - 1,
      left: a && { table: left.openTable(a.index), above: a },
      right: b && { table: right.openTable(b.index), above: b },
    });
  }
}

/**
 * Lists the pages that differ, ascending by address. Where a page lies in its file does not
 * count, nor do the accessed and dirty bits and whatever else the kernel keeps in an entry.
 * Both images must have been made with the same geometry.
 *
 * Throws CfiError for tables that no kernel of ours writes; what was listed until then holds.
 */
export function* diffFrames(
  left: CfiPages,
  right: CfiPages,
  geometry: CfiTableGeometry,
): Generator<PageDifference> {
  const trees: [Tree, Tree] = [new Tree(left, geometry), new Tree(right, geometry)];
  const above = { writable: true, user: true, executable: true };
  yield* walkStep(trees, {
    gva: 0,
    level: rootLevel,
    left: { table: trees[0].openTable(0), above },
    right: { table: trees[1].openTable(0), above },
  });
}
