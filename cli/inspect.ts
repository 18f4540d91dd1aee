// What `inspect` finds out about an image, as data; commands/inspect.ts shows it.

import { decodeIoTable, cfiDigest } from '../formats/cfi/read.ts';
import type { CfiHeader, CfiIoEntry, CfiSection } from '../formats/cfi/header.ts';
import { diffFrames } from '../formats/cfi/diff.ts';
import type { CfiPages, PageDifference } from '../formats/cfi/diff.ts';
import { findSection } from '../formats/cfi/read.ts';
import { imageGeometry } from '../vmm/boot/image/image-geometry.ts';
import type { ImageChain } from '../vmm/boot/image/image-chain.ts';
import type { ImageFile } from '../vmm/boot/image/image-file.ts';
import { inspectLayers, type Layers } from './inspect-layers.ts';
import { walkRecords } from '../vmm/boot/image/verify.ts';
import { KIND } from '../vmm/kernel/state/kinds.ts';

const pageBytes = 4096;

/** Records of one kind. */
export interface KindCount {
  kind: string;
  count: number;
  bytes: number;
}

export interface Inspection {
  image: string;
  bytes: number;
  /** SHA-256 that identifies the image. */
  digest: Uint8Array;
  header: Omit<CfiHeader, 'sections'>;
  sections: CfiSection[];
  /** Largest share of bytes first. */
  objects: KindCount[];
  relations: number;
  io: CfiIoEntry[];
  layers: Layers;
}

const kindNames: ReadonlyMap<number, string> = new Map(
  Object.entries(KIND).map(([name, id]) => [id, name]));

/** Counts an objects section's records by kind. */
export function countByKind(objects: Uint8Array): KindCount[] {
  const counts = new Map<number, KindCount>();
  for (const { kind, bytes } of walkRecords(objects)) {
    const known = counts.get(kind);
    if (known === undefined) {
      counts.set(kind, { kind: kindNames.get(kind) ?? `kind ${kind}`, count: 1, bytes });
      continue;
    }
    known.count++;
    known.bytes += bytes;
  }
  return [...counts.values()].sort((a, b) => b.bytes - a.bytes || (a.kind < b.kind ? -1 : 1));
}

/** Reads all but frames and tables. @throws CfiError when the I/O table is malformed */
export function inspectImage(file: ImageFile): Inspection {
  const { sections, ...header } = file.header;
  return {
    image: file.path,
    bytes: file.fileBytes,
    digest: cfiDigest(file.read(0, file.headerEnd)),
    header,
    sections,
    objects: countByKind(file.readSection('objects')),
    relations: findSection(file.header, 'relations').bytes / 8,
    io: decodeIoTable(file.readSection('io')),
    layers: inspectLayers(file.path, header.memory.frames),
  };
}

/** The same with texts for byte strings, which are text nearly always. */
export function inspectionToJson(inspection: Inspection): object {
  const decoder = new TextDecoder();
  const text = (bytes: Uint8Array): string => decoder.decode(bytes);
  const { header, io, ...rest } = inspection;
  const { program, entry } = header;
  return {
    ...rest,
    header: {
      ...header,
      program: { argv: program.argv.map(text), env: program.env.map(text), cwd: text(program.cwd) },
      entry: entry.line === undefined ? entry : { kind: entry.kind, line: text(entry.line) },
    },
    io: io.map((item) => ({ ...item, path: text(item.path) })),
  };
}

/** Access to an image's pages for diffFrames(). */
function pagesOf(chain: ImageChain): CfiPages {
  const tables = chain.image.readSection('tables');
  return {
    header: chain.image.header,
    frameCount: chain.frames,
    readTable: (index) => tables.subarray(index * pageBytes, (index + 1) * pageBytes),
    readFrame: (index) => chain.readFrame(index),
  };
}

/** Lists the guest pages that differ. @throws CfiError for malformed page tables */
export function diffImages(a: ImageChain, b: ImageChain): PageDifference[] {
  return [...diffFrames(pagesOf(a), pagesOf(b), imageGeometry)];
}
