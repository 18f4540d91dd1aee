// The windows that entries may point into, set at the start of each exported call.
//
//   table window   table i: bytes at tables + i*4096, guest-physical page tablesPfn + i
//   bank window    frames bankPfn + i, combined index i; frame 0 is never handed out
//   base window    frames basePfn + i, combined index bankFrames + i
//
// Page numbers are compared as u64: entries carry 40 bits of them, windows start below 2^32.

import { entryPfn } from "./pte";

export let tables: usize = 0;
export let tableCount: u32 = 0;
export let bankFrames: u32 = 0;
export let baseFrames: u32 = 0;
let tablesPfn: u64 = 0;
let bankPfn: u64 = 0;
let basePfn: u64 = 0;

/** A combined index that no frame has. */
export const noFrame: u32 = 0xffffffff;
/** What tableIndex() gives for a pointer that leaves the window. */
export const noTable: u32 = 0xffffffff;

export function setTables(start: usize, firstPfn: u64, count: u32): void {
  assert((start & 4095) == 0);
  tables = start;
  tablesPfn = firstPfn;
  tableCount = count;
}

export function setFrames(bank: u32, bankCount: u32, base: u32, baseCount: u32): void {
  assert(<u64>bankCount + <u64>baseCount < <u64>noFrame);
  bankPfn = bank;
  bankFrames = bankCount;
  basePfn = base;
  baseFrames = baseCount;
}

/** The index of the table that an entry points to, or noTable. */
// @ts-ignore: decorator
@inline
export function tableIndex(entry: u64): u32 {
  const index = entryPfn(entry) - tablesPfn;
  return index < <u64>tableCount ? <u32>index : noTable;
}

/** The combined index of the frame that a leaf entry names, or noFrame. */
// @ts-ignore: decorator
@inline
export function frameIndex(entry: u64): u32 {
  const pfn = entryPfn(entry);
  const bank = pfn - bankPfn;
  if (bank < <u64>bankFrames) return bank == 0 ? noFrame : <u32>bank;
  const base = pfn - basePfn;
  return base < <u64>baseFrames ? bankFrames + <u32>base : noFrame;
}

/** The combined index of a frame id (bank i is i, base i is 0x80000000|i), or noFrame. */
// @ts-ignore: decorator
@inline
export function wordIndex(id: u32): u32 {
  if ((id & 0x80000000) == 0) return id < bankFrames ? id : noFrame;
  const base = id & 0x7fffffff;
  return base < baseFrames ? bankFrames + base : noFrame;
}
