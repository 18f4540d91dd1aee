// Asserts every invariant of an address space and of the page caches it maps. For tests, and for
// images before they run. Slow: visits every page.
import { MAP_SHARED, PROT_EXEC, PROT_WRITE } from '../../abi/mman.ts';
import type { Kernel } from '../kernel.ts';
import { BASE_FRAME, type FrameId, PAGE_BYTES } from '../ports.ts';
import type { Mm, Vma } from '../records/mm.ts';
import type { Inode } from '../records/vfs.ts';
import { u32 } from '../state/memory.ts';
import { CHUNK_PAGES, cachedFrame } from './cache-pages.ts';
import { guardedStart } from './gap.ts';
import { frameAt } from './pages.ts';
import { PTE_NX_HIGH, PTE_RW, PTE_SHARED, PTE_US } from './pte.ts';
import { pageIndexOf } from './shared-pages.ts';
import { visitPresent } from './tables.ts';
import { USER_END } from './user-memory.ts';
import { endAt, findVma, vmaAt } from './vma.ts';

/** An address space is not what it has to be: a bug. */
export class MmCorruptError extends Error {
  override readonly name = 'MmCorruptError';
}

function must(condition: boolean, what: string): void {
  if (!condition) throw new MmCorruptError(what);
}

const hex = (gva: number): string => `0x${gva.toString(16)}`;

/** How many names each bank frame has. */
type Names = Map<FrameId, number>;

/**
 * Checks an address space, the only one.
 * @param others inodes that own frames without being mapped
 * @throws MmCorruptError at the first thing that is wrong
 */
export function checkMm(k: Kernel, mm: Mm, others: readonly Inode[] = []): void {
  checkSpaces(k, [mm], others);
}

/** The same for all address spaces of a sandbox: forks share frames. */
export function checkSpaces(k: Kernel, mms: readonly Mm[], others: readonly Inode[] = []): void {
  const inodes = new Set<Inode>(others);
  for (const mm of mms) {
    checkVmas(mm, inodes);
    checkFull(mm);
  }
  const names: Names = new Map();
  for (const inode of inodes) {
    checkList(mms, inode);
    checkCache(k, inode, names);
  }
  const writable = new Set<FrameId>();
  for (const mm of mms) checkEntries(k, mm, names, writable);
  for (const [frame, count] of names) {
    must(k.frames.namesOf(frame) === count, `frame ${frame}: ${count} names, counted otherwise`);
  }
  for (const frame of writable) {
    must(names.get(frame) === 1, `frame ${frame} has several names, and one may write to it`);
  }
  must(k.frames.used === names.size, `${k.frames.used} frames in use, ${names.size} have a name`);
}

function checkEntries(k: Kernel, mm: Mm, names: Names, writable: Set<FrameId>): void {
  let present = 0;
  visitPresent(k.tables, mm.rootTable, 0, USER_END + PAGE_BYTES, (at, gva) => {
    present++;
    const vma = findVma(mm, gva);
    if (vma === null) throw new MmCorruptError(`${hex(gva)} is present outside every mapping`);
    checkPage(k, vma, at, gva, names);
    if (((u32[at] as number) & (PTE_RW | PTE_SHARED)) === PTE_RW) writable.add(frameAt(k, at));
  });
  must(present === mm.residentPages, `${mm.residentPages} pages counted, ${present} present`);
}

/** What the search for free space passes over has no room. */
function checkFull(mm: Mm): void {
  if (mm.fullFrom === 0) return;
  let end = mm.mmapBase;
  for (let index = mm.vmas.length - 1; index >= 0 && end > mm.fullFrom; index--) {
    const start = Math.max(endAt(mm, index), mm.fullFrom);
    must(end - start < mm.fullBytes, `${hex(start)} is free, but known to be full`);
    end = Math.min(end, guardedStart(mm, index));
  }
}

function checkVmas(mm: Mm, inodes: Set<Inode>): void {
  const { vmas } = mm;
  let end = 0;
  let bytes = 0;
  for (let index = 0; index < vmas.length; index++) {
    const vma = vmas.get(index);
    if (vma === null) throw new MmCorruptError(`slot ${index} of the mappings is empty`);
    const name = `mapping ${hex(vma.start)}`;
    must(vma.mm === mm, `${name} is in another address space`);
    must(vma.start >= end && vma.end > vma.start, `${name} overlaps, or is empty`);
    must(vma.end <= USER_END, `${name} goes beyond user space`);
    must(vma.start % PAGE_BYTES === 0 && vma.end % PAGE_BYTES === 0, `${name} is not aligned`);
    must((vma.prot & ~vma.maxProt) === 0, `${name} has more protection than it may`);
    must((vma.flags & MAP_SHARED) === 0 || vma.inode !== null, `${name} is shared without a file`);
    must(vma.inode !== null || vma.fileOffset === 0, `${name} has an offset in no file`);
    must(vma.fileOffset >= 0 && vma.fileOffset % PAGE_BYTES === 0, `${name}: file offset`);
    if (vma.inode !== null) inodes.add(vma.inode);
    end = vma.end;
    bytes += vma.end - vma.start;
  }
  for (let index = vmas.length; index < vmas.capacity; index++) {
    must(vmas.get(index) === null, `slot ${index} behind the mappings is not empty`);
  }
  must(bytes === mm.mappedBytes, `${mm.mappedBytes} bytes counted, ${bytes} mapped`);
}

/** The inode's list holds exactly its mappings. */
function checkList(mms: readonly Mm[], inode: Inode): void {
  const listed = new Set<Vma>();
  let previous: Vma | null = null;
  for (let vma = inode.firstVma; vma !== null; vma = vma.nextOfInode) {
    must(vma.inode === inode && vma.previousOfInode === previous, `list of inode ${inode.serial}`);
    must(!listed.has(vma), `list of inode ${inode.serial} is a ring`);
    listed.add(vma);
    previous = vma;
  }
  must(inode.refs >= listed.size, `inode ${inode.serial} has more mappings than references`);
  for (const mm of mms) {
    for (let index = 0; index < mm.vmas.length; index++) {
      const vma = vmaAt(mm, index);
      if (vma.inode !== inode) continue;
      must(listed.has(vma), `${hex(vma.start)} is not in its inode's list`);
    }
  }
}

function own(k: Kernel, frame: FrameId, names: Names, who: string): void {
  if (frame >= BASE_FRAME) {
    must(frame - BASE_FRAME < k.ports.frames.baseFrames, `${who}: no base frame ${frame}`);
    return;
  }
  const count = (names.get(frame) ?? 0) + 1;
  must(k.frames.namesOf(frame) >= count, `${who} names frame ${frame}, which is free or another's`);
  names.set(frame, count);
}

function checkCache(k: Kernel, inode: Inode, names: Names): void {
  const { pages } = inode;
  for (let chunk = 0; pages !== null && chunk < pages.capacity; chunk++) {
    if (pages.get(chunk) === null) continue;
    must(chunk < pages.length, `inode ${inode.serial} has a chunk behind its last`);
    for (let index = chunk * CHUNK_PAGES; index < (chunk + 1) * CHUNK_PAGES; index++) {
      const frame = cachedFrame(inode, index);
      if (frame === 0) continue;
      const who = `page ${index} of inode ${inode.serial}`;
      must(index * PAGE_BYTES < inode.bytes, `${who} is beyond the end`);
      own(k, frame, names, who);
    }
  }
  must(inode.lowerBytes <= inode.bytes, `inode ${inode.serial} shows lower bytes beyond its end`);
}

function checkPage(k: Kernel, vma: Vma, at: number, gva: number, names: Names): void {
  const low = u32[at] as number;
  const frame = frameAt(k, at);
  const name = `page ${hex(gva)}`;
  const isCached = (low & PTE_SHARED) !== 0;
  const isShared = (vma.flags & MAP_SHARED) !== 0;
  const isExecutable = ((u32[at + 1] as number) & PTE_NX_HIGH) === 0;
  must(frame !== 0, `${name} names no frame`);
  must(((low & PTE_US) !== 0) === (vma.prot !== 0), `${name}: US does not match the mapping`);
  must(isExecutable === ((vma.prot & PROT_EXEC) !== 0), `${name}: NX does not match the mapping`);
  if ((low & PTE_RW) !== 0) {
    must((vma.prot & PROT_WRITE) !== 0, `${name} is writable, its mapping is not`);
    must(frame < BASE_FRAME, `${name}: a base frame is writable`);
    must(isShared || !isCached, `${name}: a private mapping may write to the page cache`);
  }
  must(!isShared || isCached, `${name} is shared and not in a page cache`);
  if (!isCached) return own(k, frame, names, name);
  const { inode } = vma;
  must(inode !== null, `${name} is cached, but of no file`);
  const index = pageIndexOf(vma, gva);
  must(cachedFrame(inode as Inode, index) === frame, `${name} maps a frame that the cache has not`);
}
