// Frames by frame id: arrays of u32 in records (the page cache), and the frames only they name.
//
// Frame id: 0 none, bank frame i is i, base frame i is 0x80000000|i.

import { fail, numbersSpent } from "./pte";
import { noFrame, setFrames, wordIndex } from "./window";
import { dropped, noNumber, numberLimit } from "./walk";

/** Marks the frames as referenced (1). Returns count, or the index of the first bad word. */
export function markWords(
  words: usize, count: u32, bankCount: u32, baseCount: u32, marks: usize,
): u32 {
  setFrames(0, bankCount, 0, baseCount);
  let index: u32 = 0;
  for (; index < count; index++) {
    const id = load<u32>(words + (<usize>index << 2));
    if (id == 0) continue;
    const frame = wordIndex(id);
    if (frame == noFrame) break;
    store<u8>(marks + frame, load<u8>(marks + frame) | 1);
  }
  return index;
}

/** Numbers what is marked and has no number, by combined index. Returns the next free number. */
export function numberRest(frameCount: u32, marks: usize, map: usize, next: u32): i32 {
  if (next > numberLimit) return fail(numbersSpent, map);
  for (let frame: u32 = 0; frame < frameCount; frame++) {
    const at = map + (<usize>frame << 2);
    if (!(load<u8>(marks + frame) & 1) || load<u32>(at) != noNumber) continue;
    if (next == numberLimit) return fail(numbersSpent, at);
    store<u32>(at, next++);
  }
  return <i32>next;
}

/**
 * Rewrites ids to those of base frames by number; a dropped frame becomes 0.
 * Returns count, or the index of the first word that names no numbered frame.
 */
export function rewriteWords(
  words: usize, count: u32, bankCount: u32, baseCount: u32, map: usize,
): u32 {
  setFrames(0, bankCount, 0, baseCount);
  let index: u32 = 0;
  for (; index < count; index++) {
    const at = words + (<usize>index << 2);
    const id = load<u32>(at);
    if (id == 0) continue;
    const frame = wordIndex(id);
    if (frame == noFrame) break;
    const mapped = load<u32>(map + (<usize>frame << 2));
    if (mapped == noNumber) break;
    store<u32>(at, mapped == dropped ? 0 : 0x80000000 | mapped);
  }
  return index;
}
