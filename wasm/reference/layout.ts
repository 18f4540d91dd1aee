// The layout module in plain TypeScript: what assembly/layout.ts must do.
//
// Written for reading, from the descriptions in wasm/layout.ts; tests and the bench compare the
// two.

import type { FrameCounts, Layout } from '../layout.ts';
import { describeTableFault, frameDropped, notNumbered } from '../tables.ts';
import { packTree } from './pack.ts';
import { accessed, dirty, getWord, setWord, shared, wordsOf } from './pte.ts';
import type { Words } from './pte.ts';
import { catchFault, Walk, WalkFault } from './walk.ts';

const numberLimit = 0x7fffffff;

/** The combined index of the frame that an id names, or undefined. */
function wordIndex(frames: FrameCounts, id: number): number | undefined {
  if (id < 0x80000000) return id < frames.bankFrames ? id : undefined;
  const base = id - 0x80000000;
  return base < frames.baseFrames ? frames.bankFrames + base : undefined;
}

function markWords(
  memory: WebAssembly.Memory, words: number, count: number, frames: FrameCounts, marks: number,
): number {
  const bytes = new Uint8Array(memory.buffer);
  const ids = wordsOf(memory);
  for (let index = 0; index < count; index++) {
    const id = getWord(ids, words + index * 4);
    if (id === 0) continue;
    const frame = wordIndex(frames, id);
    if (frame === undefined) return index;
    bytes[marks + frame] = (bytes[marks + frame] as number) | 1;
  }
  return count;
}

function rewriteWords(
  memory: WebAssembly.Memory, words: number, count: number, frames: FrameCounts, map: number,
): number {
  const ids = wordsOf(memory);
  for (let index = 0; index < count; index++) {
    const id = getWord(ids, words + index * 4);
    if (id === 0) continue;
    const frame = wordIndex(frames, id);
    const mapped = frame === undefined ? notNumbered : getWord(ids, map + frame * 4);
    if (mapped === notNumbered) return index;
    setWord(ids, words + index * 4, mapped === frameDropped ? 0 : 0x80000000 + mapped);
  }
  return count;
}

function isZeroPage(words: Words, page: number): boolean {
  for (let at = page; at < page + 4096; at += 4) {
    if (getWord(words, at) !== 0) return false;
  }
  return true;
}

function zeroMap(
  memory: WebAssembly.Memory, pages: number, pageCount: number, bitmap: number,
): number {
  const bytes = new Uint8Array(memory.buffer);
  const words = wordsOf(memory);
  bytes.fill(0, bitmap, bitmap + Math.ceil(pageCount / 8));
  let zeroPages = 0;
  for (let index = 0; index < pageCount; index++) {
    if (!isZeroPage(words, pages + index * 4096)) continue;
    const at = bitmap + (index >>> 3);
    bytes[at] = (bytes[at] as number) | (1 << (index & 7));
    zeroPages++;
  }
  return zeroPages;
}

/** Gives one number; throws when there is none left. */
function numberFrame(words: Words, map: number, frame: number, next: number, at: number): number {
  if (getWord(words, map + frame * 4) !== notNumbered) return next;
  if (next === numberLimit) throw new WalkFault(-14, at);
  setWord(words, map + frame * 4, next);
  return next + 1;
}

/** Same methods and results as createLayout(), without its range checks. */
export function createReferenceLayout(memory: WebAssembly.Memory): Layout {
  let faultAt = 0;

  function run(body: () => number): number {
    let result = 0;
    const fault = catchFault(() => { result = body(); });
    if (fault === undefined) return result;
    faultAt = fault.at;
    return fault.code;
  }
  return {
    mark: (window, rootIndex, marks) => run(() => {
      const bytes = new Uint8Array(memory.buffer);
      let leaves = 0;
      new Walk(memory, window).eachLeaf(rootIndex, (frame, { flags }) => {
        const bits = 1 + (flags & accessed ? 2 : 0) + (flags & dirty ? 4 : 0) +
          (flags & shared ? 8 : 0);
        bytes[marks + frame] = (bytes[marks + frame] as number) | bits;
        leaves++;
      });
      return leaves;
    }),
    markWords: (words, count, frames, marks) => markWords(memory, words, count, frames, marks),
    isZeroPage: (page) => isZeroPage(wordsOf(memory), page),
    zeroMap: (pages, pageCount, bitmap) => zeroMap(memory, pages, pageCount, bitmap),
    number: (window, rootIndex, marks, map, next, wantMask, wantValue) => run(() => {
      if (next > numberLimit) throw new WalkFault(-14, map);
      const bytes = new Uint8Array(memory.buffer);
      const walk = new Walk(memory, window);
      let free = next;
      walk.eachLeaf(rootIndex, (frame, _entry, _vpn, at) => {
        if (((bytes[marks + frame] as number) & wantMask) !== wantValue) return;
        free = numberFrame(walk.words, map, frame, free, at);
      });
      return free;
    }),
    numberRest: (frameCount, marks, map, next) => run(() => {
      if (next > numberLimit) throw new WalkFault(-14, map);
      const bytes = new Uint8Array(memory.buffer);
      const words = wordsOf(memory);
      let free = next;
      for (let frame = 0; frame < frameCount; frame++) {
        if (!((bytes[marks + frame] as number) & 1)) continue;
        free = numberFrame(words, map, frame, free, map + frame * 4);
      }
      return free;
    }),
    pack: (window, rootIndex, target, map) =>
      run(() => packTree(new Walk(memory, window), rootIndex, target, map)),
    rewriteWords: (words, count, frames, map) => rewriteWords(memory, words, count, frames, map),
    collectDirty: (window, rootIndex, out, capacity) => run(() => {
      const walk = new Walk(memory, window);
      let found = 0;
      walk.eachLeaf(rootIndex, (frame, _entry, vpn) => {
        if (frame >= window.bankFrames) return;
        const row = [vpn % 2 ** 32, Math.floor(vpn / 2 ** 32), frame];
        if (found < capacity) walk.words.set(row, (out + found * 12) / 4);
        found++;
      });
      return found;
    }),
    fault: (code) => describeTableFault(code, faultAt),
  };
}
