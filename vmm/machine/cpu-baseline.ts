// The CPU a guest may see. XCR0 is the lever that user space respects everywhere: programs check
// XGETBV before they use AVX or AVX-512. CPUID is masked too, where the host lets KVM do that.
import type { CpuidTable } from '../host/kvm.ts';

/** x86-64 micro-architecture levels (psABI), or all that the host has. */
export type CpuBaseline = 'v2' | 'v3' | 'v4' | 'host';

const X87_SSE = 0x3;
const AVX = 0x4;
const AVX512 = 0xe0;
const CPUID_HEADER_BYTES = 8;
const CPUID_ENTRY_BYTES = 40;
const LEAF_XSTATE = 0xd;

/** One CPUID leaf as the guest sees it. */
export interface CpuidLeaf {
  leaf: number;
  subleaf: number;
  eax: number;
  ebx: number;
  ecx: number;
  edx: number;
}

/** The entries of a struct kvm_cpuid2. */
export function cpuidLeaves(table: CpuidTable): CpuidLeaf[] {
  return Array.from({ length: table.count }, (_unused, index) => {
    const at = CPUID_HEADER_BYTES + index * CPUID_ENTRY_BYTES;
    const word = (offset: number): number => table.view.getUint32(at + offset, true);
    return {
      leaf: word(0), subleaf: word(4), eax: word(12), ebx: word(16), ecx: word(20), edx: word(24),
    };
  });
}

/** XCR0 for a baseline, limited to what the host supports. */
export function xcr0Of(baseline: CpuBaseline, table: CpuidTable): number {
  const leaf = cpuidLeaves(table).find((l) => l.leaf === LEAF_XSTATE && l.subleaf === 0);
  const supported = (leaf?.eax ?? X87_SSE) & (X87_SSE | AVX | AVX512);
  const wanted = { v2: X87_SSE, v3: X87_SSE | AVX, v4: X87_SSE | AVX | AVX512, host: supported };
  return (wanted[baseline] & supported) | X87_SSE;
}
