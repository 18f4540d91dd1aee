// How many pages one fault brings. An exit costs as much as filling dozens of pages, and pages that
// stay zero are not saved, so a fault brings its neighbours: an aligned window, which grows while
// the guest goes through memory in order.
import type { Vma } from '../records/mm.ts';
import { PAGE_BYTES } from '../ports.ts';

/** Pages of an ordinary window (64 KiB) and of the largest (256 KiB). */
const WINDOW_PAGES = 16;
const WINDOW_PAGES_MOST = 64;
/** Pages that are copied at once because one of them is written: 128 KiB. A divisor of 512. */
const COPY_PAGES = 32;
/** So many copies make the window twice as large, until it is a whole page table (2 MiB). */
const COPIES_PER_STEP = 8;
const COPY_PAGES_MOST = 512;
/** Pages of a private writable file mapping that one fault copies: 32 KiB. */
export const FILE_COPY_PAGES = 8;

/** Remembers where the last window ended. A cache: it may be forgotten at any time. */
export class FaultWindow {
  #next: number = 0;
  #pages: number = WINDOW_PAGES;
  /** The window that `place` chose: [start, end), inside the mapping. */
  start: number = 0;
  end: number = 0;

  /** Chooses the window for a fault at page `gva` of `vma`. */
  place(vma: Vma, gva: number): void {
    if (gva === this.#next) {
      this.#pages = Math.min(this.#pages * 2, WINDOW_PAGES_MOST);
      this.start = gva;
    } else {
      this.#pages = WINDOW_PAGES;
      this.start = gva - gva % (WINDOW_PAGES * PAGE_BYTES);
    }
    this.end = Math.min(this.start + this.#pages * PAGE_BYTES, vma.end);
    this.start = Math.max(this.start, vma.start);
    this.#next = this.end;
  }
}

/** How much a write copies: more, the more writes there were. A cache: it may be forgotten. */
export class CopyWindow {
  #pages: number = COPY_PAGES;
  #copies: number = 0;

  /** Pages of the next window; a power of two that divides a page table's entries. */
  next(): number {
    if (++this.#copies % COPIES_PER_STEP === 0 && this.#pages < COPY_PAGES_MOST) this.#pages *= 2;
    return this.#pages;
  }
}

/** Start of the aligned window of `pages` around `gva`, inside the mapping. */
export function copyStart(vma: Vma, gva: number, pages: number): number {
  return Math.max(gva - gva % (pages * PAGE_BYTES), vma.start);
}

/** Its end. */
export function copyEnd(vma: Vma, gva: number, pages: number): number {
  const bytes = pages * PAGE_BYTES;
  return Math.min(gva - gva % bytes + bytes, vma.end);
}
