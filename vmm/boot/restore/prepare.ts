// Work that can be done before a boot is asked for: the image opened and checked, machines made.
import { openImage } from '../image/image-open.ts';
import { zygoteOptionsOf } from '../run/launch.ts';
import { prepareZygotes } from '../pool/zygote-pool.ts';

/** Opens `file` and makes `count` machines for boots of it. @throws as a boot does */
export function prepareBoot(file: string, count: number): void {
  const image = openImage(file);
  prepareZygotes(zygoteOptionsOf(image), count, image.header.memory.hotFrames);
}
