// A checkpoint of a quiesced sandbox, in memory: the sections of a func-image (paper, 3.2; design:
// image layout). Works on tables and frame ids in the state memory; frames are named, not copied,
// and stream out later in their new order.
import type { Kernel } from '../../kernel/kernel.ts';
import { processOf } from '../../kernel/kernel.ts';
import { Inode, type Mm } from '../../kernel/records/index.ts';
import { Words } from '../../kernel/state/containers.ts';
import { KIND } from '../../kernel/state/kinds.ts';
import { giveRegion, memory, type Region, takeRegion, u32, u8 } from '../../kernel/state/memory.ts';
import { kindIdAt } from '../../kernel/state/record.ts';
import { type SavedObjects, saveObjects } from '../../kernel/state/save.ts';
import { visitPresent } from '../../kernel/mm/tables.ts';
import { frameAt } from '../../kernel/mm/pages.ts';
import { pfnAt, PTE_SHARED } from '../../kernel/mm/pte.ts';
import { BASE_FRAME, PAGE_BYTES } from '../../kernel/ports.ts';
import { saveClocks } from '../../kernel/time/wall-timers.ts';
import { ImageError } from '../image/image-error.ts';
import { findImageLeaf } from '../image/image-tables.ts';
import { type LayersBelow, NOTHING_BELOW, visitSameFrames } from './same-frames.ts';
import { createLayout, type Layout } from '../../../wasm/layout.ts';
import { frameDropped, markShared, notNumbered, type TableWindow } from '../../../wasm/tables.ts';
import { BASE_GPA, FIRST_GUEST_TABLE } from '../../machine/layout.ts';
import { MAP_SHARED } from '../../abi/mman.ts';
import { requireAlone } from './template-rules.ts';

/** Mark of ours, beside those of the layout module: the frame must be kept even if it is zero. */
const MARK_KEEP = 16;
/** Of ours: named by a page cache. */
const MARK_CACHED = 32;

export interface Checkpoint {
  objects: Uint8Array;
  relations: Uint32Array;
  objectCount: number;
  preferredBase: number;
  tables: Uint8Array;
  tableCount: number;
  /** Combined indexes (bank i: i, base i: bankFrames + i) of the saved frames, in image order. */
  frameOrder: Uint32Array;
  /** How many frames lie in layers below, which stay as they are. */
  baseFrames: number;
  /** How many of the first frames were touched in the profiled run, in that order. */
  hotFrames: number;
  /** How many of those were written. */
  writeFrames: number;
  /** Copies frame `combined` into `target` (4096 bytes). */
  readFrame(combined: number, target: Uint8Array): void;
  monotonicNs: number;
}

/** Frames to be put first in the image, as combined indexes. */
export interface HotFrames {
  written: readonly number[];
  read: readonly number[];
}

const NOTHING_HOT: HotFrames = { written: [], read: [] };

interface Work {
  k: Kernel;
  mm: Mm;
  layout: Layout;
  window: TableWindow;
  frames: number;
  /** Place of the first frame that is saved: behind the layers that stay as they are. */
  firstOwn: number;
  marks: Region;
  map: Region;
  page: Region;
}

/**
 * Takes a checkpoint. Preconditions: no thread is on the vCPU (Runner.parkThread), all are blocked
 * or at a system call boundary. The sandbox may go on afterwards.
 * @param below frames that are not saved again: the checkpoint is a layer over those
 */
export function takeCheckpoint(
  k: Kernel, hot: HotFrames = NOTHING_HOT, below: LayersBelow = NOTHING_BELOW,
): Checkpoint {
  const { mm } = requireAlone(k);
  if (mm === null) throw new Error('the sandbox has no program');
  saveClocks(k);
  const work = beginWork(k, mm, below.frames);
  try {
    markFrames(work);
    keepHotFrames(work, hot);
    dropZeroFrames(work);
    const counts = numberFrames(work, hot, below);
    const tables = packTables(work, counts.hot);
    const saved = saveObjects(k.root);
    const objects = rewriteObjects(work, saved);
    return {
      objects,
      relations: saved.relations,
      objectCount: saved.count,
      preferredBase: k.arena.region.address,
      tables: tables.bytes,
      tableCount: tables.count,
      frameOrder: invertMap(work, counts.own),
      baseFrames: below.frames,
      hotFrames: counts.hot,
      writeFrames: counts.written,
      readFrame: (combined, target) => readFrame(k, combined, target),
      monotonicNs: k.root.savedMonotonicNs,
    };
  } finally {
    for (const region of [work.marks, work.map, work.page]) giveRegion(region);
  }
}

function beginWork(k: Kernel, mm: Mm, firstOwn: number): Work {
  const { frames: f, tables: t } = k.ports;
  const frames = f.bankFrames + f.baseFrames;
  const window = {
    tables: t.address,
    tablesPfn: t.pfn,
    tableCount: t.count,
    bankPfn: f.bankPfn,
    bankFrames: f.bankFrames,
    basePfn: f.basePfn,
    baseFrames: f.baseFrames,
  };
  const map = takeRegion(frames * 4);
  u32.fill(notNumbered, map.address >> 2, (map.address >> 2) + frames);
  return {
    k, mm, window, frames, map, firstOwn,
    layout: createLayout(memory),
    marks: takeRegion(frames),
    page: takeRegion(PAGE_BYTES),
  };
}

function must(work: Work, result: number): number {
  if (result < 0) throw new Error(`page tables: ${work.layout.fault(result).sentence}`);
  return result;
}

function combinedOf(work: Work, id: number): number {
  return id >= BASE_FRAME ? work.window.bankFrames + (id - BASE_FRAME) : id;
}

/** The live page-cache chunks: arrays of frame ids. */
function cacheChunks(k: Kernel): { address: number; count: number }[] {
  const chunks: { address: number; count: number }[] = [];
  for (const inode of liveInodes(k)) {
    const { pages } = inode;
    if (pages === null) continue;
    for (let i = 0; i < pages.capacity; i++) {
      const words = pages.get(i);
      if (words !== null) chunks.push({ address: words.data.byteOffset, count: words.capacity });
    }
  }
  return chunks;
}

/** All inodes that a save would write, found by the same walk. */
function liveInodes(k: Kernel): Inode[] {
  const { offsets } = saveObjects(k.root);
  const inodes: Inode[] = [];
  for (const address of offsets.keys()) {
    if (kindIdAt(address) === KIND.inode) inodes.push(k.arena.at(Inode, address));
  }
  return inodes;
}

function markFrames(work: Work): void {
  const { k, mm, layout, window, marks } = work;
  must(work, layout.mark(window, mm.rootTable, marks.address));
  for (const { address, count } of cacheChunks(k)) {
    layout.markWords(address, count, window, marks.address);
    for (let i = 0; i < count; i++) {
      const id = u32[(address >> 2) + i] as number;
      if (id !== 0) markFrame(work, id, MARK_CACHED);
    }
  }
  // A zero page of a private file mapping must be kept: without it the file's bytes would show.
  for (let i = 0; i < mm.vmas.length; i++) {
    const vma = mm.vmas.get(i);
    if (vma === null || vma.inode === null || (vma.flags & MAP_SHARED) !== 0) continue;
    visitPresent(k.tables, mm.rootTable, vma.start, vma.end, (at) => {
      markFrame(work, frameAt(k, at), MARK_KEEP);
    });
  }
}

function markFrame(work: Work, id: number, mark: number): void {
  const at = work.marks.address + combinedOf(work, id);
  u8[at] = (u8[at] as number) | mark;
}

/** What is touched at once is stored even if it is zero: a boot then has it before it runs. */
function keepHotFrames(work: Work, hot: HotFrames): void {
  for (const index of [...hot.written, ...hot.read]) {
    const at = work.marks.address + index;
    if (index < work.frames && u8[at] !== 0) u8[at] = (u8[at] as number) | MARK_KEEP;
  }
}

/** Frames that are all zero and nobody would miss are not stored: a later touch makes a new one. */
function dropZeroFrames(work: Work): void {
  const { k, marks, map, page, layout } = work;
  const bytes = u8.subarray(page.address, page.address + PAGE_BYTES);
  const { bankFrames } = work.window;
  const firstOwn = bankFrames + work.firstOwn;
  for (let combined = 0; combined < work.frames; combined++) {
    if (combined >= bankFrames && combined < firstOwn) continue;
    const mark = u8[marks.address + combined] as number;
    if (mark === 0 || (mark & (markShared | MARK_KEEP | MARK_CACHED)) !== 0) continue;
    readFrame(k, combined, bytes);
    if (layout.isZeroPage(page.address)) u32[(map.address >> 2) + combined] = frameDropped;
  }
}

/** Private pages that are as they were in the layers below share a frame with those. */
function nameSameFrames(work: Work, below: LayersBelow): void {
  const { k, mm, window, marks, map } = work;
  const base = (map.address >> 2) + window.bankFrames;
  visitSameFrames(k.ports.frames, window, mm.rootTable, below, (bankFrame, baseFrame) => {
    const mark = u8[marks.address + bankFrame] as number;
    if ((mark & (markShared | MARK_CACHED)) !== 0) return;
    const at = (map.address >> 2) + bankFrame;
    if (u32[at] === notNumbered) u32[at] = u32[base + baseFrame] as number;
  });
}

/** Gives each live frame its place in the image: the hot ones first, then by virtual address. */
function numberFrames(
  work: Work,
  hot: HotFrames,
  below: LayersBelow,
): { own: number; hot: number; written: number } {
  const { layout, window, mm, marks, map, firstOwn } = work;
  // Frames of layers below keep their places.
  const base = (map.address >> 2) + window.bankFrames;
  for (let index = 0; index < firstOwn; index++) u32[base + index] = index;
  const written = numberListed(work, hot.written, firstOwn);
  const hotEnd = numberListed(work, hot.read, written);
  nameSameFrames(work, below);
  let next = hotEnd;
  next = must(work, layout.number(window, mm.rootTable, marks.address, map.address, next, 0, 0));
  next = must(work, layout.numberRest(work.frames, marks.address, map.address, next));
  return { own: next - firstOwn, hot: hotEnd - firstOwn, written: written - firstOwn };
}

/**
 * Numbers the listed frames that are live and not numbered yet; returns the next number. Frames of
 * layers below are saved again: each boot copies them anyway, and finds them in one run with the
 * others.
 */
function numberListed(work: Work, combined: readonly number[], first: number): number {
  const { marks, map, firstOwn, window: { bankFrames } } = work;
  let next = first;
  for (const index of combined) {
    const isBelow = index >= bankFrames && index < bankFrames + firstOwn;
    if (index >= work.frames || (!isBelow && u8[marks.address + index] === 0)) continue;
    const at = (map.address >> 2) + index;
    const known = u32[at] as number;
    if (known === notNumbered || known < firstOwn) u32[at] = next++;
  }
  return next;
}

function packTables(work: Work, hotFrames: number): { bytes: Uint8Array; count: number } {
  const { k, layout, window, mm, map } = work;
  const capacity = k.tables.end;
  const target = takeRegion(capacity * PAGE_BYTES);
  try {
    const count = must(work, layout.pack(window, mm.rootTable, {
      tables: target.address,
      firstIndex: FIRST_GUEST_TABLE,
      capacity,
      basePfn: BASE_GPA / PAGE_BYTES,
    }, map.address));
    unshareHotPages(work, target.address, hotFrames);
    return { bytes: u8.slice(target.address, target.address + count * PAGE_BYTES), count };
  } finally {
    giveRegion(target);
  }
}

/**
 * Takes hot pages of private file mappings out of the page cache's hands in the packed tables: the
 * frame stays named by both, and being a base frame it can never change, but a boot may pre-copy
 * the page like any other private one.
 */
function unshareHotPages(work: Work, tables: number, hotFrames: number): void {
  const { mm } = work;
  for (let i = 0; hotFrames > 0 && i < mm.vmas.length; i++) {
    const vma = mm.vmas.get(i);
    if (vma === null || vma.inode === null || (vma.flags & MAP_SHARED) !== 0) continue;
    for (let gva = vma.start; gva < vma.end; gva += PAGE_BYTES) {
      const leaf = findImageLeaf(tables, gva / PAGE_BYTES);
      const own = leaf === 0 ? -1 : pfnAt(leaf) - BASE_GPA / PAGE_BYTES - work.firstOwn;
      if (own < 0 || own >= hotFrames) continue;
      u32[leaf] = ((u32[leaf] as number) & ~PTE_SHARED) >>> 0;
    }
  }
}

/** Changes frame ids in the saved copy. */
function rewriteObjects(work: Work, saved: SavedObjects): Uint8Array {
  const { k, layout, window, map } = work;
  const region = takeRegion(saved.objects.length);
  try {
    u8.set(saved.objects, region.address);
    for (const { address, count } of cacheChunks(k)) {
      const record = findOwner(saved, address);
      const words = region.address + record.offset + (address - record.address);
      const done = layout.rewriteWords(words, count, window, map.address);
      if (done !== count) throw new Error('a page cache names a frame that was not numbered');
    }
    return u8.slice(region.address, region.address + saved.objects.length);
  } finally {
    giveRegion(region);
  }
}

/** The Words record that holds the array at `address`. */
function findOwner(saved: SavedObjects, address: number): { address: number; offset: number } {
  const owner = address - Words.fixedBytes;
  const offset = saved.offsets.get(owner);
  if (offset === undefined) throw new Error('a page cache chunk was not saved');
  return { address: owner, offset };
}

function invertMap(work: Work, own: number): Uint32Array {
  const order = new Uint32Array(own);
  const base = work.map.address >> 2;
  for (let combined = 0; combined < work.frames; combined++) {
    const index = (u32[base + combined] as number) - work.firstOwn;
    if (index >= 0 && index < own) order[index] = combined;
  }
  return order;
}

function readFrame(k: Kernel, combined: number, target: Uint8Array): void {
  const { frames } = k.ports;
  if (combined < frames.bankFrames) {
    target.set(frames.bank.subarray(combined * PAGE_BYTES, (combined + 1) * PAGE_BYTES));
    return;
  }
  if (!frames.readBase(combined - frames.bankFrames, 0, target)) {
    throw new ImageError('truncated', "The func-image's file has gone or was truncated.");
  }
}
