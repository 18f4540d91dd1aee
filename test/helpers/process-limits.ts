// Limits of this process, as ulimit sets them (prlimit(2)).

import * as libc from '../../vmm/host/libc.ts';
import { type Scratch, takeScratch } from '../../vmm/host/scratch.ts';

const SYS_PRLIMIT64 = 302;
let limits: Scratch | null = null;

/** Sets a soft limit; what is returned sets the old one again. */
export function setLimit(resource: number, soft: number): () => void {
  limits ??= takeScratch(16);
  const { address, view } = limits;
  // SAFETY: 0 is this process; the old limits go to 16 bytes of a piece that is never given back.
  if (libc.syscall(SYS_PRLIMIT64, 0, resource, 0, address) < 0) throw new Error('prlimit64');
  const before = view.getBigUint64(0, true);
  const set = (value: bigint): void => {
    view.setBigUint64(0, value, true);
    // SAFETY: as above, with the new limits read from there.
    if (libc.syscall(SYS_PRLIMIT64, 0, resource, address, 0) < 0) throw new Error('prlimit64');
  };
  set(BigInt(soft));
  return () => set(before);
}
