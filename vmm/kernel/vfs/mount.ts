// Mounting the root (stub: signatures).
import type { Kernel } from '../kernel.ts';

/** Mounts the overlay over ports.lower with /proc, /dev and /sys; sets k.root.rootDentry. */
export function mountRoot(_k: Kernel): void {
  throw new Error('not written yet');
}
