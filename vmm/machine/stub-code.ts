// What the blocks of the stub that answer calls have in common: whether it may be answered now, and
// the program's flags.
import type { CodeWriter } from './code-writer.ts';
import { ANSWERS_GVA } from './layout.ts';

export const JE: readonly number[] = [0x0f, 0x84];
export const JNE: readonly number[] = [0x0f, 0x85];
export const JA: readonly number[] = [0x0f, 0x87];
export const JMP: readonly number[] = [0xe9];
/** Flags of the program that are not put back without SYSRET: TF, DF, NT, AC. */
const ODD_FLAGS = 0x4_4500;

/** Low half of an address of the kernel half; its sign-extension is the address. */
export function lowHalf(gva: bigint, offset: number): number {
  return Number(gva & 0xffff_ffffn) + offset;
}

/** Leaves when call `index` may not be answered now, or with flags that putFlags() would lose. */
export function putReadyCheck(code: CodeWriter, index: number): void {
  code.put32([0x83, 0x3c, 0x25], lowHalf(ANSWERS_GVA, index * 8 + 4)); // cmp dword [ready], 0
  code.put(0);
  code.jump(JE, 'leave');
  code.put32([0x41, 0xf7, 0xc3], ODD_FLAGS); //                         test r11d, ODD_FLAGS
  code.jump(JNE, 'leave');
}

/** mov eax, [answer] */
export function putAnswer(code: CodeWriter, index: number): void {
  code.put32([0x8b, 0x04, 0x25], lowHalf(ANSWERS_GVA, index * 8));
}

/** Jumps when at CPL 0. Spoils eax. */
export function putRingCheck(code: CodeWriter, label: string): void {
  code.put(0x8c, 0xc8); //                                              mov eax, cs
  code.put(0xa8, 3); //                                                 test al, 3
  code.jump(JE, label);
}

/**
 * Puts the program's arithmetic flags back from r11, without a stack: OF by an addition that
 * overflows or not, the others through ah. lea shifts and leaves the flags alone. Spoils eax.
 */
export function putFlags(code: CodeWriter): void {
  code.put(0x44, 0x89, 0xd8); //                                        mov eax, r11d
  code.put(0xc1, 0xe8, 11); //                                          shr eax, 11
  code.put(0x83, 0xe0, 1); //                                           and eax, 1
  code.put(0x04, 0x7f); //                                              add al, 0x7f
  code.put32([0x42, 0x8d, 0x04, 0xdd], 0); //                           lea eax, [r11 * 8]
  code.put32([0x8d, 0x04, 0xc5], 0); //                                 lea eax, [rax * 8]
  code.put32([0x8d, 0x04, 0x85], 0); //                                 lea eax, [rax * 4]
  code.put(0x9e); //                                                    sahf
}
