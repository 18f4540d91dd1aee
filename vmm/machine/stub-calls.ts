// System calls that the stub answers by itself, from a page that the VMM writes before each entry.
//
//   LSTAR ─► CALLS_OFFSET: on? ─► which call? ─► its block: answer ─► back to the program, no exit
//                           │          │              │
//                           └── no ────┴── none ──────┴── not now ──► offset 0: out 0x10, eax
//
//   stub page    SWITCH_OFFSET u32  1: on. Here, so that a guest that is not answered touches no
//                                   other page
//   answer page  +8n   u32  what call n of STUB_CALLS returns
//                +8n+4 u32  1: it may be answered now
//
// Under PVM the code runs at CPL 3 and returns by a jump, elsewhere at CPL 0 and by SYSRET. It
// tells by CS, which nobody can forge. At CPL 0 it follows no pointer and writes no memory; at
// CPL 3 a program that jumps here can do no more than what it can do at home.
//
// Invariant: wherever the code is interrupted, the call can be made undone, or is over
// (leaveStub): blocks change rax alone, by which they are known; rt_sigprocmask keeps what else it
// changes (stub-sigmask.ts).
import { SYSCALL_NUMBERS } from '../abi/syscall-numbers.ts';
import { CodeWriter } from './code-writer.ts';
import { CALLS_OFFSET, PAGE, STUB_GVA } from './layout.ts';
import { PAGE_BYTES } from './paging.ts';
import { RUN_REGS_OFFSET } from './run-page.ts';
import {
  JE, JMP, lowHalf, putAnswer, putFlags, putReadyCheck, putRingCheck,
} from './stub-code.ts';
import { isSigmaskAccess, putSigmaskBlock, settleSigmask } from './stub-sigmask.ts';
import type { Vcpu } from './vcpu.ts';

/** Calls that the stub may answer. */
export type StubCall = 'sched_yield' | 'getpid' | 'gettid' | 'getppid' | 'getpgrp' | 'getuid' |
  'geteuid' | 'getgid' | 'getegid' | 'rt_sigprocmask';
/** In the order of the answer page; the code compares with them in this order. */
export const STUB_CALLS: readonly StubCall[] = [
  'getpid', 'gettid', 'sched_yield', 'getppid', 'getpgrp', 'getuid', 'geteuid', 'getgid', 'getegid',
  'rt_sigprocmask',
];
const NUMBERS: readonly number[] = STUB_CALLS.map((name) => SYSCALL_NUMBERS[name] as number);
const SIGMASK = STUB_CALLS.indexOf('rt_sigprocmask');

/** Whether `nr` is one of them. */
export function isStubCall(nr: number): boolean {
  return NUMBERS.includes(nr);
}

const REGS = RUN_REGS_OFFSET >> 2;
/** Word indexes of registers in struct kvm_regs. */
const RAX = 0;
const RCX = 4;
const R11 = 22;
const RIP = 32;
const RFLAGS = 34;
const STUB_LOW = Number(STUB_GVA & 0xffff_ffffn);
const STUB_HIGH = Number(STUB_GVA >> 32n);
const SYSCALL_BYTES = 2;
/** At the end of the page, apart from the code. */
const SWITCH_OFFSET: number = PAGE_BYTES - 64;

function putNumberBlock(code: CodeWriter, index: number): void {
  const atRing0 = `ring 0 of ${index}`;
  putReadyCheck(code, index);
  putRingCheck(code, atRing0);
  putFlags(code);
  putAnswer(code, index);
  code.put(0xff, 0xe1); //                   jmp rcx
  code.label(atRing0);
  putAnswer(code, index);
  code.put(0x48, 0x0f, 0x07); //             sysretq
}

function makeCode(): CodeWriter {
  const code = new CodeWriter();
  code.put32([0x83, 0x3c, 0x25], lowHalf(STUB_GVA, SWITCH_OFFSET)); // cmp dword [switch], 0
  code.put(0);
  code.jump(JE, 'leave');
  NUMBERS.forEach((nr, index) => {
    code.put32([0x48, 0x3d], nr); //         cmp rax, nr
    code.jump(JE, `call ${index}`);
  });
  code.label('leave');
  // To offset 0 of the page: the instruction that is a system call for exits.ts.
  code.put32(JMP, -(CALLS_OFFSET + code.offsetOf('leave') + 5));
  STUB_CALLS.forEach((_name, index) => {
    code.label(`call ${index}`);
    if (index === SIGMASK) putSigmaskBlock(code, index);
    else putNumberBlock(code, index);
  });
  return code;
}

const stubCode: CodeWriter = makeCode();
const codeBytes: Uint8Array = stubCode.finish();
/** Where each call's block begins; in rising order. */
const BLOCKS: readonly number[] = STUB_CALLS.map((_name, index) =>
  stubCode.offsetOf(`call ${index}`));

/** Writes the code into the stub's page. @param window the machine's table window */
export function writeStubCalls(window: DataView): void {
  if (CALLS_OFFSET + codeBytes.length > SWITCH_OFFSET) throw new Error('the stub is too large');
  const at = window.byteOffset + PAGE.stub * PAGE_BYTES + CALLS_OFFSET;
  new Uint8Array(window.buffer, at, codeBytes.length).set(codeBytes);
}

/**
 * Lets the stub answer, or every call leave.
 * @returns whether that is something new
 */
export function switchAnswers(window: DataView, wanted: boolean): boolean {
  const at = PAGE.stub * PAGE_BYTES + SWITCH_OFFSET;
  if (window.getUint32(at, true) === Number(wanted)) return false;
  window.setUint32(at, Number(wanted), true);
  return true;
}

/** Sets what call `index` of STUB_CALLS returns, or that it is to leave (null). */
export function setAnswer(window: DataView, index: number, answer: number | null): void {
  const at = PAGE.answers * PAGE_BYTES + index * 8;
  window.setUint32(at, answer ?? 0, true);
  window.setUint32(at + 4, answer === null ? 0 : 1, true);
}

/** Makes every call leave, and forgets what was answered. */
export function clearAnswers(window: DataView): void {
  STUB_CALLS.forEach((_name, index) => setAnswer(window, index, null));
}

/**
 * Takes an interrupted vCPU out of the code above: its registers become those before the `syscall`
 * instruction, which is made again later, or those behind it.
 * @returns false when it is not in there: an exit or an exception is on its way
 */
export function leaveStub(vcpu: Vcpu, window: DataView): boolean {
  const { run32 } = vcpu;
  const low = run32[REGS + RIP] as number;
  if (run32[REGS + RIP + 1] !== STUB_HIGH || low < STUB_LOW + CALLS_OFFSET) return false;
  settleCall(run32, REGS, low - STUB_LOW, window);
  return true;
}

/** Whether an exception at this offset of the stub's page came from a pointer of the program. */
export function isUserAccess(offset: number): boolean {
  return isSigmaskAccess(stubCode, offset - CALLS_OFFSET);
}

/**
 * Puts the registers right of a program that was stopped in the code, at `offset` of the page.
 * @param words struct kvm_regs from index `at` on
 */
export function settleCall(words: Uint32Array, at: number, offset: number, window: DataView): void {
  const index = BLOCKS.findLastIndex((start) => offset - CALLS_OFFSET >= start);
  let isOver = false;
  if (index === SIGMASK) {
    isOver = settleSigmask(stubCode, offset - CALLS_OFFSET, words, at, window);
  } else if (index >= 0) {
    words[at + RAX] = NUMBERS[index] as number;
    words[at + RAX + 1] = 0;
  }
  // Whatever a program that has jumped here left in rcx: an address that is none ends it later.
  const back = isOver ? 0 : SYSCALL_BYTES;
  const low = words[at + RCX] as number;
  const high = words[at + RCX + 1] as number;
  words[at + RIP] = low - back;
  words[at + RIP + 1] = low < back ? high - 1 : high;
  words[at + RFLAGS] = words[at + R11] as number;
}
