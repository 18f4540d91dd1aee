// A checkpoint of a sandbox that runs, as an image file: a layer over the image that it came from,
// or a whole image when it came from none. The sandbox goes on.
import { openFilesForImage } from '../../kernel/vfs/image-files.ts';
import type { CheckpointOptions, CheckpointResult } from '../../options.ts';
import { requireBeside } from './build-layer.ts';
import { takeCheckpoint } from './checkpoint.ts';
import { describeCpu, describeState } from './describe-state.ts';
import { writeImage } from '../image/image-write.ts';
import type { Instance } from '../run/instance.ts';
import { layersOf, NOTHING_BELOW } from './same-frames.ts';
import type { Snapshot } from '../restore/snapshot.ts';
import { requireTemplatable } from './template-rules.ts';

/**
 * Writes what a sandbox is just now.
 * @param origin the snapshot that it was made of
 * @throws CatavmmError, HostError, file system errors; the file is then as it was
 */
export function writeCheckpoint(
  instance: Instance, origin: Snapshot, file: string, options: CheckpointOptions,
): CheckpointResult {
  const { k, runner, zygote } = instance;
  const base = options.whole === true ? null : origin.base;
  if (base !== null) requireBeside(file, base);
  requireTemplatable(k);
  runner.parkThread();
  const below = base === null
    ? NOTHING_BELOW : { ...layersOf(origin), frames: base.frames };
  const checkpoint = takeCheckpoint(k, undefined, below);
  const written = writeImage(file, checkpoint, {
    ...describeState(k),
    memoryLimitBytes: zygote.options.memoryBytes,
    cpu: origin.cpu.features.length > 0
      ? origin.cpu : describeCpu(zygote.options.baseline, zygote.machine),
    rootfs: origin.rootfs,
    program: origin.program,
    entry: { kind: 'checkpoint' },
    parent: base?.digest ?? null,
  }, openFilesForImage(k));
  return {
    output: file,
    bytes: written.bytes,
    frames: written.frames,
    parentFrames: checkpoint.baseFrames,
    objects: checkpoint.objectCount,
  };
}
