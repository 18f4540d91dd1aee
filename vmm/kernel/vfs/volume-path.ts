// Paths in the lower layer that lead into a volume: a NUL, which no name has, and the number of the
// volume stand before them, so that no path of the rootfs can mean the same.
//
//   etc/motd           in the rootfs
//   NUL 2              the root of volume 2
//   NUL 2 / etc/motd   below it
import { FS_OVERLAY, type Inode } from '../records/vfs.ts';

const SLASH = 0x2f;
const ZERO = 0x30;
/** Digits of a volume's number. */
const DIGITS_MOST = 9;
const encoder: TextEncoder = new TextEncoder();

/** A path below a volume's root. */
export interface VolumePath {
  index: number;
  rest: Uint8Array;
}

/** The root of volume `index`. */
export function volumePath(index: number): Uint8Array {
  return encoder.encode(`\0${index}`);
}

/** What a path says, or null when it is one of the rootfs. A forged one is of volume NaN. */
export function splitVolumePath(path: Uint8Array): VolumePath | null {
  if (path[0] !== 0) return null;
  const slash = path.indexOf(SLASH);
  const end = slash < 0 ? path.length : slash;
  return {
    index: readIndex(path.subarray(1, end)),
    rest: slash < 0 ? new Uint8Array() : path.subarray(slash + 1),
  };
}

function readIndex(digits: Uint8Array): number {
  if (digits.length === 0 || digits.length > DIGITS_MOST) return NaN;
  let index = 0;
  for (const digit of digits) {
    if (digit < ZERO || digit > ZERO + 9) return NaN;
    index = index * 10 + digit - ZERO;
  }
  return index;
}

/** Which volume's root an inode is, or -1. */
export function volumeOf(inode: Inode | null): number {
  if (inode === null || inode.fs !== FS_OVERLAY || inode.lowerPath === null) return -1;
  const index = splitVolumePath(inode.lowerPath.data)?.index ?? -1;
  return Number.isNaN(index) ? -1 : index;
}

/** A path as people may read it. */
export function showLowerPath(path: Uint8Array): string {
  const found = splitVolumePath(path);
  const decoder = new TextDecoder();
  if (found === null) return `/${decoder.decode(path)}`;
  return `volume ${found.index}: /${decoder.decode(found.rest)}`;
}
