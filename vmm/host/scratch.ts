// Native memory for the small structures that calls take: one mapping per thread, never freed. Each
// user takes its own piece once, when it is made, so that no call allocates.
import * as libc from './libc.ts';
import { HostError } from './errors.ts';

const PROT_READ_WRITE = 3;
const MAP_PRIVATE_ANONYMOUS = 0x22;
const SCRATCH_BYTES = 1024 * 1024;

let address = 0;
let buffer: ArrayBuffer | null = null;
let used = 0;
const returned: Map<number, Scratch[]> = new Map();

/** A piece of native memory: `address` for the C side, `view` and `bytes` for ours. */
export interface Scratch {
  readonly address: number;
  readonly view: DataView;
  readonly bytes: Uint8Array;
}

/**
 * Takes `bytes` zeroed bytes, 64-aligned.
 * @throws HostError when the thread's scratch memory is used up
 */
export function takeScratch(bytes: number): Scratch {
  if (buffer === null) {
    // SAFETY: a fresh private mapping that is never unmapped, so views of it stay valid.
    address = libc.mmap(0, SCRATCH_BYTES, PROT_READ_WRITE, MAP_PRIVATE_ANONYMOUS, -1, 0);
    if (address === libc.MAP_FAILED) {
      throw new HostError('CATAVMM_OUT_OF_MEMORY', 'no memory for call structures', {
        call: 'mmap',
      });
    }
    // SAFETY: the whole of the mapping made above.
    buffer = libc.viewNative(address, SCRATCH_BYTES);
  }
  const rounded = Math.ceil(bytes / 64) * 64;
  const reused = returned.get(rounded)?.pop();
  if (reused !== undefined) return reused;
  if (used + rounded > SCRATCH_BYTES) {
    throw new HostError('CATAVMM_OUT_OF_MEMORY', 'too many machines in one thread', {
      hint: 'Close machines that are no longer used, or use more worker processes.',
    });
  }
  const at = used;
  used += rounded;
  return {
    address: address + at,
    view: new DataView(buffer, at, rounded),
    bytes: new Uint8Array(buffer, at, rounded),
  };
}

/** Gives a piece back, cleared. Preconditions: no call uses it any more. */
export function giveScratch(piece: Scratch): void {
  piece.bytes.fill(0);
  const list = returned.get(piece.bytes.length);
  if (list === undefined) returned.set(piece.bytes.length, [piece]);
  else list.push(piece);
}
