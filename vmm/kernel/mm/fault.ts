// Page faults of the guest: whether the access is allowed, and then mm/touch.ts.
// Linux: do_user_addr_fault, arch/x86/mm/fault.c.
import { PROT_EXEC, PROT_WRITE } from '../../abi/mman.ts';
import { BUS_ADRERR, SEGV_ACCERR, SEGV_MAPERR, SIGBUS, SIGSEGV } from '../../abi/signal.ts';
import type { Kernel } from '../kernel.ts';
import { PAGE_BYTES } from '../ports.ts';
import type { Mm, Vma } from '../records/mm.ts';
import { ArenaFullError } from '../state/arena.ts';
import { currentMm } from './limits.ts';
import { reclaimUntouched } from './reclaim.ts';
import { growStack } from './stack.ts';
import { TOUCH_BUS, TOUCH_OK, TOUCH_OOM, touchPage } from './touch.ts';
import { USER_END } from './user-memory.ts';
import { findVma } from './vma.ts';

/** Bits of a page fault's error code (Intel SDM vol. 3, 4.7). */
export const FAULT_PRESENT = 1;
export const FAULT_WRITE = 2;
export const FAULT_USER = 4;
export const FAULT_RESERVED = 8;
export const FAULT_FETCH = 16;

/** What a page fault comes to. Ownership: one object per kind, valid until the next fault. */
export type FaultResult =
  | { readonly kind: 'ok' }
  | {
    readonly kind: 'signal';
    signal: number;
    code: number;
    address: number;
    /** As sigcontext shows it. */
    errorCode: number;
  }
  /** The sandbox's memory limit is reached: the process is to be killed. */
  | { readonly kind: 'oom' };

const OK: FaultResult = { kind: 'ok' };
const OOM: FaultResult = { kind: 'oom' };
const SIGNAL: FaultResult & { kind: 'signal' } =
  { kind: 'signal', signal: 0, code: 0, address: 0, errorCode: 0 };

function signalled(
  signal: number,
  code: number,
  address: number,
  errorCode: number,
): FaultResult {
  SIGNAL.signal = signal;
  SIGNAL.code = code;
  SIGNAL.address = address;
  // Linux: sanitize_error_code. Whether a kernel address is mapped is not told.
  const isKernel = !(address >= 0 && address < USER_END);
  SIGNAL.errorCode = isKernel ? errorCode | FAULT_PRESENT : errorCode;
  return SIGNAL;
}

/**
 * Resolves a fault that the guest took.
 * @param gva CR2 as a signed number, so that addresses of the kernel's half are exact, too
 * @param errorCode FAULT_*
 */
export function handlePageFault(k: Kernel, gva: number, errorCode: number): FaultResult {
  const mm = currentMm(k);
  if (mm === null || !(gva >= 0 && gva < USER_END) || (errorCode & FAULT_RESERVED) !== 0) {
    return signalled(SIGSEGV, SEGV_MAPERR, gva, errorCode);
  }
  const page = gva - gva % PAGE_BYTES;
  const vma = findVma(mm, page) ?? growStack(k, mm, page);
  if (vma === null) return signalled(SIGSEGV, SEGV_MAPERR, gva, errorCode);
  if (!isAllowed(vma, errorCode)) return signalled(SIGSEGV, SEGV_ACCERR, gva, errorCode);
  const done = touchOrReclaim(k, mm, vma, page, (errorCode & FAULT_WRITE) !== 0, true);
  if (done === TOUCH_OK) return OK;
  return done === TOUCH_BUS ? signalled(SIGBUS, BUS_ADRERR, gva, errorCode) : OOM;
}

function isAllowed(vma: Vma, errorCode: number): boolean {
  const { prot } = vma;
  if ((errorCode & FAULT_WRITE) !== 0) return (prot & PROT_WRITE) !== 0;
  if ((errorCode & FAULT_FETCH) !== 0) return (prot & PROT_EXEC) !== 0;
  // x86: what may be written or executed may be read.
  return prot !== 0;
}

/** touchPage(), and once more after taking back untouched pages when memory has run out. */
export function touchOrReclaim(
  k: Kernel,
  mm: Mm,
  vma: Vma,
  gva: number,
  forWrite: boolean,
  byGuest: boolean,
): number {
  try {
    const done = touchPage(k, vma, gva, forWrite, byGuest);
    if (done !== TOUCH_OOM || k.frames.available > 0) return done;
    if (reclaimUntouched(k, mm) === 0) return TOUCH_OOM;
    return touchPage(k, vma, gva, forWrite, byGuest);
  } catch (error) {
    if (error instanceof ArenaFullError) return TOUCH_OOM;
    throw error;
  }
}
