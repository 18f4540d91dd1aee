// Mapping, unmapping, protecting and moving regions (stub: signatures).
import type { Kernel } from '../kernel.ts';
import type { Mm } from '../records/mm.ts';
import type { Dentry, Inode } from '../records/vfs.ts';

/** What mmap(2) asks for. */
export interface MapRequest {
  /** Hint, or the exact address with MAP_FIXED. */
  gva: number;
  bytes: number;
  prot: number;
  /** MAP_* */
  flags: number;
  inode?: Inode | null;
  dentry?: Dentry | null;
  /** Page-aligned, in bytes. */
  fileOffset?: number;
  /** PROT_* that mprotect may raise it to; all three unless given. */
  maxProt?: number;
  /** VMA_PLAIN, VMA_HEAP or VMA_STACK. */
  role?: number;
}

/** Maps a region; its address or -errno. */
export function mapRegion(_k: Kernel, _request: MapRequest, _mm?: Mm): number {
  return 0;
}

/** Unmaps [gva, gva + bytes); 0 or -errno. */
export function unmapRegion(_k: Kernel, _gva: number, _bytes: number, _mm?: Mm): number {
  return 0;
}

/** Changes protection of [gva, gva + bytes); 0 or -errno. */
export function protectRegion(
  _k: Kernel, _gva: number, _bytes: number, _prot: number, _mm?: Mm,
): number {
  return 0;
}
