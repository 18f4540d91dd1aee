// A checkpoint of a quiesced sandbox, in memory: the sections of a func-image (paper, 3.2; design:
// image layout). Works on tables and frame ids in the state memory; frames are named, not copied,
// and stream out later in their new order.
import type { Kernel } from '../../kernel/kernel.ts';
import { processOf } from '../../kernel/kernel.ts';
import { pfnAt, PTE_NX_HIGH, PTE_SHARED, setEntry } from '../../kernel/mm/pte.ts';
import { PAGE_BYTES } from '../../kernel/ports.ts';
import { Inode, Mm } from '../../kernel/records/index.ts';
import { Words } from '../../kernel/state/containers.ts';
import { KIND } from '../../kernel/state/kinds.ts';
import { giveRegion, memory, takeRegion, u32, u8 } from '../../kernel/state/memory.ts';
import { kindIdAt } from '../../kernel/state/record.ts';
import { type SavedObjects, saveObjects } from '../../kernel/state/save.ts';
import { forEachProcess, listSpaces } from '../../kernel/task/family.ts';
import { sweepGone } from '../../kernel/task/zombie.ts';
import { saveClocks } from '../../kernel/time/wall-timers.ts';
import { ImageError } from '../image/image-error.ts';
import { findImageLeaf } from '../image/image-tables.ts';
import {
  type CacheChunk, dropZeroFrames, type FrameWork, type HotFrames, keepHotFrames, markFrames, must,
  numberFrames, orderFrames, type Space,
} from './checkpoint-frames.ts';
import { type LayersBelow, NOTHING_BELOW } from './same-frames.ts';
import { createLayout } from '../../../wasm/layout.ts';
import { notNumbered } from '../../../wasm/tables.ts';
import { BASE_GPA, FIRST_GUEST_TABLE } from '../../machine/layout.ts';
import { MAP_SHARED } from '../../abi/mman.ts';

export interface Checkpoint {
  objects: Uint8Array;
  relations: Uint32Array;
  objectCount: number;
  preferredBase: number;
  tables: Uint8Array;
  tableCount: number;
  /** Combined indexes (bank i: i, base i: bankFrames + i) of the saved frames, in image order. */
  frameOrder: Uint32Array;
  /** How many address spaces there are. */
  spaces: number;
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

/**
 * Takes a checkpoint. Preconditions: no thread is on the vCPU (Runner.parkThread), all are blocked
 * or at a system call boundary. The sandbox may go on afterwards.
 * @param hot of each address space (listSpaces), what boots touch at once
 * @param below frames that are not saved again: the checkpoint is a layer over those
 */
export function takeCheckpoint(
  k: Kernel, hot: readonly HotFrames[] = [], below: LayersBelow = NOTHING_BELOW,
): Checkpoint {
  if (processOf(k).mm === null) throw new Error('the sandbox has no program');
  // Those whom nobody will wait for.
  forEachProcess(k, (process) => sweepGone(k, process));
  saveClocks(k);
  const work = beginWork(k, below.frames);
  try {
    const chunks = cacheChunks(k);
    markFrames(work, chunks);
    keepHotFrames(work, hot);
    dropZeroFrames(work);
    const counts = numberFrames(work, hot, below);
    const tables = packTables(work, counts.hot);
    const saved = saveObjects(k.root);
    const objects = rewriteObjects(work, saved, chunks);
    return {
      objects,
      relations: saved.relations,
      objectCount: saved.count,
      preferredBase: k.arena.region.address,
      tables: tables.bytes,
      tableCount: tables.count,
      frameOrder: orderFrames(work, counts.own),
      spaces: work.spaces.length,
      baseFrames: below.frames,
      hotFrames: counts.hot,
      writeFrames: counts.written,
      readFrame: work.readFrame,
      monotonicNs: k.root.savedMonotonicNs,
    };
  } finally {
    for (const region of [work.marks, work.map, work.page]) giveRegion(region);
  }
}

function beginWork(k: Kernel, firstOwn: number): FrameWork {
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
    k, window, frames, map, firstOwn,
    spaces: listSpaces(k).map((mm) => ({ mm, root: 0, copies: new Map() })),
    layout: createLayout(memory),
    marks: takeRegion(frames),
    page: takeRegion(PAGE_BYTES),
    taken: new Set(),
    readFrame: (combined, target) => readFrame(k, combined, target),
  };
}

/** The live page-cache chunks: arrays of frame ids. */
function cacheChunks(k: Kernel): CacheChunk[] {
  const chunks: CacheChunk[] = [];
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

/** The address spaces' tables, one tree behind the other. */
function packTables(work: FrameWork, hotFrames: number): { bytes: Uint8Array; count: number } {
  const capacity = work.k.tables.end;
  const target = takeRegion(capacity * PAGE_BYTES);
  try {
    let count = 0;
    for (const space of work.spaces) {
      space.root = count;
      count += packSpace(work, space, target.address, capacity);
      unshareHotPages(work, space, target.address, hotFrames);
    }
    return { bytes: u8.slice(target.address, target.address + count * PAGE_BYTES), count };
  } finally {
    giveRegion(target);
  }
}

/** Packs a space's tables behind those of the others; returns how many there are. */
function packSpace(
  work: FrameWork, { mm, root, copies }: Space, tables: number, capacity: number,
): number {
  const { layout, window, map } = work;
  const numbers = map.address >> 2;
  const others = [...copies.keys()].map((combined) => u32[numbers + combined] as number);
  for (const [combined, number] of copies) u32[numbers + combined] = number;
  const count = must(work, layout.pack(window, mm.rootTable, {
    tables: tables + root * PAGE_BYTES,
    firstIndex: FIRST_GUEST_TABLE + root,
    capacity: capacity - root,
    basePfn: BASE_GPA / PAGE_BYTES,
  }, map.address));
  [...copies.keys()].forEach((combined, i) => { u32[numbers + combined] = others[i] as number; });
  return count;
}

/**
 * Takes hot pages of private file mappings out of the page cache's hands in the packed tables: the
 * frame stays named by both, and being a base frame it can never change, but a boot may pre-copy
 * the page like any other private one. Of several pages that have the frame the first one; the
 * others name the page cache's frame.
 */
function unshareHotPages(work: FrameWork, space: Space, tables: number, hotFrames: number): void {
  const { mm, root, copies } = space;
  const seen: Set<number> = new Set();
  const cached = new Map([...copies].map(([combined, number]) =>
    [number - work.firstOwn, u32[(work.map.address >> 2) + combined] as number]));
  for (let i = 0; hotFrames > 0 && i < mm.vmas.length; i++) {
    const vma = mm.vmas.get(i);
    if (vma === null || vma.inode === null || (vma.flags & MAP_SHARED) !== 0) continue;
    for (let gva = vma.start; gva < vma.end; gva += PAGE_BYTES) {
      const leaf = findImageLeaf(tables, gva / PAGE_BYTES, root);
      const own = leaf === 0 ? -1 : pfnAt(leaf) - BASE_GPA / PAGE_BYTES - work.firstOwn;
      if (own < 0 || own >= hotFrames) continue;
      if (!seen.has(own)) {
        seen.add(own);
        u32[leaf] = ((u32[leaf] as number) & ~PTE_SHARED) >>> 0;
        continue;
      }
      const number = cached.get(own);
      if (number !== undefined) nameFrame(leaf, number);
    }
  }
}

/** Lets a packed leaf entry name another frame of the image. */
function nameFrame(leaf: number, number: number): void {
  const low = (u32[leaf] as number) & 0xfff;
  const isExecutable = ((u32[leaf + 1] as number) & PTE_NX_HIGH) === 0;
  setEntry(leaf, BASE_GPA / PAGE_BYTES + number, low, isExecutable);
}

/** Changes frame ids and places of tables in the saved copy. */
function rewriteObjects(
  work: FrameWork, saved: SavedObjects, chunks: readonly CacheChunk[],
): Uint8Array {
  const { layout, window, map, spaces } = work;
  const region = takeRegion(saved.objects.length);
  try {
    u8.set(saved.objects, region.address);
    for (const { address, count } of chunks) {
      const record = findOwner(saved, address);
      const words = region.address + record.offset + (address - record.address);
      const done = layout.rewriteWords(words, count, window, map.address);
      if (done !== count) throw new Error('a page cache names a frame that was not numbered');
    }
    for (const { mm, root } of spaces) {
      const offset = saved.offsets.get(mm.address);
      if (offset === undefined) throw new Error('an address space was not saved');
      u32[(region.address + offset + Mm.offset('rootTable')) >> 2] = root;
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
