// The pages that a boot touches first, pre-copied into the bank and mapped before the guest runs:
// 1.2 µs a page instead of a copy-on-write exit of 36, or of 2.7 for reading a base page (paper
// 3.1; REAP, FaaSnap). Pages that are only read are copied too: a bank page is mapped along with
// its neighbours, a page of a read-only file mapping never is.
//
//   private tree   of an address space: only the tables on the path to these pages; leaf j names
//                  bank frame 1 + j
//   merged with the image's tables (base) by the merge module: private entry if present, else base
import { MAP_SHARED } from '../../abi/mman.ts';
import type { Kernel } from '../../kernel/kernel.ts';
import {
  pfnAt, PTE_A, PTE_D, PTE_NX_HIGH, PTE_P, PTE_SHARED, PTE_US, setEntry,
} from '../../kernel/mm/pte.ts';
import { visitPresent } from '../../kernel/mm/tables.ts';
import { findVma } from '../../kernel/mm/vma.ts';
import type { Mm } from '../../kernel/records/mm.ts';
import { listSpaces } from '../../kernel/task/family.ts';
import { type Region, takeRegion, u32 } from '../../kernel/state/memory.ts';
import { BANK_GPA, BASE_GPA } from '../../machine/layout.ts';
import { PAGE_BYTES } from '../../kernel/ports.ts';
import type { Snapshot } from './snapshot.ts';
import { entryWord, findImageLeaf, FIRST_TABLE_PFN } from '../image/image-tables.ts';

/** Of a page that is zero at first. */
export const NO_FRAME = -1;

/** An address space of a snapshot in a sandbox of it. */
export interface StartSpace {
  readonly mm: Mm;
  /** Place of its root among the snapshot's tables. */
  readonly root: number;
}

/** A touched page: its address space, virtual page number, and the image frame it had. */
export interface TouchedPage {
  root: number;
  vpn: number;
  frame: number;
  isWritten: boolean;
}

/** The private tables of an address space. */
export interface PrivateTree {
  readonly root: number;
  readonly address: number;
  readonly tableCount: number;
  /** How many of its pages the snapshot does not have. */
  readonly fresh: number;
}

export interface WriteSet {
  readonly pages: readonly TouchedPage[];
  /** One for each address space that has such pages. */
  readonly trees: readonly PrivateTree[];
  readonly region: Region;
}

/** More pages than this are not pre-copied: the boot would pay for what it may not need. */
const PAGES_MAX = 4096;
const BASE_PFN: number = BASE_GPA / PAGE_BYTES;
const TABLE_FLAGS = 0x67;
/** P, RW, US, A, D; and P, US, A. With A and D set KVM maps neighbours along with a first touch. */
const LEAF_WRITTEN = 0x67;
const LEAF_READ = 0x25;
const USER_END = 0x8000_0000_0000;

/** The address spaces of a sandbox that has not run yet. */
export function listStartSpaces(k: Kernel): StartSpace[] {
  const { firstFree } = k.tables.window;
  return listSpaces(k).map((mm) => ({ mm, root: mm.rootTable - firstFree }));
}

/**
 * Lists the private pages that a trial (Kernel.isTrial) touched, by what the A and D bits say, in
 * the order of their frames.
 * @param spaces as they were when it began
 */
export function collectTouched(
  k: Kernel, snapshot: Snapshot, spaces: readonly StartSpace[],
): TouchedPage[] {
  const pages: TouchedPage[] = [];
  // Who ended or called execve(2) meanwhile gave its memory back.
  const alive = listSpaces(k);
  for (const space of spaces) {
    if (alive.includes(space.mm)) collectOfSpace(k, snapshot, space, pages);
  }
  return pages.sort((a, b) => a.frame - b.frame);
}

function collectOfSpace(
  k: Kernel, snapshot: Snapshot, { mm, root }: StartSpace, pages: TouchedPage[],
): void {
  visitPresent(k.tables, mm.rootTable, 0, USER_END, (at, gva) => {
    const flags = u32[at] as number;
    if ((flags & PTE_A) === 0) return;
    const vpn = gva / PAGE_BYTES;
    const isWritten = pfnAt(at) < BASE_PFN && (flags & PTE_D) !== 0;
    const leaf = findImageLeaf(snapshot.tables.address, vpn, root);
    if (leaf === 0) {
      if (isWritten && isFreshPage(mm, gva)) pages.push({ root, vpn, frame: NO_FRAME, isWritten });
    } else if (((u32[leaf] as number) & (PTE_SHARED | PTE_US)) === PTE_US) {
      pages.push({ root, vpn, frame: pfnAt(leaf) - BASE_PFN, isWritten });
    }
  });
}

/** Whether a page that the snapshot lacks is zero in each sandbox when it is first touched. */
export function isFreshPage(mm: Mm, gva: number): boolean {
  const vma = findVma(mm, gva);
  return vma !== null && vma.inode === null && (vma.flags & MAP_SHARED) === 0;
}

/** Builds the private trees for `pages`; null when there are none or too many. */
export function makeWriteSet(image: Snapshot, pages: readonly TouchedPage[]): WriteSet | null {
  if (pages.length === 0 || pages.length > PAGES_MAX) return null;
  const roots = [...new Set(pages.map(({ root }) => root))];
  const region = takeRegion((pages.length * 3 + roots.length) * PAGE_BYTES);
  let address = region.address;
  const trees = roots.map((root): PrivateTree => {
    const tree = makeTree(image, root, pages, address);
    address += tree.tableCount * PAGE_BYTES;
    return tree;
  });
  return { pages, trees, region };
}

function makeTree(
  image: Snapshot, root: number, pages: readonly TouchedPage[], tables: number,
): PrivateTree {
  let tableCount = 1;
  let fresh = 0;
  pages.forEach(({ root: own, vpn, frame, isWritten }, position) => {
    if (own !== root) return;
    if (frame === NO_FRAME) fresh++;
    let table = 0;
    for (let level = 3; level > 0; level--) {
      const at = entryWord(tables, table, Math.floor(vpn / 512 ** level) % 512);
      if (((u32[at] as number) & PTE_P) === 0) {
        setEntry(at, FIRST_TABLE_PFN + tableCount++, TABLE_FLAGS, true);
      }
      table = pfnAt(at) - FIRST_TABLE_PFN;
    }
    const leaf = findImageLeaf(image.tables.address, vpn, root);
    const isExecutable = leaf !== 0 && ((u32[leaf + 1] as number) & PTE_NX_HIGH) === 0;
    const pfn = BANK_GPA / PAGE_BYTES + 1 + position;
    const flags = isWritten ? LEAF_WRITTEN : LEAF_READ;
    setEntry(entryWord(tables, table, vpn % 512), pfn, flags, isExecutable);
  });
  return { root, address: tables, tableCount, fresh };
}

/** Runs of consecutive image frames: [first frame, first position, count]. */
export function frameRuns(pages: readonly TouchedPage[]): [number, number, number][] {
  const runs: [number, number, number][] = [];
  pages.forEach(({ frame }, position) => {
    if (frame === NO_FRAME) return;
    const last = runs[runs.length - 1];
    if (last !== undefined && last[0] + last[2] === frame) last[2]++;
    else runs.push([frame, position, 1]);
  });
  return runs;
}
