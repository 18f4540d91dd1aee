// Whether KVM_SET_CPUID2 decides what CPUID says at CPL 3. With VMX and SVM it does; under PVM the
// instruction runs natively, so that a baseline cannot hide anything (facts: CPUID).
import type { Machine } from './machine.ts';
import { beginProbe, endProbe, PROBE_ROOT, runProbe, WORD } from './probe.ts';

/** mov eax, 1 ; xor ecx, ecx ; cpuid ; syscall — with ecx kept in rsi, since SYSCALL overwrites rcx */
const PROGRAM: readonly number[] =
  [0xb8, 1, 0, 0, 0, 0x31, 0xc9, 0x0f, 0xa2, 0x89, 0xce, 0x0f, 0x05];

/**
 * CPUID leaf 1 ECX as a guest of `machine` sees it.
 * Preconditions: the machine is fresh. It is left as it was.
 */
export function readGuestFeatures(machine: Machine): number {
  beginProbe(machine, PROGRAM);
  machine.vcpu.cr3 = PROBE_ROOT;
  const seen = runProbe(machine)[WORD.rsi] as number;
  endProbe(machine);
  return seen;
}
