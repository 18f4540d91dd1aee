// The write set of an image: the pages that earlier boots wrote. They are pre-copied into the bank and
// mapped writable before the guest runs, 1.2 µs a page instead of a copy-on-write exit of 36 (facts on
// costs: docs/evaluation.md; paper 3.1, REAP, FaaSnap).
//
//   private tree   only the tables on the path to the written pages; leaf j names bank frame first + j
//   merged with the image's tables (base) by the merge module: private entry if present, else base
import { processOf, type Kernel } from '../kernel/kernel.ts';
import { type Region, takeRegion, giveRegion, u32 } from '../kernel/state/memory.ts';
import { createLayout } from '../../wasm/layout.ts';
import { memory } from '../kernel/state/memory.ts';
import { BANK_GPA, BASE_GPA, FIRST_GUEST_TABLE, TABLES_GPA } from '../machine/layout.ts';
import { PAGE_BYTES } from '../kernel/ports.ts';
import type { OpenImage } from './image-open.ts';

/** A written page: its virtual page number and the image frame it had. */
export interface WrittenPage {
  vpn: number;
  frame: number;
  /** False for a page that is only read: it is copied too, since a bank page is mapped cheaper. */
  isWritten: boolean;
}

export interface WriteSet {
  readonly pages: readonly WrittenPage[];
  /** Private table tree, its leaves naming bank frames from 1 on. */
  readonly tree: Region;
  readonly tableCount: number;
}

/** More pages than this are not pre-copied: the boot would pay for what it may not need. */
const PAGES_MAX = 4096;
const PTE_PRESENT = 1;
const PTE_SHARED = 0x200;
const PTE_TABLE = 0x67;
/** P, RW, US, A, D; and P, US, A. With A and D set KVM maps neighbours along with a first touch. */
const LEAF_WRITTEN = 0x67;
const LEAF_READ = 0x25;
const PTE_NX_HIGH = 0x8000_0000;
const TWO_32 = 0x1_0000_0000;
const FIRST_TABLE_PFN: number = TABLES_GPA / PAGE_BYTES + FIRST_GUEST_TABLE;

/**
 * Lists the pages that a finished boot of `image` has in its bank and that the image had as private
 * frames: what it wrote.
 */
export function collectWritten(k: Kernel, image: OpenImage): WrittenPage[] {
  const mm = processOf(k).mm;
  if (mm === null) return [];
  const capacity = 65536;
  const out = takeRegion(capacity * 12);
  try {
    const { frames, tables } = k.ports;
    const count = createLayout(memory).collectDirty({
      tables: tables.address, tablesPfn: tables.pfn, tableCount: tables.count,
      bankPfn: frames.bankPfn, bankFrames: frames.bankFrames,
      basePfn: frames.basePfn, baseFrames: frames.baseFrames,
    }, mm.rootTable, out.address, capacity);
    const written: WrittenPage[] = [];
    for (let i = 0; i < Math.min(count, capacity); i++) {
      const at = (out.address >> 2) + i * 3;
      const vpn = (u32[at] as number) + (u32[at + 1] as number) * TWO_32;
      const entry = imageEntry(image, vpn);
      if (entry === null || entry.shared) continue;
      written.push({ vpn, frame: entry.frame, isWritten: true });
    }
    return written;
  } finally {
    giveRegion(out);
  }
}

/** The image's own leaf entry for a virtual page, or null. */
function imageEntry(
  image: OpenImage,
  vpn: number,
): { frame: number; shared: boolean; noExecute: boolean } | null {
  let table = 0;
  for (let level = 3; level >= 0; level--) {
    const index = Math.floor(vpn / 512 ** level) % 512;
    const at = (image.tables.address + table * PAGE_BYTES + index * 8) >> 2;
    const low = u32[at] as number;
    const high = u32[at + 1] as number;
    if ((low & PTE_PRESENT) === 0) return null;
    if (level === 0) {
      return {
        frame: frameOf(low, high),
        shared: (low & PTE_SHARED) !== 0,
        noExecute: (high & PTE_NX_HIGH) !== 0,
      };
    }
    table = pfnOf(low, high) - FIRST_TABLE_PFN;
  }
  return null;
}

/** The pages whose frames an image lists as its write set (its first `writeFrames` frames). */
export function writtenByImage(image: OpenImage): WrittenPage[] {
  const { hotFrames, writeFrames } = image.header.memory;
  const pages: WrittenPage[] = [];
  if (hotFrames === 0) return pages;
  visitLeaves(image, 0, 3, 0, (vpn, low, high) => {
    const frame = frameOf(low, high);
    if (frame >= hotFrames || (low & PTE_SHARED) !== 0) return;
    pages.push({ vpn, frame, isWritten: frame < writeFrames });
  });
  return pages.sort((a, b) => a.frame - b.frame);
}

type LeafVisitor = (vpn: number, low: number, high: number) => void;

/** Visits the present leaves of an image's tree; tables are the ones check() has accepted. */
function visitLeaves(
  image: OpenImage,
  table: number,
  level: number,
  vpn: number,
  visit: LeafVisitor,
): void {
  const first = (image.tables.address + table * PAGE_BYTES) >> 2;
  const entries = level === 3 ? 256 : 512;
  for (let index = 0; index < entries; index++) {
    const low = u32[first + index * 2] as number;
    if ((low & PTE_PRESENT) === 0) continue;
    const high = u32[first + index * 2 + 1] as number;
    const at = vpn * 512 + index;
    if (level === 0) visit(at, low, high);
    else visitLeaves(image, pfnOf(low, high) - FIRST_TABLE_PFN, level - 1, at, visit);
  }
}

/** Builds the private tree for `pages`; null when there are none or too many. */
export function makeWriteSet(image: OpenImage, pages: readonly WrittenPage[]): WriteSet | null {
  if (pages.length === 0 || pages.length > PAGES_MAX) return null;
  const region = takeRegion((pages.length * 3 + 1) * PAGE_BYTES);
  let tableCount = 1;
  pages.forEach(({ vpn, isWritten }, position) => {
    let table = 0;
    for (let level = 3; level > 0; level--) {
      const at = entryAddress(region, table, vpn, level);
      if (((u32[at] as number) & PTE_PRESENT) === 0) {
        putEntry(at, FIRST_TABLE_PFN + tableCount++, PTE_TABLE, false);
      }
      table = pfnAt(at) - FIRST_TABLE_PFN;
    }
    const noExecute = imageEntry(image, vpn)?.noExecute ?? true;
    const flags = isWritten ? LEAF_WRITTEN : LEAF_READ;
    const pfn = BANK_GPA / PAGE_BYTES + 1 + position;
    putEntry(entryAddress(region, table, vpn, 0), pfn, flags, noExecute);
  });
  return { pages, tree: region, tableCount };
}

function entryAddress(region: Region, table: number, vpn: number, level: number): number {
  const index = Math.floor(vpn / 512 ** level) % 512;
  return (region.address + table * PAGE_BYTES + index * 8) >> 2;
}

function putEntry(at: number, pfn: number, flags: number, noExecute: boolean): void {
  const gpa = pfn * PAGE_BYTES;
  u32[at] = (gpa % TWO_32 | flags) >>> 0;
  u32[at + 1] = (Math.floor(gpa / TWO_32) | (noExecute ? PTE_NX_HIGH : 0)) >>> 0;
}

function pfnAt(at: number): number {
  return pfnOf(u32[at] as number, u32[at + 1] as number);
}

function pfnOf(low: number, high: number): number {
  return Math.floor(low / PAGE_BYTES) + (high & 0xf_ffff) * (TWO_32 / PAGE_BYTES);
}

function frameOf(low: number, high: number): number {
  return pfnOf(low, high) - BASE_GPA / PAGE_BYTES;
}

/** Runs of consecutive image frames: [first frame, first position, count]. */
export function frameRuns(pages: readonly WrittenPage[]): [number, number, number][] {
  const runs: [number, number, number][] = [];
  pages.forEach(({ frame }, position) => {
    const last = runs[runs.length - 1];
    if (last !== undefined && last[0] + last[2] === frame) last[2]++;
    else runs.push([frame, position, 1]);
  });
  return runs;
}
