// Paths and names that come from the guest (Linux: getname).
import { EFAULT, ENAMETOOLONG, ERANGE } from '../../abi/errno.ts';
import { PATH_MAX, XATTR_NAME_MAX } from '../../abi/limits.ts';
import type { Kernel } from '../kernel.ts';
import { readString } from '../mm/user-memory.ts';

/** A path; may be empty. -EFAULT, -ENAMETOOLONG. */
export function readPath(k: Kernel, gva: number): Uint8Array | number {
  const path = readString(k, gva, PATH_MAX);
  if (path === null) return -EFAULT;
  return path === undefined ? -ENAMETOOLONG : path;
}

/** An attribute's name. -EFAULT, -ERANGE. */
export function readAttributeName(k: Kernel, gva: number): Uint8Array | number {
  const name = readString(k, gva, XATTR_NAME_MAX + 1);
  if (name === null) return -EFAULT;
  return name === undefined || name.length === 0 ? -ERANGE : name;
}
