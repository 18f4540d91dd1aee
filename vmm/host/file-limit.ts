// RLIMIT_FSIZE of this process: a write beyond it shall be an error (EFBIG), not a signal that ends
// the process. Node and Bun see to that themselves, Deno does not.
import * as libc from './libc.ts';
import { SIGXFSZ } from '../abi/signal.ts';

const SIG_IGN = 1;
let isIgnored = false;

/** Has writes to files that may grow no more fail. */
export function ignoreFileLimit(): void {
  if (isIgnored) return;
  isIgnored = true;
  // SAFETY: no handler.
  libc.signalDisposition(SIGXFSZ, SIG_IGN);
}
