// getrandom(2).
import { EFAULT, EINVAL } from '../../abi/errno.ts';
import { GRND_INSECURE, GRND_NONBLOCK, GRND_RANDOM } from '../../abi/random.ts';
import type { Kernel } from '../kernel.ts';
import { copyOut } from '../mm/user-memory.ts';
import type { Task } from '../records/task.ts';
import { fillRandom } from '../task/entropy.ts';
import type { Args } from './args.ts';
import { type Family, full } from './define.ts';

/** Most bytes of one call, as getrandom(2) states it for the urandom source. */
const RANDOM_MOST = 33_554_431;
const CHUNK_BYTES = 64 * 1024;

function getrandom(k: Kernel, _task: Task, a: Args): number {
  const gva = a.u64(0);
  const count = Math.min(a.u64(1), RANDOM_MOST);
  const flags = a.u32(2);
  if ((flags & ~(GRND_NONBLOCK | GRND_RANDOM | GRND_INSECURE)) !== 0) return -EINVAL;
  if ((flags & GRND_INSECURE) !== 0 && (flags & GRND_RANDOM) !== 0) return -EINVAL;
  let done = 0;
  while (done < count) {
    const chunk = new Uint8Array(Math.min(CHUNK_BYTES, count - done));
    fillRandom(k, chunk);
    const copied = copyOut(k, gva + done, chunk);
    done += copied;
    if (copied < chunk.length) return done > 0 ? done : -EFAULT;
  }
  return done;
}

export const randomCalls: Family = {
  getrandom: full(getrandom),
};
