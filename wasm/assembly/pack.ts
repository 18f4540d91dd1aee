// pack: copies the user half of a live tree into a compact one, as a func-image stores it.
//
//   dst + 0       root; its kernel half is zero
//   dst + 4096    the other tables in pre-order; table i is guest-physical page
//                 tablesPfn + dstFirstIndex + i
//
// Leaves name base frames by number, read-only, neither accessed nor dirty. A table that would
// be empty is left out. Invariant: entries that are not present are 0, no other bits survive, so
// the same checkpoint gives the same bytes and check() accepts the result.

import {
  accessed, countEntries, fail, frameOutside, frameUnnumbered, large, largePage, noCapacity,
  noExecute, pageBytes, present, shared, sharedDropped, tableEntries, tableOutside,
  tooManyTables, user, writable,
} from "./pte";
import {
  frameIndex, noFrame, noTable, setFrames, setTables, tableCount, tableIndex, tables,
} from "./window";
import { dropped, noNumber } from "./walk";

let visited: u32 = 0;
let dst: usize = 0;
let dstPfn: u64 = 0;
let dstCapacity: u32 = 0;
let dstCount: u32 = 0;
let map: usize = 0;
let imagePfn: u64 = 0;

/** Returns the number of tables in dst, or a negative code. dst must not overlap the window. */
export function pack(
  tablesAt: usize, tablesPfn: u32, count: u32, bankPfn: u32, bankCount: u32,
  basePfn: u32, baseCount: u32, root: u32,
  dstAt: usize, dstFirstIndex: u32, capacity: u32, mapAt: usize, imageBasePfn: u32,
): i32 {
  assert((dstAt & 4095) == 0);
  setTables(tablesAt, tablesPfn, count);
  setFrames(bankPfn, bankCount, basePfn, baseCount);
  visited = 0;
  dst = dstAt;
  dstPfn = <u64>tablesPfn + <u64>dstFirstIndex;
  dstCapacity = capacity;
  dstCount = 0;
  map = mapAt;
  imagePfn = imageBasePfn;
  if (root >= count) return fail(tableOutside, tablesAt);
  const result = packTable(4, root);
  if (result < 0) return result;
  return dstCount == 0 ? 1 : <i32>dstCount;
}

/** Claims the next table of dst and fills it. Returns its entries; none gives it back. */
function packTable(level: i32, index: u32): i32 {
  const source = tables + <usize>index * pageBytes;
  if (++visited > tableCount) return fail(tooManyTables, source);
  if (dstCount >= dstCapacity) return fail(noCapacity, source);
  const own = dstCount++;
  const target = dst + <usize>own * pageBytes;
  memory.fill(target, 0, pageBytes);
  const kept = level == 1 ? packLeaves(source, target) : packPointers(level, source, target);
  if (kept == 0) dstCount = own;
  return kept;
}

function packPointers(level: i32, source: usize, target: usize): i32 {
  const count = countEntries(level);
  let kept: i32 = 0;
  for (let entryIndex: u32 = 0; entryIndex < count; entryIndex++) {
    const offset = <usize>entryIndex << 3;
    const entry = load<u64>(source + offset);
    if (!(entry & present)) continue;
    if (entry & large) return fail(largePage, source + offset);
    const child = tableIndex(entry);
    if (child == noTable) return fail(tableOutside, source + offset);
    const own = dstCount;
    const result = packTable(level - 1, child);
    if (result < 0) return result;
    if (result == 0) continue;
    // Accessed is set beforehand: it says nothing here, and spares the CPU a locked write.
    const flags = present | accessed | (entry & (writable | user | noExecute));
    store<u64>(target + offset, flags | ((dstPfn + own) << 12));
    kept++;
  }
  return kept;
}

function packLeaves(source: usize, target: usize): i32 {
  let kept: i32 = 0;
  for (let entryIndex: u32 = 0; entryIndex < tableEntries; entryIndex++) {
    const offset = <usize>entryIndex << 3;
    const entry = load<u64>(source + offset);
    if (!(entry & present)) continue;
    if (entry & large) return fail(largePage, source + offset);
    const frame = frameIndex(entry);
    if (frame == noFrame) return fail(frameOutside, source + offset);
    const mapped = load<u32>(map + (<usize>frame << 2));
    if (mapped == noNumber) return fail(frameUnnumbered, source + offset);
    if (mapped == dropped) {
      if (entry & shared) return fail(sharedDropped, source + offset);
      continue;
    }
    const flags = present | (entry & (user | shared | noExecute));
    store<u64>(target + offset, flags | ((imagePfn + mapped) << 12));
    kept++;
  }
  return kept;
}
