// What CPUID says at CPL 3, asked in the guest itself. With VMX and SVM it is what KVM_SET_CPUID2
// set; under PVM the instruction runs natively, whatever was set (facts: CPUID).
import type { CpuidLeaf } from './cpu-baseline.ts';
import type { Machine } from './machine.ts';
import { PAGE_BYTES } from './paging.ts';
import { beginProbe, endProbe, mapProbeData, PROBE_ROOT, runProbe } from './probe.ts';

const DATA_FRAME = 2;
/** leaf, subleaf, eax, ebx, ecx, edx: u32 each. */
const ROW_BYTES = 24;

/** For `count` rows at rdi: loads leaf and subleaf, executes CPUID, stores the four registers. */
function program(count: number): number[] {
  return [
    0x41, 0xb8, count, 0, 0, 0, // mov r8d, count
    0x8b, 0x07, // next: mov eax, [rdi]
    0x8b, 0x4f, 0x04, // mov ecx, [rdi+4]
    0x0f, 0xa2, // cpuid
    0x89, 0x47, 0x08, // mov [rdi+8], eax
    0x89, 0x5f, 0x0c, // mov [rdi+12], ebx
    0x89, 0x4f, 0x10, // mov [rdi+16], ecx
    0x89, 0x57, 0x14, // mov [rdi+20], edx
    0x48, 0x83, 0xc7, ROW_BYTES, // add rdi, 24
    0x41, 0xff, 0xc8, // dec r8d
    0x75, 0xe4, // jnz next
    0x0f, 0x05, // syscall
  ];
}

/**
 * CPUID leaves as a guest of `machine` sees them.
 * Preconditions: the machine is fresh. It is left as it was.
 * @param wanted at most 64 (leaf, subleaf) pairs
 */
export function readGuestCpuid(
  machine: Machine,
  wanted: readonly { leaf: number; subleaf: number }[],
): CpuidLeaf[] {
  if (wanted.length > 64) throw new RangeError('at most 64 CPUID leaves');
  beginProbe(machine, program(wanted.length));
  mapProbeData(machine, DATA_FRAME);
  machine.vcpu.cr3 = PROBE_ROOT;
  const bytes = machine.bankView.subarray(DATA_FRAME * PAGE_BYTES, (DATA_FRAME + 1) * PAGE_BYTES);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  wanted.forEach(({ leaf, subleaf }, index) => {
    view.setUint32(index * ROW_BYTES, leaf, true);
    view.setUint32(index * ROW_BYTES + 4, subleaf, true);
  });
  runProbe(machine);
  const leaves = wanted.map(({ leaf, subleaf }, index) => {
    const word = (at: number): number => view.getUint32(index * ROW_BYTES + at, true);
    return { leaf, subleaf, eax: word(8), ebx: word(12), ecx: word(16), edx: word(20) };
  });
  endProbe(machine);
  return leaves;
}
