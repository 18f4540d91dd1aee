// Pages of a mapping: entering frames into the page tables, taking them out, changing protection,
// moving. Every change of a present entry goes through here or through mm/shared-pages.ts.
//
// Ownership: an entry without PTE_SHARED owns its frame; clearing it frees the frame.
import { MAP_SHARED, PROT_EXEC, PROT_WRITE } from '../../abi/mman.ts';
import type { Kernel } from '../kernel.ts';
import type { FrameId } from '../ports.ts';
import type { Mm, Vma } from '../records/mm.ts';
import { u32 } from '../state/memory.ts';
import {
  frameOf, isBase, pfnAt, pfnOf, PTE_A, PTE_D, PTE_NX_HIGH, PTE_P, PTE_RW, PTE_SHARED, PTE_US,
  setEntry,
} from './pte.ts';
import { makeEntry, reportStale, visitPresent } from './tables.ts';

/** The frame of the present entry at word index `at`. */
export function frameAt(k: Kernel, at: number): FrameId {
  return frameOf(k.ports.frames, pfnAt(at));
}

/** Low-half flags of an entry of a mapping with that protection. */
function flagsOf(prot: number, writable: boolean, shared: boolean): number {
  return PTE_P | (prot !== 0 ? PTE_US : 0) |
    (writable && (prot & PROT_WRITE) !== 0 ? PTE_RW : 0) | (shared ? PTE_SHARED : 0);
}

/**
 * Enters a frame at the entry `at`, which is not present.
 * @param writable the frame may be written in place; the mapping's protection counts too
 * @param shared the frame belongs to the page cache of the mapping's inode
 */
export function enterPage(
  k: Kernel,
  vma: Vma,
  at: number,
  frame: FrameId,
  writable: boolean,
  shared: boolean,
): void {
  const { prot } = vma;
  const flags = flagsOf(prot, writable, shared);
  setEntry(at, pfnOf(k.ports.frames, frame), flags, (prot & PROT_EXEC) !== 0);
  vma.mm.residentPages++;
}

/**
 * Puts another frame, or more permission, into the present entry `at`. The caller has seen to stale
 * translations and to the old frame.
 */
export function replacePage(
  k: Kernel,
  vma: Vma,
  at: number,
  frame: FrameId,
  writable: boolean,
  shared: boolean,
): void {
  const { prot } = vma;
  const flags = flagsOf(prot, writable, shared);
  setEntry(at, pfnOf(k.ports.frames, frame), flags, (prot & PROT_EXEC) !== 0);
}

/** Clears the present entry at `at` and frees its frame if the entry owned it. */
export function dropPage(k: Kernel, mm: Mm, at: number, gva: number): void {
  reportStale(k, at, gva);
  const owned = ((u32[at] as number) & PTE_SHARED) === 0;
  const frame = frameAt(k, at);
  u32[at] = 0;
  u32[at + 1] = 0;
  mm.residentPages--;
  if (owned) k.frames.release(frame);
}

/** Clears all entries of [start, end). */
export function dropPages(k: Kernel, mm: Mm, start: number, end: number): void {
  visitPresent(k.tables, mm.rootTable, start, end, (at, gva) => dropPage(k, mm, at, gva));
}

/** Brings the entries of [start, end), part of `vma`, in line with the mapping's protection. */
export function protectPages(k: Kernel, vma: Vma, start: number, end: number): void {
  const { prot, flags, mm } = vma;
  const isShared = (flags & MAP_SHARED) !== 0;
  visitPresent(k.tables, mm.rootTable, start, end, (at, gva) => {
    const low = u32[at] as number;
    const shared = (low & PTE_SHARED) !== 0;
    const frame = frameAt(k, at);
    const writable = !isBase(frame) &&
      (shared ? isShared && (low & PTE_RW) !== 0 : !k.frames.isShared(frame));
    const wanted = flagsOf(prot, writable, shared);
    const high = (prot & PROT_EXEC) !== 0 ? 0 : PTE_NX_HIGH;
    const isExecutable = ((u32[at + 1] as number) & PTE_NX_HIGH) === 0;
    const loses = (low & ~wanted & (PTE_US | PTE_RW)) !== 0 || (isExecutable && high !== 0);
    if (loses) reportStale(k, at, gva);
    // An entry that only gains keeps A: what the CPU has cached is still true, and must go some
    // day.
    const kept = loses ? 0 : low & (PTE_A | PTE_D);
    setEntry(at, pfnAt(at), wanted | kept, high === 0);
  });
}

/**
 * Moves the entries of [from, from + bytes) to `to`.
 * @returns false, with nothing changed, when there are not enough page tables
 */
export function movePages(k: Kernel, mm: Mm, from: number, bytes: number, to: number): boolean {
  const { tables } = k;
  const root = mm.rootTable;
  let enough = true;
  visitPresent(tables, root, from, from + bytes, (_at, gva) => {
    if (enough && makeEntry(tables, root, gva - from + to) === 0) enough = false;
  });
  if (!enough) return false;
  visitPresent(tables, root, from, from + bytes, (at, gva) => {
    reportStale(k, at, gva);
    const target = makeEntry(tables, root, gva - from + to);
    u32[target] = (u32[at] as number) & ~(PTE_A | PTE_D);
    u32[target + 1] = u32[at + 1] as number;
    u32[at] = 0;
    u32[at + 1] = 0;
  });
  return true;
}
