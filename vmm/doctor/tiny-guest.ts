// The smallest guest there is: one page of user code that does nothing but system calls.
//
//   gva 0x400000   syscall ; jmp back          frame 1 of the bank
//   tables         FIRST_GUEST_TABLE + 0 … 3: PML4, PDPT, PD, PT
import { classifyExit, EXIT_SYSCALL } from '../machine/exits.ts';
import {
  BANK_GPA, FIRST_GUEST_TABLE, TABLE_WINDOW_BYTES, TABLES_GPA,
} from '../machine/layout.ts';
import { Machine } from '../machine/machine.ts';
import {
  PAGE_BYTES, PTE_ACCESSED, PTE_DIRTY, PTE_PRESENT, PTE_USER, PTE_WRITABLE,
} from '../machine/paging.ts';
import { KERNEL_ROOT_ENTRY } from '../machine/stub.ts';

const CODE_GVA = 0x40_0000;
/** `syscall`, `jmp -4`. */
const CODE: readonly number[] = [0x0f, 0x05, 0xeb, 0xfc];
const CODE_FRAME = 1;
const WASM_PAGE_BYTES = 0x1_0000;
const BANK_BYTES: number = 4 * 1024 * 1024;
/** Words of struct kvm_regs: rcx, rip and how many there are. */
const RCX = 4;
const RIP = 32;
const REGS_WORDS = 36;
const TABLE_FLAGS: bigint =
  PTE_PRESENT | PTE_WRITABLE | PTE_USER | PTE_ACCESSED | PTE_DIRTY;

export class TinyGuest {
  readonly #machine: Machine;
  /** Keeps the table window alive: an address is not a reference. */
  readonly #memory: WebAssembly.Memory;
  readonly #regs: Uint32Array = new Uint32Array(REGS_WORDS);

  /** @throws HostError when the host gives no machine */
  constructor() {
    const pages = TABLE_WINDOW_BYTES / WASM_PAGE_BYTES;
    this.#memory = new WebAssembly.Memory({ initial: pages, maximum: pages });
    this.#machine = new Machine({
      bankBytes: BANK_BYTES,
      baseBytes: 0,
      baseline: 'host',
      tables: { bytes: new Uint8Array(this.#memory.buffer) },
    });
    this.#machine.bankView.set(CODE, CODE_FRAME * PAGE_BYTES);
    this.#mapCode();
    this.#machine.vcpu.cr3 = TABLES_GPA + FIRST_GUEST_TABLE * PAGE_BYTES;
    this.#regs[RIP] = CODE_GVA;
  }

  /** Runs up to the next system call; false when the guest left for another reason. */
  step(): boolean {
    const { vcpu } = this.#machine;
    vcpu.loadRegs(this.#regs, 0);
    if (vcpu.enter() !== 0 || classifyExit(vcpu) !== EXIT_SYSCALL) return false;
    vcpu.storeRegs(this.#regs, 0);
    // SYSCALL leaves the return address in rcx.
    this.#regs[RIP] = this.#regs[RCX] as number;
    this.#regs[RIP + 1] = this.#regs[RCX + 1] as number;
    return true;
  }

  close(): void {
    this.#machine.close();
  }

  #mapCode(): void {
    const { tables } = this.#machine;
    const pageOf = (gpa: number): bigint => BigInt(gpa) | TABLE_FLAGS;
    for (let level = 4; level >= 1; level--) {
      const table = FIRST_GUEST_TABLE + (4 - level);
      const index = Math.floor(CODE_GVA / PAGE_BYTES / 512 ** (level - 1)) % 512;
      const next = level === 1
        ? BANK_GPA + CODE_FRAME * PAGE_BYTES
        : TABLES_GPA + (table + 1) * PAGE_BYTES;
      tables.setBigUint64(table * PAGE_BYTES + index * 8, pageOf(next), true);
    }
    const root = FIRST_GUEST_TABLE * PAGE_BYTES;
    tables.setBigUint64(root + 511 * 8, KERNEL_ROOT_ENTRY, true);
  }
}
