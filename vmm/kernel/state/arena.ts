// An arena: one sandbox's region of the state memory, from which its records are allocated.
//
//   region  | saved objects (after a restore) | bump allocations … next→ |      free      | limit
//
// Freed records go on a free list by size. The lists are a cache: a restore begins with none,
// because a save writes live records only, without holes.
//
// Ownership: whoever allocates a record frees it, once, when nothing refers to it any more. A
// record that is lost is dropped by the next save, which walks from the root.
import { giveRegion, type Region, takeRegion, u16, u32, u8 } from './memory.ts';
import { bytesAt, kindIdAt, type Kind, kinds, type Rec } from './record.ts';

/** The region is full. The sandbox sees ENOMEM where it asked; nobody else is affected. */
export class ArenaFullError extends Error {
  override readonly name = 'ArenaFullError';
}

/** A reference that does not lead to a record of the expected kind: a bug or a forged image. */
export class StateCorruptError extends Error {
  override readonly name = 'StateCorruptError';
}

export class Arena {
  readonly region: Region;
  /** First address never allocated. */
  next: number;
  #views: Map<number, Rec> = new Map();
  #free: Map<number, number[]> = new Map();
  #closed: boolean = false;

  /** @param bytes limit of the arena; nothing is written until it is used */
  constructor(bytes: number) {
    this.region = takeRegion(bytes);
    this.next = this.region.address;
  }

  /** Bytes handed out so far, holes included. */
  get usedBytes(): number {
    return this.next - this.region.address;
  }

  /** One past the region's last byte. */
  get limit(): number {
    return this.region.address + this.region.bytes;
  }

  /**
   * Allocates a zeroed record.
   * @param tailBytes bytes after the fixed fields, for kinds with a tail
   * @throws ArenaFullError
   */
  make<T extends Rec>(kind: Kind<T>, tailBytes: number = 0): T {
    const bytes = Math.ceil((kind.fixedBytes + tailBytes) / 8) * 8;
    const address = this.#take(bytes);
    u16[address >> 1] = kind.id;
    u32[(address + 4) >> 2] = bytes;
    const made = kind.create(this, address);
    this.#views.set(address, made);
    return made;
  }

  /** The view of the record at `address`. @throws StateCorruptError when it is not of that kind */
  at<T extends Rec>(kind: Kind<T>, address: number): T {
    const known = this.#views.get(address);
    if (kindIdAt(address) !== kind.id) {
      throw new StateCorruptError(`no ${kind.name} at ${address}: kind ${kindIdAt(address)}`);
    }
    if (known !== undefined) return known as T;
    const made = kind.create(this, address);
    this.#views.set(address, made);
    return made;
  }

  /** The view of the record at `address`, whatever its kind. */
  atAny(address: number): Rec {
    const found = kinds[kindIdAt(address)];
    if (found === undefined) throw new StateCorruptError(`no record at ${address}`);
    return this.at(found, address);
  }

  /** Frees a record. Preconditions: nothing refers to it. */
  free(record: Rec): void {
    const { address } = record;
    const bytes = bytesAt(address);
    if (bytes === 0) throw new StateCorruptError(`record at ${address} freed twice`);
    u8.fill(0, address, address + bytes);
    this.#views.delete(address);
    const list = this.#free.get(bytes);
    if (list === undefined) this.#free.set(bytes, [address]);
    else list.push(address);
  }

  /** Reserves `bytes` at the region's start for restored objects; only on an empty arena. */
  adopt(bytes: number): number {
    if (this.next !== this.region.address) throw new Error('adopt() needs an empty arena');
    if (bytes > this.region.bytes) throw new ArenaFullError(`objects of ${bytes} bytes do not fit`);
    this.next = this.region.address + Math.ceil(bytes / 8) * 8;
    return this.region.address;
  }

  /** Gives the region back. Views of its records must not be used afterwards. Idempotent. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#views.clear();
    giveRegion(this.region, this.usedBytes);
  }

  #take(bytes: number): number {
    const reused = this.#free.get(bytes)?.pop();
    if (reused !== undefined) return reused;
    if (this.next + bytes > this.limit) {
      throw new ArenaFullError(
        `the sandbox's ${this.region.bytes} bytes of kernel state are used up`,
      );
    }
    const address = this.next;
    this.next += bytes;
    return address;
  }
}
