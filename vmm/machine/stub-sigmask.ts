// rt_sigprocmask in the stub, at CPL 3 only: it follows the program's pointers with the program's
// own rights. At CPL 0 the call leaves.
//
//   mask page  +0   u64  signal mask of the thread; the VMM writes it before an entry and reads it
//                        after the exit, if the call was to be answered
//              +8   u64  rcx and r11 of the call that is being answered
//
// Programs can write the page. What they write there is their own mask, as if they had made the
// call; SIGKILL and SIGSTOP are left out by whoever reads it.
//
//   'call' ─► 'saved' ──────────────── 'commit' ─────── end
//    registers untouched │ rcx and r11 are in the page   │ the new mask is set, the call is over
//                        │ the call can be made again     │ ('commit': it is in r11, about to be)
import type { CodeWriter } from './code-writer.ts';
import { MASK_GVA, PAGE } from './layout.ts';
import { PAGE_BYTES } from './paging.ts';
import {
  JA, JE, JMP, JNE, lowHalf, putFlags, putReadyCheck, putRingCheck,
} from './stub-code.ts';

const RT_SIGPROCMASK = 14;
const SIGSET_BYTES = 8;
/** All but SIGKILL and SIGSTOP; sign-extended. */
const BLOCKABLE = ~0x4_0100;
const MASK = 0;
const RCX = 8;
const R11 = 16;
const AT = PAGE.mask * PAGE_BYTES;

const LOAD_RCX = [0x48, 0x8b, 0x0c, 0x25];
const LOAD_R11 = [0x4c, 0x8b, 0x1c, 0x25];
const STORE_RCX = [0x48, 0x89, 0x0c, 0x25];
const STORE_R11 = [0x4c, 0x89, 0x1c, 0x25];

/** Appends the block of the call with this index. */
export function putSigmaskBlock(code: CodeWriter, index: number): void {
  const field = (instruction: readonly number[], offset: number): void =>
    code.put32(instruction, lowHalf(MASK_GVA, offset));
  const restore = (): void => {
    field(LOAD_RCX, RCX);
    field(LOAD_R11, R11);
  };
  putReadyCheck(code, index);
  code.put(0x49, 0x83, 0xfa, SIGSET_BYTES); // cmp r10, 8
  code.jump(JNE, 'leave');
  putRingCheck(code, 'not here');
  field(STORE_RCX, RCX);
  field(STORE_R11, R11);
  code.label('saved');
  code.jump(JMP, 'pointers');
  code.label('give up');
  restore();
  code.label('not here');
  code.put32([0xb8], RT_SIGPROCMASK); //       mov eax, 14
  code.jump(JMP, 'leave');
  code.label('pointers');
  code.put(0x48, 0x89, 0xf1); //               mov rcx, rsi
  code.put(0x48, 0xc1, 0xe9, 47); //           shr rcx, 47
  code.jump(JNE, 'give up');
  code.put(0x48, 0x89, 0xd1); //               mov rcx, rdx
  code.put(0x48, 0xc1, 0xe9, 47); //           shr rcx, 47
  code.jump(JNE, 'give up');
  field(LOAD_RCX, MASK); //                    rcx: the old mask
  code.put(0x49, 0x89, 0xcb); //               mov r11, rcx
  code.put(0x48, 0x85, 0xf6); //               test rsi, rsi
  code.jump(JE, 'known');
  code.put(0x83, 0xff, 2); //                  cmp edi, SIG_SETMASK
  code.jump(JA, 'give up');
  code.label('load');
  code.put(0x4c, 0x8b, 0x1e); //               mov r11, [rsi]
  code.jump(JE, 'known');
  code.put(0x83, 0xff, 1); //                  cmp edi, SIG_UNBLOCK
  code.jump(JE, 'unblock');
  code.put(0x49, 0x09, 0xcb); //               or r11, rcx
  code.jump(JMP, 'known');
  code.label('unblock');
  code.put(0x49, 0xf7, 0xd3); //               not r11
  code.put(0x49, 0x21, 0xcb); //               and r11, rcx
  code.label('known');
  code.put32([0x49, 0x81, 0xe3], BLOCKABLE); // and r11, BLOCKABLE
  code.put(0x48, 0x85, 0xd2); //               test rdx, rdx
  code.jump(JE, 'commit');
  code.label('store');
  code.put(0x48, 0x89, 0x0a); //               mov [rdx], rcx
  code.label('commit');
  field(STORE_R11, MASK);
  code.label('over');
  restore();
  putFlags(code);
  code.put32([0xb8], 0); //                    mov eax, 0
  code.put(0xff, 0xe1); //                     jmp rcx
}

/** Word indexes of registers in struct kvm_regs. */
const RAX_WORD = 0;
const RCX_WORD = 4;
const R11_WORD = 22;

/** Whether it is one of the two instructions that touch the program's memory. */
export function isSigmaskAccess(code: CodeWriter, offset: number): boolean {
  return offset === code.offsetOf('load') || offset === code.offsetOf('store');
}

/**
 * Puts rax, rcx and r11 right of a program that was stopped in the block, at `offset` of the code.
 * @param words struct kvm_regs from index `at` on
 * @returns whether the call is over: rax is its result
 */
export function settleSigmask(
  code: CodeWriter, offset: number, words: Uint32Array, at: number, window: DataView,
): boolean {
  const isOver = offset >= code.offsetOf('commit');
  if (offset === code.offsetOf('commit')) copyToPage(words, at + R11_WORD, window);
  words[at + RAX_WORD] = isOver ? 0 : RT_SIGPROCMASK;
  words[at + RAX_WORD + 1] = 0;
  if (offset < code.offsetOf('saved')) return false;
  for (let half = 0; half < 2; half++) {
    words[at + RCX_WORD + half] = window.getUint32(AT + RCX + half * 4, true);
    words[at + R11_WORD + half] = window.getUint32(AT + R11 + half * 4, true);
  }
  return isOver;
}

function copyToPage(words: Uint32Array, from: number, window: DataView): void {
  window.setUint32(AT + MASK, words[from] as number, true);
  window.setUint32(AT + MASK + 4, words[from + 1] as number, true);
}

/**
 * Shows a thread its mask, and nothing of what another one left there.
 * @param words the mask, low half first, from index `from` on
 */
export function showMask(window: DataView, words: Uint32Array, from: number): void {
  copyToPage(words, from, window);
  for (let at = AT + RCX; at < AT + R11 + 8; at += 4) window.setUint32(at, 0, true);
}

/** The mask that the thread has set, if it is not that at index `from` of `words`; else null. */
export function changedMask(window: DataView, words: Uint32Array, from: number): bigint | null {
  const isSame = window.getUint32(AT + MASK, true) === words[from] &&
    window.getUint32(AT + MASK + 4, true) === words[from + 1];
  return isSame ? null : window.getBigUint64(AT + MASK, true);
}

/**
 * Clears the whole page: the last guest could write to all of it, at any time. One that is clear
 * is only read, for most machines need no memory for it.
 */
export function clearMaskPage(window: DataView): void {
  const words = new BigUint64Array(window.buffer, window.byteOffset + AT, PAGE_BYTES / 8);
  if (words.some((word) => word !== 0n)) words.fill(0n);
}
