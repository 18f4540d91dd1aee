// Which frames a checkpoint saves, and where in the image each of them lies. Bits of the layout
// module say how a frame is mapped (wasm/tables.ts); here are those that only a checkpoint needs.
//
//   frames of layers below | written at once | read at once | the rest, by virtual address
//                          └ of each address space ┘
//
// A frame that several processes have since a fork lies among the rest, once. Where one of them
// touches it at once it has a copy of it in front: boots move those to the bank, where a frame
// belongs to one page table entry.
import { MAP_SHARED } from '../../abi/mman.ts';
import type { Kernel } from '../../kernel/kernel.ts';
import { frameAt } from '../../kernel/mm/pages.ts';
import { visitPresent } from '../../kernel/mm/tables.ts';
import { BASE_FRAME, PAGE_BYTES } from '../../kernel/ports.ts';
import type { Mm, Vma } from '../../kernel/records/mm.ts';
import { giveRegion, type Region, takeRegion, u32, u8 } from '../../kernel/state/memory.ts';
import type { Layout } from '../../../wasm/layout.ts';
import {
  frameDropped, markReferenced, markShared, notNumbered, type TableWindow,
} from '../../../wasm/tables.ts';
import { type LayersBelow, visitSameFrames } from './same-frames.ts';

/** Mark of ours, beside those of the layout module: the frame must be kept even if it is zero. */
const MARK_KEEP = 16;
/** Of ours: named by a page cache. */
const MARK_CACHED = 32;
/** Mapped in several address spaces. */
const MARK_SEVERAL = 64;
/** Mapped by a shared mapping. Both are told only where there are several address spaces. */
const MARK_PUBLIC = 128;

/** Frames of an address space that boots touch at once, as combined indexes. */
export interface HotFrames {
  written: readonly number[];
  read: readonly number[];
}

/** An address space that is saved. */
export interface Space {
  readonly mm: Mm;
  /** Place of its root among the image's tables. */
  root: number;
  /** Frames that it has a copy of in front: combined index, and the copy's number. */
  readonly copies: Map<number, number>;
}

/** Frames of a checkpoint in the making. */
export interface FrameWork {
  readonly k: Kernel;
  readonly spaces: readonly Space[];
  readonly layout: Layout;
  readonly window: TableWindow;
  /** In bank and base window together. */
  readonly frames: number;
  /** Place of the first frame that is saved: behind the layers that stay as they are. */
  readonly firstOwn: number;
  readonly marks: Region;
  readonly map: Region;
  readonly page: Region;
  /** Numbers of hot frames of layers below that a page has got. */
  readonly taken: Set<number>;
  readFrame(combined: number, target: Uint8Array): void;
}

/** The result of a function of the layout module. */
export function must(work: FrameWork, result: number): number {
  if (result < 0) throw new Error(`page tables: ${work.layout.fault(result).sentence}`);
  return result;
}

/** An array of frame ids in a page cache. */
export interface CacheChunk {
  address: number;
  count: number;
}

/** Marks all frames in use. */
export function markFrames(work: FrameWork, chunks: readonly CacheChunk[]): void {
  const { layout, window, marks, spaces } = work;
  if (spaces.length > 1) markSeveral(work);
  else for (const { mm } of spaces) must(work, layout.mark(window, mm.rootTable, marks.address));
  for (const { address, count } of chunks) {
    layout.markWords(address, count, window, marks.address);
    for (let i = 0; i < count; i++) {
      const id = u32[(address >> 2) + i] as number;
      if (id !== 0) markFrame(work, id, MARK_CACHED);
    }
  }
  // A zero page of a private file mapping must be kept: without it the file's bytes would show.
  markMapped(work, MARK_KEEP, ({ inode, flags }) => inode !== null && (flags & MAP_SHARED) === 0);
}

/** Marks the frames of several address spaces, and those that several of them have. */
function markSeveral(work: FrameWork): void {
  const { layout, window, marks, frames } = work;
  const own = takeRegion(frames);
  try {
    for (const { mm } of work.spaces) {
      u8.fill(0, own.address, own.address + frames);
      must(work, layout.mark(window, mm.rootTable, own.address));
      for (let index = 0; index < frames; index++) {
        const mark = u8[own.address + index] as number;
        if (mark === 0) continue;
        const before = u8[marks.address + index] as number;
        const several = (before & markReferenced) !== 0 ? MARK_SEVERAL : 0;
        u8[marks.address + index] = before | mark | several;
      }
    }
  } finally {
    giveRegion(own);
  }
  markMapped(work, MARK_PUBLIC, ({ flags }) => (flags & MAP_SHARED) !== 0);
}

/** Marks the frames that are mapped by some mappings. */
function markMapped(work: FrameWork, mark: number, isMeant: (vma: Vma) => boolean): void {
  const { k } = work;
  for (const { mm } of work.spaces) {
    for (let i = 0; i < mm.vmas.length; i++) {
      const vma = mm.vmas.get(i);
      if (vma === null || !isMeant(vma)) continue;
      visitPresent(k.tables, mm.rootTable, vma.start, vma.end, (at) => {
        markFrame(work, frameAt(k, at), mark);
      });
    }
  }
}

function markFrame(work: FrameWork, id: number, mark: number): void {
  const { bankFrames } = work.window;
  const at = work.marks.address + (id >= BASE_FRAME ? bankFrames + (id - BASE_FRAME) : id);
  u8[at] = (u8[at] as number) | mark;
}

/** What is touched at once is stored even if it is zero: a boot then has it before it runs. */
export function keepHotFrames(work: FrameWork, hot: readonly HotFrames[]): void {
  for (const { written, read } of hot) {
    for (const index of [...written, ...read]) {
      const at = work.marks.address + index;
      if (index < work.frames && u8[at] !== 0) u8[at] = (u8[at] as number) | MARK_KEEP;
    }
  }
}

/** Frames that are all zero and nobody would miss are not stored: a later touch makes a new one. */
export function dropZeroFrames(work: FrameWork): void {
  const { marks, map, page, layout } = work;
  const bytes = u8.subarray(page.address, page.address + PAGE_BYTES);
  const { bankFrames } = work.window;
  const firstOwn = bankFrames + work.firstOwn;
  for (let combined = 0; combined < work.frames; combined++) {
    if (combined >= bankFrames && combined < firstOwn) continue;
    const mark = u8[marks.address + combined] as number;
    if (mark === 0 || (mark & (markShared | MARK_KEEP | MARK_CACHED)) !== 0) continue;
    work.readFrame(combined, bytes);
    if (layout.isZeroPage(page.address)) u32[(map.address >> 2) + combined] = frameDropped;
  }
}

/** How many frames are saved, and how many of those, from the first on, are hot and written. */
export interface FrameCounts {
  own: number;
  hot: number;
  written: number;
}

/** Gives each live frame its place in the image: the hot ones first, then by virtual address. */
export function numberFrames(
  work: FrameWork, hot: readonly HotFrames[], below: LayersBelow,
): FrameCounts {
  const { layout, window, marks, map, firstOwn, spaces } = work;
  // Frames of layers below keep their places.
  const base = (map.address >> 2) + window.bankFrames;
  for (let index = 0; index < firstOwn; index++) u32[base + index] = index;
  let next = firstOwn;
  spaces.forEach((space, i) => { next = numberListed(work, space, hot[i]?.written ?? [], next); });
  const written = next - firstOwn;
  spaces.forEach((space, i) => { next = numberListed(work, space, hot[i]?.read ?? [], next); });
  const hotFrames = next - firstOwn;
  for (const space of spaces) nameSameFrames(work, space, below);
  for (const { mm } of spaces) {
    next = must(work, layout.number(window, mm.rootTable, marks.address, map.address, next, 0, 0));
  }
  next = must(work, layout.numberRest(work.frames, marks.address, map.address, next));
  return { own: next - firstOwn, hot: hotFrames, written };
}

/**
 * Numbers the listed frames that are live and not numbered yet; returns the next number. Frames of
 * layers below are saved again: each boot copies them anyway, and finds them in one run with the
 * others.
 */
function numberListed(
  work: FrameWork, { copies }: Space, combined: readonly number[], first: number,
): number {
  const { marks, map, firstOwn, window: { bankFrames } } = work;
  let next = first;
  for (const index of combined) {
    const isBelow = index >= bankFrames && index < bankFrames + firstOwn;
    if (index >= work.frames) continue;
    const mark = u8[marks.address + index] as number;
    if (!isBelow && mark === 0) continue;
    if ((mark & MARK_SEVERAL) !== 0) {
      if ((mark & MARK_PUBLIC) === 0 && !copies.has(index)) copies.set(index, next++);
      continue;
    }
    const at = (map.address >> 2) + index;
    const known = u32[at] as number;
    if (known === notNumbered || known < firstOwn) u32[at] = next++;
  }
  return next;
}

/**
 * Private pages that are as they were in the layers below share a frame with those. A hot one has
 * one page alone, so where there are several address spaces it is taken by the first at most.
 */
function nameSameFrames(work: FrameWork, space: Space, below: LayersBelow): void {
  const { k, window, marks, map, spaces, firstOwn } = work;
  const { mm, copies } = space;
  const numbers = map.address >> 2;
  const isFirst = spaces[0] === space;
  visitSameFrames(k.ports.frames, window, mm.rootTable, below, isFirst, (bankFrame, baseFrame) => {
    const mark = u8[marks.address + bankFrame] as number;
    if ((mark & (markShared | MARK_CACHED)) !== 0) return;
    if (u32[numbers + bankFrame] !== notNumbered) return;
    const combined = window.bankFrames + baseFrame;
    const copy = (mark & MARK_SEVERAL) === 0 ? copies.get(combined) : undefined;
    const number = copy ?? u32[numbers + combined] as number;
    if (number >= firstOwn && spaces.length > 1) {
      if ((u8[marks.address + combined] as number) !== 0 && copy === undefined) return;
      if (work.taken.has(number)) return;
      work.taken.add(number);
    }
    u32[numbers + bankFrame] = number;
  });
}

/** Frames of the image in its order, as combined indexes. */
export function orderFrames(work: FrameWork, own: number): Uint32Array {
  const order = new Uint32Array(own);
  const base = work.map.address >> 2;
  for (let combined = 0; combined < work.frames; combined++) {
    const index = (u32[base + combined] as number) - work.firstOwn;
    if (index >= 0 && index < own) order[index] = combined;
  }
  for (const { copies } of work.spaces) {
    for (const [combined, number] of copies) order[number - work.firstOwn] = combined;
  }
  return order;
}
