// A copy of an address space for a new process (Linux: dup_mmap). Nothing is copied but records and
// page table entries: private frames get a second name and are read-only in both until somebody
// writes (touch.ts); frames of page caches belong to nobody and stay as they are.
//
// The parent loses the right to write, so what is cached of its entries is reported.
import { MAP_LOCKED } from '../../abi/mman.ts';
import type { Kernel } from '../kernel.ts';
import { ADVICE_DONTFORK, ADVICE_WIPEONFORK, type Mm, type Vma } from '../records/mm.ts';
import { ArenaFullError } from '../state/arena.ts';
import { u32 } from '../state/memory.ts';
import { destroyMm, makeMm } from './address-space.ts';
import { frameAt } from './pages.ts';
import { PTE_A, PTE_D, PTE_RW, PTE_SHARED } from './pte.ts';
import { makeEntry, reportStale, TABLE_SPAN, visitPresent } from './tables.ts';
import { insertVma, vmaAt } from './vma.ts';

/** What the copy has of the original's layout. Locks (mlock) are not inherited. */
const COPIED = [
  'brkStart', 'brk', 'mmapBase', 'stackTop', 'codeStart', 'codeEnd', 'dataStart', 'dataEnd',
  'argStart', 'argEnd', 'envStart', 'envEnd', 'barriers',
] as const;

/** What a fork must leave, or the next page fault of any process would find no table. */
const TABLES_LEFT = 32;
const NO_TABLES = 'the sandbox\'s page tables are used up';

/** A copy of `from`. @throws ArenaFullError when records or page tables run out */
export function forkMm(k: Kernel, from: Mm): Mm {
  const mm = makeMm(k);
  try {
    for (const field of COPIED) mm[field] = from[field];
    for (let index = 0; index < from.vmas.length; index++) {
      const vma = vmaAt(from, index);
      if ((vma.advice & ADVICE_DONTFORK) === 0) forkVma(k, vma, mm);
    }
    if (!k.tables.hasRoom(TABLES_LEFT)) throw new ArenaFullError(NO_TABLES);
    return mm;
  } catch (error) {
    destroyMm(k, mm);
    throw error;
  }
}

function forkVma(k: Kernel, vma: Vma, mm: Mm): void {
  const { start, end, prot, flags, role, maxProt, inode, dentry, fileOffset, advice } = vma;
  const copy = insertVma(k, mm, {
    start, end, prot, flags: flags & ~MAP_LOCKED, role, maxProt, inode, dentry, fileOffset,
  });
  copy.advice = advice;
  if ((advice & ADVICE_WIPEONFORK) === 0) forkPages(k, vma, mm);
}

function forkPages(k: Kernel, vma: Vma, mm: Mm): void {
  const { tables, frames } = k;
  let target = 0;
  let expected = -1;
  visitPresent(tables, vma.mm.rootTable, vma.start, vma.end, (at, gva) => {
    const isNext = gva === expected && gva % TABLE_SPAN !== 0;
    target = isNext ? target + 2 : makeEntry(tables, mm.rootTable, gva);
    if (target === 0) throw new ArenaFullError(NO_TABLES);
    expected = gva + 4096;
    const low = u32[at] as number;
    let copied = low & ~(PTE_A | PTE_D);
    if ((low & PTE_SHARED) === 0) {
      copied &= ~PTE_RW;
      if ((low & PTE_RW) !== 0) {
        reportStale(k, at, gva);
        u32[at] = copied;
      }
      frames.share(frameAt(k, at));
    }
    u32[target] = copied;
    u32[target + 1] = u32[at + 1] as number;
    mm.residentPages++;
  });
}
