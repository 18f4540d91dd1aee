// A walk over a tree of page tables in plain TypeScript.
//
// It ends at the first fault, which is thrown as a WalkFault; catchFault() makes it a result.

import type { FrameWindows, TableWindow } from '../tables.ts';
import { countEntries, getEntry, isPresent, large, wordsOf } from './pte.ts';
import type { Entry, Words } from './pte.ts';

/** A code of wasm/tables.ts and the address it is about. */
export class WalkFault extends Error {
  readonly code: number;
  readonly at: number;

  constructor(code: number, at: number) {
    super(`fault ${code}`);
    this.code = code;
    this.at = at;
  }
}

/** Returns the fault that `body` throws, or undefined. */
export function catchFault(body: () => void): WalkFault | undefined {
  try {
    body();
  } catch (error) {
    if (error instanceof WalkFault) return error;
    throw error;
  }
  return undefined;
}

/** The combined index of a frame, or undefined. */
export function frameIndex(windows: FrameWindows, pfn: number): number | undefined {
  const bank = pfn - windows.bankPfn;
  if (bank >= 0 && bank < windows.bankFrames) return bank === 0 ? undefined : bank;
  const base = pfn - windows.basePfn;
  return base >= 0 && base < windows.baseFrames ? windows.bankFrames + base : undefined;
}

/** One walk; counts the tables it visits, for a tree has no more than the window. */
export class Walk {
  readonly words: Words;
  readonly window: TableWindow;
  private visited = 0;

  constructor(memory: WebAssembly.Memory, window: TableWindow) {
    this.words = wordsOf(memory);
    this.window = window;
  }

  /** The address of a table that is visited now. */
  enter(index: number): number {
    if (index >= this.window.tableCount) throw new WalkFault(-1, this.window.tables);
    const table = this.window.tables + index * 4096;
    if (++this.visited > this.window.tableCount) throw new WalkFault(-4, table);
    return table;
  }

  eachEntry(
    level: number, table: number, see: (entry: Entry, entryIndex: number, at: number) => void,
  ): void {
    for (let entryIndex = 0; entryIndex < countEntries(level); entryIndex++) {
      const at = table + entryIndex * 8;
      if (!isPresent(this.words, at)) continue;
      const entry = getEntry(this.words, at);
      if (entry.flags & large) throw new WalkFault(-3, at);
      see(entry, entryIndex, at);
    }
  }

  childOf(entry: Entry, at: number): number {
    const child = entry.pfn - this.window.tablesPfn;
    if (child < 0 || child >= this.window.tableCount) throw new WalkFault(-1, at);
    return child;
  }

  frameOf(entry: Entry, at: number): number {
    const frame = frameIndex(this.window, entry.pfn);
    if (frame === undefined) throw new WalkFault(-2, at);
    return frame;
  }

  /** Calls `see` with each present leaf below a root, by virtual page number. */
  eachLeaf(
    root: number, see: (frame: number, entry: Entry, vpn: number, at: number) => void,
  ): void {
    const descend = (level: number, index: number, vpn: number): void => {
      this.eachEntry(level, this.enter(index), (entry, entryIndex, at) => {
        const own = vpn + entryIndex * 512 ** (level - 1);
        if (level === 1) see(this.frameOf(entry, at), entry, own, at);
        else descend(level - 1, this.childOf(entry, at), own);
      });
    };
    descend(4, root, 0);
  }
}
