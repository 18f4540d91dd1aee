// Signal frames: what a handler finds on its stack, and the way back (rt_sigreturn).
//
//   high   interrupted stack, red zone of 128 bytes | or the top of the alternate stack
//            FPU image, aligned to 64                               (signal/xsave.ts)
//            siginfo_t 128 | ucontext 304 | address of the restorer 8
//   rsp →    ≡ 8 mod 16, as after a call
//
// Linux: arch/x86/kernel/signal_64.c x64_setup_rt_frame(), restore_sigcontext().
import { SA_ONSTACK, SA_RESTORER, SA_SIGINFO, SS_AUTODISARM } from '../../abi/signal.ts';
import {
  REDZONE_BYTES, RtSigframe, Sigcontext, UC_FP_XSTATE, UC_SIGCONTEXT_SS, UC_STRICT_RESTORE_SS,
  Ucontext,
} from '../../abi/struct-signal.ts';
import type { Kernel } from '../kernel.ts';
import { copyIn, copyOut, USER_END } from '../mm/user-memory.ts';
import type { Task } from '../records/task.ts';
import { getReg, getRegBig, REG, setReg, setRegBig } from '../syscalls/args.ts';
import type { SignalAction } from './actions.ts';
import {
  altStackState, disableAltStack, encodeAltStack, isOnAltStack, isWithinAltStack,
} from './alt-stack.ts';
import { restoreAltStack } from './alt-stack-call.ts';
import { setMask } from './mask.ts';
import type { SignalInfo } from './pending.ts';
import { encodeSiginfo } from './siginfo.ts';
import { sanitizeUserRegs, SIGRETURN_FLAGS } from './user-regs.ts';
import { encodeFpu, restoreFpu } from './xsave.ts';

/** Selectors as a 64-bit Linux program sees them; the machine uses others. */
const USER_CS = 0x33;
const USER_SS = 0x2b;
/** Cleared for a handler: TF, DF, RF. */
const HANDLER_CLEARED_FLAGS = 0x1_0500n;
const UC = RtSigframe.uc.offset;
const CONTEXT = UC + Ucontext.uc_mcontext.offset;
const INFO = RtSigframe.info.offset;

/**
 * Registers that the frame holds as they are: the one's place in the register block, the other's.
 */
const SAVED: readonly (readonly [number, number])[] = [
  [REG.r8, Sigcontext.r8.offset], [REG.r9, Sigcontext.r9.offset],
  [REG.r10, Sigcontext.r10.offset], [REG.r11, Sigcontext.r11.offset],
  [REG.r12, Sigcontext.r12.offset], [REG.r13, Sigcontext.r13.offset],
  [REG.r14, Sigcontext.r14.offset], [REG.r15, Sigcontext.r15.offset],
  [REG.rdi, Sigcontext.rdi.offset], [REG.rsi, Sigcontext.rsi.offset],
  [REG.rbp, Sigcontext.rbp.offset], [REG.rbx, Sigcontext.rbx.offset],
  [REG.rdx, Sigcontext.rdx.offset], [REG.rax, Sigcontext.rax.offset],
  [REG.rcx, Sigcontext.rcx.offset], [REG.rsp, Sigcontext.rsp.offset],
  [REG.rip, Sigcontext.rip.offset],
];

/**
 * Builds the frame and points the registers at the handler.
 * @param mask the mask that rt_sigreturn puts back
 * @returns false when the frame does not fit or cannot be written: the thread gets SIGSEGV
 */
export function pushFrame(
  k: Kernel,
  task: Task,
  info: SignalInfo,
  action: SignalAction,
  mask: bigint,
): boolean {
  if ((action.flags & SA_RESTORER) === 0) return false;
  const fpu = encodeFpu(k, task);
  const place = placeFrame(task, action, fpu.length);
  if (place === null) return false;
  if (copyOut(k, place.fpuGva, fpu) !== fpu.length) return false;
  const frame = encodeFrame(task, info, action, mask, place.fpuGva);
  if (copyOut(k, place.gva, frame) !== frame.length) return false;
  if ((task.altStackFlags & SS_AUTODISARM) !== 0) disableAltStack(task);
  enterHandler(task, info.signal, action, place.gva);
  return true;
}

interface FramePlace {
  gva: number;
  fpuGva: number;
}

/**
 * Linux: get_sigframe. null when the alternate stack is too small or the stack is no user memory.
 */
function placeFrame(task: Task, action: SignalAction, fpuBytes: number): FramePlace | null {
  const rsp = getReg(task, REG.rsp);
  const isNested = isOnAltStack(task, rsp);
  let top = rsp - REDZONE_BYTES;
  let entersAlt = false;
  if ((action.flags & SA_ONSTACK) !== 0 && altStackState(task, top) === 0) {
    top = task.altStack + task.altStackBytes;
    entersAlt = true;
  }
  const fpuGva = roundDown(top - fpuBytes, 64);
  const gva = roundDown(fpuGva - RtSigframe.bytes, 16) - 8;
  if ((isNested || entersAlt) && !isWithinAltStack(task, gva)) return null;
  return gva > 0 && top < USER_END ? { gva, fpuGva } : null;
}

function roundDown(value: number, unit: number): number {
  return Math.floor(value / unit) * unit;
}

function encodeFrame(
  task: Task,
  info: SignalInfo,
  action: SignalAction,
  mask: bigint,
  fpuGva: number,
): Uint8Array {
  const frame = new Uint8Array(RtSigframe.bytes);
  const view = new DataView(frame.buffer);
  RtSigframe.pretcode.set(view, 0, action.restorer);
  Ucontext.uc_flags.set(view, UC, BigInt(UC_FP_XSTATE | UC_SIGCONTEXT_SS | UC_STRICT_RESTORE_SS));
  encodeAltStack(task, task.altStackFlags, view, UC + Ucontext.uc_stack.offset);
  for (const [reg, offset] of SAVED) {
    view.setBigUint64(CONTEXT + offset, getRegBig(task, reg), true);
  }
  Sigcontext.eflags.set(view, CONTEXT, getRegBig(task, REG.rflags));
  Sigcontext.cs.set(view, CONTEXT, USER_CS);
  Sigcontext.ss.set(view, CONTEXT, USER_SS);
  Sigcontext.err.set(view, CONTEXT, BigInt(task.faultError));
  Sigcontext.trapno.set(view, CONTEXT, BigInt(task.faultVector));
  Sigcontext.oldmask.set(view, CONTEXT, mask);
  Sigcontext.cr2.set(view, CONTEXT, BigInt(Math.trunc(task.faultAddress)));
  Sigcontext.fpstate.set(view, CONTEXT, fpuGva);
  Ucontext.uc_sigmask.set(view, UC, mask);
  if ((action.flags & SA_SIGINFO) !== 0) encodeSiginfo(info, view, INFO);
  return frame;
}

function enterHandler(task: Task, signal: number, action: SignalAction, gva: number): void {
  setReg(task, REG.rdi, signal);
  setReg(task, REG.rsi, gva + INFO);
  setReg(task, REG.rdx, gva + UC);
  setReg(task, REG.rax, 0);
  setReg(task, REG.rip, action.handler);
  setReg(task, REG.rsp, gva);
  setRegBig(task, REG.rflags, getRegBig(task, REG.rflags) & ~HANDLER_CLEARED_FLAGS);
}

/**
 * rt_sigreturn: puts back registers, FPU, mask and alternate stack from the frame below rsp.
 * @returns false when the frame is bad: the thread gets SIGSEGV, its registers may be changed
 */
export function popFrame(k: Kernel, task: Task): boolean {
  // The handler's `ret` took the restorer's address off the frame.
  const gva = getReg(task, REG.rsp) - 8;
  const frame = new Uint8Array(INFO);
  if (!(gva >= 0 && gva < USER_END) || copyIn(k, gva, frame) !== frame.length) return false;
  const view = new DataView(frame.buffer);
  setMask(k, task, Ucontext.uc_sigmask.get(view, UC));
  const flags = getRegBig(task, REG.rflags) & ~SIGRETURN_FLAGS;
  for (const [reg, offset] of SAVED) {
    setRegBig(task, reg, view.getBigUint64(CONTEXT + offset, true));
  }
  setRegBig(task, REG.rflags, flags | (Sigcontext.eflags.get(view, CONTEXT) & SIGRETURN_FLAGS));
  if (!restoreFpu(k, task, Sigcontext.fpstate.get(view, CONTEXT))) return false;
  restoreAltStack(task, view, UC + Ucontext.uc_stack.offset);
  return sanitizeUserRegs(task);
}
