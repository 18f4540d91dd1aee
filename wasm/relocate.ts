// relocate: absolute addresses into a run of saved records, and the check that precedes a first
// boot. Runs assembly/relocate.ts and records.ts on the caller's memory.
//
//   object record   u16 kind | u16 flags = 0 | u32 bytes (multiple of 8) | fixed fields | tail
//   relation        u32 source (offset of a reference field) | u32 target (offset of a record)
//   schema (u32)    kindCount, then per kind: fixedBytes (0: unused), tail (0 none, 1 raw bytes,
//                   2 references), tailTarget, refCount, refStart; then pairs (offset, target)
//                   from the kind's refStart-th word on, offsets ascending; target: low 16 bits
//                   kind (0 any), bit 31 required
//   rules (u32)     kindCount, then per kind: fixedBytes, single (0, or 1 … 31: there is at most
//                   one record with this), numberCount, numberStart, linkCount, linkStart, chain;
//                   then rows, from the kind's start-th word on
//     number        u16 offset, u8 type, u8 step, f64 least, f64 most (5 words). Type 1 u8, 2 u16,
//                   3 u32, 4 i32, 5 f64: a multiple of 2^step from least to most; 6: `most` bytes
//                   that are 0;
//                   7: u32 that counts pieces of `most` bytes, which fit in the record's tail;
//                   8, 9: u32 at most, or below, the u32 at offset 8 of where field `most` leads
//     link          u16 offset, u16 back, u8 class, u8 role, u16 owner, u16 flag, u16 0 (3 words).
//                   Role 1 head, 2 next: at most one of all fields of the class leads to a record;
//                   with `owner`, that field of all in a list leads to the head's record; with
//                   `flag`, that byte is not 0 in records that are in a list of the class and only
//                   there. With `back`, that field of the target leads back. Role 3 tail: field
//                   `back` of the target is null
//     chain         u16 offset, u16 offset: following either field ends, and one of them is null

import { recordsWasm } from './generated/records.ts';
import { relocateWasm } from './generated/relocate.ts';
import { checkRange, checkU32, compileLazily, instantiate } from './instance.ts';
import type { Fault } from './instance.ts';

/** The relocate module over one memory. Addresses are byte addresses in it, little-endian. */
export interface Relocate {
  /**
   * Stores `bias + target` at `objects + source` for each relation. `bias` is where the section
   * begins in the memory that will use it: usually `objects`.
   * Returns relationCount, or the index of the first bad entry (source unaligned or outside,
   * target outside); the entries before that one are stored. Never stores outside the section.
   * Entries are independent: parts of a table can be relocated by separate calls.
   */
  relocate(
    objects: number, objectsBytes: number, relations: number, relationCount: number, bias: number,
  ): number;
  /** Zeroes the reference fields: undoes relocate(). Returns as it does; targets do not matter. */
  unrelocate(
    objects: number, objectsBytes: number, relations: number, relationCount: number,
  ): number;
  /**
   * Checks a section and its relation table from a hostile file, in linear time: records of
   * known kinds and sizes, each reference field zero and covered by at most one relation
   * (exactly one if required), each target the start of a record of the declared kind, the
   * table sorted by source. Overwrites scratchBytes(objectsBytes) bytes at `scratch`.
   * Preconditions: the schema is the caller's own; all four pieces are disjoint.
   * Returns null if all is well.
   */
  validate(
    objects: number, objectsBytes: number, relations: number, relationCount: number,
    schema: number, scratch: number,
  ): Fault | null;
  /** How much scratch memory validate() needs: a quarter of the section. */
  scratchBytes(objectsBytes: number): number;
  /**
   * Checks what the rules say, in linear time. Overwrites rulesScratchBytes(objectsBytes) bytes at
   * `scratch`.
   * Preconditions: validate() has accepted the section; the rules are the caller's own and about
   * the kinds of its schema; all four pieces are disjoint.
   * Returns the number of records, or a negative number of which ruleFault() makes a sentence.
   */
  checkRules(
    objects: number, objectsBytes: number, relations: number, relationCount: number,
    rules: number, scratch: number,
  ): number;
  /** How much scratch memory checkRules() needs: one and a half times the section. */
  rulesScratchBytes(objectsBytes: number): number;
  /** The fault of the last checkRules(), whose negative result is given. */
  ruleFault(code: number): Fault;
}

/** The codes of validate() and checkRules(), with what `at` counts. */
export const objectFaults: Readonly<Record<number, string>> = {
  [-1]: 'the schema contradicts itself at kind',
  [-2]: 'the objects section is not a multiple of 8 bytes:',
  [-3]: 'an object is of no known kind at offset',
  [-4]: 'an object has flags, which must be 0, at offset',
  [-5]: 'an object has a size that its kind or the section forbids at offset',
  [-6]: 'a reference field is not 0 in the saved form at offset',
  [-7]: 'a required reference is missing at offset',
  [-8]: 'a source is no reference field, comes twice or is out of order in relation',
  [-9]: 'a target is not the start of an object in relation',
  [-10]: 'a target is an object of the wrong kind in relation',
  [-11]: 'a number is not in its range at offset',
  [-12]: 'a field that is not kept is not 0 at offset',
  [-13]: 'a length goes beyond its object at offset',
  [-14]: 'an object of which there is only one comes twice at offset',
  [-15]: 'a link leads to an object that is in a list already at offset',
  [-16]: 'a link and its way back contradict each other at offset',
  [-17]: 'a link leads to an object of another owner at offset',
  [-18]: 'a chain of objects leads back into itself at offset',
  [-19]: 'an object does not know whether it is in a list at offset',
};

/** The fault of a negative code, or null. */
export function describeObjectFault(code: number, at: number): Fault | null {
  if (code >= 0) return null;
  return { code, at, sentence: `${objectFaults[code] ?? 'unknown fault'} ${at}` };
}

interface RelocateExports {
  relocate(objects: number, bytes: number, relations: number, count: number, bias: number): number;
  unrelocate(objects: number, bytes: number, relations: number, count: number): number;
}

interface RecordsExports {
  validate(
    objects: number, bytes: number, relations: number, count: number, schema: number,
    scratch: number,
  ): number;
  scratchBytes(bytes: number): number;
  checkRules(
    objects: number, bytes: number, relations: number, count: number, rules: number,
    scratch: number,
  ): number;
  rulesScratchBytes(bytes: number): number;
  readFaultAt(): number;
}

const compileRelocate: () => WebAssembly.Module = compileLazily(relocateWasm);
const compileRecords: () => WebAssembly.Module = compileLazily(recordsWasm);

/**
 * Binds the module to a memory, which it does not write to until told to.
 * @param module another build of the module, for tests
 * @param recordsModule another build of the checks' module, which is compiled when it is needed
 * @throws RangeError, from each method, when a piece does not lie inside the memory
 * @example
 * const memory = new WebAssembly.Memory({ initial: 16 });
 * const relocate = createRelocate(memory);
 * // records at 0x10000, 8 bytes of relation table at 0x20000
 * new Uint32Array(memory.buffer, 0x20000, 2).set([8, 16]);
 * relocate.relocate(0x10000, 32, 0x20000, 1, 0x10000); // 1; the field at 0x10008 is 0x10010
 */
export function createRelocate(
  memory: WebAssembly.Memory,
  module: WebAssembly.Module = compileRelocate(),
  recordsModule?: WebAssembly.Module,
): Relocate {
  const wasm = instantiate<RelocateExports>(module, memory);
  let records: RecordsExports | undefined;
  const checks = (): RecordsExports =>
    (records ??= instantiate<RecordsExports>(recordsModule ?? compileRecords(), memory));

  function checkPieces(objects: number, bytes: number, relations: number, count: number): void {
    checkRange(memory, 'objects', objects, bytes);
    checkRange(memory, 'relations', relations, count * 8);
  }
  return {
    relocate(objects, objectsBytes, relations, relationCount, bias) {
      checkPieces(objects, objectsBytes, relations, relationCount);
      checkU32('bias', bias);
      return wasm.relocate(objects, objectsBytes, relations, relationCount, bias) >>> 0;
    },
    unrelocate(objects, objectsBytes, relations, relationCount) {
      checkPieces(objects, objectsBytes, relations, relationCount);
      return wasm.unrelocate(objects, objectsBytes, relations, relationCount) >>> 0;
    },
    validate(objects, objectsBytes, relations, relationCount, schema, scratch) {
      checkPieces(objects, objectsBytes, relations, relationCount);
      checkRange(memory, 'schema', schema, 4);
      checkRange(memory, 'scratch', scratch, checks().scratchBytes(objectsBytes) >>> 0);
      const code = checks().validate(
        objects, objectsBytes, relations, relationCount, schema, scratch);
      return describeObjectFault(code, checks().readFaultAt() >>> 0);
    },
    scratchBytes: (objectsBytes) => checks().scratchBytes(objectsBytes) >>> 0,
    checkRules(objects, objectsBytes, relations, relationCount, rules, scratch) {
      checkPieces(objects, objectsBytes, relations, relationCount);
      checkRange(memory, 'rules', rules, 4);
      checkRange(memory, 'scratch', scratch, checks().rulesScratchBytes(objectsBytes) >>> 0);
      return checks().checkRules(objects, objectsBytes, relations, relationCount, rules, scratch);
    },
    rulesScratchBytes: (objectsBytes) => checks().rulesScratchBytes(objectsBytes) >>> 0,
    ruleFault: (code) => describeObjectFault(code, checks().readFaultAt() >>> 0) ??
      { code, at: 0, sentence: 'no fault' },
  };
}
