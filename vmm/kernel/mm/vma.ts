// The sorted table of mappings (stub: signatures).
import type { Mm, Vma } from '../records/mm.ts';

/** The mapping that contains `gva`, or null. */
export function findVma(_mm: Mm, _gva: number): Vma | null {
  return null;
}
