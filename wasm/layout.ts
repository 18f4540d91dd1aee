// layout: page tables and frame ids of a checkpoint in terms of a func-image. Runs
// assembly/layout.ts on the caller's memory; wasm/tables.ts explains windows, ids and marks.
//
//   marks   u8 per combined index, zeroed by the caller first
//   map     u32 per combined index, set to `notNumbered` by the caller first, and to
//           `frameDropped` for zero frames the image leaves out
//
// Each method returns a count, or a negative code that fault() puts into words.

import { layoutWasm } from './generated/layout.ts';
import { checkRange, checkU32, compileLazily, instantiate } from './instance.ts';
import type { Fault } from './instance.ts';
import { checkWindow, describeTableFault } from './tables.ts';
import type { TableWindow } from './tables.ts';

/** Where pack() writes. */
export interface PackTarget {
  /** Address of the root, a multiple of 4096, outside the source's window. */
  tables: number;
  /** Table i will be at guest-physical page tablesPfn + firstIndex + i. */
  firstIndex: number;
  /** In tables. As many as the source tree has always suffice. */
  capacity: number;
  /** Guest-physical page number of the image's frame 0. */
  basePfn: number;
}

/** How many frames there are, for arrays of frame ids. */
export interface FrameCounts {
  bankFrames: number;
  baseFrames: number;
}

/** The layout module over one memory. */
export interface Layout {
  /**
   * Adds to `marks` how each frame is mapped below the root: 1 referenced, 2 accessed, 4 dirty,
   * 8 by a SHARED entry. Returns the number of present leaves.
   */
  mark(window: TableWindow, rootIndex: number, marks: number): number;
  /** Marks frames named by ids as referenced. Returns count, or the index of the first bad id. */
  markWords(words: number, count: number, frames: FrameCounts, marks: number): number;
  /** Whether 4096 bytes are all zero. */
  isZeroPage(page: number): boolean;
  /**
   * Sets bit i (of byte i >> 3, lowest first) of `bitmap` for each zero page and clears the
   * others, up to the end of the last byte. Returns the number of zero pages.
   */
  zeroMap(pages: number, pageCount: number, bitmap: number): number;
  /**
   * Gives numbers from `next` on, in virtual-address order, to mapped frames that have none and
   * whose `mark & wantMask` is `wantValue`. Returns the next free number.
   */
  number(
    window: TableWindow, rootIndex: number, marks: number, map: number, next: number,
    wantMask: number, wantValue: number,
  ): number;
  /**
   * Gives numbers to frames that are marked as referenced and have none, in the order of their
   * combined indexes (bankFrames + baseFrames of them). Returns the next free number.
   */
  numberRest(frameCount: number, marks: number, map: number, next: number): number;
  /**
   * Copies the user half of a tree: root first, then pre-order, empty tables left out. Leaves
   * become base frames by number and keep only US, NX and SHARED; those of dropped frames are
   * cleared. It is a fault when a SHARED leaf's frame is dropped or any frame has no number.
   * Returns the number of tables written.
   */
  pack(window: TableWindow, rootIndex: number, target: PackTarget, map: number): number;
  /**
   * Turns ids into those of base frames by number, 0 for dropped frames. Returns count, or the
   * index of the first id that names no numbered frame; ids before it are rewritten.
   */
  rewriteWords(words: number, count: number, frames: FrameCounts, map: number): number;
  /**
   * Lists the leaves that name bank frames, in virtual-address order, as u32 triples: virtual
   * page number (low, high), frame id. Returns how many there are, of which at most `capacity`
   * are written.
   */
  collectDirty(window: TableWindow, rootIndex: number, out: number, capacity: number): number;
  /** The last negative result in words. */
  fault(code: number): Fault;
}

/** The seven numbers of a window, as the exports take them. */
type WindowArguments = [number, number, number, number, number, number, number];

interface LayoutExports {
  mark(...args: [...WindowArguments, root: number, marks: number]): number;
  markWords(words: number, count: number, bank: number, base: number, marks: number): number;
  isZeroPage(page: number): number;
  zeroMap(pages: number, pageCount: number, bitmap: number): number;
  number(...args: [
    ...WindowArguments, root: number, marks: number, map: number, next: number, wantMask: number,
    wantValue: number,
  ]): number;
  numberRest(frameCount: number, marks: number, map: number, next: number): number;
  pack(...args: [
    ...WindowArguments, root: number, dst: number, dstFirstIndex: number, capacity: number,
    map: number, basePfn: number,
  ]): number;
  rewriteWords(words: number, count: number, bank: number, base: number, map: number): number;
  collectDirty(...args: [
    ...WindowArguments, root: number, out: number, capacity: number,
  ]): number;
  readFaultAt(): number;
}

const compileLayout: () => WebAssembly.Module = compileLazily(layoutWasm);

function spread(window: TableWindow): WindowArguments {
  return [
    window.tables, window.tablesPfn, window.tableCount, window.bankPfn, window.bankFrames,
    window.basePfn, window.baseFrames,
  ];
}

/** The methods on tables: a window and a root in, a count or a code out. */
function bindTrees(
  memory: WebAssembly.Memory, wasm: LayoutExports,
): Pick<Layout, 'mark' | 'number' | 'pack' | 'collectDirty'> {
  function checkArrays(window: TableWindow, root: number, marks?: number, map?: number): void {
    checkWindow(memory, window);
    checkU32('rootIndex', root);
    const frames = window.bankFrames + window.baseFrames;
    if (marks !== undefined) checkRange(memory, 'marks', marks, frames);
    if (map !== undefined) checkRange(memory, 'map', map, frames * 4);
  }
  return {
    mark(window, rootIndex, marks) {
      checkArrays(window, rootIndex, marks);
      return wasm.mark(...spread(window), rootIndex, marks);
    },
    number(window, rootIndex, marks, map, next, wantMask, wantValue) {
      checkArrays(window, rootIndex, marks, map);
      checkU32('next', next);
      const args = spread(window);
      return wasm.number(...args, rootIndex, marks, map, next, wantMask, wantValue);
    },
    pack(window, rootIndex, target, map) {
      const { tables, firstIndex, capacity, basePfn } = target;
      checkArrays(window, rootIndex, undefined, map);
      checkRange(memory, 'target', tables, capacity * 4096);
      checkU32('firstIndex', firstIndex);
      checkU32('basePfn', basePfn);
      const args = spread(window);
      return wasm.pack(...args, rootIndex, tables, firstIndex, capacity, map, basePfn);
    },
    collectDirty(window, rootIndex, out, capacity) {
      checkArrays(window, rootIndex);
      checkRange(memory, 'out', out, capacity * 12);
      return wasm.collectDirty(...spread(window), rootIndex, out, capacity);
    },
  };
}

/** The methods on arrays of frame ids and frames. */
function bindArrays(
  memory: WebAssembly.Memory, wasm: LayoutExports,
): Omit<Layout, 'mark' | 'number' | 'pack' | 'collectDirty' | 'fault'> {
  function checkWords(words: number, count: number, frames: FrameCounts): number {
    checkRange(memory, 'words', words, count * 4);
    checkU32('bankFrames', frames.bankFrames);
    checkU32('baseFrames', frames.baseFrames);
    return frames.bankFrames + frames.baseFrames;
  }
  return {
    markWords(words, count, frames, marks) {
      checkRange(memory, 'marks', marks, checkWords(words, count, frames));
      return wasm.markWords(words, count, frames.bankFrames, frames.baseFrames, marks) >>> 0;
    },
    isZeroPage(page) {
      checkRange(memory, 'page', page, 4096);
      return wasm.isZeroPage(page) !== 0;
    },
    zeroMap(pages, pageCount, bitmap) {
      checkRange(memory, 'pages', pages, pageCount * 4096);
      checkRange(memory, 'bitmap', bitmap, Math.ceil(pageCount / 8));
      return wasm.zeroMap(pages, pageCount, bitmap);
    },
    numberRest(frameCount, marks, map, next) {
      checkRange(memory, 'marks', marks, frameCount);
      checkRange(memory, 'map', map, frameCount * 4);
      checkU32('next', next);
      return wasm.numberRest(frameCount, marks, map, next);
    },
    rewriteWords(words, count, frames, map) {
      checkRange(memory, 'map', map, checkWords(words, count, frames) * 4);
      return wasm.rewriteWords(words, count, frames.bankFrames, frames.baseFrames, map) >>> 0;
    },
  };
}

/**
 * Binds the module to a memory, which it does not write to until told to.
 * @param module another build of the module, for tests
 * @throws RangeError, from each method, when a piece does not lie inside the memory
 */
export function createLayout(
  memory: WebAssembly.Memory, module: WebAssembly.Module = compileLayout(),
): Layout {
  const wasm = instantiate<LayoutExports>(module, memory);
  return {
    ...bindTrees(memory, wasm),
    ...bindArrays(memory, wasm),
    fault: (code) => describeTableFault(code, wasm.readFaultAt() >>> 0),
  };
}
