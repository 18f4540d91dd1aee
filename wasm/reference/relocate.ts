// The relocate module in plain TypeScript: what assembly/relocate.ts and validate.ts must do.
//
// Written for reading, from the formats in wasm/relocate.ts; tests and the bench compare the two.

import { describeObjectFault } from '../relocate.ts';
import type { Relocate } from '../relocate.ts';
import { checkReferenceRules } from './rules.ts';
import type { RulesResult } from './rules.ts';

/** Little-endian u32 and u16 at byte addresses. */
interface Reader {
  u32(address: number): number;
  u16(address: number): number;
}

interface Kind {
  fixedBytes: number;
  tail: number;
  tailTarget: number;
  refs: { offset: number; target: number; isRequired: boolean }[];
}

interface Check {
  code: number;
  at: number;
}

const fine: Check = { code: 0, at: 0 };

/** Same methods and results as createRelocate(), without its range checks. */
export function createReferenceRelocate(memory: WebAssembly.Memory): Relocate {
  let last: RulesResult = { code: 0, at: 0 };
  function relocate(
    objects: number, objectsBytes: number, relations: number, relationCount: number, bias: number,
  ): number {
    const words = new Uint32Array(memory.buffer);
    for (let index = 0; index < relationCount; index++) {
      const source = words[(relations >>> 2) + 2 * index] as number;
      const target = words[(relations >>> 2) + 2 * index + 1] as number;
      if (!isField(source, objectsBytes) || target >= objectsBytes) return index;
      words[(objects + source) >>> 2] = bias + target;
    }
    return relationCount;
  }
  function unrelocate(
    objects: number, objectsBytes: number, relations: number, relationCount: number,
  ): number {
    const words = new Uint32Array(memory.buffer);
    for (let index = 0; index < relationCount; index++) {
      const source = words[(relations >>> 2) + 2 * index] as number;
      if (!isField(source, objectsBytes)) return index;
      words[(objects + source) >>> 2] = 0;
    }
    return relationCount;
  }
  return {
    relocate,
    unrelocate,
    validate(objects, objectsBytes, relations, relationCount, schema) {
      const view = new DataView(memory.buffer);
      const reader: Reader = {
        u32: (address) => view.getUint32(address, true),
        u16: (address) => view.getUint16(address, true),
      };
      const kinds = readSchema(reader, schema);
      if (!Array.isArray(kinds)) return describeObjectFault(kinds.code, kinds.at);
      const section = { reader, objects, objectsBytes, relations, relationCount, kinds };
      const { code, at } = checkSection(section);
      return describeObjectFault(code, at);
    },
    scratchBytes: (objectsBytes) => Math.floor(objectsBytes / 8) * 2,
    checkRules(objects, objectsBytes, relations, relationCount, rules) {
      last = checkReferenceRules(memory, objects, objectsBytes, relations, relationCount, rules);
      return last.code;
    },
    rulesScratchBytes: (objectsBytes) => objectsBytes / 2 + objectsBytes,
    ruleFault: (code) =>
      describeObjectFault(code, last.at) ?? { code, at: 0, sentence: 'no fault' },
  };
}

function isField(source: number, objectsBytes: number): boolean {
  return source % 4 === 0 && source + 4 <= objectsBytes;
}

function readSchema(reader: Reader, schema: number): (Kind | undefined)[] | Check {
  const kindCount = reader.u32(schema);
  if (kindCount === 0 || kindCount > 0xffff) return { code: -1, at: 0 };
  const refWords = schema + 4 + kindCount * 20;
  const kinds: (Kind | undefined)[] = [];
  for (let id = 0; id < kindCount; id++) {
    const at = schema + 4 + id * 20;
    const [fixedBytes, tail, tailTarget, refCount, refStart] =
      [0, 4, 8, 12, 16].map((word) => reader.u32(at + word)) as
      [number, number, number, number, number];
    const kind: Kind = { fixedBytes, tail, tailTarget, refs: [] };
    for (let index = 0; fixedBytes !== 0 && index < refCount; index++) {
      const ref = refWords + (refStart + 2 * index) * 4;
      const target = reader.u32(ref + 4);
      const offset = reader.u32(ref);
      kind.refs.push({ offset, target: target & 0xffff, isRequired: target >= 0x80000000 });
    }
    if (fixedBytes !== 0 && !isSound(kind, kindCount)) return { code: -1, at: id };
    kinds.push(fixedBytes === 0 ? undefined : kind);
  }
  return kinds;
}

function isSound(kind: Kind, kindCount: number): boolean {
  if (kind.fixedBytes < 8 || kind.tail > 2 || kind.tailTarget >= kindCount) return false;
  if (kind.tail === 2 && kind.fixedBytes % 4 !== 0) return false;
  let free = 8;
  for (const { offset, target } of kind.refs) {
    if (offset < free || offset + 4 > kind.fixedBytes || offset % 4 !== 0) return false;
    if (target >= kindCount) return false;
    free = offset + 4;
  }
  return true;
}

interface Section {
  reader: Reader;
  objects: number;
  objectsBytes: number;
  relations: number;
  relationCount: number;
  kinds: (Kind | undefined)[];
}

interface Field {
  offset: number;
  target: number;
  isRequired: boolean;
}

function checkSection(section: Section): Check {
  const { reader, objects, objectsBytes, relationCount } = section;
  if (objectsBytes % 8 !== 0) return { code: -2, at: objectsBytes };
  const starts = new Map<number, number>();
  const fields: Field[] = [];
  for (let offset = 0; offset < objectsBytes;) {
    const code = checkRecord(section, offset);
    if (code !== 0) return { code, at: offset };
    const id = reader.u16(objects + offset);
    starts.set(offset, id);
    listFields(section, offset, fields);
    offset += reader.u32(objects + offset + 4);
  }
  let next = 0;
  for (const field of fields) {
    const result = checkField(section, starts, field, next);
    if (result.code !== 0) return result;
    next = result.at;
  }
  return next === relationCount ? fine : { code: -8, at: next };
}

function checkRecord({ reader, objects, objectsBytes, kinds }: Section, offset: number): number {
  const record = objects + offset;
  const kind = kinds[reader.u16(record)];
  if (kind === undefined) return -3;
  if (reader.u16(record + 2) !== 0) return -4;
  const bytes = reader.u32(record + 4);
  if (bytes % 8 !== 0 || bytes < kind.fixedBytes || offset + bytes > objectsBytes) return -5;
  if (kind.tail === 0 && bytes !== Math.ceil(kind.fixedBytes / 8) * 8) return -5;
  return 0;
}

function listFields({ reader, objects, kinds }: Section, offset: number, fields: Field[]): void {
  const kind = kinds[reader.u16(objects + offset)] as Kind;
  for (const ref of kind.refs) fields.push({ ...ref, offset: offset + ref.offset });
  if (kind.tail !== 2) return;
  const bytes = reader.u32(objects + offset + 4);
  for (let inside = kind.fixedBytes; inside < bytes; inside += 4) {
    fields.push({ offset: offset + inside, target: kind.tailTarget, isRequired: false });
  }
}

/** `at` of a good field is the index of the relation that comes after it. */
function checkField(
  section: Section, starts: Map<number, number>, field: Field, next: number,
): Check {
  const { reader, objects, relations, relationCount } = section;
  if (reader.u32(objects + field.offset) !== 0) return { code: -6, at: field.offset };
  const relation = relations + next * 8;
  if (next === relationCount || reader.u32(relation) > field.offset) {
    return field.isRequired ? { code: -7, at: field.offset } : { code: 0, at: next };
  }
  if (reader.u32(relation) < field.offset) return { code: -8, at: next };
  const kind = starts.get(reader.u32(relation + 4));
  if (kind === undefined) return { code: -9, at: next };
  if (field.target !== 0 && kind !== field.target) return { code: -10, at: next };
  return { code: 0, at: next + 1 };
}
