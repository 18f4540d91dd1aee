// The bank's frames: which are free. A bump pointer and a stack of freed frames, both JavaScript
// caches: a restored sandbox starts with an empty bank (all saved frames are base frames).
//
//   bank   | 0 never used | handed out or on the free stack … next→ | untouched: zero | end
//
// Ownership: a frame belongs to the page table entry or the page cache slot that names it; who
// clears that name gives the frame back. A fork makes a second name for each private frame
// (mm/fork-space.ts): then nobody may write to it, and it is free when the last name is gone. Base
// frames belong to the image: freeing one does nothing.
import type { Kernel, KernelLimits } from '../kernel.ts';
import { ScratchPages } from './scratch-pages.ts';
import { CopyWindow, FaultWindow } from './fault-window.ts';
import { BASE_FRAME, type FrameId, type GuestFrames, PAGE_BYTES } from '../ports.ts';

/** Slots are asked for in steps of this many frames (2 MiB). */
const BACKING_STEP = 512;
/** Views of recently used frames are kept; a power of two. */
const VIEW_SLOTS = 1024;
/** The frames that most sandboxes need at most: more are noted in a larger array. */
const FEW_FRAMES = 4096;

export class FrameAllocator {
  /** Most frames that may be in use at a time. */
  readonly limit: number;
  /** Frames in use. */
  used: number = 0;
  /** Where the last faults in anonymous memory and in files were (caches). */
  readonly zeroWindow: FaultWindow = new FaultWindow();
  readonly fileWindow: FaultWindow = new FaultWindow();
  /** How much the next write to the image copies (a cache). */
  readonly copyWindow: CopyWindow = new CopyWindow();
  /** Copies of base frames for the kernel's reads (a cache). */
  readonly scratch: ScratchPages = new ScratchPages();
  readonly #frames: GuestFrames;
  /** How many names frames below #next have; 0 = free. It grows with them. */
  #names: Uint16Array = new Uint16Array(FEW_FRAMES);
  readonly #viewKeys: Uint32Array = new Uint32Array(VIEW_SLOTS);
  readonly #views: Uint8Array[] = new Array<Uint8Array>(VIEW_SLOTS);
  #free: FrameId[] = [];
  #next: number = 1;
  #backed: number = 0;

  constructor(frames: GuestFrames, limits: KernelLimits) {
    this.#frames = frames;
    // No frame has the name 0, which the keys begin with.
    this.#views[0] = new Uint8Array(0);
    this.limit = Math.min(frames.bankFrames - 1, Math.floor(limits.memoryBytes / PAGE_BYTES));
  }

  /** One past the highest frame ever handed out. */
  get end(): number {
    return this.#next;
  }

  /** Frames that may still be handed out. */
  get available(): number {
    return this.limit - this.used;
  }

  /** A zeroed frame, or 0 when the sandbox has used up its memory. */
  allocate(): FrameId {
    // Frames that the bump pointer gives were never written.
    const isRecycled = this.#free.length > 0;
    const id = this.allocateUncleared();
    if (id !== 0 && isRecycled) this.page(id).fill(0);
    return id;
  }

  /** A frame whose content is about to be overwritten entirely, or 0. */
  allocateUncleared(): FrameId {
    if (this.used >= this.limit) return 0;
    const id = this.#free.pop() ?? this.#bump(1);
    if (id === 0) return 0;
    this.used++;
    this.#names[id] = 1;
    return id;
  }

  /** `count` contiguous zeroed frames never used before; the first one's id, or 0. */
  allocateRun(count: number): FrameId {
    if (count > this.available) return 0;
    const first = this.#bump(count);
    if (first === 0) return 0;
    this.used += count;
    this.#names.fill(1, first, first + count);
    return first;
  }

  /**
   * Takes a name from a frame, which is free when that was the last; base frames and 0 are ignored.
   * Preconditions: what gives it back names it no more.
   */
  release(id: FrameId): void {
    if (id === 0 || id >= BASE_FRAME) return;
    const names = this.#names[id] as number;
    if (names === 0) throw new Error(`frame ${id} freed twice`);
    this.#names[id] = names - 1;
    if (names > 1) return;
    this.used--;
    this.#free.push(id);
  }

  /**
   * Gives a frame one more name. Preconditions: no entry lets anybody write to it. Base frames need
   * no count.
   */
  share(id: FrameId): void {
    if (id >= BASE_FRAME) return;
    this.#names[id] = (this.#names[id] as number) + 1;
  }

  /** Whether a frame has several names, so that a write to it needs a copy. */
  isShared(id: FrameId): boolean {
    return id < BASE_FRAME && (this.#names[id] as number) > 1;
  }

  /** The 4096 bytes of a bank frame. Ownership: valid as long as the frame has its name. */
  page(id: FrameId): Uint8Array {
    const slot = id & (VIEW_SLOTS - 1);
    if (this.#viewKeys[slot] === id) return this.#views[slot] as Uint8Array;
    const start = id * PAGE_BYTES;
    const made = this.#frames.bank.subarray(start, start + PAGE_BYTES);
    this.#viewKeys[slot] = id;
    this.#views[slot] = made;
    return made;
  }

  /** The bytes of a run of bank frames. */
  pages(first: FrameId, count: number): Uint8Array {
    return this.#frames.bank.subarray(first * PAGE_BYTES, (first + count) * PAGE_BYTES);
  }

  /** How many names a bank frame has (for checks). */
  namesOf(id: FrameId): number {
    return this.#names[id] ?? 0;
  }

  #bump(count: number): FrameId {
    const end = this.#next + count;
    if (end > this.#frames.bankFrames) return 0;
    if (end > this.#backed) {
      const wanted = Math.ceil(end / BACKING_STEP) * BACKING_STEP;
      this.#backed = Math.min(wanted, this.#frames.bankFrames);
      this.#frames.ensureBacked(this.#backed);
    }
    if (end > this.#names.length) this.#growNames(end);
    const first = this.#next;
    this.#next = end;
    return first;
  }

  #growNames(end: number): void {
    const grown = new Uint16Array(Math.min(this.#frames.bankFrames, end * 2));
    grown.set(this.#names);
    this.#names = grown;
  }
}

/** A zeroed frame; 0 = the sandbox has used up its memory. */
export function allocFrame(k: Kernel): FrameId {
  return k.frames.allocate();
}

/** `count` contiguous zeroed frames; 0 = there is no such run (single frames may still exist). */
export function allocRun(k: Kernel, count: number): FrameId {
  return k.frames.allocateRun(count);
}

/** Gives a frame back. Preconditions: no page table entry and no page cache names it. */
export function freeFrame(k: Kernel, id: FrameId): void {
  k.frames.release(id);
}
