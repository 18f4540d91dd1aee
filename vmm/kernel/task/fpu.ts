// A thread's FPU state: on the vCPU while it is the current thread, else in its record.
import type { Kernel } from '../kernel.ts';
import type { Task } from '../records/task.ts';
import { makeBytes } from '../state/containers.ts';

const FCW_OFFSET = 0;
const MXCSR_OFFSET = 24;
const FCW_INITIAL = 0x37f;
const MXCSR_INITIAL = 0x1f80;
const HEADER_OFFSET = 512;
/** In XSTATE_BV although initial: KVM takes MXCSR from the area only then. */
const X87_AND_SSE = 3n;
/** Bytes of the legacy region and the header, the smallest XSAVE area. */
export const XSAVE_MIN_BYTES = 576;

/** The XSAVE area of `task`. Ownership: valid until the FPU is read or written again. */
export function readFpu(k: Kernel, task: Task): Uint8Array {
  if (k.current === task) return k.ports.fpu.read();
  return task.xsave?.data ?? initialFpu(k.ports.fpu.bytes);
}

/** Replaces it. `area` may be shorter than what the machine exchanges; the rest becomes zero. */
export function writeFpu(k: Kernel, task: Task, area: Uint8Array): void {
  const whole = new Uint8Array(Math.max(k.ports.fpu.read().length, area.length));
  whole.set(area);
  if (k.current === task) k.ports.fpu.write(whole);
  else if (task.xsave === null) task.xsave = makeBytes(k.arena, whole);
  else task.xsave.data.set(whole.subarray(0, task.xsave.length));
}

/** The state a program starts with: all components initial. */
export function initialFpu(bytes: number): Uint8Array {
  const area = new Uint8Array(Math.max(bytes, XSAVE_MIN_BYTES));
  const view = new DataView(area.buffer);
  view.setUint16(FCW_OFFSET, FCW_INITIAL, true);
  view.setUint32(MXCSR_OFFSET, MXCSR_INITIAL, true);
  view.setBigUint64(HEADER_OFFSET, X87_AND_SSE, true);
  return area;
}
