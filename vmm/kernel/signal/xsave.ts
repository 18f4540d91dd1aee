// The FPU image in a signal frame, as user space knows it (Linux: arch/x86/kernel/fpu/signal.c):
//
//   0 legacy region (FXSAVE) …464 | software bytes 48 | 512 header 64 | 576 components … | MAGIC2
//                                   magic1, size + 4, features, size
//
// Whatever comes back is the guest's: it is checked as XRSTOR would, and an image that XRSTOR would
// refuse is refused here, because KVM_SET_XSAVE must not fail.
import {
  FP_XSTATE_MAGIC1, FP_XSTATE_MAGIC2, FP_XSTATE_MAGIC2_SIZE, Fpstate,
} from '../../abi/struct-signal.ts';
import type { Kernel } from '../kernel.ts';
import { copyIn, readU32, USER_END } from '../mm/user-memory.ts';
import type { Task } from '../records/task.ts';
import { initialFpu, readFpu, writeFpu, XSAVE_MIN_BYTES } from '../task/fpu.ts';

const LEGACY_BYTES = 512;
const SOFTWARE_OFFSET = 464;
const HEADER_OFFSET = 512;
const HEADER_END = 576;
const X87_AND_SSE = 3n;
/** MXCSR bits that exist where the image names none. */
const MXCSR_DEFAULT_MASK = 0xffbf;

/** Bytes of the image in a frame, MAGIC2 included. */
export function frameFpuBytes(k: Kernel): number {
  return k.ports.fpu.bytes + FP_XSTATE_MAGIC2_SIZE;
}

/** The thread's FPU state as it stands in a signal frame. */
export function encodeFpu(k: Kernel, task: Task): Uint8Array {
  const { bytes, features } = k.ports.fpu;
  const image = new Uint8Array(bytes + FP_XSTATE_MAGIC2_SIZE);
  image.set(readFpu(k, task).subarray(0, bytes));
  image.fill(0, SOFTWARE_OFFSET, LEGACY_BYTES);
  const view = new DataView(image.buffer);
  Fpstate.magic1.set(view, 0, FP_XSTATE_MAGIC1);
  Fpstate.extended_size.set(view, 0, image.length);
  Fpstate.xfeatures.set(view, 0, features);
  Fpstate.xstate_size.set(view, 0, bytes);
  // Linux: x87 and SSE are always marked present, for programs that only know FXSAVE.
  const present = view.getBigUint64(HEADER_OFFSET, true) & features;
  image.fill(0, HEADER_OFFSET, HEADER_END);
  view.setBigUint64(HEADER_OFFSET, present | X87_AND_SSE, true);
  view.setUint32(bytes, FP_XSTATE_MAGIC2, true);
  return image;
}

/**
 * Loads the FPU state from a frame; gva 0 is the initial state.
 * @returns false when the memory or the image is bad
 */
export function restoreFpu(k: Kernel, task: Task, gva: number): boolean {
  if (gva === 0) {
    writeFpu(k, task, initialFpu(k.ports.fpu.bytes));
    return true;
  }
  if (!(gva < USER_END)) return false;
  const legacy = new Uint8Array(LEGACY_BYTES);
  if (copyIn(k, gva, legacy) !== LEGACY_BYTES) return false;
  const bytes = extendedBytes(k, gva, legacy);
  if (bytes < 0) return false;
  const image = initialFpu(k.ports.fpu.bytes);
  if (bytes === 0) image.set(legacy);
  else if (copyIn(k, gva, image.subarray(0, bytes)) !== bytes) return false;
  const view = new DataView(image.buffer);
  if (bytes === 0) view.setBigUint64(HEADER_OFFSET, X87_AND_SSE, true);
  if (!isValid(k, image, view)) return false;
  const wanted = bytes === 0 ? X87_AND_SSE : Fpstate.xfeatures.get(view, 0);
  const present = view.getBigUint64(HEADER_OFFSET, true) & wanted;
  putInitialLegacy(image, present);
  view.setBigUint64(HEADER_OFFSET, present | X87_AND_SSE, true);
  image.fill(0, SOFTWARE_OFFSET, LEGACY_BYTES);
  writeFpu(k, task, image);
  return true;
}

/** Makes x87 and SSE state explicit where the image only says "initial"; MXCSR is always loaded. */
function putInitialLegacy(image: Uint8Array, present: bigint): void {
  const initial = initialFpu(0);
  if ((present & 1n) === 0n) {
    image.set(initial.subarray(0, Fpstate.mxcsr.offset));
    image.fill(0, Fpstate.st_space.offset, Fpstate.xmm_space.offset);
  }
  if ((present & 2n) === 0n) image.fill(0, Fpstate.xmm_space.offset, SOFTWARE_OFFSET);
}

/**
 * Bytes of the image if its software bytes say that it is extended, 0 for a legacy one, -1 for
 * EFAULT (Linux: check_xstate_in_sigframe).
 */
function extendedBytes(k: Kernel, gva: number, legacy: Uint8Array): number {
  const view = new DataView(legacy.buffer);
  const bytes = Fpstate.xstate_size.get(view, 0);
  if (
    Fpstate.magic1.get(view, 0) !== FP_XSTATE_MAGIC1 || bytes < XSAVE_MIN_BYTES ||
    bytes > k.ports.fpu.bytes || bytes > Fpstate.extended_size.get(view, 0)
  ) return 0;
  const magic2 = readU32(k, gva + bytes);
  if (magic2 < 0) return -1;
  return magic2 === FP_XSTATE_MAGIC2 ? bytes : 0;
}

function isValid(k: Kernel, image: Uint8Array, view: DataView): boolean {
  if ((view.getBigUint64(HEADER_OFFSET, true) & ~k.ports.fpu.features) !== 0n) return false;
  if (image.subarray(HEADER_OFFSET + 8, HEADER_END).some((byte) => byte !== 0)) return false;
  // The mask is the CPU's: it is taken from the live state, not from the image.
  const live = k.ports.fpu.read();
  const mask = Fpstate.mxcsr_mask.get(new DataView(live.buffer, live.byteOffset), 0);
  const bad = Fpstate.mxcsr.get(view, 0) & ~(mask === 0 ? MXCSR_DEFAULT_MASK : mask);
  return bad === 0;
}
