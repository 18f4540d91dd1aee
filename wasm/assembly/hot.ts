// Points a tree's leaves at copies: base frames that the caller has copied to the bank, one after
// the other, become bank frames. Shared leaves stay: a page cache names their frames too.
//
// Preconditions as for mergeTree(): the tree has passed check() or came from trees that had.

import {
  accessed, countEntries, dirty, entryPfn, fail, noExecute, pageBytes, present, shared,
  tableEntries, tableOutside, tooManyTables, user, writable,
} from "./pte";

let tables: usize = 0;
let tablesPfn: u64 = 0;
let tableCount: u32 = 0;
let visited: u32 = 0;
let moved: u32 = 0;
let fromPfn: u64 = 0;
let toPfn: u64 = 0;
let count: u32 = 0;
let written: u32 = 0;

/**
 * The leaves of page fromFrame + i, for i < frames, name page toFrame + i; those with
 * i < writtenFrames may be written. Returns how many there are, or a negative code.
 */
export function moveHot(
  tablesAt: usize, tables_: u32, firstIndex: u32, windowPfn: u32,
  fromFrame: u32, toFrame: u32, frames: u32, writtenFrames: u32,
): i32 {
  tables = tablesAt;
  tableCount = tables_;
  tablesPfn = <u64>windowPfn + <u64>firstIndex;
  fromPfn = fromFrame;
  toPfn = toFrame;
  count = frames;
  written = writtenFrames;
  visited = 0;
  moved = 0;
  const result = walk(4, 0);
  return result < 0 ? result : <i32>moved;
}

function walk(level: i32, index: u32): i32 {
  const table = tables + <usize>index * pageBytes;
  if (++visited > tableCount) return fail(tooManyTables, table);
  if (level == 1) {
    moveLeaves(table);
    return 0;
  }
  const entries = countEntries(level);
  for (let entryIndex: u32 = 0; entryIndex < entries; entryIndex++) {
    const at = table + (<usize>entryIndex << 3);
    const entry = load<u64>(at);
    if (!(entry & present)) continue;
    const child = entryPfn(entry) - tablesPfn;
    if (child - 1 >= <u64>(tableCount - 1)) return fail(tableOutside, at);
    // What is below may be written now.
    store<u64>(at, entry | writable);
    const result = walk(level - 1, <u32>child);
    if (result < 0) return result;
  }
  return 0;
}

/** With A and D set KVM maps neighbours along with the first page that is touched. */
function moveLeaves(table: usize): void {
  for (let entryIndex: u32 = 0; entryIndex < tableEntries; entryIndex++) {
    const at = table + (<usize>entryIndex << 3);
    const entry = load<u64>(at);
    if ((entry & (present | shared | user)) != (present | user)) continue;
    const index = entryPfn(entry) - fromPfn;
    if (index >= <u64>count) continue;
    const flags = present | user | accessed | (index < <u64>written ? writable | dirty : 0);
    store<u64>(at, ((toPfn + index) << 12) | flags | (entry & noExecute));
    moved++;
  }
}
