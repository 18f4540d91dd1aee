// Copies of base frames for the kernel's reads. A small ring; a copy stays right for as long as the
// sandbox lives, because base frames are never written.
import type { Kernel } from '../kernel.ts';
import { BASE_FRAME, type FrameId, PAGE_BYTES } from '../ports.ts';

const SLOTS = 16;

export class ScratchPages {
  readonly #ids: Uint32Array = new Uint32Array(SLOTS);
  readonly #pages: Uint8Array[] = [];
  #next: number = 0;

  /**
   * The bytes of a base frame, or null when the image's file has gone. They are not to be written.
   */
  read(k: Kernel, id: FrameId): Uint8Array | null {
    const known = this.#ids.indexOf(id);
    if (known >= 0) return this.#pages[known] as Uint8Array;
    const slot = this.#next;
    this.#next = (slot + 1) % SLOTS;
    const page = this.#pages[slot] ?? new Uint8Array(PAGE_BYTES);
    this.#pages[slot] = page;
    this.#ids[slot] = 0;
    if (!k.ports.frames.readBase(id - BASE_FRAME, 0, page)) return null;
    this.#ids[slot] = id;
    return page;
  }
}
