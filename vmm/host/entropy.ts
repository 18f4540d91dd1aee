// The host's random bytes by getrandom(2): what node:crypto would give, without the milliseconds
// that loading it costs a boot.
import { EINTR } from '../abi/errno.ts';
import { HostError } from './errors.ts';
import * as libc from './libc.ts';
import { takeScratch, type Scratch } from './scratch.ts';

const SYS_GETRANDOM = 318;
/** getrandom(2) of at most 256 bytes is never interrupted once the pool is ready. */
const PIECE_BYTES = 256;

let scratch: Scratch | null = null;

/**
 * Fills `target` with random bytes. Fails closed.
 * @throws HostError when the host has none
 */
export function fillFromHost(target: Uint8Array): void {
  scratch ??= takeScratch(PIECE_BYTES);
  for (let done = 0; done < target.length;) {
    const wanted = Math.min(PIECE_BYTES, target.length - done);
    // SAFETY: `wanted` bytes of this module's scratch memory, which is never unmapped.
    const count = libc.syscall(SYS_GETRANDOM, scratch.address, wanted);
    if (count <= 0) {
      if (libc.lastErrno() === EINTR) continue;
      throw new HostError('CATAVMM_HOST_CALL', 'the host gives no random bytes', {
        errno: libc.lastErrno(), call: 'getrandom',
      });
    }
    target.set(scratch.bytes.subarray(0, count), done);
    done += count;
  }
  scratch.bytes.fill(0);
}
