// FPU, SSE and AVX state of the thread on the vCPU: raw KVM xsave images (standard format). It is
// exchanged only when another thread is scheduled, never on an exit.
import { mustIoctl } from '../host/kvm.ts';
import { takeScratch, type Scratch } from '../host/scratch.ts';
import { KVM_GET_XSAVE, KVM_SET_XSAVE } from '../abi/kvm.ts';
import type { Vcpu } from './vcpu.ts';

/** Bytes of struct kvm_xsave. */
export const XSAVE_BYTES = 4096;
const FCW_OFFSET = 0;
const MXCSR_OFFSET = 24;
const XSTATE_BV_OFFSET = 512;
const FCW_INITIAL = 0x37f;
const MXCSR_INITIAL = 0x1f80;
const X87_SSE = 3n;

let scratch: Scratch | null = null;

function buffer(): Scratch {
  scratch ??= takeScratch(XSAVE_BYTES);
  return scratch;
}

/** KVM_GET_XSAVE. Ownership: the bytes are overwritten by the next call of this module. */
export function readXsave(vcpu: Vcpu): Uint8Array {
  const piece = buffer();
  mustIoctl(vcpu.fd, KVM_GET_XSAVE, piece.address, 'KVM_GET_XSAVE');
  return piece.bytes;
}

/** KVM_SET_XSAVE; null loads the state that a new program starts with. */
export function writeXsave(vcpu: Vcpu, image: Uint8Array | null): void {
  const piece = buffer();
  if (image === null) putInitialState(piece);
  else if (image !== piece.bytes) {
    piece.bytes.fill(0);
    piece.bytes.set(image.subarray(0, XSAVE_BYTES));
  }
  mustIoctl(vcpu.fd, KVM_SET_XSAVE, piece.address, 'KVM_SET_XSAVE');
}

function putInitialState(piece: Scratch): void {
  piece.bytes.fill(0);
  piece.view.setUint16(FCW_OFFSET, FCW_INITIAL, true);
  piece.view.setUint32(MXCSR_OFFSET, MXCSR_INITIAL, true);
  piece.view.setBigUint64(XSTATE_BV_OFFSET, X87_SSE, true);
}
