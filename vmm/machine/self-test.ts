// Finds out how this host notices that the VMM changed a live page table entry (facts: editing
// guest page tables). With nested paging (EPT, NPT) a TLB flush is enough; under shadow paging KVM
// must be told through the MMU notifier. Takes four exits; run once per process, off the critical
// path.
import type { Machine } from './machine.ts';
import { PAGE_BYTES } from './paging.ts';
import { beginProbe, endProbe, mapProbeData, PROBE_ROOT, runProbe, WORD } from './probe.ts';
import type { InvalidationMethod } from './translations.ts';

/** mov rax, [rdi] ; syscall */
const PROGRAM: readonly number[] = [0x48, 0x8b, 0x07, 0x0f, 0x05];

/**
 * Tells which invalidation works: 'flush' (a TLB flush suffices) or 'notifier' (always works).
 * Preconditions: the machine is fresh. It is left as it was.
 */
export function findInvalidationMethod(machine: Machine): InvalidationMethod {
  beginProbe(machine, PROGRAM);
  machine.bankView[2 * PAGE_BYTES] = 2;
  machine.bankView[3 * PAGE_BYTES] = 3;
  const seen = [2, 3, 2, 3].map((frame) => {
    mapProbeData(machine, frame);
    machine.vcpu.cr3 = PROBE_ROOT;
    machine.vcpu.flushOnEntry();
    return runProbe(machine)[WORD.rax];
  });
  endProbe(machine);
  return seen.join() === '2,3,2,3' ? 'flush' : 'notifier';
}
