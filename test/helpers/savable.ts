// Whether the records of a kernel, as they are, would make an image that is accepted.
import { saveObjects } from '../../vmm/kernel/state/save.ts';
import { giveRegion, takeRegion, u32, u8 } from '../../vmm/kernel/state/memory.ts';
import { checkRecords } from '../../vmm/boot/image/image-records.ts';
import type { Kernel } from '../../vmm/kernel/kernel.ts';

/** @throws ImageError at what an image must not say */
export function assertSavable(k: Kernel): void {
  const { objects, relations, count } = saveObjects(k.root);
  const region = takeRegion(objects.length + relations.byteLength);
  try {
    const at = region.address + objects.length;
    u8.set(objects, region.address);
    u32.set(relations, at >> 2);
    checkRecords(
      { address: region.address, bytes: objects.length },
      { address: at, bytes: relations.byteLength },
      { root: 0, count },
    );
  } finally {
    giveRegion(region);
  }
}
