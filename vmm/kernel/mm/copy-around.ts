// After a restore every page is a read-only base frame, and each first write is a fault. Writes cluster,
// so the fault copies the neighbours too: private base pages of the same mapping in a small window.
// Pages that the guest has used are left alone: it may hold their old translation, and making it forget
// costs more than the fault that is saved.
import type { Kernel } from '../kernel.ts';
import { BASE_FRAME, PAGE_BYTES } from '../ports.ts';
import type { Vma } from '../records/mm.ts';
import { u32 } from '../state/memory.ts';
import { copyEnd, copyStart } from './fault-window.ts';
import { frameAt, replacePage } from './pages.ts';
import { isBase, PTE_A, PTE_P, PTE_SHARED } from './pte.ts';
import { findEntry } from './tables.ts';

/** Copies the neighbours of `gva` that are unused private base pages. Failures are no errors. */
export function copyAround(k: Kernel, vma: Vma, gva: number): void {
  if (k.frames.available < k.frames.limit >>> 4) return;
  const end = copyEnd(vma, gva);
  let page = copyStart(vma, gva);
  while (page < end) {
    const count = countRun(k, vma, page, end);
    if (count > 0) copyRun(k, vma, page, count);
    page += Math.max(count, 1) * PAGE_BYTES;
  }
}

/** Word index of the entry if its page is to be copied, else 0. */
function candidate(k: Kernel, vma: Vma, gva: number): number {
  const at = findEntry(k.tables, vma.mm.rootTable, gva);
  if (at === 0) return 0;
  const flags = (u32[at] as number) & (PTE_P | PTE_SHARED | PTE_A);
  return flags === PTE_P && isBase(frameAt(k, at)) ? at : 0;
}

/** How many pages from `start` on are candidates whose base frames follow each other. */
function countRun(k: Kernel, vma: Vma, start: number, end: number): number {
  let count = 0;
  let first = 0;
  for (let gva = start; gva < end; gva += PAGE_BYTES) {
    const at = candidate(k, vma, gva);
    if (at === 0) break;
    const frame = frameAt(k, at);
    if (count === 0) first = frame;
    else if (frame !== first + count) break;
    count++;
  }
  return count;
}

function copyRun(k: Kernel, vma: Vma, start: number, count: number): void {
  const { frames, tables } = k;
  const made = count === 1 ? frames.allocate() : frames.allocateRun(count);
  if (made === 0) return;
  const root = vma.mm.rootTable;
  const first = frameAt(k, findEntry(tables, root, start)) - BASE_FRAME;
  if (!k.ports.frames.readBase(first, 0, frames.pages(made, count))) {
    for (let done = 0; done < count; done++) frames.release(made + done);
    return;
  }
  for (let done = 0; done < count; done++) {
    const at = findEntry(tables, root, start + done * PAGE_BYTES);
    replacePage(k, vma, at, made + done, true, false);
  }
}
