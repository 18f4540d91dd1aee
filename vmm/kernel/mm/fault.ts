// Page faults (stub: signatures).
import type { Kernel } from '../kernel.ts';

/** What a page fault comes to. Ownership: one object per kind, valid until the next fault. */
export type FaultResult =
  | { readonly kind: 'ok' }
  | { readonly kind: 'signal'; signal: number; code: number; address: number }
  | { readonly kind: 'oom' };

const OK: FaultResult = { kind: 'ok' };

export function handlePageFault(_k: Kernel, _gva: number, _errorCode: number): FaultResult {
  return OK;
}
