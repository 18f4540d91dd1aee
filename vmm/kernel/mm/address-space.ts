// Making and ending an address space (stub: signatures).
import type { Kernel } from '../kernel.ts';
import { Mm, VmaTable } from '../records/mm.ts';

/** An empty address space; its root's kernel half is for the machine to fill. */
export function makeMm(k: Kernel): Mm {
  const mm = k.arena.make(Mm);
  mm.vmas = k.arena.make(VmaTable, 64 * 4);
  mm.rootTable = k.tables.allocate();
  mm.mmapBase = 0x7fff_0000_0000;
  return mm;
}

/** Unmaps everything and frees it. */
export function destroyMm(_k: Kernel, _mm: Mm): void {
  // Nothing is mapped yet.
}
