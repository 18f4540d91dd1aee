// Opens every lower file that a restored sandbox has open or mapped, at once. Boots do not: they
// open a file when it is first used (lower.ts). It is what checkpoint/restore does, to compare
// with.
import { S_ISREG } from '../../abi/stat.ts';
import type { Kernel } from '../kernel.ts';
import { lowerHandle } from './lower.ts';
import { usedInodes } from './prune.ts';

/** Files that are gone or have changed are events, as at a first use. */
export function connectLowerFiles(k: Kernel): void {
  for (const inode of usedInodes(k)) {
    if (inode.lowerPath !== null && S_ISREG(inode.mode)) lowerHandle(k, inode);
  }
}
