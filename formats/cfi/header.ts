// What a func-image's header says: the types, and the limits that every reader keeps.
//
// Field names are the keys in the file; formats/cfi.cddl describes the same and
// docs/format-cfi.md explains it. Nothing here names the time, the host or the user, so that
// packing one checkpoint twice gives the same bytes.
// Integers are below 2^53 and numbers, except where all 64 bits may be used: those are bigint.

/** In the order in which sections lie in a file. */
export const cfiSectionKinds: readonly CfiSectionKind[] = [
  'objects',
  'relations',
  'tables',
  'io',
  'frames',
];

export const cfiPageBytes = 4096;
/** Of the CBOR header alone. */
export const cfiHeaderBytesMax: number = 1 << 20;
/** Files are smaller than this. */
export const cfiFileBytesEnd: number = 2 ** 40;

/** What a section's size must be: smaller than `end` and a multiple of `unit`. */
export interface CfiSectionLimit {
  unit: number;
  end: number;
}

export const cfiSectionLimits: Readonly<Record<CfiSectionKind, CfiSectionLimit>> = {
  objects: { unit: 8, end: 1 << 30 },
  relations: { unit: 8, end: 1 << 30 },
  tables: { unit: cfiPageBytes, end: 1 << 30 },
  io: { unit: 1, end: 1 << 24 },
  frames: { unit: cfiPageBytes, end: cfiFileBytesEnd },
};

export type CfiSectionKind = 'objects' | 'relations' | 'tables' | 'io' | 'frames';

/** SHA-256 of the parts, one after the other: 32 bytes. */
export type Sha256 = (parts: Uint8Array[]) => Uint8Array;

export interface CfiSection {
  kind: CfiSectionKind;
  /** Off of the first byte in the file, a multiple of 4096. */
  offset: number;
  /** Without the zeros that fill the last page. */
  bytes: number;
  /** Over these bytes, without the zeros. */
  sha256: Uint8Array;
}

export interface CfiObjects {
  /** Off of the root record in the objects section, a multiple of 8. */
  root: number;
  /** Records in the section, at least one. */
  count: number;
  /** State-memory address at which no relation has to be applied, a multiple of 8. */
  preferredBase: number;
}

export interface CfiMemory {
  /** Of the guest's memory, as it was started. */
  limitBytes: number;
  /** Frames in the frames section. */
  frames: number;
  /** How many of them, from the first on, are touched right after restore, in that order. */
  hotFrames: number;
  /** How many of those, from the first on, are written right after restore: the write set. */
  writeFrames: number;
  /** Page tables in the tables section, at least one; the first is the root. */
  tables: number;
}

export type CfiCpuBaseline = 'v2' | 'v3' | 'v4' | 'host';

/** One CPUID answer that the guest could see; all values are u32. */
export interface CfiCpuFeature {
  leaf: number;
  subleaf: number;
  eax: number;
  ebx: number;
  ecx: number;
  edx: number;
}

export interface CfiCpu {
  baseline: CfiCpuBaseline;
  xcr0: bigint;
  /** Of one thread's XSAVE area, at most 64 KiB. */
  xsaveBytes: number;
  /** Ascending by (leaf, subleaf), each once. */
  features: CfiCpuFeature[];
}

export interface CfiRootfs {
  /** As it was when the image was built; at most 4096 bytes. */
  path: string;
  /** True if no file of it is needed. */
  selfContained: boolean;
  /** At least one, where there are any; the guest kernel names them by their position. */
  volumes?: CfiVolume[];
}

/** A directory or file of the host that the guest sees at a place of its tree. */
export interface CfiVolume {
  /** As it was when the image was built; at most 4096 bytes, as `target`. */
  source: string;
  /** An absolute path. */
  target: string;
  readOnly: boolean;
}

/** Byte strings as execve(2) gets them, without their NULs. */
export interface CfiProgram {
  /** At least one. */
  argv: Uint8Array[];
  env: Uint8Array[];
  /** An absolute path. */
  cwd: Uint8Array;
}

export type CfiEntryKind = 'explicit' | 'listen' | 'stdin' | 'line' | 'checkpoint';

export interface CfiEntry {
  kind: CfiEntryKind;
  /** Of the kind `line`, and only there: what the program has printed. */
  line?: Uint8Array;
}

export interface CfiClock {
  /** True if the guest's clocks start at the values below in every build. */
  deterministic: boolean;
  realtimeNs: bigint;
  monotonicNs: bigint;
}

export interface CfiCreator {
  /** The version of catavmm. */
  catavmm: string;
}

/** All of the header but where the sections are. */
export interface CfiContent {
  /** Version of the guest kernel's records. */
  kernelAbi: number;
  /** SHA-256 of the description of all record kinds. */
  kernelSchema: Uint8Array;
  objects: CfiObjects;
  memory: CfiMemory;
  cpu: CfiCpu;
  rootfs: CfiRootfs;
  program: CfiProgram;
  entry: CfiEntry;
  clock: CfiClock;
  /** Digest (see cfiDigest()) of the image on which this one is based. */
  parent: Uint8Array | null;
  createdBy: CfiCreator;
}

export interface CfiHeader extends CfiContent {
  /** One of each kind, in the order of cfiSectionKinds. */
  sections: CfiSection[];
}

export type CfiIoKind =
  | 'file'
  | 'dir'
  | 'pipe'
  | 'socket'
  | 'eventfd'
  | 'epoll'
  | 'stdio'
  | 'device'
  | 'other';

/** Of a file when the image was saved: a changed one is not the same. */
export interface CfiIoIdentity {
  dev: bigint;
  ino: bigint;
  bytes: number;
  /** Since 1970, may be negative. */
  mtimeNs: bigint;
}

/** One open file descriptor; the io section is a CBOR array of these, ascending by fd. */
export interface CfiIoEntry {
  fd: number;
  /** In the guest; empty where there is none. At most 4096 bytes. */
  path: Uint8Array;
  kind: CfiIoKind;
  /** O_* as fcntl(F_GETFL) gives them. */
  flags: number;
  offset: number;
  /** Only for what exists on the host. */
  identity?: CfiIoIdentity;
  /** True if the first boots use it at once. */
  cached: boolean;
}
