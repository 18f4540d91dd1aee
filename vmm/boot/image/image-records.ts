// The linear check of an image's records, once an image and process: they have the shapes of this
// kernel's kinds (schemaWords), what stands in them is possible (ruleWords), they are those that
// the header speaks of, count their users right (image-counts.ts), and their processes belong
// together (image-processes.ts).
import { createRelocate } from '../../../wasm/relocate.ts';
// The check needs every record kind to be declared.
import '../../kernel/records/index.ts';
import { KIND } from '../../kernel/state/kinds.ts';
import { giveRegion, memory, takeRegion, u16, u32 } from '../../kernel/state/memory.ts';
import { ruleWords } from '../../kernel/state/rules.ts';
import { schemaWords } from '../../kernel/state/save.ts';
import { findLowCount } from './image-counts.ts';
import { findProcessFault } from './image-processes.ts';
import { kinds } from '../../kernel/state/record.ts';
import { ImageError } from './image-error.ts';

/** A section's bytes in the state memory. */
export interface Piece {
  address: number;
  bytes: number;
}

/** What the header says of the records. */
export interface RecordsHeader {
  root: number;
  count: number;
}

/** @throws ImageError when the records are not such as this kernel writes */
export function checkRecords(objects: Piece, relations: Piece, header: RecordsHeader): void {
  const relocate = createRelocate(memory);
  const schema = schemaWords();
  const rules = ruleWords();
  const scratchBytes = Math.ceil(relocate.rulesScratchBytes(objects.bytes) / 8) * 8;
  const wordsBytes = Math.ceil(Math.max(schema.byteLength, rules.byteLength) / 8) * 8;
  const scratch = takeRegion(scratchBytes + wordsBytes);
  const words = scratch.address + scratchBytes;
  try {
    u32.set(schema, words >> 2);
    const { address, bytes } = objects;
    const table = relations.address;
    const relationCount = relations.bytes / 8;
    const fault = relocate.validate(
      address, bytes, table, relationCount, words, scratch.address);
    if (fault !== null) throw malformed(fault.sentence);
    u32.set(rules, words >> 2);
    const count = relocate.checkRules(
      address, bytes, table, relationCount, words, scratch.address);
    if (count < 0) throw malformed(relocate.ruleFault(count).sentence);
    if (count !== header.count) {
      throw new ImageError('objects',
        `The func-image has ${count} records, its header says ${header.count}.`);
    }
  } finally {
    giveRegion(scratch);
  }
  checkRoot(objects, header.root);
  const at = findLowCount(objects, relations);
  if (at >= 0) {
    const name = kinds[u16[(objects.address + at) >> 1] as number]?.name ?? '';
    throw malformed(`the ${name} at ${at} has more users than it counts`);
  }
  const fault = findProcessFault(objects, relations);
  if (fault !== null) throw malformed(fault);
}

function malformed(sentence: string): ImageError {
  return new ImageError('objects', `The func-image's records are malformed: ${sentence}.`);
}

/** Saved objects begin with the root. */
function checkRoot(objects: Piece, root: number): void {
  if (root === 0 && objects.bytes > 0 && u16[objects.address >> 1] === KIND.sandbox) return;
  throw new ImageError('objects', "The func-image's root is not the record of a sandbox.");
}
