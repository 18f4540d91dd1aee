// Page tables in the sandbox's table window: allocating them and walking the user half of a tree.
//
//   root (level 4) ─► level 3 ─► level 2 ─► level 1: 512 leaf entries (mm/pte.ts)
//
// Entries are named by their word index in the state memory's u32 view, so that a walk makes no
// objects. Invariant: a table page stays linked where it is while its root lives, also when it is
// empty: the CPU or KVM may have cached the way to it, and a changed way would not be seen. The
// tables of an address space that has ended are used again once everything cached is forgotten.
import type { Kernel } from '../kernel.ts';
import type { TableWindow } from '../ports.ts';
import { u32, u8 } from '../state/memory.ts';
import { entryAt, pfnAt, PTE_A, PTE_P, setEntry, TABLE_FLAGS } from './pte.ts';

const TABLE_BYTES = 4096;
const ENTRIES = 512;
const LEVELS = 4;
/** So many ended address spaces are worth forgetting everything. */
const RETIRED_MOST = 64;
/** Bytes of address space that one leaf table maps: within it entries are adjacent. */
export const TABLE_SPAN = 0x20_0000;
const TWO_21 = TABLE_SPAN;
const TWO_30 = 0x4000_0000;
const TWO_39 = 0x80_0000_0000;

/** Which table pages are free: a bump pointer and a stack, both caches. */
export class TableAllocator {
  readonly window: TableWindow;
  /**
   * Entries whose frame changed because the guest wrote there, by word index, with what they were:
   * until the guest repeats that write (and sets A), it may still read through the old entry.
   */
  readonly unsettled: Map<number, bigint> = new Map();
  #free: number[] = [];
  #next: number;
  /** Roots of address spaces that have ended. The CPU or KVM may know the way to their tables. */
  #retired: number[] = [];
  readonly #forgetAll: () => void;

  /** @param forgetAll see ports.ts Translations */
  constructor(window: TableWindow, forgetAll: () => void) {
    this.window = window;
    this.#next = window.firstFree;
    this.#forgetAll = forgetAll;
  }

  /** Index of a zeroed table, or -1 when there are no more. */
  allocate(): number {
    const isFull = this.#next >= this.window.count;
    if (this.#retired.length >= RETIRED_MOST || isFull && this.#free.length === 0) this.#collect();
    const reused = this.#free.pop();
    if (reused !== undefined) return reused;
    return isFull ? -1 : this.#next++;
  }

  /** Whether `count` more could be had now. */
  hasRoom(count: number): boolean {
    const has = (): boolean => this.window.count - this.#next + this.#free.length >= count;
    if (!has()) this.#collect();
    return has();
  }

  /** Takes the tables of an address space that nobody will run in again. */
  retire(root: number): void {
    this.#retired.push(root);
  }

  /** Makes the tables of ended address spaces free. */
  #collect(): void {
    if (this.#retired.length === 0) return;
    this.#forgetAll();
    this.unsettled.clear();
    for (const root of this.#retired) this.#releaseTree(root, LEVELS);
    this.#retired = [];
  }

  #releaseTree(table: number, levels: number): void {
    for (let entry = 0; levels > 1 && entry < ENTRIES; entry++) {
      const child = childOf(this, entryOf(this, table, entry));
      // The kernel half belongs to the machine.
      if (child >= this.window.firstFree) this.#releaseTree(child, levels - 1);
    }
    this.release(table);
  }

  /** Gives a table back that is not linked anywhere and that no CPU has seen. */
  release(index: number): void {
    const at = this.addressOf(index);
    u8.fill(0, at, at + TABLE_BYTES);
    this.#free.push(index);
  }

  /** Tells that tables below `end` are in use: a restore has put an image's tables there. */
  adopt(end: number): void {
    this.#next = Math.max(this.#next, end);
  }

  /** One past the highest table ever used. */
  get end(): number {
    return this.#next;
  }

  /** Address of a table in the state memory. */
  addressOf(index: number): number {
    return this.window.address + index * TABLE_BYTES;
  }
}

/** Word index of entry `entry` of table `table`. */
function entryOf(tables: TableAllocator, table: number, entry: number): number {
  return (tables.window.address + table * TABLE_BYTES + entry * 8) >> 2;
}

/** Index of the table that the entry at word `at` points to, or -1. */
function childOf(tables: TableAllocator, at: number): number {
  if (((u32[at] as number) & PTE_P) === 0) return -1;
  return pfnAt(at) - tables.window.pfn;
}

/** The table below the entry at word `at`, made when there is none; -1 when there are no tables. */
function makeChild(tables: TableAllocator, at: number): number {
  const child = childOf(tables, at);
  if (child >= 0) return child;
  const made = tables.allocate();
  if (made >= 0) setEntry(at, tables.window.pfn + made, TABLE_FLAGS, true);
  return made;
}

/** Word index of the leaf entry of `gva`, or 0 when a table on the way is missing. */
export function findEntry(tables: TableAllocator, root: number, gva: number): number {
  const level3 = childOf(tables, entryOf(tables, root, Math.floor(gva / TWO_39)));
  if (level3 < 0) return 0;
  const level2 = childOf(tables, entryOf(tables, level3, Math.floor(gva / TWO_30) & 511));
  if (level2 < 0) return 0;
  const level1 = childOf(tables, entryOf(tables, level2, (gva >>> 21) & 511));
  if (level1 < 0) return 0;
  return entryOf(tables, level1, (gva >>> 12) & 511);
}

/** Like findEntry, but makes missing tables; 0 when the window has no more. */
export function makeEntry(tables: TableAllocator, root: number, gva: number): number {
  const level3 = makeChild(tables, entryOf(tables, root, Math.floor(gva / TWO_39)));
  if (level3 < 0) return 0;
  const level2 = makeChild(tables, entryOf(tables, level3, Math.floor(gva / TWO_30) & 511));
  if (level2 < 0) return 0;
  const level1 = makeChild(tables, entryOf(tables, level2, (gva >>> 21) & 511));
  if (level1 < 0) return 0;
  return entryOf(tables, level1, (gva >>> 12) & 511);
}

/** Visits the present leaf entries of [start, end) in order. `at` is the entry's word index. */
export function visitPresent(
  tables: TableAllocator,
  root: number,
  start: number,
  end: number,
  visit: (at: number, gva: number) => void,
): void {
  let gva = start;
  while (gva < end) {
    const level3 = childOf(tables, entryOf(tables, root, Math.floor(gva / TWO_39)));
    if (level3 < 0) {
      gva = (Math.floor(gva / TWO_39) + 1) * TWO_39;
      continue;
    }
    const level2 = childOf(tables, entryOf(tables, level3, Math.floor(gva / TWO_30) & 511));
    if (level2 < 0) {
      gva = (Math.floor(gva / TWO_30) + 1) * TWO_30;
      continue;
    }
    const next = (Math.floor(gva / TWO_21) + 1) * TWO_21;
    const level1 = childOf(tables, entryOf(tables, level2, (gva >>> 21) & 511));
    if (level1 >= 0) visitTable(tables, level1, gva, Math.min(next, end), visit);
    gva = next;
  }
}

function visitTable(
  tables: TableAllocator,
  table: number,
  start: number,
  end: number,
  visit: (at: number, gva: number) => void,
): void {
  let at = entryOf(tables, table, (start >>> 12) & 511);
  for (let gva = start; gva < end; gva += 4096, at += 2) {
    if (((u32[at] as number) & PTE_P) !== 0) visit(at, gva);
  }
}

/**
 * Tells the machine that the entry at word `at` is about to lose something that a CPU may have
 * cached. An entry whose A bit is clear was never walked, so nobody has.
 */
export function reportStale(k: Kernel, at: number, gva: number): void {
  if (((u32[at] as number) & PTE_A) !== 0) sendStale(k, at, gva, entryAt(at));
  else if (k.tables.unsettled.size > 0) settle(k, at, gva);
}

/**
 * Makes sure that nobody uses what the entry at `at` was before the guest's last write fault there.
 * Whoever changes the frame's bytes or the entry without the guest calls this first.
 */
export function settle(k: Kernel, at: number, gva: number): void {
  const { unsettled } = k.tables;
  const oldPte = unsettled.get(at);
  if (oldPte === undefined) return;
  unsettled.delete(at);
  if (((u32[at] as number) & PTE_A) === 0) sendStale(k, at, gva, oldPte);
}

/** Notes that the guest must repeat its write before the entry at `at` is all it knows. */
export function awaitRewalk(k: Kernel, at: number): void {
  if (((u32[at] as number) & PTE_A) === 0) return;
  const { unsettled } = k.tables;
  for (const other of unsettled.keys()) {
    if (((u32[other] as number) & PTE_A) !== 0) unsettled.delete(other);
  }
  unsettled.set(at, entryAt(at));
}

function sendStale(k: Kernel, at: number, gva: number, pte: bigint): void {
  const offset = at * 4 - k.tables.window.address;
  const table = Math.floor(offset / TABLE_BYTES);
  k.ports.translations.stale(gva, pte, table, (offset % TABLE_BYTES) >> 3);
}
