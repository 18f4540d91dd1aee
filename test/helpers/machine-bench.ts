// A machine with one code page (bank frame 1) and one data page (bank frame 2), for tests of what a
// few instructions do.
import { giveRegion, type Region, takeRegion, u32, u8 } from '../../vmm/kernel/state/memory.ts';
import { kvmSignalMask } from '../../vmm/host/slice-timer.ts';
import { BANK_GPA, TABLE_WINDOW_BYTES } from '../../vmm/machine/layout.ts';
import { Machine } from '../../vmm/machine/machine.ts';
import { KERNEL_ROOT_ENTRY } from '../../vmm/machine/stub.ts';

export const CODE = 0x40_0000;
export const DATA = 0x40_1000;
const ROOT = 16;
const PAGE = 4096;
/** Word indexes of low register halves in struct kvm_regs. */
export const WORD = {
  rax: 0, rbx: 2, rcx: 4, rdx: 6, rsi: 8, rdi: 10, rsp: 12, rbp: 14, r10: 20, r11: 22, rip: 32,
  rflags: 34,
} as const;

export interface Bench {
  machine: Machine;
  window: Region;
  regs: Region;
  /** Runs `code` at CODE until the first exit; returns KVM_RUN's errno or 0. */
  run(code: readonly number[], registers?: Record<number, number>): number;
  reg(word: number): number;
  setLeaf(gva: number, frame: number, flags: bigint): void;
}

/** Calls `body` with a bench, and takes it apart. */
export function withBench(body: (bench: Bench) => void): void {
  const window = takeRegion(TABLE_WINDOW_BYTES);
  const machine = new Machine({
    bankBytes: 64 << 20,
    baseBytes: 0,
    baseline: 'host',
    tables: { bytes: u8.subarray(window.address, window.address + window.bytes) },
  });
  const regs = takeRegion(65536);
  const tables = machine.tables;
  const link = (table: number, index: number, child: number): void =>
    tables.setBigUint64(table * PAGE + index * 8, BigInt(child * PAGE) | 0x67n, true);
  tables.setBigUint64(ROOT * PAGE + 511 * 8, KERNEL_ROOT_ENTRY, true);
  link(ROOT, 0, 17);
  link(17, 0, 18);
  link(18, 2, 19);
  const bench: Bench = {
    machine, window, regs,
    setLeaf: (gva, frame, flags) => {
      const index = (gva >> 12) & 511;
      tables.setBigUint64(19 * PAGE + index * 8, BigInt(BANK_GPA + frame * PAGE) | flags, true);
    },
    reg: (word) => u32[(regs.address >> 2) + word] as number,
    run: (code, registers = {}) => {
      machine.bankView.set(code, PAGE);
      const words = regs.address >> 2;
      u32.fill(0, words, words + 36);
      u32[words + WORD.rip] = CODE;
      u32[words + WORD.rsp] = DATA + 0xff0;
      u32[words + WORD.rflags] = 0x202;
      for (const [word, value] of Object.entries(registers)) u32[words + Number(word)] = value;
      machine.vcpu.cr3 = ROOT * PAGE;
      machine.vcpu.loadRegs(u32, words);
      const errno = machine.vcpu.enter();
      machine.vcpu.storeRegs(u32, words);
      return errno;
    },
  };
  bench.setLeaf(CODE, 1, 5n);
  bench.setLeaf(DATA, 2, 7n | (1n << 63n));
  machine.vcpu.setSignalMask(kvmSignalMask());
  try {
    body(bench);
  } finally {
    machine.close();
    giveRegion(window);
    giveRegion(regs);
  }
}
