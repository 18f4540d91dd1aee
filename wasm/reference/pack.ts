// Layout.pack() in plain TypeScript.

import type { PackTarget } from '../layout.ts';
import { frameDropped, notNumbered } from '../tables.ts';
import {
  accessed, getWord, noExecute, present, setEntry, shared, user, writable,
} from './pte.ts';
import type { Entry } from './pte.ts';
import { WalkFault } from './walk.ts';
import type { Walk } from './walk.ts';

/** Copies the tree below a root. Returns the number of tables written; throws WalkFault. */
export function packTree(walk: Walk, root: number, target: PackTarget, map: number): number {
  let count = 0;

  /** Returns the number of entries kept; a table with none is given back. */
  function packTable(level: number, index: number): number {
    const source = walk.enter(index);
    if (count >= target.capacity) throw new WalkFault(-5, source);
    const own = count++;
    const table = target.tables + own * 4096;
    walk.words.fill(0, table / 4, table / 4 + 1024);
    let kept = 0;
    walk.eachEntry(level, source, (entry, entryIndex, at) => {
      const packed = level === 1 ? packLeaf(entry, at) : packPointer(level, entry, at);
      if (packed === undefined) return;
      setEntry(walk.words, table + entryIndex * 8, packed);
      kept++;
    });
    if (kept === 0) count = own;
    return kept;
  }
  function packPointer(level: number, entry: Entry, at: number): Entry | undefined {
    const own = count;
    if (packTable(level - 1, walk.childOf(entry, at)) === 0) return undefined;
    return {
      flags: present | accessed | (entry.flags & (writable | user)),
      pfn: walk.window.tablesPfn + target.firstIndex + own,
      high: (entry.high & noExecute) >>> 0,
    };
  }
  function packLeaf(entry: Entry, at: number): Entry | undefined {
    const mapped = getWord(walk.words, map + walk.frameOf(entry, at) * 4);
    if (mapped === notNumbered) throw new WalkFault(-6, at);
    if (mapped === frameDropped && entry.flags & shared) throw new WalkFault(-7, at);
    if (mapped === frameDropped) return undefined;
    return {
      flags: present | (entry.flags & (user | shared)),
      pfn: target.basePfn + mapped,
      high: (entry.high & noExecute) >>> 0,
    };
  }

  packTable(4, root);
  return Math.max(count, 1);
}
