// Anonymous files for the frames of a template: written once, then sealed, so that nobody who maps
// them can see them change (memfd_create(2), fcntl(2) F_ADD_SEALS).
import * as fs from 'node:fs';
import * as libc from './libc.ts';
import { HostError } from './errors.ts';
import { takeScratch, type Scratch } from './scratch.ts';

const SYS_MEMFD_CREATE = 319;
const MFD_CLOEXEC = 1;
const MFD_ALLOW_SEALING = 2;
const F_ADD_SEALS = 1033;
/** F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE. */
const SEALS = 0xf;
const NAME = 'catavmm-template';

let scratch: Scratch | null = null;

function failed(call: string): HostError {
  return new HostError('CATAVMM_OUT_OF_MEMORY', 'the host refused memory for a template', {
    errno: libc.lastErrno(), call, hint: 'Close templates that are no longer used.',
  });
}

/**
 * A new empty anonymous file. Its descriptor is one of node:fs: Deno's reads, writes and closes
 * only those that it has opened itself.
 * @throws HostError
 */
export function createMemfd(): number {
  if (scratch === null) {
    scratch = takeScratch(64);
    scratch.bytes.set(new TextEncoder().encode(`${NAME}\0`));
  }
  // SAFETY: the name is NUL-terminated in this module's scratch memory.
  const fd = libc.syscall(SYS_MEMFD_CREATE, scratch.address, MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (fd < 0) throw failed('memfd_create');
  try {
    return fs.openSync(`/proc/self/fd/${fd}`, 'r+');
  } finally {
    // SAFETY: takes no pointer; the descriptor is ours, and nobody else has seen it.
    libc.close(fd);
  }
}

/** Makes the file unchangeable. Preconditions: it has no writable mapping. @throws HostError */
export function sealMemfd(fd: number): void {
  // SAFETY: takes no pointer; the descriptor is ours.
  if (libc.fcntl(fd, F_ADD_SEALS, SEALS) < 0) throw failed('fcntl(F_ADD_SEALS)');
}
