// Mapping an ELF file's segments into an address space (Linux: load_elf_binary, elf_load).
import type { Kernel } from '../kernel.ts';
import type { Mm } from '../records/mm.ts';
import type { ElfImage, ElfPhdr } from '../../../formats/elf.ts';
import { PF_R, PF_W, PF_X, PT_LOAD, PT_PHDR } from '../../../formats/elf.ts';
import { mapRegion } from '../mm/map.ts';
import { clearUser } from '../mm/user-memory.ts';
import { PAGE_BYTES } from '../ports.ts';
import type { Executable } from './exec-file.ts';
import {
  MAP_ANONYMOUS, MAP_FIXED, MAP_FIXED_NOREPLACE, MAP_NORESERVE, MAP_PRIVATE, PROT_EXEC, PROT_NONE,
  PROT_READ, PROT_WRITE,
} from '../../abi/mman.ts';
import { EFAULT, EINVAL, ENOMEM } from '../../abi/errno.ts';

/** Where a file ended up. */
export interface MappedImage {
  /** Added to the file's addresses. */
  bias: number;
  entry: number;
  /** Address of the program headers in memory, 0 when no segment holds them. */
  phdrs: number;
  codeStart: number;
  codeEnd: number;
  dataStart: number;
  dataEnd: number;
  /** One past the last byte of the last segment: where brk begins. */
  end: number;
}

function pageDown(address: number): number {
  return address - address % PAGE_BYTES;
}

function pageUp(address: number): number {
  return pageDown(address + PAGE_BYTES - 1);
}

function protOf(phdr: ElfPhdr): number {
  return ((phdr.flags & PF_R) !== 0 ? PROT_READ : 0) |
    ((phdr.flags & PF_W) !== 0 ? PROT_WRITE : 0) |
    ((phdr.flags & PF_X) !== 0 ? PROT_EXEC : 0);
}

/**
 * Maps all PT_LOAD segments.
 * @param preferred base address for ET_DYN; 0 = wherever there is room
 * @returns where it lies, or -errno
 */
export function mapImage(
  k: Kernel,
  mm: Mm,
  file: Executable,
  image: ElfImage,
  preferred: number,
): MappedImage | number {
  const loads = image.phdrs.filter((phdr) => phdr.type === PT_LOAD);
  const low = pageDown(Math.min(...loads.map((phdr) => phdr.vaddr)));
  const high = pageUp(Math.max(...loads.map((phdr) => phdr.vaddr + phdr.memBytes)));
  const bias = image.type === 'exec' ? 0 : reserve(k, mm, low, high, preferred, image);
  if (bias < 0) return bias;
  for (const phdr of loads) {
    const failed = mapSegment(k, mm, file, phdr, bias, image.type === 'exec');
    if (failed < 0) return failed;
  }
  return describe(image, loads, bias);
}

/** Finds room for the whole of an ET_DYN file, so that its segments keep their distances. */
function reserve(
  k: Kernel,
  mm: Mm,
  low: number,
  high: number,
  preferred: number,
  image: ElfImage,
): number {
  const align = Math.max(PAGE_BYTES, ...image.phdrs
    .filter((phdr) => phdr.type === PT_LOAD && isPowerOfTwo(phdr.align))
    .map((phdr) => phdr.align));
  const bytes = high - low + (align > PAGE_BYTES ? align : 0);
  const at = mapRegion(k, {
    gva: preferred,
    bytes,
    prot: PROT_NONE,
    flags: MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE |
      (preferred === 0 ? 0 : MAP_FIXED_NOREPLACE),
  }, mm);
  if (at < 0) return at;
  return Math.ceil(at / align) * align - low;
}

function isPowerOfTwo(value: number): boolean {
  return value >= PAGE_BYTES && value <= 2 ** 30 && Number.isInteger(Math.log2(value));
}

function mapSegment(
  k: Kernel,
  mm: Mm,
  file: Executable,
  phdr: ElfPhdr,
  bias: number,
  noReplace: boolean,
): number {
  const start = bias + phdr.vaddr;
  const skew = start % PAGE_BYTES;
  if (phdr.off % PAGE_BYTES !== skew) return -EINVAL;
  const prot = protOf(phdr);
  const fixed = noReplace ? MAP_FIXED_NOREPLACE : MAP_FIXED;
  if (phdr.fileBytes > 0) {
    const at = mapRegion(k, {
      gva: start - skew,
      bytes: pageUp(phdr.fileBytes + skew),
      prot,
      flags: MAP_PRIVATE | fixed,
      inode: file.inode,
      dentry: file.dentry,
      fileOffset: phdr.off - skew,
    }, mm);
    if (at < 0) return at;
  }
  return phdr.memBytes > phdr.fileBytes ? mapBss(k, mm, phdr, start, prot, fixed) : 0;
}

/** The zero part of a segment: the rest of its last file page, and fresh pages behind it. */
function mapBss(
  k: Kernel,
  mm: Mm,
  phdr: ElfPhdr,
  start: number,
  prot: number,
  fixed: number,
): number {
  const fileEnd = start + phdr.fileBytes;
  const firstFresh = phdr.fileBytes > 0 ? pageUp(fileEnd) : pageDown(start);
  const end = pageUp(start + phdr.memBytes);
  if (end > firstFresh) {
    const at = mapRegion(k, {
      gva: firstFresh,
      bytes: end - firstFresh,
      prot,
      flags: MAP_PRIVATE | MAP_ANONYMOUS | fixed,
    }, mm);
    if (at < 0) return at;
  }
  // Linux: padzero() clears to the end of the page (ld.so allocates there); a read-only segment's
  // tail is left as the file has it.
  const tail = firstFresh - fileEnd;
  if (tail > 0 && phdr.fileBytes > 0 && (prot & PROT_WRITE) !== 0) {
    if (clearUser(k, fileEnd, tail) !== tail) return -EFAULT;
  }
  return 0;
}

function describe(image: ElfImage, loads: ElfPhdr[], bias: number): MappedImage | number {
  const code = loads.filter((phdr) => (phdr.flags & PF_X) !== 0);
  const fileEnds = loads.map((phdr) => bias + phdr.vaddr + phdr.fileBytes);
  const last = loads[loads.length - 1];
  if (last === undefined) return -ENOMEM;
  return {
    bias,
    entry: bias + image.entry,
    phdrs: phdrsAddress(image, loads, bias),
    codeStart: bias + Math.min(...(code.length > 0 ? code : loads).map((phdr) => phdr.vaddr)),
    codeEnd: bias + Math.max(...(code.length > 0 ? code : loads).map((p) => p.vaddr + p.fileBytes)),
    dataStart: bias + last.vaddr,
    dataEnd: Math.max(...fileEnds),
    end: bias + Math.max(...loads.map((phdr) => phdr.vaddr + phdr.memBytes)),
  };
}

function phdrsAddress(image: ElfImage, loads: ElfPhdr[], bias: number): number {
  const own = image.phdrs.find((phdr) => phdr.type === PT_PHDR);
  if (own !== undefined) return bias + own.vaddr;
  const holder = loads.find((phdr) =>
    phdr.off <= image.phoff && image.phoff < phdr.off + phdr.fileBytes);
  return holder === undefined ? 0 : bias + holder.vaddr + image.phoff - holder.off;
}
