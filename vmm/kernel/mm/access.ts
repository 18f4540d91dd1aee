// Kernel access to user pages: the bytes behind a guest address, by the rules that the guest's own
// access has. mm/user-memory.ts is built on it; nothing else hands out guest pages.
//
// JavaScript never loads from the image's mapping: base frames are read into a few scratch pages,
// which stay valid because base frames never change.
import { PROT_WRITE } from '../../abi/mman.ts';
import type { Kernel } from '../kernel.ts';
import { BASE_FRAME } from '../ports.ts';
import type { Mm } from '../records/mm.ts';
import { u32 } from '../state/memory.ts';
import { touchOrReclaim } from './fault.ts';
import { currentMm } from './limits.ts';
import { frameAt } from './pages.ts';
import { PTE_P, PTE_RW, PTE_US } from './pte.ts';
import { growStack } from './stack.ts';
import { findEntry, settle } from './tables.ts';
import { TOUCH_OK } from './touch.ts';
import { USER_END } from './user-memory.ts';
import { findVma } from './vma.ts';

const READABLE: number = PTE_P | PTE_US;
const WRITABLE: number = PTE_P | PTE_US | PTE_RW;

/**
 * The 4096 bytes of the user page at `pageGva`; null when the guest may not access it so (EFAULT).
 * Ownership: valid until the guest runs or mappings change; a page got for reading is not to be
 * written. Of pages got for reading the last 16 are valid at a time.
 */
export function accessPage(k: Kernel, pageGva: number, forWrite: boolean): Uint8Array | null {
  const mm = currentMm(k);
  if (mm === null || !(pageGva >= 0 && pageGva < USER_END)) return null;
  const wanted = forWrite ? WRITABLE : READABLE;
  let at = findEntry(k.tables, mm.rootTable, pageGva);
  if (at === 0 || ((u32[at] as number) & wanted) !== wanted) {
    if (!touchForKernel(k, mm, pageGva, forWrite)) return null;
    at = findEntry(k.tables, mm.rootTable, pageGva);
  }
  if (forWrite && k.tables.unsettled.size > 0) settle(k, at, pageGva);
  const frame = frameAt(k, at);
  return frame >= BASE_FRAME ? k.frames.scratch.read(k, frame) : k.frames.page(frame);
}

function touchForKernel(k: Kernel, mm: Mm, gva: number, forWrite: boolean): boolean {
  const vma = findVma(mm, gva) ?? growStack(k, mm, gva);
  if (vma === null || (forWrite ? (vma.prot & PROT_WRITE) === 0 : vma.prot === 0)) return false;
  return touchOrReclaim(k, mm, vma, gva, forWrite, false) === TOUCH_OK;
}
