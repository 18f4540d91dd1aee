// The ChaCha20 block function, RFC 8439 section 2.3: 64 bytes from a key of 32 and a counter.
//
//   state   "expand 32-byte k" (4 words) | key (8) | block counter (2, low word first) | 0 0

const CONSTANTS: readonly number[] = [0x61707865, 0x3320646e, 0x79622d32, 0x6b206574];
const ROUND_PAIRS = 10;
/** Bytes of one block. */
export const BLOCK_BYTES = 64;

/** Words of each quarter round, columns first. */
const QUARTERS: readonly (readonly [number, number, number, number])[] = [
  [0, 4, 8, 12], [1, 5, 9, 13], [2, 6, 10, 14], [3, 7, 11, 15],
  [0, 5, 10, 15], [1, 6, 11, 12], [2, 7, 8, 13], [3, 4, 9, 14],
];

/** Makes block number `counter` (below 2^53) of the stream of `key` (32 bytes). */
export function chachaBlock(key: Uint8Array, counter: number): Uint8Array {
  const keyView = new DataView(key.buffer, key.byteOffset, 32);
  const state = new Uint32Array(16);
  state.set(CONSTANTS);
  for (let i = 0; i < 8; i++) state[4 + i] = keyView.getUint32(i * 4, true);
  state[12] = counter % 2 ** 32;
  state[13] = Math.floor(counter / 2 ** 32);
  const mixed = state.slice();
  for (let round = 0; round < ROUND_PAIRS; round++) {
    for (const [a, b, c, d] of QUARTERS) mixQuarter(mixed, a, b, c, d);
  }
  const block = new Uint8Array(BLOCK_BYTES);
  const view = new DataView(block.buffer);
  for (let i = 0; i < 16; i++) {
    view.setUint32(i * 4, (mixed[i] as number) + (state[i] as number), true);
  }
  return block;
}

function mixQuarter(s: Uint32Array, a: number, b: number, c: number, d: number): void {
  addXorRotate(s, a, b, d, 16);
  addXorRotate(s, c, d, b, 12);
  addXorRotate(s, a, b, d, 8);
  addXorRotate(s, c, d, b, 7);
}

/** s[x] += s[y]; s[z] = (s[z] ^ s[x]) <<< bits */
function addXorRotate(s: Uint32Array, x: number, y: number, z: number, bits: number): void {
  s[x] = (s[x] as number) + (s[y] as number);
  const mixed = (s[z] as number) ^ (s[x] as number);
  s[z] = mixed << bits | mixed >>> (32 - bits);
}
