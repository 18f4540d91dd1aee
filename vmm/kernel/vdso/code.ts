// The functions of the vDSO: machine code that answers from the clock page (abi/clock-page.ts) and
// makes the system call where it cannot. Position-independent; no data of its own.
//
// Invariant: it is stopped and goes on anywhere, also on another machine: what has been read of a
// page that has changed meanwhile is not used, for the sequence differs then.

/** A function by its name for the linker, at an offset in the code. */
export interface VdsoFunction {
  readonly name: string;
  readonly offset: number;
  readonly bytes: number;
}

/** edi = clock → carry and rax = nanoseconds; no carry: not here. Leaves rsi and r10 alone. */
const READ_NS: readonly number[] = [
  0x49, 0xc7, 0xc0, 0x00, 0x50, 0x00, 0x80, //  0  mov r8, CLOCK_PAGE_GVA
  0x45, 0x8b, 0x08, //                          7  mov r9d, [r8]          sequence
  0x89, 0xff, //                                a  mov edi, edi
  0x83, 0xff, 0x1f, //                          c  cmp edi, 31
  0x77, 0x32, //                                f  ja 43
  0x41, 0x0f, 0xa3, 0x78, 0x04, //             11  bt [r8 + 4], edi       clocks
  0x73, 0x2b, //                               16  jnc 43
  0x0f, 0xae, 0xe8, //                         18  lfence
  0x0f, 0x31, //                               1b  rdtsc
  0x48, 0xc1, 0xe2, 0x20, //                   1d  shl rdx, 32
  0x48, 0x09, 0xd0, //                         21  or rax, rdx
  0x31, 0xc9, //                               24  xor ecx, ecx
  0x49, 0x2b, 0x40, 0x08, //                   26  sub rax, [r8 + 8]      tsc
  0x48, 0x0f, 0x42, 0xc1, //                   2a  cmovc rax, rcx         never before it
  0x49, 0xf7, 0x60, 0x10, //                   2e  mul qword [r8 + 16]    rate
  0x48, 0x0f, 0xac, 0xd0, 0x20, //             32  shrd rax, rdx, 32
  0x49, 0x03, 0x44, 0xf8, 0x40, //             37  add rax, [r8 + rdi*8 + 64]
  0x45, 0x3b, 0x08, //                         3c  cmp r9d, [r8]
  0x75, 0xc6, //                               3f  jne 7
  0xf9, 0xc3, //                               41  stc; ret
  0xf8, 0xc3, //                               43  clc; ret
];

/** rdi = clock, rsi = struct timespec *. */
const CLOCK_GETTIME: readonly number[] = [
  0xe8, 0xab, 0xff, 0xff, 0xff, //             50  call READ_NS
  0x73, 0x14, //                               55  jnc 6b
  0x31, 0xd2, //                               57  xor edx, edx
  0xb9, 0x00, 0xca, 0x9a, 0x3b, //             59  mov ecx, 1000000000
  0x48, 0xf7, 0xf1, //                         5e  div rcx
  0x48, 0x89, 0x06, //                         61  mov [rsi], rax
  0x48, 0x89, 0x56, 0x08, //                   64  mov [rsi + 8], rdx
  0x31, 0xc0, 0xc3, //                         68  xor eax, eax; ret
  0xb8, 0xe4, 0x00, 0x00, 0x00, //             6b  mov eax, 228
  0x0f, 0x05, 0xc3, //                         70  syscall; ret
];

/** rdi = struct timeval * or 0, rsi = struct timezone * or 0. */
const GETTIMEOFDAY: readonly number[] = [
  0x49, 0x89, 0xfa, //                         80  mov r10, rdi
  0x31, 0xff, //                               83  xor edi, edi           CLOCK_REALTIME
  0xe8, 0x76, 0xff, 0xff, 0xff, //             85  call READ_NS
  0x73, 0x2c, //                               8a  jnc b8
  0x4d, 0x85, 0xd2, //                         8c  test r10, r10
  0x74, 0x1c, //                               8f  jz ad
  0x31, 0xd2, //                               91  xor edx, edx
  0xb9, 0x00, 0xca, 0x9a, 0x3b, //             93  mov ecx, 1000000000
  0x48, 0xf7, 0xf1, //                         98  div rcx
  0x49, 0x89, 0x02, //                         9b  mov [r10], rax
  0x89, 0xd0, //                               9e  mov eax, edx
  0x31, 0xd2, //                               a0  xor edx, edx
  0xb9, 0xe8, 0x03, 0x00, 0x00, //             a2  mov ecx, 1000
  0xf7, 0xf1, //                               a7  div ecx
  0x49, 0x89, 0x42, 0x08, //                   a9  mov [r10 + 8], rax
  0x31, 0xc0, //                               ad  xor eax, eax
  0x48, 0x85, 0xf6, //                         af  test rsi, rsi
  0x74, 0x03, //                               b2  jz b7
  0x48, 0x89, 0x06, //                         b4  mov [rsi], rax
  0xc3, //                                     b7  ret
  0x4c, 0x89, 0xd7, //                         b8  mov rdi, r10
  0xb8, 0x60, 0x00, 0x00, 0x00, //             bb  mov eax, 96
  0x0f, 0x05, 0xc3, //                         c0  syscall; ret
];

/** rdi = time_t * or 0. */
const TIME: readonly number[] = [
  0x49, 0x89, 0xfa, //                         d0  mov r10, rdi
  0x31, 0xff, //                               d3  xor edi, edi           CLOCK_REALTIME
  0xe8, 0x26, 0xff, 0xff, 0xff, //             d5  call READ_NS
  0x73, 0x13, //                               da  jnc ef
  0x31, 0xd2, //                               dc  xor edx, edx
  0xb9, 0x00, 0xca, 0x9a, 0x3b, //             de  mov ecx, 1000000000
  0x48, 0xf7, 0xf1, //                         e3  div rcx
  0x4d, 0x85, 0xd2, //                         e6  test r10, r10
  0x74, 0x03, //                               e9  jz ee
  0x49, 0x89, 0x02, //                         eb  mov [r10], rax
  0xc3, //                                     ee  ret
  0x4c, 0x89, 0xd7, //                         ef  mov rdi, r10
  0xb8, 0xc9, 0x00, 0x00, 0x00, //             f2  mov eax, 201
  0x0f, 0x05, 0xc3, //                         f7  syscall; ret
];

/** rdi = unsigned * or 0, rsi = unsigned * or 0. A sandbox has one CPU. */
const GETCPU: readonly number[] = [
  0x31, 0xc0, //                              100  xor eax, eax
  0x48, 0x85, 0xff, 0x74, 0x02, //            102  test rdi, rdi; jz 109
  0x89, 0x07, //                              107  mov [rdi], eax
  0x48, 0x85, 0xf6, 0x74, 0x02, //            109  test rsi, rsi; jz 110
  0x89, 0x06, //                              10e  mov [rsi], eax
  0xc3, //                                    110  ret
];

/** rdi = clock, rsi = struct timespec * or 0. */
const CLOCK_GETRES: readonly number[] = [
  0xb8, 0xe5, 0x00, 0x00, 0x00, //            120  mov eax, 229
  0x0f, 0x05, 0xc3, //                        125  syscall; ret
];

const PARTS: readonly [offset: number, name: string, code: readonly number[]][] = [
  [0, '', READ_NS],
  [0x50, '__vdso_clock_gettime', CLOCK_GETTIME],
  [0x80, '__vdso_gettimeofday', GETTIMEOFDAY],
  [0xd0, '__vdso_time', TIME],
  [0x100, '__vdso_getcpu', GETCPU],
  [0x120, '__vdso_clock_getres', CLOCK_GETRES],
];

/** Bytes of writeVdsoCode(). */
export const VDSO_CODE_BYTES = 0x128;

/** Writes the code. */
export function writeVdsoCode(target: Uint8Array): void {
  for (const [offset, , code] of PARTS) target.set(code, offset);
}

/** The functions that the linker finds. */
export const vdsoFunctions: readonly VdsoFunction[] = PARTS
  .filter(([, name]) => name !== '')
  .map(([offset, name, code]) => ({ name, offset, bytes: code.length }));
