// relocate: puts absolute addresses into a run of saved records (stage 2 of a restore).
//
//   relation table: { u32 source, u32 target } × count, sorted by source
//   store32(objects + source, bias + target)         for each entry
//
// Invariant: nothing is stored outside [objects, objects + objectsBytes), whatever the table says.
// Entries are independent: a caller may split a table and relocate its pieces anywhere.
// No data segments, no allocation: all memory belongs to the caller.

// One block is 8 relations, 64 bytes.
const blockRelations: u32 = 8;

/** True when one of the block's entries is out of range. Branch-free, so that blocks pipeline. */
// @ts-ignore: decorator
@inline
function isBadBlock(block: usize, last: v128, lowBits: v128): bool {
  const a = v128.load(block);
  const b = v128.load(block, 16);
  const c = v128.load(block, 32);
  const d = v128.load(block, 48);
  const largest = i32x4.max_u(i32x4.max_u(a, b), i32x4.max_u(c, d));
  const anyBits = v128.or(v128.or(a, b), v128.or(c, d));
  return v128.any_true(v128.or(i32x4.gt_u(largest, last), v128.and(anyBits, lowBits)));
}

// @ts-ignore: decorator
@inline
function bindEntry(objects: usize, entry: usize, bias: u32): void {
  store<u32>(objects + load<u32>(entry), bias + load<u32>(entry, 4));
}

/** The largest source and target that are still inside, as the lanes of two entries. */
// @ts-ignore: decorator
@inline
function lastInside(objectsBytes: u32, lastTarget: u32): v128 {
  let last = i32x4.splat(<i32>lastTarget);
  last = i32x4.replace_lane(last, 0, <i32>(objectsBytes - 4));
  return i32x4.replace_lane(last, 2, <i32>(objectsBytes - 4));
}

/** Returns relationCount, or the index of the first bad entry; the ones before it are stored. */
export function relocate(
  objects: usize, objectsBytes: u32, relations: usize, relationCount: u32, bias: u32,
): u32 {
  if (objectsBytes < 4) return 0;
  const last = lastInside(objectsBytes, objectsBytes - 1);
  const lowBits = i32x4(3, 0, 3, 0);
  const blocksEnd = relationCount & ~(blockRelations - 1);
  let index: u32 = 0;
  for (; index < blocksEnd; index += blockRelations) {
    const block = relations + (<usize>index << 3);
    if (isBadBlock(block, last, lowBits)) break;
    bindEntry(objects, block, bias);
    bindEntry(objects, block + 8, bias);
    bindEntry(objects, block + 16, bias);
    bindEntry(objects, block + 24, bias);
    bindEntry(objects, block + 32, bias);
    bindEntry(objects, block + 40, bias);
    bindEntry(objects, block + 48, bias);
    bindEntry(objects, block + 56, bias);
  }
  // The rest, and a bad block up to its bad entry.
  for (; index < relationCount; index++) {
    const entry = relations + (<usize>index << 3);
    const source = load<u32>(entry);
    if (source > objectsBytes - 4 || (source & 3) != 0) break;
    if (load<u32>(entry, 4) >= objectsBytes) break;
    bindEntry(objects, entry, bias);
  }
  return index;
}

/** Zeroes the reference fields again; looks at the sources only. Returns as relocate does. */
export function unrelocate(
  objects: usize, objectsBytes: u32, relations: usize, relationCount: u32,
): u32 {
  if (objectsBytes < 4) return 0;
  let index: u32 = 0;
  for (; index < relationCount; index++) {
    const source = load<u32>(relations + (<usize>index << 3));
    if (source > objectsBytes - 4 || (source & 3) != 0) break;
    store<u32>(objects + source, 0);
  }
  return index;
}
