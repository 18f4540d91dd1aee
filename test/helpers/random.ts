// A seeded pseudo-random generator for property tests: the same numbers on every runtime.
//
// The seed is printed, so that a failure can be repeated: set CATAVMM_TEST_SEED to it.
// Not for anything secret. The generator is xorshift32 (Marsaglia, "Xorshift RNGs", 2003)
// with its output multiplied by an odd constant, so that low bits are usable too.

import process from 'node:process';

/** Pseudo-random values; each method advances the same sequence. */
export interface Random {
  readonly seed: number;
  /** 0 … 2^32 - 1 */
  u32(): number;
  /** An integer in [low, high], both included; high - low < 2^32. */
  int(low: number, high: number): number;
  /** true with the given probability (default one half). */
  bool(probability?: number): boolean;
  bytes(count: number): Uint8Array<ArrayBuffer>;
  /** One element; the array must not be empty. */
  pick<T>(items: readonly T[]): T;
  /** A shuffled copy. */
  shuffle<T>(items: readonly T[]): T[];
}

/** The seed of this process: CATAVMM_TEST_SEED if set, otherwise the given one. */
function chooseSeed(seed: number): number {
  const text = process.env['CATAVMM_TEST_SEED'];
  const chosen = text === undefined || text === '' ? seed : Number(text);
  if (!Number.isInteger(chosen)) throw new Error(`the seed must be an integer, not ${text}`);
  return chosen >>> 0;
}

/**
 * Makes a generator and prints its seed. Give a fixed seed for a test that must always see
 * the same values, none for new ones in each run.
 */
export function seededRandom(seed: number = (Date.now() ^ (process.pid << 12)) >>> 0): Random {
  const chosen = chooseSeed(seed);
  console.log(`seed ${chosen} (repeat with CATAVMM_TEST_SEED=${chosen})`);
  // Zero is the one state xorshift never leaves; the constant spreads small seeds.
  let state = (Math.imul(chosen, 0x9e3779b1) ^ 0x6d2b79f5) >>> 0 || 1;

  function u32(): number {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    const mixed = Math.imul(state, 0x2545f491);
    return (mixed ^ (mixed >>> 16)) >>> 0;
  }
  function int(low: number, high: number): number {
    return low + Math.floor((u32() / 2 ** 32) * (high - low + 1));
  }
  function pick<T>(items: readonly T[]): T {
    if (items.length === 0) throw new Error('nothing to pick from');
    return items[int(0, items.length - 1)] as T;
  }
  function shuffle<T>(items: readonly T[]): T[] {
    const copy = [...items];
    for (let index = copy.length - 1; index > 0; index--) {
      const other = int(0, index);
      [copy[index], copy[other]] = [copy[other] as T, copy[index] as T];
    }
    return copy;
  }
  return {
    seed: chosen,
    u32,
    int,
    bool: (probability = 0.5) => u32() / 2 ** 32 < probability,
    bytes(count) {
      const bytes = new Uint8Array(count);
      for (let index = 0; index < count; index++) bytes[index] = u32() & 0xff;
      return bytes;
    },
    pick,
    shuffle,
  };
}
