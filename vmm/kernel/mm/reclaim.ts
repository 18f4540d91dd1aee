// Taking back what fault windows gave too much. When the sandbox has no frames left, pages that
// nobody has touched (A clear, content zero, private anonymous) are taken out again; they cost a
// fault later.
import type { Kernel } from '../kernel.ts';
import type { Mm } from '../records/mm.ts';
import { u32 } from '../state/memory.ts';
import { dropPage, frameAt } from './pages.ts';
import { isBase, PTE_A, PTE_SHARED } from './pte.ts';
import { visitPresent } from './tables.ts';
import { vmaAt } from './vma.ts';

/** Frees untouched zero pages; returns how many. */
export function reclaimUntouched(k: Kernel, mm: Mm): number {
  const before = k.frames.used;
  for (let index = 0; index < mm.vmas.length; index++) {
    const { start, end, inode } = vmaAt(mm, index);
    if (inode !== null) continue;
    visitPresent(k.tables, mm.rootTable, start, end, (at, gva) => {
      if (((u32[at] as number) & (PTE_A | PTE_SHARED)) !== 0) return;
      const frame = frameAt(k, at);
      if (!isBase(frame) && isZero(k.frames.page(frame))) dropPage(k, mm, at, gva);
    });
  }
  return before - k.frames.used;
}

function isZero(page: Uint8Array): boolean {
  const words = new Float64Array(page.buffer, page.byteOffset, page.length >> 3);
  // Negative zero is not zero bits, and compares equal: the bytes decide then.
  for (let index = 0; index < words.length; index++) if (words[index] !== 0) return false;
  for (let index = 7; index < page.length; index += 8) if (page[index] !== 0) return false;
  return true;
}
