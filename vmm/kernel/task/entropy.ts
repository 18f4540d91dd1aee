// Random bytes for the guest: the host's, or, in deterministic mode, a stream that the seed
// determines.
import type { Kernel } from '../kernel.ts';
import { BLOCK_BYTES, chachaBlock } from './chacha20.ts';

/** Fills `target` with random bytes (getrandom, /dev/urandom, AT_RANDOM, address-space layout). */
export function fillRandom(k: Kernel, target: Uint8Array): void {
  const { root } = k;
  if (!root.deterministic) {
    k.ports.entropy.fill(target);
    return;
  }
  // Every request begins a new block, so that what one call got does not depend on another's size.
  for (let done = 0; done < target.length; done += BLOCK_BYTES) {
    const block = chachaBlock(root.seed, root.randomBlocks++);
    target.set(block.subarray(0, target.length - done), done);
  }
}
