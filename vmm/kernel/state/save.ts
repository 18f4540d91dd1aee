// Separated state: turns the live records, wherever they lie in the arena, into one contiguous run
// with every reference zeroed, plus the relation table that says where references belong (paper,
// 3.2).
//
//   objects    | record 0 (the root) | record 1 | …        breadth first, in field order
//   relations  | source offset, target offset | …          ascending by source
//
// The order depends on the graph only, never on addresses: the same state gives the same bytes.
import { u32, u8 } from './memory.ts';
import { bytesAt, HEADER_BYTES, kindIdAt, type Kind, kinds, type Rec } from './record.ts';
import { StateCorruptError } from './arena.ts';

/** The saved form of a sandbox's records. */
export interface SavedObjects {
  /** Bytes of the objects section; the root is at offset 0. */
  objects: Uint8Array;
  /** Pairs (source offset, target offset). */
  relations: Uint32Array;
  count: number;
  /** Offset of each record by its address in the arena. */
  offsets: ReadonlyMap<number, number>;
}

interface Walk {
  offsets: Map<number, number>;
  order: number[];
  bytes: number;
  relations: number[];
}

/** Saves everything reachable from `root`. */
export function saveObjects(root: Rec): SavedObjects {
  const walk: Walk = { offsets: new Map(), order: [], bytes: 0, relations: [] };
  visit(walk, root.address);
  for (let i = 0; i < walk.order.length; i++) visitReferences(walk, walk.order[i] as number);
  const objects = new Uint8Array(walk.bytes);
  for (const address of walk.order) copyRecord(walk, address, objects);
  return {
    objects,
    relations: Uint32Array.from(walk.relations),
    count: walk.order.length,
    offsets: walk.offsets,
  };
}

function kindAt(address: number): Kind<Rec> {
  const kind = kinds[kindIdAt(address)];
  if (kind === undefined) throw new StateCorruptError(`a reference leads to no record: ${address}`);
  return kind;
}

function visit(walk: Walk, address: number): void {
  if (walk.offsets.has(address)) return;
  kindAt(address);
  walk.offsets.set(address, walk.bytes);
  walk.order.push(address);
  walk.bytes += bytesAt(address);
}

function visitReferences(walk: Walk, address: number): void {
  forEachReference(address, (at) => {
    const target = u32[at >> 2] as number;
    if (target !== 0) visit(walk, target);
  });
}

/** Calls `found` with the address of each saved reference field of a record, ascending. */
function forEachReference(address: number, found: (at: number) => void): void {
  const kind = kindAt(address);
  for (const { offset, type } of kind.fields) {
    if (type.save === 'reference') found(address + offset);
  }
  if (kind.tail !== 'references') return;
  const end = address + bytesAt(address);
  for (let at = address + kind.fixedBytes; at + 4 <= end; at += 4) found(at);
}

function copyRecord(walk: Walk, address: number, objects: Uint8Array): void {
  const offset = walk.offsets.get(address) as number;
  const bytes = bytesAt(address);
  objects.set(u8.subarray(address, address + bytes), offset);
  for (const field of kindAt(address).fields) {
    if (field.type.save !== 'zero') continue;
    objects.fill(0, offset + field.offset, offset + field.offset + field.type.bytes);
  }
  forEachReference(address, (at) => {
    const target = u32[at >> 2] as number;
    if (target === 0) return;
    const source = offset + at - address;
    walk.relations.push(source, walk.offsets.get(target) as number);
    objects.fill(0, source, source + 4);
  });
}

/** Words per kind in the schema: fixedBytes, tail, tailTarget, refCount, refStart. */
const SCHEMA_KIND_WORDS = 5;
const REQUIRED = 0x8000_0000;
const TAILS = { none: 0, raw: 1, references: 2 } as const;

/**
 * The record kinds as the relocate module's validate() wants them (wasm/README.md): what a
 * func-image's objects must look like.
 */
export function schemaWords(): Uint32Array {
  const count = kinds.length;
  const references: number[] = [];
  const words: number[] = [count];
  for (let id = 0; id < count; id++) {
    const kind = kinds[id];
    if (kind === undefined) {
      words.push(0, 0, 0, 0, 0);
      continue;
    }
    const fields = kind.fields.filter((field) => field.type.save === 'reference');
    const target = kind.tailTarget?.().id ?? 0;
    words.push(kind.fixedBytes, TAILS[kind.tail], target, fields.length, references.length);
    for (const { offset, type } of fields) {
      const required = type.required === true ? REQUIRED : 0;
      references.push(offset, ((type.target?.().id ?? 0) | required) >>> 0);
    }
  }
  if (words.length !== 1 + count * SCHEMA_KIND_WORDS) throw new Error('schema of the wrong size');
  return Uint32Array.from([...words, ...references]);
}

/** How many records of each kind an objects section has, by kind name. */
export function countKinds(objects: Uint8Array): Map<string, number> {
  const counts = new Map<string, number>();
  const view = new DataView(objects.buffer, objects.byteOffset, objects.length);
  for (let at = 0; at + HEADER_BYTES <= objects.length;) {
    const name = kinds[view.getUint16(at, true)]?.name ?? 'unknown';
    counts.set(name, (counts.get(name) ?? 0) + 1);
    const bytes = view.getUint32(at + 4, true);
    if (bytes < HEADER_BYTES) break;
    at += bytes;
  }
  return counts;
}
