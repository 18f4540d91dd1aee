// A small but complete func-image for the tests of the format.

import { createHash } from 'node:crypto';
import { cfiSectionKinds } from '../../../formats/cfi/header.ts';
import type {
  CfiContent, CfiIoEntry, CfiSectionKind, Sha256,
} from '../../../formats/cfi/header.ts';
import { encodeCfi, encodeIoTable } from '../../../formats/cfi/write.ts';
import type { CfiBeginning, CfiSectionDigest } from '../../../formats/cfi/write.ts';

const utf8: TextEncoder = new TextEncoder();

export const sha256: Sha256 = (parts) => {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return new Uint8Array(hash.digest());
};

/** `count` bytes that depend on `seed`. */
export function fillBytes(count: number, seed: number): Uint8Array<ArrayBuffer> {
  return Uint8Array.from({ length: count }, (_, index) => (index * 31 + seed * 17) & 0xff);
}

/** Everything that may be in an I/O table. */
export function makeIoEntries(): CfiIoEntry[] {
  const identity = { dev: 2049n, ino: (1n << 64n) - 1n, bytes: 123456, mtimeNs: -1n };
  return [
    { fd: 0, path: utf8.encode(''), kind: 'stdio', flags: 0, offset: 0, cached: true },
    {
      fd: 3, path: Uint8Array.of(0x2f, 0xff), kind: 'file', flags: 0o2000000, offset: 17,
      identity, cached: false,
    },
  ];
}

/** A header in which each field is there, for the sections of makeSections(). */
export function makeContent(): CfiContent {
  return {
    kernelAbi: 3,
    kernelSchema: sha256([utf8.encode('schema')]),
    objects: { root: 16, count: 5, preferredBase: 0x20_0000 },
    memory: { limitBytes: 2 ** 33, frames: 3, hotFrames: 2, writeFrames: 1, tables: 4 },
    cpu: {
      baseline: 'v3',
      xcr0: (1n << 63n) | 7n,
      xsaveBytes: 4096,
      features: [
        { leaf: 0x80000001, subleaf: 0, eax: 0, ebx: 0, ecx: 1, edx: 0xffffffff },
        { leaf: 7, subleaf: 1, eax: 1, ebx: 2, ecx: 3, edx: 4 },
        { leaf: 7, subleaf: 0, eax: 5, ebx: 6, ecx: 7, edx: 8 },
      ],
    },
    rootfs: { path: '/', selfContained: false },
    program: {
      argv: ['python3', '-c', ''].map((argument) => utf8.encode(argument)),
      env: [utf8.encode('LANG=C.UTF-8'), Uint8Array.of(0x41, 0x3d, 0xff)],
      cwd: utf8.encode('/srv'),
    },
    entry: { kind: 'line', line: utf8.encode('ready') },
    clock: { deterministic: false, realtimeNs: 1_764_000_000_000_000_000n, monotonicNs: 12n },
    parent: sha256([utf8.encode('parent')]),
    createdBy: { catavmm: '0.1.0' },
  };
}

/** The bytes of each section. */
export function makeSections(): Record<CfiSectionKind, Uint8Array> {
  return {
    objects: fillBytes(4104, 1),
    relations: fillBytes(80, 2),
    tables: fillBytes(4 * 4096, 3),
    io: encodeIoTable(makeIoEntries()),
    frames: fillBytes(3 * 4096, 5),
  };
}

export function digestSections(sections: Record<CfiSectionKind, Uint8Array>): CfiSectionDigest[] {
  return cfiSectionKinds.map((kind) => {
    const bytes = sections[kind];
    return { kind, bytes: bytes.length, sha256: sha256([bytes]) };
  });
}

/** A whole file, and how it was made. */
export function makeImage(content: CfiContent = makeContent()): {
  file: Uint8Array<ArrayBuffer>;
  beginning: CfiBeginning;
} {
  const sections = makeSections();
  const beginning = encodeCfi({ header: content, sections: digestSections(sections) }, sha256);
  const file = new Uint8Array(beginning.fileBytes);
  file.set(beginning.prologueAndHeader);
  for (const { kind, offset } of beginning.sections) file.set(sections[kind], offset);
  return { file, beginning };
}
