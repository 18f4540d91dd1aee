// A model of an address space that is too simple to be wrong: an array of pages, each with its
// bytes or the file it shows. The random test does everything twice, here and in the kernel.
import { MAP_SHARED, PROT_WRITE } from '../../../../vmm/abi/mman.ts';

export const PAGE = 4096;
/** First page of the modelled range, and how many there are. */
export const BASE = 0x1000_0000;
export const PAGES = 96;

/** File content. `data` is whole pages: a shared mapping shows what lies behind the end, too. */
export interface ModelFile {
  name: string;
  data: Uint8Array;
  bytes: number;
}

export interface ModelPage {
  prot: number;
  flags: number;
  /** What it shows; null for private anonymous memory. */
  file: ModelFile | null;
  /** Page number in the file. */
  index: number;
  /** Bytes of its own (anonymous, or a private copy); null: zero, or the file's. */
  own: Uint8Array | null;
}

export class Model {
  readonly pages: (ModelPage | null)[] = new Array<ModelPage | null>(PAGES).fill(null);

  /** 'map' (nothing there), 'access' (protection), 'bus' (beyond the file's end), or 'ok'. */
  verdict(page: number, forWrite: boolean): string {
    const slot = this.pages[page] ?? null;
    if (slot === null) return 'map';
    if (forWrite ? (slot.prot & PROT_WRITE) === 0 : slot.prot === 0) return 'access';
    const { file, index, own } = slot;
    return file !== null && own === null && index * PAGE >= file.bytes ? 'bus' : 'ok';
  }

  read(page: number, offset: number): number {
    const slot = this.pages[page] as ModelPage;
    if (slot.own !== null) return slot.own[offset] as number;
    return slot.file?.data[slot.index * PAGE + offset] ?? 0;
  }

  /** Preconditions: verdict 'ok', and within the file for shared pages. */
  write(page: number, offset: number, value: number): void {
    const slot = this.pages[page] as ModelPage;
    if ((slot.flags & MAP_SHARED) !== 0 && slot.file !== null) {
      slot.file.data[slot.index * PAGE + offset] = value;
      return;
    }
    if (slot.own === null) {
      slot.own = new Uint8Array(PAGE);
      if (slot.file !== null) {
        slot.own.set(slot.file.data.subarray(slot.index * PAGE, (slot.index + 1) * PAGE));
      }
    }
    slot.own[offset] = value;
  }

  /** Whether pages [first, first + count) are one mapping. */
  isOneMapping(first: number, count: number): boolean {
    for (let page = first; page < first + count; page++) {
      const slot = this.pages[page] ?? null;
      const before = this.pages[page - 1] ?? null;
      if (slot === null) return false;
      if (page > first && (before === null || !joins(before, slot))) return false;
    }
    return true;
  }
}

function joins(low: ModelPage, high: ModelPage): boolean {
  return low.prot === high.prot && low.flags === high.flags && low.file === high.file &&
    (low.file === null || low.index + 1 === high.index);
}

/** Whole pages that hold `content`. */
export function wholePages(content: Uint8Array): Uint8Array {
  const data = new Uint8Array(Math.ceil(content.length / PAGE) * PAGE);
  data.set(content);
  return data;
}

/**
 * Sets a file's size; pages of private mappings beyond the end lose their copies.
 * @param clear whether what lies behind the smaller end becomes zero
 */
export function resizeFile(model: Model, file: ModelFile, bytes: number, clear: boolean): void {
  const kept = clear ? Math.min(bytes, file.bytes) : file.data.length;
  file.data = wholePages(file.data.subarray(0, kept));
  const data = new Uint8Array(Math.ceil(bytes / PAGE) * PAGE);
  data.set(file.data.subarray(0, data.length));
  file.data = data;
  file.bytes = bytes;
  for (const slot of model.pages) {
    if (slot?.file === file && slot.index * PAGE >= bytes) slot.own = null;
  }
}
