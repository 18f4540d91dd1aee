// check: whether a tree of page tables from a file may be given to a CPU.
//
// Only the one form that pack() writes passes: tables numbered in pre-order, each reached exactly
// once, all of them reached. So a tree is a tree without any bookkeeping. Entries that are not
// present must be 0, the kernel half of the root too, and bits without a use here must be clear.

import {
  accessed, address, countEntries, dirty, fail, frameOutside, kernelHalf, large, largePage,
  noExecute, notUser, pageBytes, present, reservedBits, shared, tableEntries, tableOrder,
  tableOutside, tableUnreached, user, userEntries, writable, writableBase,
} from "./pte";
import {
  bankFrames, frameIndex, noFrame, noTable, setFrames, setTables, tableIndex, tables,
} from "./window";

const pointerBits: u64 = present | writable | user | accessed | noExecute | address;
const leafBits: u64 = pointerBits | dirty | shared;

let reached: u32 = 0;

/** Table i of the tree is at tablesAt + i*4096, page tablesPfn + firstIndex + i. Returns 0 or a
 * negative code. */
export function check(
  tablesAt: usize, count: u32, firstIndex: u32, tablesPfn: u32,
  bankPfn: u32, bankCount: u32, basePfn: u32, baseCount: u32,
): i32 {
  setTables(tablesAt, <u64>tablesPfn + <u64>firstIndex, count);
  setFrames(bankPfn, bankCount, basePfn, baseCount);
  if (count == 0) return fail(tableOutside, tablesAt);
  for (let entryIndex = userEntries; entryIndex < tableEntries; entryIndex++) {
    const at = tablesAt + (<usize>entryIndex << 3);
    if (load<u64>(at) != 0) return fail(kernelHalf, at);
  }
  reached = 1;
  const result = checkPointers(4, tablesAt);
  if (result < 0) return result;
  if (reached != count) return fail(tableUnreached, tablesAt + <usize>reached * pageBytes);
  return 0;
}

/** What holds for every entry that is not 0. */
// @ts-ignore: decorator
@inline
function checkBits(entry: u64, allowed: u64, at: usize): i32 {
  if (!(entry & present)) return fail(reservedBits, at);
  if (entry & large) return fail(largePage, at);
  if (entry & ~allowed) return fail(reservedBits, at);
  return 0;
}

function checkPointers(level: i32, table: usize): i32 {
  const count = countEntries(level);
  for (let entryIndex: u32 = 0; entryIndex < count; entryIndex++) {
    const at = table + (<usize>entryIndex << 3);
    const entry = load<u64>(at);
    if (entry == 0) continue;
    let result = checkBits(entry, pointerBits, at);
    if (result < 0) return result;
    if (!(entry & user)) return fail(notUser, at);
    const child = tableIndex(entry);
    if (child == noTable) return fail(tableOutside, at);
    if (child != reached) return fail(tableOrder, at);
    reached++;
    const childTable = tables + <usize>child * pageBytes;
    result = level == 2 ? checkLeaves(childTable) : checkPointers(level - 1, childTable);
    if (result < 0) return result;
  }
  return 0;
}

function checkLeaves(table: usize): i32 {
  for (let entryIndex: u32 = 0; entryIndex < tableEntries; entryIndex++) {
    const at = table + (<usize>entryIndex << 3);
    const entry = load<u64>(at);
    if (entry == 0) continue;
    const result = checkBits(entry, leafBits, at);
    if (result < 0) return result;
    // A page that nobody may touch is there, but neither for user mode nor to be written.
    if (!(entry & user) && (entry & writable)) return fail(notUser, at);
    const frame = frameIndex(entry);
    if (frame == noFrame) return fail(frameOutside, at);
    if ((entry & writable) && frame >= bankFrames) return fail(writableBase, at);
  }
  return 0;
}
