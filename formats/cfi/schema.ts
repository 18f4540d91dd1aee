// The header's and the I/O table's schema, and what must hold between their fields.
//
// Everything a reader may rely on is checked here or in layout.ts; what only the guest kernel
// can judge (is `root` the start of a record?) is not.

import { CfiError } from './error.ts';
import {
  bool, bytes, checkAs, cString, list, map, nullOr, oneOf, refuse, text, uint, wide,
} from './fields.ts';
import type { Check } from './fields.ts';
import { cfiFileBytesEnd, cfiPageBytes, cfiSectionKinds, cfiSectionLimits } from './header.ts';
import type {
  CfiClock, CfiCpu, CfiCpuFeature, CfiCreator, CfiEntry, CfiHeader, CfiIoEntry, CfiIoIdentity,
  CfiMemory, CfiObjects, CfiProgram, CfiRootfs, CfiSection, CfiSectionKind,
  CfiVolume,
} from './header.ts';

const u32: Check<number> = uint(2 ** 32 - 1);
const safe: Check<number> = uint(Number.MAX_SAFE_INTEGER);
const digest: Check<Uint8Array> = bytes(32, 32);
const pathBytesMax = 4096;
/** Linux: MAX_ARG_STRLEN, without the NUL. */
const argBytesMax: number = 32 * 4096 - 1;
const argCountMax = 100_000;
const volumeCountMax = 63;
const xsaveBytesMax: number = 1 << 16;
const fdEnd: number = 1 << 30;

const section = map<CfiSection>({
  kind: oneOf(cfiSectionKinds),
  offset: uint(cfiFileBytesEnd - 1),
  bytes: uint(cfiFileBytesEnd - 1),
  sha256: digest,
}, {});

const cpuid = map<CfiCpuFeature>(
  { leaf: u32, subleaf: u32, eax: u32, ebx: u32, ecx: u32, edx: u32 },
  {},
);

const volume = map<CfiVolume>(
  { source: text(pathBytesMax), target: text(pathBytesMax), readOnly: bool() },
  {},
);

const header = map<CfiHeader>({
  kernelAbi: u32,
  kernelSchema: digest,
  sections: list(section, cfiSectionKinds.length, cfiSectionKinds.length),
  objects: map<CfiObjects>({ root: u32, count: uint(2 ** 32 - 1, 1), preferredBase: u32 }, {}),
  memory: map<CfiMemory>({
    limitBytes: safe, frames: u32, hotFrames: u32, writeFrames: u32, tables: u32,
  }, {}),
  cpu: map<CfiCpu>({
    baseline: oneOf(['v2', 'v3', 'v4', 'host']),
    xcr0: wide(),
    xsaveBytes: uint(xsaveBytesMax),
    features: list(cpuid, 1024),
  }, {}),
  rootfs: map<CfiRootfs>(
    { path: text(pathBytesMax), selfContained: bool() },
    { volumes: list(volume, volumeCountMax, 1) },
  ),
  program: map<CfiProgram>({
    argv: list(cString(argBytesMax), argCountMax, 1),
    env: list(cString(argBytesMax), argCountMax),
    cwd: cString(pathBytesMax),
  }, {}),
  entry: map<CfiEntry>(
    { kind: oneOf(['explicit', 'listen', 'stdin', 'line', 'checkpoint']) },
    { line: bytes(1, 65536) },
  ),
  clock: map<CfiClock>({ deterministic: bool(), realtimeNs: wide(), monotonicNs: wide() }, {}),
  parent: nullOr(digest),
  createdBy: map<CfiCreator>({ catavmm: text(100) }, {}),
}, {});

const ioEntry = map<CfiIoEntry>({
  fd: uint(fdEnd - 1),
  path: cString(pathBytesMax),
  kind: oneOf([
    'file', 'dir', 'pipe', 'socket', 'eventfd', 'epoll', 'stdio', 'device', 'other',
  ]),
  flags: u32,
  offset: safe,
  cached: bool(),
}, {
  identity: map<CfiIoIdentity>(
    { dev: wide(), ino: wide(), bytes: safe, mtimeNs: wide(-(1n << 63n)) },
    {},
  ),
});

const ioTable: Check<CfiIoEntry[]> = list(ioEntry, 1 << 20);

/** The size of a section, out of a header that passed the schema. */
function sectionBytes(value: CfiHeader, kind: CfiSectionKind): number {
  return value.sections.find((candidate) => candidate.kind === kind)?.bytes ?? 0;
}

function checkSections({ sections }: CfiHeader): void {
  for (const [index, { kind, bytes: count }] of sections.entries()) {
    if (kind !== cfiSectionKinds[index]) {
      const order = cfiSectionKinds.join(', ');
      throw new CfiError('layout', `The func-image's sections are not ${order}, in this order.`);
    }
    const { unit, end } = cfiSectionLimits[kind];
    if (count >= end) {
      throw new CfiError('too-large', `The func-image's ${kind} section is too large.`);
    }
    if (count % unit !== 0) refuse(`the size of the ${kind} section`, `a multiple of ${unit}`);
  }
}

function checkFeatures(features: CfiCpuFeature[]): void {
  features.forEach((feature, index) => {
    const before = features[index - 1];
    if (before !== undefined && compareFeatures(before, feature) >= 0) {
      refuse(`cpu.features[${index}]`, 'after the one before it');
    }
  });
}

/** Orders by leaf, then subleaf. */
export function compareFeatures(left: CfiCpuFeature, right: CfiCpuFeature): number {
  return left.leaf - right.leaf || left.subleaf - right.subleaf;
}

/** What the schema of single fields cannot say. */
function checkBetween(value: CfiHeader): void {
  const { objects, memory, cpu, program, entry } = value;
  checkSections(value);
  const objectBytes = sectionBytes(value, 'objects');
  if (objects.root % 8 !== 0 || objects.root >= objectBytes) {
    refuse('objects.root', 'a place in the objects section');
  }
  if (objects.count > objectBytes / 8) refuse('objects.count', 'possible in so few bytes');
  if (objects.preferredBase % 8 !== 0 || objects.preferredBase + objectBytes > 2 ** 32) {
    refuse('objects.preferredBase', 'a possible address');
  }
  if (memory.frames !== sectionBytes(value, 'frames') / cfiPageBytes) {
    refuse('memory.frames', 'the number of pages in the frames section');
  }
  if (memory.hotFrames > memory.frames) refuse('memory.hotFrames', 'at most memory.frames');
  if (memory.writeFrames > memory.hotFrames) {
    refuse('memory.writeFrames', 'at most memory.hotFrames');
  }
  if (memory.tables < 1 || memory.tables !== sectionBytes(value, 'tables') / cfiPageBytes) {
    refuse('memory.tables', 'the number of pages, at least one, in the tables section');
  }
  if (sectionBytes(value, 'io') < 1) refuse('the io section', 'a table');
  checkFeatures(cpu.features);
  if (program.cwd[0] !== 0x2f) refuse('program.cwd', 'an absolute path');
  if (entry.kind === 'line' && !('line' in entry)) refuse('entry.line', 'there');
  if (entry.kind !== 'line' && 'line' in entry) refuse('entry.line', `for kind ${entry.kind}`);
}

/** Turns a decoded header into its type; throws CfiError. */
export function checkHeader(value: unknown): CfiHeader {
  const checked = checkAs(header, value, '');
  checkBetween(checked);
  return checked;
}

/** Turns a decoded I/O table into its type; throws CfiError. */
export function checkIoTable(value: unknown): CfiIoEntry[] {
  const entries = checkAs(ioTable, value, 'io');
  entries.forEach(({ fd }, index) => {
    const before = entries[index - 1];
    if (before !== undefined && before.fd >= fd) refuse(`io[${index}].fd`, 'above the one before');
  });
  return entries;
}
