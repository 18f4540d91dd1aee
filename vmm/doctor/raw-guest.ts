// A guest without a kernel behind it, to measure what an exit costs: one page of user code that
// calls getpid in a loop, driven as vmm/boot/run/runner.ts drives a thread.
//
//   gva 0x400000   mov eax, 39 ; syscall ; jmp back     frame 1 of the bank
//   gva 0x401000   data                                 frame 2
//   tables         FIRST_GUEST_TABLE + 0 … 3: PML4, PDPT, PD, PT
import { giveRegion, type Region, takeRegion, u32, u8 } from '../kernel/state/memory.ts';
import { classifyExit, EXIT_SYSCALL } from '../machine/exits.ts';
import {
  BANK_GPA, FIRST_GUEST_TABLE, TABLE_WINDOW_BYTES, TABLES_GPA,
} from '../machine/layout.ts';
import { Machine } from '../machine/machine.ts';
import { PAGE_BYTES } from '../machine/paging.ts';
import { KERNEL_ROOT_ENTRY } from '../machine/stub.ts';
import { StaleTranslations } from '../machine/translations.ts';
import { eatSliceSignal, kvmSignalMask } from '../host/slice-timer.ts';
import { EINTR } from '../abi/errno.ts';

const CODE_GVA = 0x40_0000;
const CODE: readonly number[] = [0xb8, 39, 0, 0, 0, 0x0f, 0x05, 0xeb, 0xf7];
const BANK_BYTES: number = 64 * 1024 * 1024;
const REGS_BYTES = 65536;
/** Words of struct kvm_regs: rax, rcx, rsp, r11, rip, rflags. */
const RAX = 0;
const RCX = 4;
const RSP = 12;
const R11 = 22;
const RIP = 32;
const RFLAGS = 34;

function makeMachine({ address, bytes }: Region): Machine {
  const machine = new Machine({
    bankBytes: BANK_BYTES,
    baseBytes: 0,
    baseline: 'host',
    tables: { bytes: u8.subarray(address, address + bytes) },
  });
  try {
    machine.vcpu.setSignalMask(kvmSignalMask());
    return machine;
  } catch (error) {
    machine.close();
    throw error;
  }
}

export class RawGuest {
  readonly #machine: Machine;
  readonly #stale: StaleTranslations;
  readonly #window: Region;
  readonly #regs: Region;
  #fsBase: number = 0;
  #gsBase: number = 0;

  /** @throws HostError when the host gives no machine */
  constructor() {
    this.#window = takeRegion(TABLE_WINDOW_BYTES);
    this.#regs = takeRegion(REGS_BYTES);
    try {
      this.#machine = makeMachine(this.#window);
    } catch (error) {
      giveRegion(this.#window);
      giveRegion(this.#regs);
      throw error;
    }
    this.#stale = new StaleTranslations(this.#machine);
    this.#machine.bankView.set(CODE, PAGE_BYTES);
    this.#mapPages();
    const at = this.#regs.address >> 2;
    u32.fill(0, at, at + 36);
    u32[at + RIP] = CODE_GVA;
    u32[at + RSP] = CODE_GVA + 2 * PAGE_BYTES - 16;
    u32[at + RFLAGS] = 0x202;
  }

  /** Runs up to the next system call and answers it. @throws Error when the guest did not call */
  step(): void {
    const { vcpu } = this.#machine;
    const at = this.#regs.address >> 2;
    vcpu.loadRegs(u32, at);
    vcpu.fsBase = this.#fsBase;
    vcpu.gsBase = this.#gsBase;
    this.#stale.flush();
    let errno = vcpu.enter();
    // A signal came, for instance the last of a time slice: going on reports the call.
    while (errno === EINTR) {
      eatSliceSignal();
      errno = vcpu.enter();
    }
    const exit = classifyExit(vcpu);
    vcpu.storeRegs(u32, at);
    if (errno !== 0 || exit !== EXIT_SYSCALL) throw new Error(`errno ${errno}, exit ${exit}`);
    this.#fsBase = vcpu.fsBase;
    this.#gsBase = vcpu.gsBase;
    u32[at + RIP] = u32[at + RCX] as number;
    u32[at + RIP + 1] = u32[at + RCX + 1] as number;
    u32[at + RFLAGS] = u32[at + R11] as number;
    u32[at + RAX] = 1;
  }

  close(): void {
    this.#machine.close();
    giveRegion(this.#window);
    giveRegion(this.#regs);
  }

  #mapPages(): void {
    const { tables, vcpu } = this.#machine;
    const put = (table: number, index: number, entry: bigint): void => {
      tables.setBigUint64((FIRST_GUEST_TABLE + table) * PAGE_BYTES + index * 8, entry, true);
    };
    const tableAt = (table: number): bigint =>
      BigInt(TABLES_GPA + (FIRST_GUEST_TABLE + table) * PAGE_BYTES) | 0x67n;
    put(0, 511, KERNEL_ROOT_ENTRY);
    put(0, 0, tableAt(1));
    put(1, 0, tableAt(2));
    put(2, 2, tableAt(3));
    put(3, 0, BigInt(BANK_GPA + PAGE_BYTES) | 5n);
    put(3, 1, BigInt(BANK_GPA + 2 * PAGE_BYTES) | 7n | (1n << 63n));
    vcpu.cr3 = TABLES_GPA + FIRST_GUEST_TABLE * PAGE_BYTES;
  }
}
