// The merge module in plain TypeScript: what assembly/merge.ts must do.
//
// Written for reading, from the descriptions in wasm/merge.ts; tests and the bench compare the
// two.

import type { HotRun, Merge, MergeTarget, TableTree } from '../merge.ts';
import { describeTableFault } from '../tables.ts';
import { checkTree } from './check.ts';
import {
  accessed, countEntries, dirty, getEntry, getWord, isPresent, noExecute, present, setEntry,
  setWord, shared, user, wordsOf, writable,
} from './pte.ts';
import type { Entry, Words } from './pte.ts';
import { catchFault, WalkFault } from './walk.ts';

function mergeTable(words: Words, dst: number, priv: number, base: number): void {
  for (let offset = 0; offset < 4096; offset += 8) {
    const source = (isPresent(words, priv + offset) ? priv : base) + offset;
    setWord(words, dst + offset, getWord(words, source));
    setWord(words, dst + offset + 4, getWord(words, source + 4));
  }
}

/** The flags that an entry which points to a table may carry. */
function pointerTo(pfn: number, { flags, high }: Entry): Entry {
  return {
    flags: flags & (present | writable | user | accessed),
    pfn,
    high: (high & noExecute) >>> 0,
  };
}

/** Writes base overlaid by priv; the state of a mergeTree() call. */
class Merging {
  readonly words: Words;
  readonly dst: MergeTarget;
  readonly tablesPfn: number;
  count: number;
  private visited = 0;

  constructor(memory: WebAssembly.Memory, dst: MergeTarget, count: number, tablesPfn: number) {
    this.words = wordsOf(memory);
    this.dst = dst;
    this.tablesPfn = tablesPfn;
    this.count = count;
    if (count > dst.capacity) throw new WalkFault(-5, dst.tables);
  }

  /** Copies the base tree and points its entries at dst. */
  copyBase(base: TableTree): void {
    const { words, dst } = this;
    const start = base.tables / 4;
    if (base.count === 0) {
      words.fill(0, dst.tables / 4, dst.tables / 4 + 512);
      return;
    }
    words.copyWithin(dst.tables / 4, start, start + 512);
    words.copyWithin(dst.tables / 4 + 1024, start + 1024, start + base.count * 1024);
    if (base.firstIndex !== dst.firstIndex) this.moveTable(base, 4, 0);
  }

  private moveTable(base: TableTree, level: number, index: number): void {
    const table = this.dst.tables + index * 4096;
    if (++this.visited > base.count) throw new WalkFault(-4, table);
    for (let entryIndex = 0; entryIndex < countEntries(level); entryIndex++) {
      const at = table + entryIndex * 8;
      if (!isPresent(this.words, at)) continue;
      const entry = getEntry(this.words, at);
      const child = this.childOf(entry, base, base.count, at);
      setEntry(this.words, at, pointerTo(this.pfnOf(child), entry));
      if (level > 2) this.moveTable(base, level - 1, child);
    }
  }

  /** Lays table `index` of priv over table `own` of dst. */
  overlay(priv: TableTree, level: number, index: number, own: number): void {
    const source = priv.tables + index * 4096;
    const target = this.dst.tables + own * 4096;
    if (++this.visited > priv.count) throw new WalkFault(-4, source);
    if (level === 1) {
      mergeTable(this.words, target, source, target);
      return;
    }
    for (let offset = 0; offset < countEntries(level) * 8; offset += 8) {
      if (!isPresent(this.words, source + offset)) continue;
      const entry = getEntry(this.words, source + offset);
      const child = this.childOf(entry, priv, priv.count, source + offset);
      this.overlay(priv, level - 1, child, this.openTable(entry, target + offset));
    }
  }

  startOverlay(priv: TableTree): void {
    this.visited = 0;
    if (priv.count > 0) this.overlay(priv, 4, 0, 0);
  }

  /** The table of dst below the entry at `at`; made if there is none. */
  private openTable(entry: Entry, at: number): number {
    if (isPresent(this.words, at)) {
      const existing = getEntry(this.words, at);
      const index = this.childOf(existing, this.dst, this.count, at);
      const flags = present | accessed | ((entry.flags | existing.flags) & (writable | user));
      const high = (entry.high & existing.high) >>> 0;
      setEntry(this.words, at, pointerTo(this.pfnOf(index), { flags, high, pfn: 0 }));
      return index;
    }
    if (this.count >= this.dst.capacity) throw new WalkFault(-5, at);
    const index = this.count++;
    const start = this.dst.tables / 4 + index * 1024;
    this.words.fill(0, start, start + 1024);
    setEntry(this.words, at, pointerTo(this.pfnOf(index), entry));
    return index;
  }

  private pfnOf(index: number): number {
    return this.tablesPfn + this.dst.firstIndex + index;
  }

  /** The index that an entry points to in a tree; never its root. */
  private childOf(entry: Entry, tree: { firstIndex: number }, count: number, at: number): number {
    const child = entry.pfn - this.tablesPfn - tree.firstIndex;
    if (child < 1 || child >= count) throw new WalkFault(-1, at);
    return child;
  }
}

/** Points leaves at copies; the state of a moveHot() call. */
class HotMove {
  readonly words: Words;
  readonly tree: TableTree;
  readonly firstPfn: number;
  readonly run: HotRun;
  moved: number = 0;
  private visited = 0;

  constructor(memory: WebAssembly.Memory, tree: TableTree, tablesPfn: number, run: HotRun) {
    this.words = wordsOf(memory);
    this.tree = tree;
    this.firstPfn = tablesPfn + tree.firstIndex;
    this.run = run;
  }

  walk(level: number, index: number): void {
    const table = this.tree.tables + index * 4096;
    if (++this.visited > this.tree.count) throw new WalkFault(-4, table);
    for (let offset = 0; offset < countEntries(level) * 8; offset += 8) {
      const at = table + offset;
      if (!isPresent(this.words, at)) continue;
      const entry = getEntry(this.words, at);
      if (level === 1) {
        this.moveLeaf(at, entry);
        continue;
      }
      const child = entry.pfn - this.firstPfn;
      if (child < 1 || child >= this.tree.count) throw new WalkFault(-1, at);
      setWord(this.words, at, (getWord(this.words, at) | writable) >>> 0);
      this.walk(level - 1, child);
    }
  }

  private moveLeaf(at: number, entry: Entry): void {
    const index = entry.pfn - this.run.fromPfn;
    if ((entry.flags & (shared | user)) !== user) return;
    if (index < 0 || index >= this.run.count) return;
    const flags = present | user | accessed | (index < this.run.written ? writable | dirty : 0);
    const high = (entry.high & noExecute) >>> 0;
    setEntry(this.words, at, { flags, pfn: this.run.toPfn + index, high });
    this.moved++;
  }
}

/** Same methods and results as createMerge(), without its range checks. */
export function createReferenceMerge(memory: WebAssembly.Memory): Merge {
  let faultAt = 0;
  return {
    mergeTable: (dst, priv, base) => mergeTable(wordsOf(memory), dst, priv, base),
    mergeTree(dst, priv, base, tablesPfn) {
      let count = 0;
      const fault = catchFault(() => {
        const merging = new Merging(memory, dst, Math.max(base.count, 1), tablesPfn);
        merging.copyBase(base);
        merging.startOverlay(priv);
        count = merging.count;
      });
      if (fault === undefined) return count;
      faultAt = fault.at;
      return fault.code;
    },
    moveHot(tree, tablesPfn, run) {
      const move = new HotMove(memory, tree, tablesPfn, run);
      const fault = catchFault(() => move.walk(4, 0));
      if (fault === undefined) return move.moved;
      faultAt = fault.at;
      return fault.code;
    },
    check(tree, tablesPfn, frames) {
      const fault = catchFault(() => checkTree(memory, tree, tablesPfn, frames));
      if (fault === undefined) return null;
      faultAt = fault.at;
      return describeTableFault(fault.code, fault.at);
    },
    fault: (code) => describeTableFault(code, faultAt),
  };
}
