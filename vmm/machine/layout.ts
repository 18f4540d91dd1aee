// Every fixed guest address of a machine, in one place.
//
//   guest-physical                              guest-virtual (kernel half; supervisor, or noted)
//   0            table window  (state memory)   K + 0x0000  GDT
//   4 GiB        bank          (anonymous)      K + 0x1000  TSS
//   64 GiB       base window   (image file)     K + 0x2000  stub (user-readable, executable)
//                                               K + 0x3000  IDT
//   table window, by index:                     K + 0x4000  ring-0 stack (exception frames)
//                                               K + 0x5000  clock page (user-readable)
//                                               K + 0x6000  answer page (user-readable)
//                                               K + 0x7000  mask page (user-writable)
//     0 PDPT, 1 PD, 2 PT of the kernel half
//     3 GDT, 4 TSS, 5 stub, 6 IDT, 7 stack      K = 0xffffffff80000000
//     8 clock page, 9 answer page, 10 mask page
//     16… page tables of the guest
import { PAGE_BYTES } from './paging.ts';

export const TABLES_GPA = 0;
/** Pages of the smallest table window, for a bank of up to 1 GiB. */
const TABLE_COUNT_MIN = 1536;
/** Bytes that one leaf table maps. */
const LEAF_BYTES = 2 * 1024 * 1024;
/** The smallest table window. */
export const TABLE_WINDOW_BYTES: number = TABLE_COUNT_MIN * PAGE_BYTES;

/** Bytes of the table window of a machine with `bankBytes` of memory: twice what it needs. */
export function tableWindowBytes(bankBytes: number): number {
  const wanted = Math.ceil(bankBytes / LEAF_BYTES) * 2 + TABLE_COUNT_MIN / 3;
  const units = Math.ceil(Math.max(wanted, TABLE_COUNT_MIN) / 16);
  return units * 16 * PAGE_BYTES;
}
/** First table index that the guest kernel may use. */
export const FIRST_GUEST_TABLE = 16;

export const BANK_GPA = 0x1_0000_0000;
export const BASE_GPA = 0x10_0000_0000;
/** Largest bank: one view of native memory is limited to 4 GiB. */
export const BANK_BYTES_MAX: number = 0x1_0000_0000 - 0x20_0000;

export const TABLE_SLOT = 0;
export const BANK_SLOT = 1;
export const BASE_SLOT = 2;

/** Indices of the machine's own pages in the table window. */
export const PAGE = {
  pdpt: 0, pd: 1, pt: 2, gdt: 3, tss: 4, stub: 5, idt: 6, stack: 7, clock: 8, answers: 9,
  mask: 10,
} as const;

/** Where the kernel half begins (guest-virtual). A number: exact, since its low bits are zero. */
export const KERNEL_GVA = 0xffff_ffff_8000_0000n;
export const GDT_GVA: bigint = KERNEL_GVA;
export const TSS_GVA: bigint = KERNEL_GVA + 0x1000n;
export const STUB_GVA: bigint = KERNEL_GVA + 0x2000n;
export const IDT_GVA: bigint = KERNEL_GVA + 0x3000n;
export const STACK_GVA: bigint = KERNEL_GVA + 0x4000n;
export const ANSWERS_GVA: bigint = KERNEL_GVA + 0x6000n;
export const MASK_GVA: bigint = KERNEL_GVA + 0x7000n;
export const STACK_TOP_GVA: bigint = STACK_GVA + 0x1000n;

/** Ports that the stub writes to: a system call, and exception n at EXCEPTION_PORT + n. */
export const SYSCALL_PORT = 0x10;
export const EXCEPTION_PORT = 0x20;
/**
 * Offset in the stub page of the handler of exception n: EXCEPTION_OFFSET + n * EXCEPTION_STRIDE.
 */
export const EXCEPTION_OFFSET = 0x100;
export const EXCEPTION_STRIDE = 16;
export const EXCEPTION_COUNT = 32;
/** Offset in the stub page of the code that answers calls by itself (stub-calls.ts). */
export const CALLS_OFFSET = 0x400;
