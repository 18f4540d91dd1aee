// The walks over a live tree that do not copy it: mark, number, collectDirty.
//
// One walk in virtual-address order; the operation is chosen once per leaf table. A malformed or
// cyclic tree ends the walk with a code: depth is 4, and no more tables are visited than exist.

import {
  accessed, countEntries, dirty, fail, frameOutside, large, largePage, numbersSpent,
  pageBytes, present, shared, tableEntries, tableOutside, tooManyTables,
} from "./pte";
import {
  bankFrames, frameIndex, noFrame, noTable, setFrames, setTables, tableCount, tableIndex, tables,
} from "./window";

/** A frame without a number yet; words.ts and pack.ts share these two values of the map. */
export const noNumber: u32 = 0xffffffff;
export const dropped: u32 = 0xfffffffe;
/** Numbers stay below the bit that tells a base frame's id. */
export const numberLimit: u32 = 0x7fffffff;

const marking: i32 = 0;
const numbering: i32 = 1;
const collecting: i32 = 2;

// The running operation.
let operation: i32 = 0;
let visited: u32 = 0;
let found: u32 = 0;
let marks: usize = 0;
let map: usize = 0;
let nextNumber: u32 = 0;
let markMask: u32 = 0;
let markValue: u32 = 0;
let out: usize = 0;
let capacity: u32 = 0;

/** Returns the number of present leaves, or a negative code. */
export function mark(
  tablesAt: usize, tablesPfn: u32, count: u32, bankPfn: u32, bankCount: u32,
  basePfn: u32, baseCount: u32, root: u32, marksAt: usize,
): i32 {
  setTables(tablesAt, tablesPfn, count);
  setFrames(bankPfn, bankCount, basePfn, baseCount);
  marks = marksAt;
  return startWalk(marking, root);
}

/** Returns the next free number, or a negative code. */
export function number(
  tablesAt: usize, tablesPfn: u32, count: u32, bankPfn: u32, bankCount: u32,
  basePfn: u32, baseCount: u32, root: u32, marksAt: usize,
  mapAt: usize, next: u32, wantMask: u32, wantValue: u32,
): i32 {
  setTables(tablesAt, tablesPfn, count);
  setFrames(bankPfn, bankCount, basePfn, baseCount);
  marks = marksAt;
  map = mapAt;
  nextNumber = next;
  markMask = wantMask;
  markValue = wantValue;
  if (next > numberLimit) return fail(numbersSpent, mapAt);
  const result = startWalk(numbering, root);
  return result < 0 ? result : <i32>nextNumber;
}

/** Returns how many there are, also when they are more than fit; or a negative code. */
export function collectDirty(
  tablesAt: usize, tablesPfn: u32, count: u32, bankPfn: u32, bankCount: u32,
  basePfn: u32, baseCount: u32, root: u32, outAt: usize, outCapacity: u32,
): i32 {
  setTables(tablesAt, tablesPfn, count);
  setFrames(bankPfn, bankCount, basePfn, baseCount);
  out = outAt;
  capacity = outCapacity;
  return startWalk(collecting, root);
}

function startWalk(chosen: i32, root: u32): i32 {
  operation = chosen;
  visited = 0;
  found = 0;
  if (root >= tableCount) return fail(tableOutside, tables);
  const result = walk(4, root, 0);
  return result < 0 ? result : <i32>found;
}

/** `vpn` is the virtual page number of the table's first entry. */
function walk(level: i32, index: u32, vpn: u64): i32 {
  const table = tables + <usize>index * pageBytes;
  if (++visited > tableCount) return fail(tooManyTables, table);
  if (level == 1) return visitLeaves(table, vpn);
  const shift = 9 * (level - 1);
  const count = countEntries(level);
  for (let entryIndex: u32 = 0; entryIndex < count; entryIndex++) {
    const at = table + (<usize>entryIndex << 3);
    const entry = load<u64>(at);
    if (!(entry & present)) continue;
    if (entry & large) return fail(largePage, at);
    const child = tableIndex(entry);
    if (child == noTable) return fail(tableOutside, at);
    const result = walk(level - 1, child, vpn + (<u64>entryIndex << shift));
    if (result < 0) return result;
  }
  return 0;
}

function visitLeaves(table: usize, vpn: u64): i32 {
  for (let entryIndex: u32 = 0; entryIndex < tableEntries; entryIndex++) {
    const at = table + (<usize>entryIndex << 3);
    const entry = load<u64>(at);
    if (!(entry & present)) continue;
    if (entry & large) return fail(largePage, at);
    const frame = frameIndex(entry);
    if (frame == noFrame) return fail(frameOutside, at);
    if (operation == marking) {
      markFrame(frame, entry);
      found++;
    } else if (operation == numbering) {
      if (!numberFrame(frame)) return fail(numbersSpent, at);
    } else if (frame < bankFrames) {
      collectLeaf(vpn + entryIndex, frame);
    }
  }
  return 0;
}

/** Marks: 1 referenced, 2 accessed, 4 dirty, 8 referenced by a SHARED entry. */
// @ts-ignore: decorator
@inline
function markFrame(frame: u32, entry: u64): void {
  const at = marks + frame;
  const bits = 1 | (<u32>(entry & (accessed | dirty)) >>> 4) | (<u32>(entry & shared) >>> 6);
  store<u8>(at, load<u8>(at) | bits);
}

/** Returns false when there is no number left. */
// @ts-ignore: decorator
@inline
function numberFrame(frame: u32): bool {
  const at = map + (<usize>frame << 2);
  if (load<u32>(at) != noNumber) return true;
  if ((<u32>load<u8>(marks + frame) & markMask) != markValue) return true;
  if (nextNumber == numberLimit) return false;
  store<u32>(at, nextNumber++);
  return true;
}

/** 12 bytes each: virtual page number (low, high), frame id. */
// @ts-ignore: decorator
@inline
function collectLeaf(vpn: u64, frame: u32): void {
  if (found < capacity) {
    const at = out + <usize>found * 12;
    store<u32>(at, <u32>vpn);
    store<u32>(at, <u32>(vpn >> 32), 4);
    store<u32>(at, frame, 8);
  }
  found++;
}
