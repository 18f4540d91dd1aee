// Reference counts in an image's records: none is less than the references that are counted there
// (record.ts: held). One that were less would have a record freed that others still use. More is
// harmless: the record stays.
//
//   relations   source ─► target      sorted by source, so that one walk over the records, which
//   objects     | record | record |   lie one behind the other, meets each relation in its turn
//
// Preconditions: shapes and rules have been checked (image-records.ts).
import { Pipe } from '../../kernel/records/ipc.ts';
import { File, FILE_PIPE } from '../../kernel/records/vfs.ts';
import { bytesAt, HEADER_BYTES, kindIdAt, kinds } from '../../kernel/state/record.ts';
import { u32, u8 } from '../../kernel/state/memory.ts';
import { PIPE_READ_END, PIPE_WRITE_END } from '../../kernel/ipc/pipe.ts';
import type { Piece } from './image-records.ts';

/** Records lie at multiples of this. */
const UNIT = 8;

/** What the walk needs of a kind, by its number. */
interface Holder {
  fixedBytes: number;
  /** By offset / 4: whether the reference there is counted. */
  holds: boolean[];
  tailHolds: boolean;
  /** Where its own count is; 0 for kinds without one. */
  count: number;
}

/** Users of each record, by its offset / UNIT; a pipe's readers, and apart its writers. */
interface Tally {
  users: Uint32Array;
  writers: Uint32Array;
}

/** The offset of a record that counts fewer users than it has, or -1. */
export function findLowCount(objects: Piece, relations: Piece): number {
  const holders = kinds.map((_kind, id) => describeHolder(id));
  const slots = Math.ceil(objects.bytes / UNIT);
  const tally = { users: new Uint32Array(slots), writers: new Uint32Array(slots) };
  countUsers(objects, relations, holders, tally);
  for (let at = 0; at < objects.bytes;) {
    const address = objects.address + at;
    const holder = holders[kindIdAt(address)] as Holder;
    if (isLow(address, holder, at / UNIT, tally)) return at;
    at += bytesAt(address);
  }
  return -1;
}

function isLow(address: number, holder: Holder, slot: number, tally: Tally): boolean {
  const users = tally.users[slot] as number;
  if (users === 0 && tally.writers[slot] === 0) return false;
  if (kindIdAt(address) === Pipe.id) {
    return wordAt(address + Pipe.offset('readers')) < users ||
      wordAt(address + Pipe.offset('writers')) < (tally.writers[slot] as number);
  }
  // A table that holds others has one owner, who lets go of all of them.
  if (holder.tailHolds) return users > 1;
  return holder.count !== 0 && wordAt(address + holder.count) < users;
}

function describeHolder(id: number): Holder {
  const kind = kinds[id];
  const holder: Holder = { fixedBytes: HEADER_BYTES, holds: [], tailHolds: false, count: 0 };
  if (kind === undefined) return holder;
  holder.fixedBytes = kind.fixedBytes;
  holder.tailHolds = kind.tailHolds;
  for (const { offset, type } of kind.fields) {
    holder.holds[offset / 4] = type.holds === true;
    if (type.counts === true) holder.count = offset;
  }
  return holder;
}

function countUsers(
  objects: Piece, relations: Piece, holders: readonly Holder[], tally: Tally,
): void {
  const end = (relations.address + relations.bytes) >> 2;
  let at = 0;
  let next = bytesAt(objects.address);
  for (let word = relations.address >> 2; word < end; word += 2) {
    const source = u32[word] as number;
    const target = u32[word + 1] as number;
    while (source >= next) {
      at = next;
      next += bytesAt(objects.address + at);
    }
    const address = objects.address + at;
    const { fixedBytes, holds, tailHolds } = holders[kindIdAt(address)] as Holder;
    const field = source - at;
    const used = kindIdAt(objects.address + target);
    const isHeld = field < fixedBytes ? holds[field / 4] === true : tailHolds;
    if (!isHeld && holders[used]?.tailHolds !== true) continue;
    if (used === Pipe.id) countEnd(address, target, tally);
    else tally.users[target / UNIT] = (tally.users[target / UNIT] as number) + 1;
  }
}

/** An open file of a pipe: it is one end, or both. */
function countEnd(file: number, target: number, { users, writers }: Tally): void {
  if (kindIdAt(file) !== File.id || u8[file + File.offset('kind')] !== FILE_PIPE) return;
  const variant = wordAt(file + File.offset('variant'));
  const slot = target / UNIT;
  if (variant !== PIPE_WRITE_END) users[slot] = (users[slot] as number) + 1;
  if (variant !== PIPE_READ_END) writers[slot] = (writers[slot] as number) + 1;
}

function wordAt(address: number): number {
  return u32[address >> 2] as number;
}
