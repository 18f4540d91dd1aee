// System calls that the stub answers by itself, from a page that the VMM writes before each entry.
//
//   LSTAR ─► CALLS_OFFSET: which call? ─► its block: answer ─► back to the program, no exit
//                │                          │
//                └── none of them ──────────┴── cannot now ──► offset 0: out 0x10, eax
//
//   answer page  +8n  u32  what call n of STUB_CALLS returns
//                +8n+4 u32  1: it may be answered now
//
// Under PVM the code runs at CPL 3 and returns by a jump, elsewhere at CPL 0 and by SYSRET. It
// tells by CS, which nobody can forge. It follows no pointer and writes no memory: a program that
// jumps here can do no more than what it can do at home.
//
// Invariant: up to its last instruction, a block has changed no register but rax, whose value it
// is known by. So a call that is interrupted in here can be made again (leaveStub).
import { SYSCALL_NUMBERS } from '../abi/syscall-numbers.ts';
import { CodeWriter } from './code-writer.ts';
import { ANSWERS_GVA, CALLS_OFFSET, PAGE, STUB_GVA } from './layout.ts';
import { PAGE_BYTES } from './paging.ts';
import { RUN_REGS_OFFSET } from './run-page.ts';
import type { Vcpu } from './vcpu.ts';

/** Calls that the stub may answer. */
export type StubCall = 'sched_yield' | 'getpid' | 'gettid' | 'getppid' | 'getpgrp' | 'getuid' |
  'geteuid' | 'getgid' | 'getegid';
/** In the order of the answer page; the compare chain goes through them in this order. */
export const STUB_CALLS: readonly StubCall[] = [
  'getpid', 'gettid', 'sched_yield', 'getppid', 'getpgrp', 'getuid', 'geteuid', 'getgid', 'getegid',
];
const NUMBERS: readonly number[] = STUB_CALLS.map((name) => SYSCALL_NUMBERS[name] as number);

/** Whether `nr` is one of them. */
export function isStubCall(nr: number): boolean {
  return NUMBERS.includes(nr);
}

/** Flags of the program that are not put back without SYSRET: TF, DF, NT, AC. */
const ODD_FLAGS = 0x4_4500;
const JE = [0x0f, 0x84];
const JNE = [0x0f, 0x85];
const JMP = [0xe9];
const REG = RUN_REGS_OFFSET >> 2;
const RAX_WORD: number = REG;
const RCX_WORD: number = REG + 4;
const R11_WORD: number = REG + 22;
const RIP_WORD: number = REG + 32;
const RFLAGS_WORD: number = REG + 34;
const STUB_LOW = Number(STUB_GVA & 0xffff_ffffn);
const STUB_HIGH = Number(STUB_GVA >> 32n);
const SYSCALL_BYTES = 2;

/** Low half of the address of a word of the answer page; its sign-extension is the address. */
function answerAddress(index: number, isReady: boolean): number {
  return Number(ANSWERS_GVA & 0xffff_ffffn) + index * 8 + (isReady ? 4 : 0);
}

function writeBlock(code: CodeWriter, index: number): void {
  const putAnswer = (): void => code.put32([0x8b, 0x04, 0x25], answerAddress(index, false));
  code.label(`call ${index}`);
  code.put32([0x83, 0x3c, 0x25], answerAddress(index, true)); // cmp dword [ready], 0
  code.put(0);
  code.jump(JE, 'leave');
  code.put32([0x41, 0xf7, 0xc3], ODD_FLAGS); //                 test r11d, ODD_FLAGS
  code.jump(JNE, 'leave');
  code.put(0x8c, 0xc8); //                                      mov eax, cs
  code.put(0xa8, 3); //                                         test al, 3
  code.jump(JE, `ring 0 of ${index}`);
  // The program's arithmetic flags, without a stack: OF by an addition that overflows or not, the
  // others through ah. lea shifts and leaves the flags alone.
  code.put(0x44, 0x89, 0xd8); //                                mov eax, r11d
  code.put(0xc1, 0xe8, 11); //                                  shr eax, 11
  code.put(0x83, 0xe0, 1); //                                   and eax, 1
  code.put(0x04, 0x7f); //                                      add al, 0x7f
  code.put32([0x42, 0x8d, 0x04, 0xdd], 0); //                   lea eax, [r11 * 8]
  code.put32([0x8d, 0x04, 0xc5], 0); //                         lea eax, [rax * 8]
  code.put32([0x8d, 0x04, 0x85], 0); //                         lea eax, [rax * 4]
  code.put(0x9e); //                                            sahf
  putAnswer();
  code.put(0xff, 0xe1); //                                      jmp rcx
  code.label(`ring 0 of ${index}`);
  putAnswer();
  code.put(0x48, 0x0f, 0x07); //                                sysretq
}

function makeCode(): CodeWriter {
  const code = new CodeWriter();
  NUMBERS.forEach((nr, index) => {
    code.put32([0x48, 0x3d], nr); //                            cmp rax, nr
    code.jump(JE, `call ${index}`);
  });
  code.label('leave');
  // To offset 0 of the page: the instruction that is a system call for exits.ts.
  code.put32(JMP, -(CALLS_OFFSET + code.offsetOf('leave') + 5));
  STUB_CALLS.forEach((_name, index) => writeBlock(code, index));
  code.label('end');
  return code;
}

const stubCode: CodeWriter = makeCode();
const codeBytes: Uint8Array = stubCode.finish();

/** Writes the code into the stub's page. @param window the machine's table window */
export function writeStubCalls(window: DataView): void {
  if (CALLS_OFFSET + codeBytes.length > PAGE_BYTES) throw new Error('the stub is too large');
  const at = window.byteOffset + PAGE.stub * PAGE_BYTES + CALLS_OFFSET;
  new Uint8Array(window.buffer, at, codeBytes.length).set(codeBytes);
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
 * instruction, which is made again later.
 * @returns false when it is not in there: an exit or an exception is on its way
 */
export function leaveStub(vcpu: Vcpu): boolean {
  const { run32 } = vcpu;
  const offset = (run32[RIP_WORD] as number) - STUB_LOW - CALLS_OFFSET;
  if (run32[RIP_WORD + 1] !== STUB_HIGH || offset < 0) return false;
  const index = blockAt(offset);
  if (index >= 0) {
    run32[RAX_WORD] = NUMBERS[index] as number;
    run32[RAX_WORD + 1] = 0;
  }
  // Whatever a program that has jumped here left in rcx: an address that is none ends it later.
  const low = run32[RCX_WORD] as number;
  const high = run32[RCX_WORD + 1] as number;
  run32[RIP_WORD] = low - SYSCALL_BYTES;
  run32[RIP_WORD + 1] = low < SYSCALL_BYTES ? high - 1 : high;
  run32[RFLAGS_WORD] = run32[R11_WORD] as number;
  return true;
}

/** The block that an offset in the code lies in, or -1. */
function blockAt(offset: number): number {
  for (let index = STUB_CALLS.length - 1; index >= 0; index--) {
    if (offset >= stubCode.offsetOf(`call ${index}`)) return index;
  }
  return -1;
}
