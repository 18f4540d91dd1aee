// ELF64 for x86-64: the header, the program headers and what execve(2) makes of them.
//
//   0 magic, class …   16 type, machine   24 entry   32 phoff   54 phentsize, phnum   64
//   program header, 56 bytes: type flags | off | vaddr | paddr | fileBytes | memBytes | align
//
// Linux: load_elf_binary(), load_elf_phdrs() and elf_read() decide what is refused and how; the
// class, the byte order and the versions are not looked at there, so they are not here. A fault
// that Linux finds after it has let go of the old program is a SIGSEGV: `fatal` says so.
// Sources: elf(5), System V ABI "Object Files", and the answers of Linux 6.18 to each case.

/** PT_*: kinds of segments. */
export const PT_LOAD = 1;
export const PT_DYNAMIC = 2;
export const PT_INTERP = 3;
export const PT_PHDR = 6;
export const PT_TLS = 7;
export const PT_GNU_STACK = 0x6474e551;

/** PF_*: permissions of a segment. */
export const PF_X = 1;
export const PF_W = 2;
export const PF_R = 4;

const ET_EXEC = 2;
const ET_DYN = 3;
const EM_386 = 3;
const EM_X86_64 = 62;
const ELFCLASS32 = 1;
const ELFDATA2MSB = 2;

const magic = 0x7f454c46;
const headerBytes = 64;
const phdrBytes = 56;
const pageBytes = 4096;
/** Linux: load_elf_phdrs() wants the whole table to fit into a page. */
const phdrsBytesMax = pageBytes;
/** Linux: TASK_SIZE with four levels of page tables. */
const taskBytes = 0x7fff_ffff_f000;
/** Linux: PATH_MAX, with the final NUL. */
const pathBytesMax = 4096;

/** One program header. Fields that Linux ignores for its type are not exact above 2^53. */
export interface ElfPhdr {
  type: number;
  /** PF_R | PF_W | PF_X */
  flags: number;
  off: number;
  vaddr: number;
  paddr: number;
  /** Bytes in the file (p_filesz). */
  fileBytes: number;
  /** Bytes in memory (p_memsz); those after fileBytes are zero. */
  memBytes: number;
  align: number;
}

/** Where the path of the interpreter is, and the path itself, without its NUL. */
export interface ElfInterp {
  off: number;
  /** With the NUL. */
  bytes: number;
  path: Uint8Array;
}

export interface ElfImage {
  type: 'exec' | 'dyn';
  entry: number;
  phoff: number;
  phentBytes: number;
  /** At least one of them is PT_LOAD; each PT_LOAD fits into the address space. */
  phdrs: ElfPhdr[];
  /** The first PT_INTERP; never there in the role of an interpreter. */
  interp?: ElfInterp;
  /** Of the last PT_GNU_STACK; PF_R | PF_W if there is none. */
  stackFlags: number;
}

export type ElfErrno = 'ENOEXEC' | 'ELIBBAD' | 'EINVAL' | 'EIO';

/** Why a file is not run. */
export class ElfError extends Error {
  override readonly name: string = 'ElfError';
  readonly code: string = 'CATAVMM_ELF';
  /** What execve(2) returns. */
  readonly errno: ElfErrno;
  /** True if Linux has let go of the old program by then: SIGSEGV instead of the errno. */
  readonly fatal: boolean;

  constructor(errno: ElfErrno, sentence: string, fatal: boolean = false) {
    super(sentence);
    this.errno = errno;
    this.fatal = fatal;
  }
}

/** Returns up to `count` bytes at file offset `off`; fewer only at the end of the file. */
export type ElfReader = (off: number, count: number) => Uint8Array;

export interface ElfOptions {
  /** As what the file is to be run; an interpreter fails with ELIBBAD, not ENOEXEC. */
  role?: 'program' | 'interpreter';
  /** Reads what `bytes` does not hold; without it `bytes` is taken for the whole file. */
  readAt?: ElfReader;
}

interface Source {
  bytes: Uint8Array;
  readAt: ElfReader | undefined;
  /** Of everything before the point of no return. */
  errno: 'ENOEXEC' | 'ELIBBAD';
}

/** Invariant: a view of at most `count` bytes. Off and count may be anything ≥ 0. */
function readSource(source: Source, off: number, count: number): DataView {
  const { bytes, readAt } = source;
  let part = bytes.subarray(Math.min(off, bytes.length), Math.min(off + count, bytes.length));
  if (part.length < count && readAt !== undefined) part = readAt(off, count).subarray(0, count);
  return new DataView(part.buffer, part.byteOffset, part.byteLength);
}

/** A u64; not exact above 2^53. */
function readU64(view: DataView, off: number): number {
  return view.getUint32(off + 4, true) * 2 ** 32 + view.getUint32(off, true);
}

function checkHeader(source: Source, view: DataView): void {
  const { errno } = source;
  const isProgram = errno === 'ENOEXEC';
  if (!isProgram && view.byteLength < headerBytes) {
    throw new ElfError('EIO', 'The interpreter is shorter than an ELF header.');
  }
  if (view.byteLength < 4 || view.getUint32(0) !== magic) {
    throw new ElfError(errno, 'The file is not an ELF file.');
  }
  if (view.byteLength < headerBytes) {
    throw new ElfError(errno, 'The file ends inside its ELF header.');
  }
  const machine = view.getUint16(18, true);
  if (machine !== EM_X86_64) {
    let named = `for machine ${machine}`;
    if (machine === EM_386) named = 'for 32-bit x86';
    if (view.getUint8(5) === ELFDATA2MSB) named = 'for a big-endian machine';
    throw new ElfError(errno, `The ELF file is ${named}, not for x86-64.`);
  }
  const type = view.getUint16(16, true);
  if (type === ET_EXEC || type === ET_DYN) return;
  const sentence = `The ELF file is of type ${type}, neither executable nor shared object.`;
  // Linux: load_elf_interp() asks for the type of an interpreter only when it maps it.
  throw new ElfError(errno, sentence, !isProgram);
}

function readPhdr(view: DataView, off: number): ElfPhdr {
  return {
    type: view.getUint32(off, true),
    flags: view.getUint32(off + 4, true),
    off: readU64(view, off + 8),
    vaddr: readU64(view, off + 16),
    paddr: readU64(view, off + 24),
    fileBytes: readU64(view, off + 32),
    memBytes: readU64(view, off + 40),
    align: readU64(view, off + 48),
  };
}

function readPhdrs(source: Source, header: DataView, phoff: number): ElfPhdr[] {
  const { errno } = source;
  const phentBytes = header.getUint16(54, true);
  if (phentBytes !== phdrBytes) {
    const sentence = header.getUint8(4) === ELFCLASS32
      ? 'The ELF file is a 32-bit one.'
      : `The ELF file has program headers of ${phentBytes} bytes, not ${phdrBytes}.`;
    throw new ElfError(errno, sentence);
  }
  const count = header.getUint16(56, true);
  const bytes = count * phdrBytes;
  if (count === 0) throw new ElfError(errno, 'The ELF file has no program headers.');
  if (bytes > phdrsBytesMax) {
    throw new ElfError(errno, `The ELF file has too many program headers (${count}).`);
  }
  const view = Number.isSafeInteger(phoff) ? readSource(source, phoff, bytes) : undefined;
  if (view === undefined || view.byteLength < bytes) {
    throw new ElfError(errno, 'The program headers are not inside the ELF file.');
  }
  return Array.from({ length: count }, (_, index) => readPhdr(view, index * phdrBytes));
}

function readInterp(source: Source, phdr: ElfPhdr): ElfInterp {
  const { off, fileBytes: bytes } = phdr;
  if (bytes < 2 || bytes > pathBytesMax) {
    throw new ElfError('ENOEXEC', 'The path of the interpreter is too short or too long.');
  }
  // Linux: kernel_read() refuses a negative offset before it looks for the end of the file.
  if (off >= 2 ** 63) {
    throw new ElfError('EINVAL', 'The path of the interpreter is at an impossible offset.');
  }
  const view = readSource(source, off, bytes);
  if (view.byteLength < bytes) {
    throw new ElfError('EIO', 'The path of the interpreter is not inside the ELF file.');
  }
  if (view.getUint8(bytes - 1) !== 0) {
    throw new ElfError('ENOEXEC', 'The path of the interpreter does not end with a NUL.');
  }
  const path = Uint8Array.from({ length: bytes }, (_, index) => view.getUint8(index));
  return { off, bytes, path: path.slice(0, path.indexOf(0)) };
}

/** Linux: the checks in load_elf_binary() and elf_map() that end in SIGSEGV. */
function checkLoad(phdr: ElfPhdr): void {
  const { off, vaddr, fileBytes, memBytes } = phdr;
  if (fileBytes > memBytes) {
    throw new ElfError('EINVAL', 'A segment is longer in the file than in memory.', true);
  }
  if (vaddr >= taskBytes || memBytes > taskBytes - vaddr) {
    throw new ElfError('EINVAL', 'A segment does not fit into the address space.', true);
  }
  if (fileBytes === 0) return;
  if (!Number.isSafeInteger(off)) {
    throw new ElfError('EINVAL', 'A segment is at an impossible file offset.', true);
  }
  if (off % pageBytes !== vaddr % pageBytes) {
    throw new ElfError('EINVAL', 'A segment is placed differently in its page and its file.', true);
  }
}

/**
 * Parses the file whose beginning (at least 64 bytes, or all of it) is `bytes`.
 *
 * Throws ElfError where execve(2) fails or kills the process, and nothing else. Not looked at:
 * whether segments overlap, lie inside the file, or whether the entry is in one of them; Linux
 * does not either.
 */
export function parseElf(bytes: Uint8Array, options: ElfOptions = {}): ElfImage {
  const isProgram = options.role !== 'interpreter';
  const errno = isProgram ? 'ENOEXEC' : 'ELIBBAD';
  const source: Source = { bytes, readAt: options.readAt, errno };
  const header = readSource(source, 0, headerBytes);
  checkHeader(source, header);
  const phoff = readU64(header, 32);
  const phdrs = readPhdrs(source, header, phoff);
  const interpPhdr = isProgram ? phdrs.find(({ type }) => type === PT_INTERP) : undefined;
  const interp = interpPhdr === undefined ? undefined : readInterp(source, interpPhdr);
  const loads = phdrs.filter(({ type }) => type === PT_LOAD);
  if (loads.length === 0) {
    throw new ElfError('EINVAL', 'The ELF file has no segment to load.', true);
  }
  loads.forEach(checkLoad);
  const entry = readU64(header, 24);
  if (!Number.isSafeInteger(entry)) {
    throw new ElfError('EINVAL', 'The entry is outside the address space.', true);
  }
  return {
    type: header.getUint16(16, true) === ET_EXEC ? 'exec' : 'dyn',
    entry,
    phoff,
    phentBytes: phdrBytes,
    phdrs,
    ...(interp === undefined ? {} : { interp }),
    stackFlags: phdrs.findLast(({ type }) => type === PT_GNU_STACK)?.flags ?? (PF_R | PF_W),
  };
}
