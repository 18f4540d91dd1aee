// Making and ending an address space, and brk(2).
import { MAP_ANONYMOUS, MAP_FIXED, MAP_PRIVATE, PROT_READ, PROT_WRITE } from '../../abi/mman.ts';
import { RLIMIT_DATA } from '../../abi/resource.ts';
import type { Kernel } from '../kernel.ts';
import { ADVICE_WIPEONFORK, Mm, VMA_HEAP, VmaTable } from '../records/mm.ts';
import { ArenaFullError } from '../state/arena.ts';
import { isFree } from './gap.ts';
import { mustMm, softLimit } from './limits.ts';
import { mapRegion, pageUp, unmapRange } from './map.ts';
import { u32 } from '../state/memory.ts';
import { dropPages, frameAt } from './pages.ts';
import { PTE_SHARED } from './pte.ts';
import { visitPresent } from './tables.ts';
import { USER_END } from './user-memory.ts';
import { removeVmas, vmaAt } from './vma.ts';

const FIRST_VMAS = 64;
/** Where the search for free space begins until exec has chosen a random place. */
const MMAP_BASE = 0x7fff_f7ff_f000;

/**
 * An empty address space. The root table's kernel half is for whoever loads it into CR3.
 * @throws ArenaFullError when there is no page table left for it, either
 */
export function makeMm(k: Kernel): Mm {
  const root = k.tables.allocate();
  if (root < 0) throw new ArenaFullError('the sandbox\'s page tables are used up');
  const vmas = k.arena.make(VmaTable, FIRST_VMAS * 4);
  const mm = k.arena.make(Mm);
  mm.vmas = vmas;
  mm.rootTable = root;
  mm.mmapBase = MMAP_BASE;
  mm.stackTop = USER_END;
  return mm;
}

/** One process less uses the address space; without any it ends. */
export function releaseMm(k: Kernel, mm: Mm): void {
  if (mm.sharers > 0) mm.sharers--;
  else destroyMm(k, mm);
}

/**
 * Unmaps everything and frees the address space. Nobody runs in it again, so what is cached of it
 * does no harm.
 */
export function destroyMm(k: Kernel, mm: Mm): void {
  visitPresent(k.tables, mm.rootTable, 0, USER_END, (at) => {
    if (((u32[at] as number) & PTE_SHARED) === 0) k.frames.release(frameAt(k, at));
  });
  removeVmas(k, mm, 0, mm.vmas.length);
  k.tables.retire(mm.rootTable);
  k.arena.free(mm.vmas);
  k.arena.free(mm);
}

/**
 * brk(2): moves the end of the heap. Linux returns the old end when it refuses.
 * @returns the end of the heap
 */
export function setBrk(k: Kernel, wanted: number, mm: Mm = mustMm(k)): number {
  const { brk, brkStart } = mm;
  if (!(wanted >= brkStart) || wanted > USER_END) return brk;
  const dataBytes = wanted - brkStart + (mm.dataEnd - mm.dataStart);
  if (dataBytes > softLimit(k, RLIMIT_DATA)) return brk;
  const oldEnd = pageUp(brk);
  const newEnd = pageUp(wanted);
  if (newEnd < oldEnd) {
    if (unmapRange(k, mm, newEnd, oldEnd) < 0) return brk;
  } else if (newEnd > oldEnd && !growHeap(k, mm, oldEnd, newEnd)) {
    return brk;
  }
  mm.brk = wanted;
  return wanted;
}

function growHeap(k: Kernel, mm: Mm, start: number, end: number): boolean {
  if (!isFree(mm, start, end - start)) return false;
  const at = mapRegion(k, {
    gva: start,
    bytes: end - start,
    prot: PROT_READ | PROT_WRITE,
    flags: MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
    role: VMA_HEAP,
  }, mm);
  return at === start;
}

/**
 * Clears the memory that asked to be empty in a child (MADV_WIPEONFORK): each boot counts as a
 * fork.
 */
export function wipeOnFork(k: Kernel, mm: Mm): void {
  for (let index = 0; index < mm.vmas.length; index++) {
    const vma = vmaAt(mm, index);
    if ((vma.advice & ADVICE_WIPEONFORK) !== 0) dropPages(k, mm, vma.start, vma.end);
  }
}
