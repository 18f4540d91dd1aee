// The variable-sized records: byte strings, arrays of u32, tables of references.
import { type Arena, ArenaFullError } from './arena.ts';
import { KIND } from './kinds.ts';
import { u32, u8 } from './memory.ts';
import { bytesAt, fU32, kind, type Kind, type Rec } from './record.ts';

/** An immutable-length byte string (a path component, a symlink target, a socket message). */
export interface Bytes extends Rec {
  length: number;
  /** A live view of the content. */
  readonly data: Uint8Array;
}

export const Bytes: Kind<Bytes> = kind<Bytes>(KIND.bytes, 'Bytes', { length: fU32 } as never, {
  tail: 'raw',
  pieceBytes: 1,
  prototype: {
    get data(): Uint8Array {
      const self = this as unknown as Bytes;
      const from = self.address + Bytes.fixedBytes;
      return u8.subarray(from, from + self.length);
    },
  },
});

/** Copies `data` into a new byte string. */
export function makeBytes(arena: Arena, data: Uint8Array): Bytes {
  const made = arena.make(Bytes, data.length);
  made.length = data.length;
  made.data.set(data);
  return made;
}

/** A growable array of u32 (frame ids, counters). Owners replace it by `growWords`. */
export interface Words extends Rec {
  /** Entries in use. */
  length: number;
  readonly capacity: number;
  /** A live view of all `capacity` entries. */
  readonly data: Uint32Array;
}

export const Words: Kind<Words> = kind<Words>(KIND.words, 'Words', { length: fU32 } as never, {
  tail: 'raw',
  pieceBytes: 4,
  prototype: {
    get capacity(): number {
      const self = this as unknown as Words;
      return (bytesAt(self.address) - Words.fixedBytes) >> 2;
    },
    get data(): Uint32Array {
      const self = this as unknown as Words;
      const from = (self.address + Words.fixedBytes) >> 2;
      return u32.subarray(from, from + self.capacity);
    },
  },
});

/** Makes an array with room for `capacity` entries, all zero, length 0. */
export function makeWords(arena: Arena, capacity: number): Words {
  return arena.make(Words, capacity * 4);
}

/** Returns an array with at least `capacity` entries and the same content; frees the old one. */
export function growWords(words: Words, capacity: number): Words {
  if (words.capacity >= capacity) return words;
  const made = makeWords(words.arena, Math.max(capacity, words.capacity * 2));
  made.length = words.length;
  made.data.set(words.data);
  words.arena.free(words);
  return made;
}

/** A table of references to records of one kind, indexed from 0; empty slots are null. */
export interface Table<T extends Rec> extends Rec {
  /** Entries in use, by the owner's meaning; slots from here on are null. */
  length: number;
  readonly capacity: number;
  get(index: number): T | null;
  set(index: number, value: T | null): void;
}

/**
 * Declares a kind of table. Each has its own id so that images can be type-checked.
 * @param options `holds`: its records count it among their users
 */
export function tableKind<T extends Rec>(
  id: number,
  name: string,
  target: () => Kind<T>,
  { holds = false }: { holds?: boolean } = {},
): Kind<Table<T>> {
  const made: Kind<Table<T>> = kind<Table<T>>(id, name, { length: fU32 } as never, {
    tail: 'references',
    pieceBytes: 4,
    tailTarget: target as unknown as () => Kind<Rec>,
    tailHolds: holds,
    prototype: {
      get capacity(): number {
        const self = this as unknown as Rec;
        return (bytesAt(self.address) - made.fixedBytes) >> 2;
      },
      get(this: Table<T>, index: number): T | null {
        if (index < 0 || index >= this.capacity) return null;
        const address = u32[(this.address + made.fixedBytes + index * 4) >> 2] as number;
        return address === 0 ? null : this.arena.at(target(), address);
      },
      set(this: Table<T>, index: number, value: T | null): void {
        if (index < 0 || index >= this.capacity) throw new RangeError(`${name}: index ${index}`);
        const slot = (this.address + made.fixedBytes + index * 4) >> 2;
        u32[slot] = value === null ? 0 : value.address;
      },
    } as Partial<Table<T>>,
  });
  return made;
}

/** Returns a table with at least `capacity` slots and the same content; frees the old one. */
export function growTable<T extends Rec>(
  of: Kind<Table<T>>,
  table: Table<T>,
  capacity: number,
): Table<T> {
  if (table.capacity >= capacity) return table;
  const made = table.arena.make(of, Math.max(capacity, table.capacity * 2) * 4);
  made.length = table.length;
  const from = table.address + of.fixedBytes;
  u8.copyWithin(made.address + of.fixedBytes, from, table.address + bytesAt(table.address));
  table.arena.free(table);
  return made;
}

export { ArenaFullError };
