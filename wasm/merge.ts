// merge: a private tree of page tables over a base one, and the check of a tree from a file.
// Runs assembly/merge.ts on the caller's memory; wasm/tables.ts explains windows and faults.
//
// A tree is `count` tables of 4096 bytes, the root first, as Layout.pack() writes it. Its table i
// is at guest-physical page tablesPfn + firstIndex + i.

import { mergeWasm } from './generated/merge.ts';
import { checkRange, checkU32, compileLazily, instantiate } from './instance.ts';
import type { Fault } from './instance.ts';
import { checkFrames, describeTableFault } from './tables.ts';
import type { FrameWindows } from './tables.ts';

/** A compact tree of page tables. */
export interface TableTree {
  /** Address of the root, a multiple of 4096. */
  tables: number;
  /** 0 for no tree at all. */
  count: number;
  /** What its entries count from: index of its root in the table window. */
  firstIndex: number;
}

/** Where mergeTree() writes: `tables` may be the base tree's, otherwise all three are disjoint. */
export interface MergeTarget {
  tables: number;
  firstIndex: number;
  /** In tables. base.count + priv.count always suffice. */
  capacity: number;
}

/** Base frames that were copied to the bank: frame fromPfn + i is now at toPfn + i. */
export interface HotRun {
  /** Guest page number of the first one in the base window, below 2^32. */
  fromPfn: number;
  /** Guest page number of its copy. */
  toPfn: number;
  count: number;
  /** How many of them, from the first on, may be written. */
  written: number;
}

/** The merge module over one memory. */
export interface Merge {
  /** 512 entries: dst[i] = priv[i] if that is present, else base[i]. dst may be priv or base. */
  mergeTable(dst: number, priv: number, base: number): void;
  /**
   * Writes base overlaid by priv. dst's table i is base's table i, tables that only priv has
   * follow. The kernel half of dst's root stays as it is. Either tree may be empty. With an
   * empty priv and dst = base this only moves a tree to another firstIndex.
   * Preconditions: both trees passed check(), in this form or before they were merged.
   * Returns the number of tables in dst, or a negative code that fault() puts into words.
   */
  mergeTree(dst: MergeTarget, priv: TableTree, base: TableTree, tablesPfn: number): number;
  /**
   * Points a merged tree's private leaves at copies of their frames, and lets what is above them be
   * written. Preconditions: as for mergeTree(), whose dst the tree is.
   * Returns how many leaves there are, or a negative code that fault() puts into words.
   */
  moveHot(tree: TableTree, tablesPfn: number, run: HotRun): number;
  /**
   * Checks every entry of a tree from a file: tables in pre-order as pack() numbers them, each
   * reached once; leaves inside bank or base, US set, PS clear, RW only for bank frames; all
   * bits without a use clear; the root's kernel half 0. Returns null if all is well.
   */
  check(tree: TableTree, tablesPfn: number, frames: FrameWindows): Fault | null;
  /** The last negative result in words. */
  fault(code: number): Fault;
}

interface MergeExports {
  mergeTable(dst: number, priv: number, base: number): void;
  mergeTree(
    dst: number, dstFirstIndex: number, dstCapacity: number,
    priv: number, privFirstIndex: number, privCount: number,
    base: number, baseFirstIndex: number, baseCount: number, tablesPfn: number,
  ): number;
  moveHot(
    tables: number, count: number, firstIndex: number, tablesPfn: number,
    fromPfn: number, toPfn: number, frames: number, written: number,
  ): number;
  check(
    tables: number, count: number, firstIndex: number, tablesPfn: number,
    bankPfn: number, bankFrames: number, basePfn: number, baseFrames: number,
  ): number;
  readFaultAt(): number;
}

const compileMerge: () => WebAssembly.Module = compileLazily(mergeWasm);

/**
 * Binds the module to a memory, which it does not write to until told to.
 * @param module another build of the module, for tests
 * @throws RangeError, from each method, when a piece does not lie inside the memory
 */
export function createMerge(
  memory: WebAssembly.Memory, module: WebAssembly.Module = compileMerge(),
): Merge {
  const wasm = instantiate<MergeExports>(module, memory);

  function checkTree(what: string, tree: TableTree): void {
    checkRange(memory, what, tree.tables, tree.count * 4096);
    checkU32('firstIndex', tree.firstIndex);
  }
  const fault = (code: number): Fault => describeTableFault(code, wasm.readFaultAt() >>> 0);
  return {
    mergeTable(dst, priv, base) {
      checkRange(memory, 'dst', dst, 4096);
      checkRange(memory, 'priv', priv, 4096);
      checkRange(memory, 'base', base, 4096);
      wasm.mergeTable(dst, priv, base);
    },
    mergeTree(dst, priv, base, tablesPfn) {
      checkTree('dst', { tables: dst.tables, count: dst.capacity, firstIndex: dst.firstIndex });
      checkTree('priv', priv);
      checkTree('base', base);
      checkU32('tablesPfn', tablesPfn);
      return wasm.mergeTree(
        dst.tables, dst.firstIndex, dst.capacity, priv.tables, priv.firstIndex, priv.count,
        base.tables, base.firstIndex, base.count, tablesPfn);
    },
    moveHot(tree, tablesPfn, { fromPfn, toPfn, count, written }) {
      checkTree('tree', tree);
      for (const value of [tablesPfn, fromPfn, toPfn, count, written]) checkU32('a page', value);
      return wasm.moveHot(
        tree.tables, tree.count, tree.firstIndex, tablesPfn, fromPfn, toPfn, count, written);
    },
    check(tree, tablesPfn, frames) {
      checkTree('tree', tree);
      checkU32('tablesPfn', tablesPfn);
      checkFrames(frames);
      const code = wasm.check(
        tree.tables, tree.count, tree.firstIndex, tablesPfn,
        frames.bankPfn, frames.bankFrames, frames.basePfn, frames.baseFrames);
      return code < 0 ? fault(code) : null;
    },
    fault,
  };
}
