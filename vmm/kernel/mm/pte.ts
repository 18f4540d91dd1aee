// Page table entries, as two u32 halves (no BigInt where pages are walked).
//
//   low    pfn bits 0…19 | 0 0 | SHARED | 0 0 | D | A | 0 0 | US | RW | P
//            31…12                 9            6   5          2    1   0
//   high   NX | 0 | pfn bits 20…39
//          31        19…0
//
// Invariant: a leaf entry is either 0 or present. A page that may not be touched (PROT_NONE) stays
// present without US: its frame keeps its content and its name, and user code faults.
// Invariant: RW only if the mapping is writable and the frame may be written in place (a bank
// frame, not one that a private mapping borrows from a page cache).
// Linux: arch/x86/include/asm/pgtable_types.h; Intel SDM vol. 3, 4.5.
import { BASE_FRAME, type FrameId, type GuestFrames } from '../ports.ts';
import { u32 } from '../state/memory.ts';

export const PTE_P = 1;
export const PTE_RW = 2;
export const PTE_US = 4;
export const PTE_A = 0x20;
export const PTE_D = 0x40;
/** The frame belongs to a page cache, not to this entry. */
export const PTE_SHARED = 0x200;
/** No execution; in the high half. */
export const PTE_NX_HIGH = 0x8000_0000;
/** What entries of levels 4…2 carry besides the address. */
export const TABLE_FLAGS: number = PTE_P | PTE_RW | PTE_US | PTE_A | PTE_D;

const PFN_HIGH_MASK = 0x000f_ffff;
const TWO_20 = 0x10_0000;
const TWO_32 = 4294967296n;

/** Page number in the entry at word index `at`. */
export function pfnAt(at: number): number {
  return ((u32[at + 1] as number) & PFN_HIGH_MASK) * TWO_20 + ((u32[at] as number) >>> 12);
}

/** Writes an entry. `flags` are low-half bits; `executable` clears NX. */
export function setEntry(at: number, pfn: number, flags: number, executable: boolean): void {
  const high = Math.floor(pfn / TWO_20);
  u32[at] = ((pfn << 12) | flags) >>> 0;
  u32[at + 1] = executable ? high : (high | PTE_NX_HIGH) >>> 0;
}

/** The whole entry, for reports to the machine. */
export function entryAt(at: number): bigint {
  return BigInt(u32[at + 1] as number) * TWO_32 + BigInt(u32[at] as number);
}

/** Page number of a frame. */
export function pfnOf(frames: GuestFrames, id: FrameId): number {
  return id >= BASE_FRAME ? frames.basePfn + (id - BASE_FRAME) : frames.bankPfn + id;
}

/** The frame behind a page number; 0 for a page that is neither bank nor base. */
export function frameOf(frames: GuestFrames, pfn: number): FrameId {
  const bankIndex = pfn - frames.bankPfn;
  if (bankIndex > 0 && bankIndex < frames.bankFrames) return bankIndex;
  const baseIndex = pfn - frames.basePfn;
  if (baseIndex >= 0 && baseIndex < frames.baseFrames) return BASE_FRAME + baseIndex;
  return 0;
}

export function isBase(id: FrameId): boolean {
  return id >= BASE_FRAME;
}
