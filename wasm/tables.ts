// Page tables as the layout and merge modules see them: windows, frame ids, marks, faults.
//
//   PTE       P=1 RW=2 US=4 A=0x20 D=0x40 PS=0x80 SHARED=0x200 NX=bit 63, frame in bits 12..51
//   windows   tables: table i of 4096 bytes, gpa page tablesPfn + i; bank and base: guest frames
//   frame id  u32: 0 none, bank frame i is i (0 is never handed out), base frame i is
//             0x80000000|i. Combined index, for arrays by frame: bank i is i, base i is
//             bankFrames + i
//
// Only entries 0..255 of a root count: the others are the machine's.

import { checkRange, checkU32 } from './instance.ts';
import type { Fault } from './instance.ts';

/** Where guest frames are, by guest-physical page number (u32). */
export interface FrameWindows {
  bankPfn: number;
  bankFrames: number;
  basePfn: number;
  baseFrames: number;
}

/** A table window and the frames its entries may name. */
export interface TableWindow extends FrameWindows {
  /** Address of table 0, a multiple of 4096. */
  tables: number;
  /** Guest-physical page number of table 0. */
  tablesPfn: number;
  tableCount: number;
}

/** Bits of a mark, u8 per combined index. */
export const markReferenced = 1;
export const markAccessed = 2;
export const markDirty = 4;
export const markShared = 8;

/** Values of a map (u32 per combined index) that are not numbers. */
export const notNumbered = 0xffffffff;
export const frameDropped = 0xfffffffe;

/** Negative results of the layout and merge modules; `at` is an address. */
export const tableFaults: Readonly<Record<number, string>> = {
  [-1]: 'a page-table entry points outside the tables, at',
  [-2]: 'a page-table entry names a frame outside guest memory, at',
  [-3]: 'a page-table entry is a large page, at',
  [-4]: 'page tables are shared or form a cycle, at',
  [-5]: 'there is no room for another page table, at',
  [-6]: 'a page-table entry names a frame without a number, at',
  [-7]: 'a shared page-table entry names a dropped frame, at',
  [-8]: 'a page-table entry is not for user mode, at',
  [-9]: 'a page-table entry has bits that must be clear, at',
  [-10]: 'a page-table entry allows writing to a read-only frame, at',
  [-11]: "an entry of the root's kernel half is not empty, at",
  [-12]: 'a page table is not the next one in walk order, at',
  [-13]: 'a page table is not reached from the root, at',
  [-14]: 'frame numbers are used up, at',
};

/** The fault of a negative result. `at` is the address of the entry, table or map element. */
export function describeTableFault(code: number, at: number): Fault {
  const text = tableFaults[code] ?? 'unknown fault, at';
  return { code, at, sentence: `${text} 0x${at.toString(16)}` };
}

/** Throws RangeError unless the windows make sense for this memory. */
export function checkWindow(memory: WebAssembly.Memory, window: TableWindow): void {
  checkRange(memory, 'tables', window.tables, window.tableCount * 4096);
  checkU32('tablesPfn', window.tablesPfn);
  checkFrames(window);
}

export function checkFrames(windows: FrameWindows): void {
  checkU32('bankPfn', windows.bankPfn);
  checkU32('bankFrames', windows.bankFrames);
  checkU32('basePfn', windows.basePfn);
  checkU32('baseFrames', windows.baseFrames);
}
