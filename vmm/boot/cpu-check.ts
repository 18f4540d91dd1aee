// CPU features: what an image's program could see when it was built, and whether this host has it all.
import type { CfiCpu, CfiCpuFeature } from '../../formats/cfi/header.ts';
import { readGuestFeatures } from '../machine/cpuid-probe.ts';
import { cpuidOf, kvmHandle, type Machine } from '../machine/machine.ts';
import { type CpuidLeaf, cpuidLeaves } from '../machine/cpu-baseline.ts';
import { ImageError } from './image-error.ts';

/** Leaves whose bits name instructions that a program may have chosen to use, and which registers. */
const FEATURE_LEAVES: readonly { leaf: number; subleaf: number; mask: CpuidMask }[] = [
  { leaf: 1, subleaf: 0, mask: { eax: 0, ebx: 0, ecx: 0xf7fa_3223, edx: 0x0789_8111 } },
  { leaf: 7, subleaf: 0, mask: { eax: 0, ebx: 0xffff_ffff, ecx: 0xffff_ffff, edx: 0xffff_ffff } },
  { leaf: 7, subleaf: 1, mask: { eax: 0xffff_ffff, ebx: 0, ecx: 0, edx: 0 } },
  { leaf: 0xd, subleaf: 1, mask: { eax: 0xf, ebx: 0, ecx: 0, edx: 0 } },
  { leaf: 0x8000_0001, subleaf: 0, mask: { eax: 0, ebx: 0, ecx: 0xffff_ffff, edx: 0xffff_ffff } },
];

interface CpuidMask {
  eax: number;
  ebx: number;
  ecx: number;
  edx: number;
}

const REGISTERS = ['eax', 'ebx', 'ecx', 'edx'] as const;

/** The features that a guest of `machine` can see, for an image's header. */
export function visibleFeatures(leaves: readonly CpuidLeaf[]): CfiCpuFeature[] {
  const features: CfiCpuFeature[] = [];
  for (const { leaf, subleaf, mask } of FEATURE_LEAVES) {
    const found = leaves.find((l) => l.leaf === leaf && l.subleaf === subleaf);
    if (found === undefined) continue;
    const masked = { leaf, subleaf, eax: 0, ebx: 0, ecx: 0, edx: 0 };
    for (const register of REGISTERS) masked[register] = (found[register] & mask[register]) >>> 0;
    features.push(masked);
  }
  return features;
}

/** What the guests of this host can see at most. */
function hostFeatures(): CfiCpuFeature[] {
  return visibleFeatures(cpuidLeaves(kvmHandle().cpuid));
}

const AVX_BIT = 1 << 28;

/**
 * What a program built with `baseline` could see here. Where the host lets CPUID through unmasked, that
 * is everything the host has, whatever the baseline says.
 * @param probe a fresh machine of that baseline
 */
export function recordedFeatures(baseline: CfiCpu['baseline'], probe: Machine): CfiCpuFeature[] {
  const leaves = cpuidLeaves(cpuidOf(baseline));
  const promised = leaves.find((l) => l.leaf === 1)?.ecx ?? 0;
  const isMasked = ((readGuestFeatures(probe) ^ promised) & AVX_BIT) === 0;
  return isMasked ? visibleFeatures(leaves) : hostFeatures();
}

/** @throws ImageError when the image's program may use something that this host lacks */
export function checkCpu(cpu: CfiCpu, machine: Machine): void {
  const missingState = Number(cpu.xcr0) & ~machine.xcr0;
  if (missingState !== 0) {
    throw new ImageError('cpu', `The func-image needs CPU state 0x${missingState.toString(16)} (XCR0), which this host lacks: build it with a lower --cpu.`);
  }
  const host = hostFeatures();
  for (const feature of cpu.features) {
    const have = host.find((f) => f.leaf === feature.leaf && f.subleaf === feature.subleaf);
    for (const register of REGISTERS) {
      const lacking = (feature[register] & ~(have?.[register] ?? 0)) >>> 0;
      if (lacking === 0) continue;
      const where = `CPUID ${feature.leaf.toString(16)}.${feature.subleaf} ${register}`;
      throw new ImageError('cpu', `The func-image needs CPU features 0x${lacking.toString(16)} of ${where}, which this host lacks: build it there, or with a lower --cpu.`);
    }
  }
}
