// The snapshot of a sandbox that came from none.
import { XSAVE_BYTES } from '../../machine/fpu.ts';
import type { ProgramOptions } from '../../options.ts';
import type { Instance } from '../run/instance.ts';
import { describeProgram, describeRootfs } from '../run/launch.ts';
import type { Snapshot } from './snapshot.ts';

/** What a sandbox came from that was started from the beginning: no frames, no records. */
export function emptySnapshot(instance: Instance, options: ProgramOptions): Snapshot {
  const { zygote } = instance;
  const nothing = { address: 0, bytes: 0 };
  return {
    identity: 'nothing', layers: [], baseFrames: 0, base: null, root: 0, hot: null,
    program: describeProgram(options),
    objects: nothing, relations: nothing, tables: nothing,
    cpu: {
      baseline: zygote.options.baseline,
      xcr0: BigInt(zygote.machine.xcr0),
      xsaveBytes: XSAVE_BYTES,
      features: [],
    },
    limitBytes: zygote.options.memoryBytes,
    rootfs: describeRootfs(options),
  };
}
