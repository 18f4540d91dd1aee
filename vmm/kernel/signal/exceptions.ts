// CPU exceptions as signals. Page faults go to mm first (mm/fault.ts).
// Source: Intel SDM vol. 3, 6.15; Linux: arch/x86/kernel/traps.c.
import {
  BUS_ADRALN, FPE_FLTDIV, FPE_FLTINV, FPE_FLTOVF, FPE_FLTRES, FPE_FLTUND, FPE_INTDIV, ILL_ILLOPN,
  SI_KERNEL, SIGBUS, SIGFPE, SIGILL, SIGSEGV, SIGTRAP, TRAP_TRACE,
} from '../../abi/signal.ts';
import { Fpstate } from '../../abi/struct-signal.ts';
import type { Kernel } from '../kernel.ts';
import type { Task } from '../records/task.ts';
import { readFpu } from '../task/fpu.ts';
import { forceSignal } from './force.ts';

/** Vectors */
const X87_ERROR = 16;
const SIMD_ERROR = 19;

interface ExceptionRow {
  readonly signal: number;
  readonly code: number;
  /** si_addr is the instruction's address, else 0. */
  readonly atInstruction: boolean;
}

const ROWS: Readonly<Record<number, ExceptionRow>> = {
  0: { signal: SIGFPE, code: FPE_INTDIV, atInstruction: true }, // #DE
  1: { signal: SIGTRAP, code: TRAP_TRACE, atInstruction: true }, // #DB
  3: { signal: SIGTRAP, code: SI_KERNEL, atInstruction: false }, // #BP
  4: { signal: SIGSEGV, code: SI_KERNEL, atInstruction: false }, // #OF
  5: { signal: SIGSEGV, code: SI_KERNEL, atInstruction: false }, // #BR
  6: { signal: SIGILL, code: ILL_ILLOPN, atInstruction: true }, // #UD
  11: { signal: SIGBUS, code: SI_KERNEL, atInstruction: false }, // #NP
  12: { signal: SIGBUS, code: SI_KERNEL, atInstruction: false }, // #SS
  13: { signal: SIGSEGV, code: SI_KERNEL, atInstruction: false }, // #GP
  17: { signal: SIGBUS, code: BUS_ADRALN, atInstruction: false }, // #AC
};
const OTHERS: ExceptionRow = { signal: SIGSEGV, code: SI_KERNEL, atInstruction: false };

/**
 * Turns a CPU exception of the guest, other than a page fault, into the signal Linux sends for it.
 * @param rip address of the instruction (of the next one for traps), si_addr where Linux says so
 */
export function signalOfException(
  k: Kernel,
  task: Task,
  vector: number,
  errorCode: number,
  rip: number,
): void {
  task.faultVector = vector;
  task.faultError = errorCode >>> 0;
  if (vector === X87_ERROR || vector === SIMD_ERROR) {
    const code = floatingPointCode(k, task, vector);
    // Linux: an exception without a reason is spurious, the instruction is tried again.
    if (code !== 0) forceSignal(k, task, SIGFPE, code, rip);
    return;
  }
  const row = ROWS[vector] ?? OTHERS;
  forceSignal(k, task, row.signal, row.code, row.atInstruction ? rip : 0);
}

/** FPE_* of the highest unmasked exception flag (Linux: fpu__exception_code). */
function floatingPointCode(k: Kernel, task: Task, vector: number): number {
  const area = readFpu(k, task);
  const view = new DataView(area.buffer, area.byteOffset);
  let raised: number;
  if (vector === X87_ERROR) {
    raised = Fpstate.swd.get(view, 0) & ~Fpstate.cwd.get(view, 0);
  } else {
    const mxcsr = Fpstate.mxcsr.get(view, 0);
    raised = mxcsr & ~(mxcsr >> 7);
  }
  if ((raised & 0x01) !== 0) return FPE_FLTINV;
  if ((raised & 0x04) !== 0) return FPE_FLTDIV;
  if ((raised & 0x08) !== 0) return FPE_FLTOVF;
  if ((raised & 0x12) !== 0) return FPE_FLTUND;
  return (raised & 0x20) !== 0 ? FPE_FLTRES : 0;
}
