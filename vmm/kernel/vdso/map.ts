// The vDSO in an address space: one private page, which the program may read and execute.
import {
  MAP_ANONYMOUS, MAP_PRIVATE, PROT_EXEC, PROT_READ, PROT_WRITE,
} from '../../abi/mman.ts';
import { EFAULT } from '../../abi/errno.ts';
import type { Kernel } from '../kernel.ts';
import { mapRegion, protectRegion } from '../mm/map.ts';
import { copyOut } from '../mm/user-memory.ts';
import { PAGE_BYTES } from '../ports.ts';
import { type Mm, VMA_VDSO } from '../records/mm.ts';
import { vdsoPage } from './image.ts';

/**
 * Maps it. Preconditions: `mm` is that of the current process.
 * @returns its address, for AT_SYSINFO_EHDR; -ENOMEM, -EFAULT (no frame left)
 */
export function mapVdso(k: Kernel, mm: Mm): number {
  const gva = mapRegion(k, {
    gva: 0,
    bytes: PAGE_BYTES,
    prot: PROT_READ | PROT_WRITE,
    flags: MAP_PRIVATE | MAP_ANONYMOUS,
    role: VMA_VDSO,
  }, mm);
  if (gva < 0) return gva;
  if (copyOut(k, gva, vdsoPage()) !== PAGE_BYTES) return -EFAULT;
  const refused = protectRegion(k, gva, PAGE_BYTES, PROT_READ | PROT_EXEC, mm);
  return refused < 0 ? refused : gva;
}
