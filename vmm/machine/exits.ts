// Why the guest came out, decided from what it cannot forge: the position of RIP and the code
// segment.
import { KVM_EXIT_INTR, KVM_EXIT_IO } from '../abi/kvm.ts';
import {
  EXCEPTION_COUNT, EXCEPTION_OFFSET, EXCEPTION_PORT, EXCEPTION_STRIDE, PAGE, STACK_GVA, STUB_GVA,
  SYSCALL_PORT,
} from './layout.ts';
import { PAGE_BYTES } from './paging.ts';
import { RUN_EXIT_REASON_OFFSET, RUN_IO_PORT_OFFSET, RUN_REGS_OFFSET } from './run-page.ts';
import { KERNEL_CODE_SELECTOR } from './stub.ts';
import type { Vcpu } from './vcpu.ts';

export const EXIT_SYSCALL = 1;
export const EXIT_EXCEPTION = 2;
/** The time slice is over, or a host signal came. */
export const EXIT_SLICE = 3;
/** The guest did something only ring 0 may do, in a way that reached us: a #GP for it. */
export const EXIT_FORGED = 4;
/** KVM could not go on (triple fault, emulation failure, a hole in guest-physical memory). */
export const EXIT_FAILED = 5;

/** An exception as the CPU pushed it on the ring-0 stack. One object, overwritten by the next. */
export interface ExceptionFrame {
  vector: number;
  errorCode: number;
  rip: number;
  rflags: number;
  rsp: number;
  /** Offset in the stub's page of an exception that happened there; -1 elsewhere. */
  stubOffset: number;
  /** False when the frame was not pushed from user code: a machine bug or a forged frame. */
  fromUser: boolean;
}

/** Vectors that push an error code: #DF, #TS … #PF, #AC. */
const WITH_ERROR_CODE = 0b10_0111_1101_0000_0000;
const STUB_LOW = Number(STUB_GVA & 0xffff_ffffn);
const STUB_HIGH = Number(STUB_GVA >> 32n);
const STACK_LOW = Number(STACK_GVA & 0xffff_ffffn);
const OUT_BYTES = 2;
const RIP_WORD = (RUN_REGS_OFFSET + 128) >> 2;
const RSP_WORD = (RUN_REGS_OFFSET + 48) >> 2;

/** Classifies the last exit of `vcpu` (after enter() returned 0). */
export function classifyExit(vcpu: Vcpu): number {
  const { run } = vcpu;
  const reason = run.getUint32(RUN_EXIT_REASON_OFFSET, true);
  if (reason === KVM_EXIT_INTR) return EXIT_SLICE;
  if (reason !== KVM_EXIT_IO) return EXIT_FAILED;
  const port = run.getUint16(RUN_IO_PORT_OFFSET, true);
  if (port === SYSCALL_PORT) return ripIsAt(vcpu, STUB_LOW) ? EXIT_SYSCALL : EXIT_FORGED;
  const vector = port - EXCEPTION_PORT;
  if (vector < 0 || vector >= EXCEPTION_COUNT) return EXIT_FORGED;
  const handler = STUB_LOW + EXCEPTION_OFFSET + vector * EXCEPTION_STRIDE;
  if (!ripIsAt(vcpu, handler) || vcpu.codeSelector !== KERNEL_CODE_SELECTOR) return EXIT_FORGED;
  return EXIT_EXCEPTION;
}

/** Whether RIP is in the kernel half: the guest was interrupted before its exit was reported. */
export function isInStub(vcpu: Vcpu): boolean {
  return vcpu.run32[RIP_WORD + 1] === STUB_HIGH;
}

function ripIsAt(vcpu: Vcpu, low: number): boolean {
  const rip = vcpu.run32[RIP_WORD] as number;
  return vcpu.run32[RIP_WORD + 1] === STUB_HIGH && (rip === low || rip === low + OUT_BYTES);
}

const frame: ExceptionFrame =
  { vector: 0, errorCode: 0, rip: 0, rflags: 0, rsp: 0, stubOffset: -1, fromUser: false };

/**
 * Reads the exception frame after EXIT_EXCEPTION.
 * @param window the machine's table window
 */
export function readException(vcpu: Vcpu, window: DataView): ExceptionFrame {
  frame.vector = vcpu.run.getUint16(RUN_IO_PORT_OFFSET, true) - EXCEPTION_PORT;
  const hasCode = (WITH_ERROR_CODE >> frame.vector) & 1;
  const offset = (vcpu.run32[RSP_WORD] as number) - STACK_LOW;
  const bytes = 40 + hasCode * 8;
  frame.fromUser = offset >= 0 && offset + bytes <= PAGE_BYTES;
  if (!frame.fromUser) return frame;
  let at = PAGE.stack * PAGE_BYTES + offset;
  frame.errorCode = hasCode === 1 ? window.getUint32(at, true) : 0;
  at += hasCode * 8;
  frame.rip = readAddress(window, at);
  const stubOffset = window.getUint32(at, true) - STUB_LOW;
  const isInPage = window.getUint32(at + 4, true) === STUB_HIGH && stubOffset < PAGE_BYTES;
  frame.stubOffset = isInPage ? stubOffset : -1;
  frame.fromUser = (window.getUint16(at + 8, true) & 3) === 3;
  frame.rflags = window.getUint32(at + 16, true);
  frame.rsp = readAddress(window, at + 24);
  return frame;
}

function readAddress(view: DataView, at: number): number {
  return view.getUint32(at, true) + view.getUint32(at + 4, true) * 0x1_0000_0000;
}
