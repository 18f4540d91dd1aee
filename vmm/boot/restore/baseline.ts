// Boots with techniques turned off, to measure what each is worth (docs/evaluation.md): `--without
// NAME` and `--eager`, a restore as checkpoint/restore does it. Loaded only when asked for; what it
// prepares is made before the clock of the report starts.
import { decodeSequence, encodeSequence } from '../../../formats/cbor-sequence.ts';
import { wantedTechniques, type BaselineOptions, type Technique } from '../../options.ts';
import { arenaBytesFor } from '../../kernel/make-kernel.ts';
import type { Kernel } from '../../kernel/kernel.ts';
import { pfnAt, PTE_RW, PTE_SHARED } from '../../kernel/mm/pte.ts';
import { visitPresent } from '../../kernel/mm/tables.ts';
import { USER_END } from '../../kernel/mm/user-memory.ts';
import { PAGE_BYTES } from '../../kernel/ports.ts';
import type { Mm } from '../../kernel/records/mm.ts';
import { Arena } from '../../kernel/state/arena.ts';
import { u16, u32, u8 } from '../../kernel/state/memory.ts';
import { type Kind, kinds, type PlacedField, type Rec } from '../../kernel/state/record.ts';
import { listSpaces } from '../../kernel/task/family.ts';
import { connectLowerFiles } from '../../kernel/vfs/connect.ts';
import { MAP_SHARED, PROT_WRITE } from '../../abi/mman.ts';
import type { HotRun } from '../../../wasm/merge.ts';
import { ImageError } from '../image/image-error.ts';
import { readSnapshotFrames, type Snapshot } from './snapshot.ts';

/** What takes the place of the techniques that are off; null for those that are on. */
export interface Baseline {
  readonly without: readonly Technique[];
  /** Makes the records one by one; gives their arena and the root's address. */
  readonly restoreObjects: (() => { arena: Arena; root: number }) | null;
  /** Copies all frames into the bank, and says where they are. */
  readonly copyFrames: ((k: Kernel, snapshot: Snapshot) => HotRun) | null;
  /** After the tables are in place: lets the copies be written that may be. */
  readonly finishFrames: ((k: Kernel) => void) | null;
  /** Opens every file again. */
  readonly connect: ((k: Kernel) => void) | null;
}

/** Prepares what boots of a snapshot without some techniques need. */
export function makeBaseline(snapshot: Snapshot, options: BaselineOptions): Baseline {
  const without = wantedTechniques(options);
  const isOff = (name: Technique): boolean => without.includes(name);
  const records = isOff('separated') ? encodeRecords(snapshot) : null;
  return {
    without,
    restoreObjects: records === null
      ? null : () => decodeRecords(records, snapshot.objects.bytes),
    copyFrames: isOff('overlay') ? copyAllFrames : null,
    finishFrames: isOff('overlay') ? allowWrites : null,
    connect: isOff('lazy-io') ? connectLowerFiles : null,
  };
}

/** A record: kind, tail, pairs of a reference's offset and its target's number, field values. */
type Item = [kind: number, tail: Uint8Array, references: number[], values: unknown[]];

/** The fields of a kind that are saved as values; some are 64 bits wide. */
interface ValueField extends PlacedField {
  isWide: boolean;
}

const valueFields: Map<number, ValueField[]> = new Map();

function valueFieldsOf(kind: Kind<Rec>, record: Rec): ValueField[] {
  const known = valueFields.get(kind.id);
  if (known !== undefined) return known;
  const fields = kind.fields.filter(({ type }) => type.save === 'copy').map((field) => {
    const isWide = typeof field.type.get(record, record.address + field.offset) === 'bigint';
    return { ...field, isWide };
  });
  valueFields.set(kind.id, fields);
  return fields;
}

/** The records as a CBOR sequence, field by field. */
export function encodeRecords({ objects, relations }: Snapshot): Uint8Array {
  const numbers = new Map<number, number>();
  const starts: number[] = [];
  for (let offset = 0; offset < objects.bytes;) {
    numbers.set(offset, starts.length);
    starts.push(offset);
    offset += u32[(objects.address + offset + 4) >> 2] as number;
  }
  let next = relations.address >> 2;
  const end = (relations.address + relations.bytes) >> 2;
  return encodeSequence(starts.map((start): Item => {
    const address = objects.address + start;
    const bytes = u32[(address + 4) >> 2] as number;
    const references: number[] = [];
    while (next < end && (u32[next] as number) < start + bytes) {
      const target = numbers.get(u32[next + 1] as number) as number;
      references.push((u32[next] as number) - start, target);
      next += 2;
    }
    return encodeRecord(address, bytes, references);
  }));
}

function encodeRecord(address: number, bytes: number, references: number[]): Item {
  const kind = kinds[u16[address >> 1] as number] as Kind<Rec>;
  // Fields are read by address alone: this record belongs to no arena.
  const record = { address } as Rec;
  const values = valueFieldsOf(kind, record).map(({ type, offset }) => {
    const value = type.get(record, address + offset);
    return value instanceof Uint8Array ? value.slice() : value;
  });
  const tail = kind.tail === 'raw' ? u8.slice(address + kind.fixedBytes, address + bytes)
    : new Uint8Array(bytes - kind.fixedBytes);
  return [kind.id, tail, references, values];
}

/** One allocation for each record, in an arena; references when all are there. */
export function decodeRecords(
  sequence: Uint8Array, objectsBytes: number,
): { arena: Arena; root: number } {
  const arena = new Arena(arenaBytesFor(objectsBytes));
  try {
    return { arena, root: decodeInto(arena, sequence) };
  } catch (error) {
    arena.close();
    throw error;
  }
}

function decodeInto(arena: Arena, sequence: Uint8Array): number {
  const addresses: number[] = [];
  const pending: number[][] = [];
  decodeSequence(sequence, (item) => {
    const [kindId, tail, references, values] = item as Item;
    const kind = kinds[kindId];
    if (kind === undefined) throw new ImageError('objects', `There is no record kind ${kindId}.`);
    const record = arena.make(kind, tail.length);
    const { address } = record;
    const fields = valueFieldsOf(kind, record);
    for (let i = 0; i < fields.length; i++) {
      const { type, offset, isWide } = fields[i] as ValueField;
      const value = values[i];
      type.set(record, address + offset, isWide ? BigInt(value as number | bigint) : value);
    }
    if (kind.tail === 'raw') u8.set(tail, address + kind.fixedBytes);
    addresses.push(address);
    pending.push(references);
  });
  for (let index = 0; index < pending.length; index++) {
    const references = pending[index] as number[];
    const address = addresses[index] as number;
    for (let i = 0; i < references.length; i += 2) {
      const at = address + (references[i] as number);
      u32[at >> 2] = addresses[references[i + 1] as number] as number;
    }
  }
  return addresses[0] as number;
}

function copyAllFrames(k: Kernel, snapshot: Snapshot): HotRun {
  const { frames } = k.ports;
  const count = snapshot.baseFrames;
  if (k.frames.allocateRun(count) !== 1) {
    throw new ImageError('memory', 'Without overlay the memory limit has to hold the whole image.');
  }
  const target = frames.bank.subarray(PAGE_BYTES, (1 + count) * PAGE_BYTES);
  if (!readSnapshotFrames(snapshot, 0, target)) {
    throw new ImageError('truncated', 'The func-image was truncated while it was read.');
  }
  return { fromPfn: frames.basePfn, toPfn: frames.bankPfn + 1, count, written: 0 };
}

/**
 * Copied pages of writable private mappings may be written at once, unless several processes have
 * them.
 */
function allowWrites(k: Kernel): void {
  const spaces = listSpaces(k);
  if (spaces.length > 1) countNames(k, spaces);
  for (const mm of spaces) {
    for (let index = 0; index < mm.vmas.length; index++) {
      const vma = mm.vmas.get(index);
      if (vma === null || (vma.flags & MAP_SHARED) !== 0) continue;
      if ((vma.prot & PROT_WRITE) === 0) continue;
      visitPresent(k.tables, mm.rootTable, vma.start, vma.end, (at) => {
        const frame = privateFrame(k, at);
        if (frame !== 0 && !k.frames.isShared(frame)) u32[at] = (u32[at] as number) | PTE_RW;
      });
    }
  }
}

/** The bank's frame of a private entry, or 0. */
function privateFrame(k: Kernel, at: number): number {
  const frame = pfnAt(at) - k.ports.frames.bankPfn;
  const isOurs = frame >= 0 && frame < k.ports.frames.bankFrames;
  return isOurs && ((u32[at] as number) & PTE_SHARED) === 0 ? frame : 0;
}

/** A copy has as many names as entries of several address spaces name it. */
function countNames(k: Kernel, spaces: readonly Mm[]): void {
  const named: Set<number> = new Set();
  for (const { rootTable } of spaces) {
    visitPresent(k.tables, rootTable, 0, USER_END, (at) => {
      const frame = privateFrame(k, at);
      if (frame === 0) return;
      if (named.has(frame)) k.frames.share(frame);
      named.add(frame);
    });
  }
}
