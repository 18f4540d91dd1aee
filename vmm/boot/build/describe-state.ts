// The parts of an image's header that are the same whatever the image is made of: the kernel, the
// CPU that its programs could see, its clock, and who wrote it.
import type { CfiCpu } from '../../../formats/cfi/header.ts';
import type { Kernel } from '../../kernel/kernel.ts';
import { KERNEL_ABI } from '../../kernel/state/kinds.ts';
import { realtime } from '../../kernel/time/clock.ts';
import type { CpuBaseline } from '../../machine/cpu-baseline.ts';
import { XSAVE_BYTES } from '../../machine/fpu.ts';
import type { Machine } from '../../machine/machine.ts';
import { VERSION } from '../../version.ts';
import { visibleFeatures } from '../pool/cpu-check.ts';
import { schemaDigest } from '../image/image-open.ts';
import type { ImageDescription } from '../image/image-write.ts';
import { closeZygote, makeZygote } from '../pool/zygote.ts';

const PROBE_BYTES = 4 * 1024 * 1024;

/** What every header says of a sandbox. Order: after its checkpoint, which notes the time. */
export function describeState(
  k: Kernel,
): Pick<ImageDescription, 'kernelAbi' | 'kernelSchema' | 'clock' | 'createdBy'> {
  const now = realtime(k);
  return {
    kernelAbi: KERNEL_ABI,
    kernelSchema: schemaDigest(),
    clock: {
      deterministic: k.root.deterministic,
      realtimeNs: BigInt(now.sec) * 1_000_000_000n + BigInt(now.nsec),
      monotonicNs: BigInt(Math.round(k.root.savedMonotonicNs)),
    },
    createdBy: { catavmm: VERSION },
  };
}

/** The CPU of a machine. Its features are asked of a machine of their own: this one is in use. */
export function describeCpu(baseline: CpuBaseline, machine: Machine): CfiCpu {
  const probe = makeZygote({ memoryBytes: PROBE_BYTES, baseBytes: 0, baseline });
  try {
    return {
      baseline,
      xcr0: BigInt(machine.xcr0),
      xsaveBytes: XSAVE_BYTES,
      features: visibleFeatures(baseline, probe.machine),
    };
  } finally {
    closeZygote(probe);
  }
}
