// merge: lays a private tree of page tables over a base one (overlay memory).
//
//   dst table i = base table i            for i < baseCount, so base's pointers keep their index
//   dst table baseCount…                  tables that only the private tree has
//
// A leaf of the private tree wins if it is present, otherwise the base's stays. The kernel half
// of dst's root is the machine's: it is neither read nor written.
// Preconditions: both trees have passed check(). Without it the result may be nonsense, but
// nothing is loaded or stored outside the three pieces of memory, and the walk ends.
// No data segments, no allocation: all memory belongs to the caller.

import {
  accessed, countEntries, fail, noCapacity, noExecute, pageBytes, present, tableOutside,
  tooManyTables, user, userEntries, writable, entryPfn,
} from "./pte";

export { check } from "./check";
export { moveHot } from "./hot";
export { readFaultAt } from "./pte";

let dst: usize = 0;
let dstPfn: u64 = 0;
let dstCapacity: u32 = 0;
let dstCount: u32 = 0;
let priv: usize = 0;
let privPfn: u64 = 0;
let privCount: u32 = 0;
let visited: u32 = 0;

/** dst[i] = priv[i] if it is present, else base[i]; dst may be priv or base. */
export function mergeTable(dstTable: usize, privTable: usize, baseTable: usize): void {
  const one = i64x2.splat(1);
  for (let offset: usize = 0; offset < pageBytes; offset += 32) {
    const p0 = v128.load(privTable + offset);
    const p1 = v128.load(privTable + offset, 16);
    const b0 = v128.load(baseTable + offset);
    const b1 = v128.load(baseTable + offset, 16);
    // 0 - P is all ones for a present entry.
    const m0 = i64x2.neg(v128.and(p0, one));
    const m1 = i64x2.neg(v128.and(p1, one));
    v128.store(dstTable + offset, v128.bitselect(p0, b0, m0));
    v128.store(dstTable + offset, v128.bitselect(p1, b1, m1), 16);
  }
}

/**
 * Each tree's table i is guest-physical page tablesPfn + its first index + i. dst may be base
 * itself. Returns the number of tables in dst, or a negative code.
 */
export function mergeTree(
  dstAt: usize, dstFirstIndex: u32, capacity: u32,
  privAt: usize, privFirstIndex: u32, privTables: u32,
  baseAt: usize, baseFirstIndex: u32, baseCount: u32, tablesPfn: u32,
): i32 {
  assert(((dstAt | privAt | baseAt) & 4095) == 0);
  dst = dstAt;
  dstPfn = <u64>tablesPfn + <u64>dstFirstIndex;
  dstCapacity = capacity;
  dstCount = max<u32>(baseCount, 1);
  priv = privAt;
  privPfn = <u64>tablesPfn + <u64>privFirstIndex;
  privCount = privTables;
  if (dstCount > capacity) return fail(noCapacity, dstAt);
  if (baseCount == 0) {
    memory.fill(dstAt, 0, userEntries << 3);
  } else {
    if (dstAt != baseAt) copyBase(baseAt, baseCount);
    if (baseFirstIndex != dstFirstIndex) {
      visited = 0;
      const result = moveBase(4, 0, <u64>tablesPfn + <u64>baseFirstIndex, baseCount);
      if (result < 0) return result;
    }
  }
  if (privTables == 0) return <i32>dstCount;
  visited = 0;
  const result = overlay(4, 0, 0);
  return result < 0 ? result : <i32>dstCount;
}

function copyBase(baseAt: usize, baseCount: u32): void {
  memory.copy(dst, baseAt, userEntries << 3);
  memory.copy(dst + pageBytes, baseAt + pageBytes, <usize>(baseCount - 1) * pageBytes);
}

/** Points the copied tables' entries at dst. */
function moveBase(level: i32, index: u32, basePfn: u64, baseCount: u32): i32 {
  const table = dst + <usize>index * pageBytes;
  if (++visited > baseCount) return fail(tooManyTables, table);
  const count = countEntries(level);
  for (let entryIndex: u32 = 0; entryIndex < count; entryIndex++) {
    const at = table + (<usize>entryIndex << 3);
    const entry = load<u64>(at);
    if (!(entry & present)) continue;
    const child = entryPfn(entry) - basePfn;
    if (child - 1 >= <u64>(baseCount - 1)) return fail(tableOutside, at);
    store<u64>(at, pointTo(entry, <u32>child));
    if (level == 2) continue;
    const result = moveBase(level - 1, <u32>child, basePfn, baseCount);
    if (result < 0) return result;
  }
  return 0;
}

/** An entry for dst's table `index`, with the flags of another one. */
// @ts-ignore: decorator
@inline
function pointTo(flags: u64, index: u32): u64 {
  return (flags & (present | writable | user | accessed | noExecute)) | ((dstPfn + index) << 12);
}

/** Lays private table `index` over dst's table `own`. */
function overlay(level: i32, index: u32, own: u32): i32 {
  const source = priv + <usize>index * pageBytes;
  const target = dst + <usize>own * pageBytes;
  if (++visited > privCount) return fail(tooManyTables, source);
  if (level == 1) {
    mergeTable(target, source, target);
    return 0;
  }
  const count = countEntries(level);
  for (let entryIndex: u32 = 0; entryIndex < count; entryIndex++) {
    const offset = <usize>entryIndex << 3;
    const entry = load<u64>(source + offset);
    if (!(entry & present)) continue;
    const child = entryPfn(entry) - privPfn;
    if (child - 1 >= <u64>(privCount - 1)) return fail(tableOutside, source + offset);
    const below = openTable(entry, target + offset);
    if (below < 0) return below;
    const result = overlay(level - 1, <u32>child, <u32>below);
    if (result < 0) return result;
  }
  return 0;
}

/** The index of dst's table below the entry at `at`, made if there is none, or a code. */
function openTable(entry: u64, at: usize): i32 {
  const existing = load<u64>(at);
  if (existing & present) {
    const index = entryPfn(existing) - dstPfn;
    if (index - 1 >= <u64>(dstCount - 1)) return fail(tableOutside, at);
    // Both trees' leaves are below it now: each keeps what it allows.
    const anyOf = (entry | existing) & (writable | user);
    const allOf = entry & existing & noExecute;
    store<u64>(at, pointTo(present | accessed | anyOf | allOf, <u32>index));
    return <i32>index;
  }
  if (dstCount >= dstCapacity) return fail(noCapacity, at);
  const index = dstCount++;
  memory.fill(dst + <usize>index * pageBytes, 0, pageBytes);
  store<u64>(at, pointTo(entry, index));
  return <i32>index;
}
