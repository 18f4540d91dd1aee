// Work that can be done before a boot is asked for: the image opened and checked, machines made.
import { openImage } from './image-open.ts';
import { PAGE_BYTES } from '../kernel/ports.ts';
import { baseClassOf, prepareZygotes } from './zygote.ts';

/** Opens `file` and makes `count` machines for boots of it. @throws as a boot does */
export function prepareBoot(file: string, count: number): void {
  const { header, frames } = openImage(file);
  prepareZygotes({
    memoryBytes: header.memory.limitBytes,
    baseBytes: baseClassOf(frames.bytes),
    baseline: header.cpu.baseline,
  }, count, header.memory.hotFrames * PAGE_BYTES);
}
