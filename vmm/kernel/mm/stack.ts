// Growing a stack: a mapping with MAP_GROWSDOWN takes in an address below it when it is touched.
import { MAP_GROWSDOWN } from '../../abi/mman.ts';
import { MMAP_MIN_ADDR } from '../../abi/limits.ts';
import { RLIMIT_STACK } from '../../abi/resource.ts';
import type { Kernel } from '../kernel.ts';
import { PAGE_BYTES } from '../ports.ts';
import type { Mm, Vma } from '../records/mm.ts';
import { mayExpand, softLimit } from './limits.ts';
import { findIndex, vmaAt } from './vma.ts';

/** Linux: stack_guard_gap. Nothing else is mapped so close below a stack. */
export const GUARD_GAP_BYTES: number = 256 * PAGE_BYTES;
/** A stack grows in steps of this size where it may, so that a fault can bring a window. */
const STEP_BYTES = 64 * 1024;

/**
 * Extends the stack above page `gva` down to it (Linux: expand_downwards).
 * @returns the mapping, or null when there is none or it may not grow that far
 */
export function growStack(k: Kernel, mm: Mm, gva: number): Vma | null {
  const index = findIndex(mm, gva);
  if (index >= mm.vmas.length) return null;
  const vma = vmaAt(mm, index);
  if ((vma.flags & MAP_GROWSDOWN) === 0 || gva >= vma.start) return null;
  const step = gva - gva % STEP_BYTES;
  if (!mayGrowTo(k, mm, index, vma, gva)) return null;
  const start = mayGrowTo(k, mm, index, vma, step) ? step : gva;
  mm.mappedBytes += vma.start - start;
  if (vma.inode !== null) vma.fileOffset -= vma.start - start;
  vma.start = start;
  return vma;
}

function mayGrowTo(k: Kernel, mm: Mm, index: number, vma: Vma, start: number): boolean {
  if (start < MMAP_MIN_ADDR) return false;
  const grown = vma.start - start;
  if (vma.inode !== null && vma.fileOffset < grown) return false;
  if (vma.end - start > softLimit(k, RLIMIT_STACK)) return false;
  if (!mayExpand(k, mm, grown, 0)) return false;
  if (index === 0) return true;
  const below = vmaAt(mm, index - 1);
  if (below.end > start) return false;
  if ((below.flags & MAP_GROWSDOWN) !== 0 || below.prot === 0) return true;
  return start - below.end >= GUARD_GAP_BYTES;
}
