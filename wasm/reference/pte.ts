// Page-table entries in plain TypeScript: two u32 words each, page numbers as numbers below 2^40.

/** Bits of an entry's low word. */
export const present = 0x1;
export const writable = 0x2;
export const user = 0x4;
export const accessed = 0x20;
export const dirty = 0x40;
export const large = 0x80;
export const shared = 0x200;
/** The bit of an entry's high word. */
export const noExecute = 0x80000000;

export interface Entry {
  /** Bits 0..11. */
  flags: number;
  pfn: number;
  /** Bits 52..63, at their places in the high word. */
  high: number;
}

/** The memory as 32-bit words; made anew per call, for a memory may grow in between. */
export type Words = Uint32Array;

export function wordsOf(memory: WebAssembly.Memory): Words {
  return new Uint32Array(memory.buffer);
}

export function getWord(words: Words, address: number): number {
  return words[address / 4] as number;
}

export function setWord(words: Words, address: number, value: number): void {
  words[address / 4] = value;
}

export function getEntry(words: Words, address: number): Entry {
  const low = getWord(words, address);
  const high = getWord(words, address + 4);
  return {
    flags: low & 0xfff,
    pfn: (high & 0xfffff) * 2 ** 20 + (low >>> 12),
    high: (high & 0xfff00000) >>> 0,
  };
}

export function setEntry(words: Words, address: number, entry: Entry): void {
  setWord(words, address, (entry.pfn % 2 ** 20) * 4096 + entry.flags);
  setWord(words, address + 4, entry.high + Math.floor(entry.pfn / 2 ** 20));
}

/** Whether the entry's present bit is set, without decoding it. */
export function isPresent(words: Words, address: number): boolean {
  return (getWord(words, address) & present) !== 0;
}

/** How many entries of a table are the guest program's; level 4 is the root. */
export function countEntries(level: number): number {
  return level === 4 ? 256 : 512;
}
