// CPU features: what an image's program could see when it was built, and whether this host has it
// all.
import * as fs from 'node:fs';
import type { CfiCpu, CfiCpuFeature } from '../../../formats/cfi/header.ts';
import { readGuestCpuid } from '../../machine/cpuid-probe.ts';
import type { Machine } from '../../machine/machine.ts';
import type { CpuBaseline, CpuidLeaf } from '../../machine/cpu-baseline.ts';
import { VERSION } from '../../version.ts';
import { ImageError } from '../image/image-error.ts';
import { readEntry, writeEntry } from '../image/private-store.ts';

/** Leaves (and registers) whose bits name instructions that a program may have chosen to use. */
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

const seen: Map<CpuBaseline, CfiCpuFeature[]> = new Map();

/**
 * The features that programs see on this host with a baseline; asked once per process.
 * @param probe a fresh machine of that baseline; it is left as it was
 */
export function visibleFeatures(baseline: CpuBaseline, probe: Machine): CfiCpuFeature[] {
  let features = seen.get(baseline);
  if (features === undefined) {
    features = recallFeatures(baseline) ?? askGuest(baseline, probe);
    seen.set(baseline, features);
  }
  return features;
}

function askGuest(baseline: CpuBaseline, probe: Machine): CfiCpuFeature[] {
  const leaves = readGuestCpuid(probe, FEATURE_LEAVES);
  const features = leaves.map(
    (leaf, index) => maskLeaf(leaf, FEATURE_LEAVES[index]?.mask ?? NOTHING));
  const name = storeName(baseline);
  if (name !== null) writeEntry(SHELF, name, JSON.stringify(features));
  return features;
}

/** A CPU keeps its features while its host is up. Null where the host does not say since when. */
function storeName(baseline: CpuBaseline): string | null {
  try {
    const bootId = fs.readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
    return `${bootId}-${baseline}-${VERSION}`;
  } catch {
    return null;
  }
}

/** What an earlier process of this user found on this host since it started. */
function recallFeatures(baseline: CpuBaseline): CfiCpuFeature[] | null {
  const name = storeName(baseline);
  const text = name === null ? null : readEntry(SHELF, name);
  if (text === null) return null;
  try {
    const found = JSON.parse(text) as CfiCpuFeature[];
    const isWhole = FEATURE_LEAVES.every(({ leaf, subleaf }, index) =>
      found[index]?.leaf === leaf && found[index]?.subleaf === subleaf &&
      REGISTERS.every((register) => Number.isInteger(found[index]?.[register])));
    return isWhole ? found : null;
  } catch {
    return null;
  }
}

const SHELF = 'cpu';
const NOTHING: CpuidMask = { eax: 0, ebx: 0, ecx: 0, edx: 0 };

function maskLeaf(leaf: CpuidLeaf, mask: CpuidMask): CfiCpuFeature {
  const masked = { leaf: leaf.leaf, subleaf: leaf.subleaf, eax: 0, ebx: 0, ecx: 0, edx: 0 };
  for (const register of REGISTERS) masked[register] = (leaf[register] & mask[register]) >>> 0;
  return masked;
}

/** @throws ImageError when the image's program may use something that this host lacks */
export function checkCpu(cpu: CfiCpu, machine: Machine): void {
  const missingState = cpu.xcr0 & ~BigInt(machine.xcr0);
  if (missingState !== 0n) {
    throw lacks(`state 0x${missingState.toString(16)} (XCR0)`);
  }
  const host = visibleFeatures(cpu.baseline, machine);
  for (const feature of cpu.features) {
    const have = host.find((f) => f.leaf === feature.leaf && f.subleaf === feature.subleaf);
    for (const register of REGISTERS) {
      const lacking = (feature[register] & ~(have?.[register] ?? 0)) >>> 0;
      if (lacking === 0) continue;
      const leaf = `${feature.leaf.toString(16)}.${feature.subleaf}`;
      throw lacks(`features 0x${lacking.toString(16)} of CPUID ${leaf} ${register}`);
    }
  }
}

function lacks(what: string): ImageError {
  return new ImageError(
    'cpu',
    `The func-image needs CPU ${what}, which this host lacks: ` +
      'build it here, or with a lower --cpu.',
  );
}
