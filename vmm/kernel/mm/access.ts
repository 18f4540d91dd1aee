// Kernel access to user pages (stub: signatures).
import type { Kernel } from '../kernel.ts';

export function accessPage(_k: Kernel, _pageGva: number, _forWrite: boolean): Uint8Array | null {
  return null;
}
