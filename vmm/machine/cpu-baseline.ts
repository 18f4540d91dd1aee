// The CPU a guest may see. XCR0 is the lever that user space respects everywhere: programs check
// XGETBV before they use AVX or AVX-512. CPUID is masked too, which works where CPUID exits to KVM.
import type { CpuidTable } from '../host/kvm.ts';

/** x86-64 micro-architecture levels (psABI), or all that the host has. */
export type CpuBaseline = 'v2' | 'v3' | 'v4' | 'host';

const X87_SSE = 0x3;
const AVX = 0x4;
const AVX512 = 0xe0;
const CPUID_HEADER_BYTES = 8;
const CPUID_ENTRY_BYTES = 40;
const LEAF_XSTATE = 0xd;

/** CPUID bits above x86-64-v2 (first row) and above v3 (second): leaf, register offset, bits. */
const ABOVE_V2: readonly [number, number, number][] = [
  // AVX, FMA, F16C, MOVBE; AVX2, BMI1, BMI2; LZCNT
  [1, 20, (1 << 28) | (1 << 12) | (1 << 29) | (1 << 22)],
  [7, 16, (1 << 5) | (1 << 3) | (1 << 8)],
  [0x8000_0001, 20, 1 << 5],
];
const ABOVE_V3: readonly [number, number, number][] = [
  // AVX-512 F, DQ, IFMA, PF, ER, CD, BW, VL; VBMI, VBMI2, VNNI, BITALG, VPOPCNTDQ; 4VNNIW, FP16 …
  [7, 16, (1 << 16) | (1 << 17) | (1 << 21) | (0b111 << 26) | (1 << 30) | (1 << 31)],
  [7, 20, (1 << 1) | (1 << 6) | (1 << 11) | (1 << 12) | (1 << 14)],
  [7, 24, (1 << 2) | (1 << 3) | (1 << 8) | (1 << 23)],
];

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

/** Which CPU of the host it is: a guest has only one, of number 0. Leaf, register offset, bits. */
const CPU_NUMBERS: readonly [number, number, number][] = [
  [1, 16, 0xff << 24],
  [0xb, 24, -1],
  [0x1f, 24, -1],
];

/** Clears what lies above a baseline, and the CPU's number, in a copy of a CPUID table. */
export function maskCpuid(baseline: CpuBaseline, table: CpuidTable): void {
  const rows = baseline === 'v2' ? [...ABOVE_V2, ...ABOVE_V3] : baseline === 'v3' ? ABOVE_V3 : [];
  for (let index = 0; index < table.count; index++) {
    const at = CPUID_HEADER_BYTES + index * CPUID_ENTRY_BYTES;
    const leaf = table.view.getUint32(at, true);
    const subleaf = table.view.getUint32(at + 4, true);
    const clear = ([wanted, offset, bits]: readonly [number, number, number]): void => {
      if (leaf !== wanted) return;
      table.view.setUint32(at + offset, table.view.getUint32(at + offset, true) & ~bits, true);
    };
    if (subleaf === 0) rows.forEach(clear);
    CPU_NUMBERS.forEach(clear);
  }
}
