// The vDSO as an ELF file of one page (vdso(7)): what a C library finds through AT_SYSINFO_EHDR,
// with the names and the version that Linux gives its functions on x86-64.
//
//   0x000 header     0x0b0 hash     0x168 versions of symbols   0x1b0 names     0x400 code
//   0x040 segments   0x0d8 symbols  0x178 definitions           0x240 dynamic
//
// Sources: System V ABI "Object Files", "Dynamic Linking"; LSB "Symbol Versioning".
import { PF_R, PF_X, PT_DYNAMIC, PT_LOAD } from '../../../formats/elf.ts';
import { PAGE_BYTES } from '../ports.ts';
import { VDSO_CODE_BYTES, vdsoFunctions, writeVdsoCode } from './code.ts';

const SONAME = 'linux-vdso.so.1';
const VERSION = 'LINUX_2.6';
/** Where its parts begin; drawn above. */
const AT = {
  segments: 0x40, hash: 0xb0, symbols: 0xd8, versions: 0x168, definitions: 0x178, names: 0x1b0,
  dynamic: 0x240, code: 0x400,
};
const SYMBOL_BYTES = 24;
const DEFINITION_BYTES = 28;
const GLOBAL_FUNCTION = 0x12;
/** Any section: it is not undefined, and not absolute. There is no table of sections. */
const SOME_SECTION = 1;
const VERSION_INDEX = 2;
const VER_FLG_BASE = 1;
const DT = {
  HASH: 4, STRTAB: 5, SYMTAB: 6, STRSZ: 10, SYMENT: 11, SONAME: 14,
  VERSYM: 0x6fff_fff0, VERDEF: 0x6fff_fffc, VERDEFNUM: 0x6fff_fffd,
};

let page: Uint8Array | null = null;

/** The file; not to be written. */
export function vdsoPage(): Uint8Array {
  page ??= makePage();
  return page;
}

function makePage(): Uint8Array {
  const bytes = new Uint8Array(PAGE_BYTES);
  const view = new DataView(bytes.buffer);
  const names = new Names(bytes);
  writeHeader(bytes, view);
  writeSegments(view);
  writeSymbols(view, names);
  writeDefinitions(view, names);
  writeDynamic(view, names);
  writeVdsoCode(bytes.subarray(AT.code));
  return bytes;
}

/** The string table: each name once, after an empty one. */
class Names {
  readonly #bytes: Uint8Array;
  #end: number = 1;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get length(): number {
    return this.#end;
  }

  /** Offset of a name in the table. */
  add(name: string): number {
    const offset = this.#end;
    this.#bytes.set(new TextEncoder().encode(name), AT.names + offset);
    this.#end += name.length + 1;
    return offset;
  }
}

function writeHeader(bytes: Uint8Array, view: DataView): void {
  bytes.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]); // ELF, 64 bits, little-endian, version 1
  view.setUint16(16, 3, true); // ET_DYN
  view.setUint16(18, 62, true); // EM_X86_64
  view.setUint32(20, 1, true);
  view.setUint32(32, AT.segments, true);
  view.setUint16(52, 64, true);
  view.setUint16(54, 56, true);
  view.setUint16(56, 2, true);
}

function writeSegments(view: DataView): void {
  writeSegment(view, AT.segments, PT_LOAD, PF_R | PF_X, 0, AT.code + VDSO_CODE_BYTES);
  writeSegment(view, AT.segments + 56, PT_DYNAMIC, PF_R, AT.dynamic, AT.code - AT.dynamic);
}

function writeSegment(
  view: DataView, at: number, type: number, flags: number, start: number, bytes: number,
): void {
  view.setUint32(at, type, true);
  view.setUint32(at + 4, flags, true);
  for (const field of [8, 16, 24]) view.setUint32(at + field, start, true);
  for (const field of [32, 40]) view.setUint32(at + field, bytes, true);
  view.setUint32(at + 48, type === PT_LOAD ? PAGE_BYTES : 8, true);
}

/** Symbol 0 is none. All are in one chain of the hash table: there are few. */
function writeSymbols(view: DataView, names: Names): void {
  const count = vdsoFunctions.length + 1;
  view.setUint32(AT.hash, 1, true);
  view.setUint32(AT.hash + 4, count, true);
  view.setUint32(AT.hash + 8, 1, true);
  vdsoFunctions.forEach(({ name, offset, bytes }, index) => {
    const number = index + 1;
    const next = number + 1 < count ? number + 1 : 0;
    view.setUint32(AT.hash + 12 + number * 4, next, true);
    const at = AT.symbols + number * SYMBOL_BYTES;
    view.setUint32(at, names.add(name), true);
    view.setUint8(at + 4, GLOBAL_FUNCTION);
    view.setUint16(at + 6, SOME_SECTION, true);
    view.setUint32(at + 8, AT.code + offset, true);
    view.setUint32(at + 16, bytes, true);
    view.setUint16(AT.versions + number * 2, VERSION_INDEX, true);
  });
}

function writeDefinitions(view: DataView, names: Names): void {
  const { definitions } = AT;
  writeDefinition(view, definitions, VER_FLG_BASE, 1, SONAME, names);
  view.setUint32(definitions + 16, DEFINITION_BYTES, true); // the next one
  writeDefinition(view, definitions + DEFINITION_BYTES, 0, VERSION_INDEX, VERSION, names);
}

function writeDefinition(
  view: DataView, at: number, flags: number, index: number, name: string, names: Names,
): void {
  view.setUint16(at, 1, true);
  view.setUint16(at + 2, flags, true);
  view.setUint16(at + 4, index, true);
  view.setUint16(at + 6, 1, true);
  view.setUint32(at + 8, hashOf(name), true);
  view.setUint32(at + 12, 20, true);
  view.setUint32(at + 20, names.add(name), true);
}

function writeDynamic(view: DataView, names: Names): void {
  const entries: [number, number][] = [
    [DT.SONAME, names.add(SONAME)],
    [DT.HASH, AT.hash],
    [DT.STRTAB, AT.names],
    [DT.SYMTAB, AT.symbols],
    [DT.STRSZ, names.length],
    [DT.SYMENT, SYMBOL_BYTES],
    [DT.VERSYM, AT.versions],
    [DT.VERDEF, AT.definitions],
    [DT.VERDEFNUM, 2],
  ];
  entries.forEach(([tag, value], index) => {
    view.setUint32(AT.dynamic + index * 16, tag, true);
    view.setUint32(AT.dynamic + index * 16 + 8, value, true);
  });
}

/** The ABI's hash of a name. */
function hashOf(name: string): number {
  let hash = 0;
  for (const char of new TextEncoder().encode(name)) {
    hash = hash * 16 + char;
    const high = Math.floor(hash / 0x1000_0000) & 0xf;
    hash = (hash ^ (high << 4)) & 0x0fff_ffff;
  }
  return hash;
}
