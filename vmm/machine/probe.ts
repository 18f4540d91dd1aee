// Runs a few instructions at CPL 3 on a fresh machine, for questions that only the hardware
// answers: self-test.ts, cpuid-probe.ts. One code page, one data page; everything is undone
// afterwards.
import { EINTR } from '../abi/errno.ts';
import { dropTranslations } from '../host/memory.ts';
import { eatSliceSignal } from '../host/slice-timer.ts';
import { BANK_GPA, FIRST_GUEST_TABLE, TABLES_GPA } from './layout.ts';
import type { Machine } from './machine.ts';
import { PAGE_BYTES } from './paging.ts';
import { KERNEL_ROOT_ENTRY } from './stub.ts';

const CODE_GVA = 0x40_0000;
/** Where the data page is mapped; the program gets it in rdi. */
const DATA_GVA = 0x40_1000;
const CODE_FRAME = 1;
/** Tables that a probe takes, from the first one on. */
export const PROBE_TABLES = 4;
/** Frames of the bank that a probe may write, the first ones. */
export const PROBE_FRAMES = 8;
const TABLE_ENTRY = 0x67n;
const CODE_ENTRY = 0x05n;
const DATA_ENTRY = 0x8000_0000_0000_0007n;

/** Word indexes of low register halves in struct kvm_regs. */
export const WORD = {
  rax: 0, rbx: 2, rcx: 4, rdx: 6, rsi: 8, rdi: 10, rsp: 12, rip: 32, rflags: 34,
};

/** Prepares a fresh machine. Order: runProbe() any number of times, then endProbe(). */
export function beginProbe(machine: Machine, program: readonly number[]): void {
  const first = FIRST_GUEST_TABLE;
  const { tables } = machine;
  const link = (table: number, index: number, child: number): void => {
    const entry = BigInt(TABLES_GPA + child * PAGE_BYTES) | TABLE_ENTRY;
    tables.setBigUint64(table * PAGE_BYTES + index * 8, entry, true);
  };
  tables.setBigUint64(first * PAGE_BYTES + 511 * 8, KERNEL_ROOT_ENTRY, true);
  link(first, 0, first + 1);
  link(first + 1, 0, first + 2);
  link(first + 2, (CODE_GVA >> 21) & 511, first + 3);
  setLeaf(machine, CODE_GVA, CODE_FRAME, CODE_ENTRY);
  machine.bankView.set(program, CODE_FRAME * PAGE_BYTES);
}

/** Maps bank frame `frame` (2 … 7) as the data page. */
export function mapProbeData(machine: Machine, frame: number): void {
  setLeaf(machine, DATA_GVA, frame, DATA_ENTRY);
}

/**
 * Runs the program from its start to its first exit; the registers then, as u32 words. A time slice
 * that ended a moment ago may still interrupt the entry, as any signal may: then it goes on.
 */
export function runProbe(machine: Machine): Uint32Array {
  const regs = new Uint32Array(36);
  regs[WORD.rip] = CODE_GVA;
  regs[WORD.rdi] = DATA_GVA;
  regs[WORD.rsp] = DATA_GVA + 8;
  regs[WORD.rflags] = 0x202;
  machine.vcpu.loadRegs(regs, 0);
  while (machine.vcpu.enter() === EINTR) eatSliceSignal();
  machine.vcpu.storeRegs(regs, 0);
  return regs;
}

/** Guest-physical address of the probe's top-level table, for CR3. */
export const PROBE_ROOT: number = TABLES_GPA + FIRST_GUEST_TABLE * PAGE_BYTES;

/** Leaves the machine as it was: tables and frames zero, no translation cached. */
export function endProbe(machine: Machine): void {
  const { tables } = machine;
  const bytes = new Uint8Array(tables.buffer, tables.byteOffset, tables.byteLength);
  const first = FIRST_GUEST_TABLE * PAGE_BYTES;
  bytes.fill(0, first, first + PROBE_TABLES * PAGE_BYTES);
  machine.bankView.fill(0, 0, PROBE_FRAMES * PAGE_BYTES);
  dropTranslations(machine.bank.address, PROBE_FRAMES * PAGE_BYTES, true);
  dropTranslations(machine.tablesAddress, bytes.length, true);
}

function setLeaf(machine: Machine, gva: number, frame: number, flags: bigint): void {
  const at = (FIRST_GUEST_TABLE + 3) * PAGE_BYTES + ((gva >> 12) & 511) * 8;
  machine.tables.setBigUint64(at, BigInt(BANK_GPA + frame * PAGE_BYTES) | flags, true);
}
