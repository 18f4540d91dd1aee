// Merge.check() in plain TypeScript.

import type { TableTree } from '../merge.ts';
import type { FrameWindows } from '../tables.ts';
import {
  accessed, countEntries, dirty, getEntry, getWord, large, noExecute, present, shared, user,
  wordsOf, writable,
} from './pte.ts';
import type { Entry } from './pte.ts';
import { frameIndex, WalkFault } from './walk.ts';

const pointerFlags = present | writable | user | accessed;
const leafFlags = pointerFlags | dirty | shared;

/** What holds for every entry that is not 0, at any level. */
function checkBits(entry: Entry, allowed: number, at: number): void {
  if (!(entry.flags & present)) throw new WalkFault(-9, at);
  if (entry.flags & large) throw new WalkFault(-3, at);
  if (entry.flags & ~allowed || entry.high & ~noExecute) throw new WalkFault(-9, at);
}

/** Throws WalkFault unless the tree is as pack() writes it. */
export function checkTree(
  memory: WebAssembly.Memory, tree: TableTree, tablesPfn: number, frames: FrameWindows,
): void {
  const words = wordsOf(memory);
  const isZero = (at: number): boolean => getWord(words, at) + getWord(words, at + 4) === 0;
  let reached = 0;

  function checkTable(level: number, index: number): void {
    const table = tree.tables + index * 4096;
    reached++;
    for (let entryIndex = 0; entryIndex < countEntries(level); entryIndex++) {
      const at = table + entryIndex * 8;
      if (isZero(at)) continue;
      const entry = getEntry(words, at);
      checkBits(entry, level === 1 ? leafFlags : pointerFlags, at);
      if (level === 1) {
        checkLeaf(entry, at);
        continue;
      }
      if (!(entry.flags & user)) throw new WalkFault(-8, at);
      const child = entry.pfn - tablesPfn - tree.firstIndex;
      if (child < 0 || child >= tree.count) throw new WalkFault(-1, at);
      if (child !== reached) throw new WalkFault(-12, at);
      checkTable(level - 1, child);
    }
  }
  function checkLeaf(entry: Entry, at: number): void {
    if (!(entry.flags & user) && entry.flags & writable) throw new WalkFault(-8, at);
    const frame = frameIndex(frames, entry.pfn);
    if (frame === undefined) throw new WalkFault(-2, at);
    if (entry.flags & writable && frame >= frames.bankFrames) throw new WalkFault(-10, at);
  }

  if (tree.count === 0) throw new WalkFault(-1, tree.tables);
  for (let at = tree.tables + 2048; at < tree.tables + 4096; at += 8) {
    if (!isZero(at)) throw new WalkFault(-11, at);
  }
  checkTable(4, 0);
  if (reached !== tree.count) throw new WalkFault(-13, tree.tables + reached * 4096);
}
