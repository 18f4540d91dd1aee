// Page-table entries of x86-64 4-level paging (SDM vol. 3, 4.5), and why an entry is refused.
//
//   63   52..62   12..51          10,11   9       8  7   6  5  4,3     2   1   0
//   NX   unused   frame address   unused  SHARED  G  PS  D  A  unused  US  RW  P
//
// SHARED is ours: the frame belongs to the page cache. wasm/tables.ts spells out the codes.

export const present: u64 = 0x1;
export const writable: u64 = 0x2;
export const user: u64 = 0x4;
export const accessed: u64 = 0x20;
export const dirty: u64 = 0x40;
export const large: u64 = 0x80;
export const shared: u64 = 0x200;
export const noExecute: u64 = 0x8000_0000_0000_0000;
export const address: u64 = 0x000f_ffff_ffff_f000;

export const pageBytes: usize = 4096;
export const tableEntries: u32 = 512;
/** Entries 0..255 of a PML4 are the guest program's; the others are the machine's. */
export const userEntries: u32 = 256;

export const tableOutside: i32 = -1;
export const frameOutside: i32 = -2;
export const largePage: i32 = -3;
export const tooManyTables: i32 = -4;
export const noCapacity: i32 = -5;
export const frameUnnumbered: i32 = -6;
export const sharedDropped: i32 = -7;
export const notUser: i32 = -8;
export const reservedBits: i32 = -9;
export const writableBase: i32 = -10;
export const kernelHalf: i32 = -11;
export const tableOrder: i32 = -12;
export const tableUnreached: i32 = -13;
export const numbersSpent: i32 = -14;

let faultAt: u32 = 0;

/** The address of the entry, table or word that the last negative result is about. */
export function readFaultAt(): u32 {
  return faultAt;
}

export function fail(code: i32, at: usize): i32 {
  faultAt = <u32>at;
  return code;
}

// @ts-ignore: decorator
@inline
export function entryPfn(entry: u64): u64 {
  return (entry & address) >> 12;
}

/** How many entries of a table count; level 4 is the root, level 1 holds leaves. */
// @ts-ignore: decorator
@inline
export function countEntries(level: i32): u32 {
  return level == 4 ? userEntries : tableEntries;
}
