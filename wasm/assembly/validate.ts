// validate: the linear check of an objects section from a hostile file, before its first boot.
//
//   pass 1  walks the records and notes in `scratch` where each starts: u16 per 8 bytes of the
//           section, kind + 1 at a record's start, 0 elsewhere
//   pass 2  walks them again beside the relation table, which is sorted by source, so that each
//           reference field meets its relation in order
//
// Preconditions: the schema is ours (its inner consistency is checked, its length is not).
// Invariant: loads stay inside the section, the table, the schema and the scratch; only the
// scratch is written. The codes are spelled out in wasm/relocate.ts.

const badSchema: i32 = -1;
const badSectionBytes: i32 = -2;
const unknownKind: i32 = -3;
const badFlags: i32 = -4;
const badRecordBytes: i32 = -5;
const referenceNotZero: i32 = -6;
const referenceMissing: i32 = -7;
const badSource: i32 = -8;
const badTarget: i32 = -9;
const wrongTargetKind: i32 = -10;

const tailNone: u32 = 0;
const tailReferences: u32 = 2;
const kindWords: usize = 20;

let faultAt: u32 = 0;

/** What the last negative result is about: a kind id, an offset in the section, or an index. */
export function readFaultAt(): u32 {
  return faultAt;
}

/** Notes what a negative result is about. */
export function fail(code: i32, at: u32): i32 {
  faultAt = at;
  return code;
}

/** Bytes of scratch memory that validate() needs for a section. */
export function scratchBytes(objectsBytes: u32): u32 {
  return (objectsBytes >>> 3) << 1;
}

// The five words of a kind in the schema.
@unmanaged class Kind {
  fixedBytes: u32;
  tail: u32;
  tailTarget: u32;
  refCount: u32;
  refStart: u32;
}

// What is being checked; set by validate().
let objects: usize = 0;
let objectsBytes: u32 = 0;
let relations: usize = 0;
let relationCount: u32 = 0;
let nextRelation: u32 = 0;
let kinds: usize = 0;
let kindCount: u32 = 0;
let refWords: usize = 0;
let starts: usize = 0;

// @ts-ignore: decorator
@inline
function kindAt(id: u32): Kind {
  return changetype<Kind>(kinds + <usize>id * kindWords);
}

export function validate(
  objectsAddress: usize, bytes: u32, relationsAddress: usize, count: u32,
  schema: usize, scratch: usize,
): i32 {
  objects = objectsAddress;
  objectsBytes = bytes;
  relations = relationsAddress;
  relationCount = count;
  nextRelation = 0;
  kindCount = load<u32>(schema);
  kinds = schema + 4;
  refWords = kinds + <usize>kindCount * kindWords;
  starts = scratch;
  assert(((objectsAddress | relationsAddress | schema) & 3) == 0);
  assert((scratch & 1) == 0);

  let result = checkSchema();
  if (result < 0) return result;
  if ((bytes & 7) != 0) return fail(badSectionBytes, bytes);
  memory.fill(scratch, 0, scratchBytes(bytes));
  result = findRecords();
  if (result < 0) return result;
  result = checkRecords();
  if (result < 0) return result;
  return nextRelation == relationCount ? 0 : fail(badSource, nextRelation);
}

function checkSchema(): i32 {
  if (kindCount == 0 || kindCount > 0xffff) return fail(badSchema, 0);
  for (let id: u32 = 0; id < kindCount; id++) {
    const kind = kindAt(id);
    const fixedBytes = kind.fixedBytes;
    if (fixedBytes == 0) continue;
    if (fixedBytes < 8 || kind.tail > tailReferences) return fail(badSchema, id);
    if (kind.tailTarget >= kindCount) return fail(badSchema, id);
    if (kind.tail == tailReferences && (fixedBytes & 3) != 0) return fail(badSchema, id);
    let free: u32 = 8;
    for (let index: u32 = 0; index < kind.refCount; index++) {
      const ref = refWords + (<usize>(kind.refStart + 2 * index) << 2);
      const offset = load<u32>(ref);
      if (offset < free || offset > fixedBytes - 4) return fail(badSchema, id);
      if ((offset & 3) != 0) return fail(badSchema, id);
      if ((load<u32>(ref, 4) & 0xffff) >= kindCount) return fail(badSchema, id);
      free = offset + 4;
    }
  }
  return 0;
}

/** Pass 1. Invariant: `offset` and objectsBytes are multiples of 8, so a header always fits. */
function findRecords(): i32 {
  for (let offset: u32 = 0; offset < objectsBytes;) {
    const record = objects + offset;
    const id = <u32>load<u16>(record);
    if (id >= kindCount) return fail(unknownKind, offset);
    const kind = kindAt(id);
    if (kind.fixedBytes == 0) return fail(unknownKind, offset);
    if (load<u16>(record, 2) != 0) return fail(badFlags, offset);
    const bytes = load<u32>(record, 4);
    if ((bytes & 7) != 0 || bytes < kind.fixedBytes) return fail(badRecordBytes, offset);
    if (bytes > objectsBytes - offset) return fail(badRecordBytes, offset);
    if (kind.tail == tailNone && bytes - kind.fixedBytes > 7) return fail(badRecordBytes, offset);
    store<u16>(starts + (offset >>> 2), <u16>(id + 1));
    offset += bytes;
  }
  return 0;
}

/** Pass 2. */
function checkRecords(): i32 {
  for (let offset: u32 = 0; offset < objectsBytes;) {
    const kind = kindAt(<u32>load<u16>(objects + offset));
    const bytes = load<u32>(objects + offset, 4);
    let ref = refWords + (<usize>kind.refStart << 2);
    for (let left = kind.refCount; left != 0; left--) {
      const target = load<u32>(ref, 4);
      const result = checkField(offset + load<u32>(ref), target & 0xffff, target >>> 31);
      if (result < 0) return result;
      ref += 8;
    }
    if (kind.tail == tailReferences) {
      const end = offset + bytes;
      for (let field = offset + kind.fixedBytes; field < end; field += 4) {
        const result = checkField(field, kind.tailTarget, 0);
        if (result < 0) return result;
      }
    }
    offset += bytes;
  }
  return 0;
}

/** One reference field: zero, and covered by the next relation or by none. */
function checkField(field: u32, targetKind: u32, required: u32): i32 {
  if (load<u32>(objects + field) != 0) return fail(referenceNotZero, field);
  const relation = relations + (<usize>nextRelation << 3);
  // Past the end of the table: an offset no field has.
  const source = nextRelation < relationCount ? load<u32>(relation) : 0xffffffff;
  if (source > field) return required ? fail(referenceMissing, field) : 0;
  // A source before this field is on no field, or out of order, or the second one there.
  if (source < field) return fail(badSource, nextRelation);
  const target = load<u32>(relation, 4);
  if (target >= objectsBytes || (target & 7) != 0) return fail(badTarget, nextRelation);
  const start = <u32>load<u16>(starts + (target >>> 2));
  if (start == 0) return fail(badTarget, nextRelation);
  if (targetKind != 0 && start != targetKind + 1) return fail(wrongTargetKind, nextRelation);
  nextRelation++;
  return 0;
}
