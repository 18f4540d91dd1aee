// The few bytes of ring 0 in a guest: GDT, TSS, IDT and handlers that leave to the VMM.
//
//   LSTAR handler      out 0x10, eax ; hlt        a system call
//   exception n        out 0x20+n, eax ; hlt      the CPU has pushed its frame on the ring-0 stack
//
// Nothing returns from here by itself: the VMM loads the registers to go on with. The exception is
// a second handler for system calls, which answers some of them (stub-calls.ts).
import {
  EXCEPTION_COUNT, EXCEPTION_OFFSET, EXCEPTION_PORT, EXCEPTION_STRIDE, PAGE, STACK_TOP_GVA,
  STUB_GVA, SYSCALL_PORT, TABLES_GPA, TSS_GVA,
} from './layout.ts';
import {
  KERNEL_DATA, KERNEL_TABLE, PAGE_BYTES, STUB_PAGE, USER_DATA_PAGE, USER_SCRATCH_PAGE,
} from './paging.ts';
import { writeStubCalls } from './stub-calls.ts';

const OUT_IMM8_EAX = 0xe7;
const HLT = 0xf4;
/** Selectors: 1 ring-0 code, 2 ring-0 data, 3 user data, 4 user code, 5-6 TSS. */
export const KERNEL_CODE_SELECTOR = 0x08;
export const KERNEL_DATA_SELECTOR = 0x10;
export const USER_DATA_SELECTOR = 0x1b;
export const USER_CODE_SELECTOR = 0x23;
export const TSS_SELECTOR = 0x28;
/** The TSS proper is 0x68 bytes; the I/O permission bitmap follows. */
const TSS_BYTES = 0x68;
/** Only the system call port may be written at CPL 3: under PVM the LSTAR handler runs there. */
const IO_BITMAP: readonly number[] = [0xff, 0xff, 0xf0, 0xff, 0xff];
export const TSS_LIMIT: number = TSS_BYTES + IO_BITMAP.length - 1;
export const GDT_LIMIT: number = 7 * 8 - 1;
export const IDT_LIMIT: number = EXCEPTION_COUNT * 16 - 1;

const KERNEL_CODE = 0x00af_9b00_0000_ffffn;
const KERNEL_DATA_SEGMENT = 0x00cf_9300_0000_ffffn;
const USER_DATA = 0x00cf_f300_0000_ffffn;
const USER_CODE = 0x00af_fb00_0000_ffffn;
/** Interrupt gate, present; DPL 3 for #BP and #OF, which `int3` and `into` may raise. */
const GATE = 0x8e00n;
const GATE_DPL3 = 0xee00n;
const TSS_RSP0_OFFSET = 4;
const TSS_IOPB_OFFSET = 0x66;

/**
 * Writes the kernel half into a table window.
 * @param window the state memory's bytes of the whole window (TABLE_WINDOW_BYTES)
 */
export function writeKernelHalf(window: DataView): void {
  writeTables(window);
  writeGdt(window, PAGE.gdt * PAGE_BYTES);
  writeTss(window, PAGE.tss * PAGE_BYTES);
  writeHandlers(window, PAGE.stub * PAGE_BYTES);
  writeStubCalls(window);
  writeIdt(window, PAGE.idt * PAGE_BYTES);
}

/** The top-level entry (index 511) that every address space carries. */
export const KERNEL_ROOT_ENTRY: bigint = gpaOf(PAGE.pdpt) | KERNEL_TABLE;

function gpaOf(index: number): bigint {
  return BigInt(TABLES_GPA + index * PAGE_BYTES);
}

function writeTables(window: DataView): void {
  // K = 0xffffffff80000000: PML4 511, PDPT 510, PD 0, PT 0…
  window.setBigUint64(PAGE.pdpt * PAGE_BYTES + 510 * 8, gpaOf(PAGE.pd) | KERNEL_TABLE, true);
  window.setBigUint64(PAGE.pd * PAGE_BYTES, gpaOf(PAGE.pt) | KERNEL_TABLE, true);
  const entries: [number, bigint][] = [
    [PAGE.gdt, KERNEL_DATA],
    [PAGE.tss, KERNEL_DATA],
    [PAGE.stub, STUB_PAGE],
    [PAGE.idt, KERNEL_DATA],
    [PAGE.stack, KERNEL_DATA],
    [PAGE.clock, USER_DATA_PAGE],
    [PAGE.answers, USER_DATA_PAGE],
    [PAGE.mask, USER_SCRATCH_PAGE],
  ];
  entries.forEach(([index, flags], slot) => {
    window.setBigUint64(PAGE.pt * PAGE_BYTES + slot * 8, gpaOf(index) | flags, true);
  });
}

function writeGdt(window: DataView, at: number): void {
  const tss = TSS_GVA;
  const low = BigInt(TSS_LIMIT) | ((tss & 0xff_ffffn) << 16n) | (0x89n << 40n) |
    (((tss >> 24n) & 0xffn) << 56n);
  const table = [0n, KERNEL_CODE, KERNEL_DATA_SEGMENT, USER_DATA, USER_CODE, low, tss >> 32n];
  table.forEach((entry, index) => window.setBigUint64(at + index * 8, entry, true));
}

function writeTss(window: DataView, at: number): void {
  window.setBigUint64(at + TSS_RSP0_OFFSET, STACK_TOP_GVA, true);
  window.setUint16(at + TSS_IOPB_OFFSET, TSS_BYTES, true);
  IO_BITMAP.forEach((bits, index) => window.setUint8(at + TSS_BYTES + index, bits));
}

function writeHandlers(window: DataView, at: number): void {
  writeExit(window, at, SYSCALL_PORT);
  for (let vector = 0; vector < EXCEPTION_COUNT; vector++) {
    const handler = at + EXCEPTION_OFFSET + vector * EXCEPTION_STRIDE;
    writeExit(window, handler, EXCEPTION_PORT + vector);
  }
}

function writeExit(window: DataView, at: number, port: number): void {
  window.setUint8(at, OUT_IMM8_EAX);
  window.setUint8(at + 1, port);
  window.setUint8(at + 2, HLT);
}

function writeIdt(window: DataView, at: number): void {
  for (let vector = 0; vector < EXCEPTION_COUNT; vector++) {
    const handler = STUB_GVA + BigInt(EXCEPTION_OFFSET + vector * EXCEPTION_STRIDE);
    const gate = vector === 3 || vector === 4 ? GATE_DPL3 : GATE;
    const low = (handler & 0xffffn) | (BigInt(KERNEL_CODE_SELECTOR) << 16n) | (gate << 32n) |
      (((handler >> 16n) & 0xffffn) << 48n);
    window.setBigUint64(at + vector * 16, low, true);
    window.setBigUint64(at + vector * 16 + 8, handler >> 32n, true);
  }
}
