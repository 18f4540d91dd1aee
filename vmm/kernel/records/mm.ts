// An address space: mappings (Vma) over page tables in the sandbox's table window.
//
// Anonymous memory has no record of its own: its frame is found through the page table entry, which
// owns it. A file's frames belong to the inode's page cache; entries that map them carry
// PTE_SHARED.
import { type Table, tableKind } from '../state/containers.ts';
import { KIND } from '../state/kinds.ts';
import {
  type FieldType, fMust, fNum, fRef, fU32, fU8, held, kind, type Kind, nosave, type Rec, within,
} from '../state/record.ts';
import { next, previous } from '../state/rules.ts';
import { Dentry, Inode } from './vfs.ts';

export interface Mm extends Rec {
  /** Mappings sorted by start, `length` of them, never overlapping. */
  vmas: Table<Vma>;
  /** Index of the top-level page table in the table window; in an image, in its tables. */
  rootTable: number;
  brkStart: number;
  brk: number;
  /** Where the search for free address space begins (top down). */
  mmapBase: number;
  /**
   * Between here and mmapBase no gap has `fullBytes` bytes, so that a search for as many need not
   * look there again; 0 = not known (mm/gap.ts).
   */
  fullFrom: number;
  fullBytes: number;
  stackTop: number;
  /** Program layout for /proc and prctl(PR_SET_MM…). */
  codeStart: number;
  codeEnd: number;
  dataStart: number;
  dataEnd: number;
  argStart: number;
  argEnd: number;
  envStart: number;
  envEnd: number;
  /** Pages mapped (present entries), for RSS and limits. */
  residentPages: number;
  /** Bytes in mappings, for RLIMIT_AS and VmSize. */
  mappedBytes: number;
  /** MCL_* of mlockall(MCL_FUTURE): new mappings are locked. */
  lockFuture: number;
  /** MEMBARRIER_CMD_REGISTER_* seen. */
  barriers: number;
  /** Processes beyond the first that use it: children of vfork(2) until they exec. */
  sharers: number;
}

/** Guest-virtual addresses end here. */
const GVA_END = 0x8000_0000_0000;
const fAddress: FieldType<number> = within(fNum, 0, GVA_END);
const fPage: FieldType<number> = within(fNum, 0, GVA_END, 4096);

export const Mm: Kind<Mm> = kind<Mm>(KIND.mm, 'Mm', {
  vmas: fMust(() => VmaTable),
  rootTable: fU32,
  brkStart: fAddress,
  brk: fAddress,
  mmapBase: fAddress,
  fullFrom: nosave(fNum),
  fullBytes: nosave(fNum),
  stackTop: fAddress,
  codeStart: fAddress,
  codeEnd: fAddress,
  dataStart: fAddress,
  dataEnd: fAddress,
  argStart: fAddress,
  argEnd: fAddress,
  envStart: fAddress,
  envEnd: fAddress,
  residentPages: within(fNum, 0, 2 ** 53),
  mappedBytes: within(fNum, 0, 2 ** 53),
  lockFuture: fU32,
  barriers: fU32,
  sharers: fU32,
});

/** Vma.advice: what madvise(2) said that outlives the call. */
export const ADVICE_DONTFORK = 1;
export const ADVICE_WIPEONFORK = 2;
export const ADVICE_DONTDUMP = 4;

/** Vma.role: what the mapping is, for /proc/self/maps and stack growth. */
export const VMA_PLAIN = 0;
export const VMA_HEAP = 1;
export const VMA_STACK = 2;
export const VMA_VDSO = 3;

export interface Vma extends Rec {
  /** The address space it is in. */
  mm: Mm;
  /** [start, end), page-aligned guest-virtual addresses. */
  start: number;
  end: number;
  /** PROT_READ | PROT_WRITE | PROT_EXEC. */
  prot: number;
  /** MAP_SHARED or MAP_PRIVATE, with MAP_GROWSDOWN, MAP_NORESERVE, MAP_LOCKED. */
  flags: number;
  role: number;
  /**
   * What mprotect may raise it to (a shared mapping of a read-only descriptor cannot be written).
   */
  maxProt: number;
  /** ADVICE_* bits. */
  advice: number;
  /**
   * Mapped file, or the hidden inode behind shared anonymous memory; null for private anonymous.
   */
  inode: Inode | null;
  /** Its name, for /proc/self/maps. */
  dentry: Dentry | null;
  /** Offset in the file of `start` (bytes, page-aligned). */
  fileOffset: number;
  /** Mappings of the same inode. */
  nextOfInode: Vma | null;
  previousOfInode: Vma | null;
}

export const Vma: Kind<Vma> = kind<Vma>(KIND.vma, 'Vma', {
  mm: fMust(() => Mm),
  start: fPage,
  end: fPage,
  prot: fU8,
  flags: fU32,
  role: fU8,
  maxProt: fU8,
  advice: fU32,
  inode: held(fRef(() => Inode)),
  dentry: held(fRef(() => Dentry)),
  fileOffset: within(fNum, 0, 2 ** 63, 4096),
  nextOfInode: next(fRef(() => Vma), 'inode', { back: 'previousOfInode', owner: 'inode' }),
  previousOfInode: previous(fRef(() => Vma), 'nextOfInode'),
});

export const VmaTable: Kind<Table<Vma>> = tableKind(KIND.vmaTable, 'VmaTable', () => Vma);
