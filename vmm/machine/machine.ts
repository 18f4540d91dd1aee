// A zygote's hardware: VM, memory slots, one vCPU, the kernel half, all independent of any
// function. It is made off the critical path; a boot gives it content and registers.
import * as libc from '../host/libc.ts';
import { HostError } from '../host/errors.ts';
import {
  type CpuidTable, createVm, openKvm, setMemoryRegion, supportedCpuid, vcpuMapBytes,
} from '../host/kvm.ts';
import { type Bank, giveBank, takeBank, viewBank } from '../host/banks.ts';
import { mapWindow, type NativeRange, unmap, wantHugePages } from '../host/memory.ts';
import { KVM_MEM_READONLY } from '../abi/kvm.ts';
import { type CpuBaseline, maskCpuid, xcr0Of } from './cpu-baseline.ts';
import {
  BANK_BYTES_MAX, BANK_GPA, BANK_SLOT, BASE_GPA, BASE_SLOT, TABLE_SLOT, TABLE_WINDOW_BYTES,
  TABLES_GPA,
} from './layout.ts';
import { PAGE_BYTES } from './paging.ts';
import { writeKernelHalf } from './stub.ts';
import { makeVcpu, type Vcpu } from './vcpu.ts';

/** The first bank slot; the bank grows by further slots (a slot costs with its size). */
const BANK_FIRST_BYTES = 64 * 1024 * 1024;
const BANK_GROWTH_BYTES = 256 * 1024 * 1024;
const FIRST_GROWTH_SLOT = 8;
/** A guest that needs no more gets small pages; the rest of the bank is in large ones. */
const SMALL_PAGES_BYTES = 2 * 1024 * 1024;

export interface MachineOptions {
  /** Memory limit of the guest; the bank's address space. */
  bankBytes: number;
  /** Address space for an image's frames; 0 = none (run). */
  baseBytes: number;
  baseline: CpuBaseline;
  /** The table window: memory that both the VMM and WASM see. Kept alive by the caller. */
  tables: { bytes: Uint8Array };
}

interface KvmHandle {
  fd: number;
  runBytes: number;
  cpuid: CpuidTable;
}

let shared: KvmHandle | null = null;
const masked: Map<CpuBaseline, CpuidTable> = new Map();

/** The CPUID table for a baseline, made once. */
export function cpuidOf(baseline: CpuBaseline): CpuidTable {
  const kvm = kvmHandle();
  if (baseline === 'host' || baseline === 'v4') return kvm.cpuid;
  let table = masked.get(baseline);
  if (table === undefined) {
    table = supportedCpuid(kvm.fd);
    maskCpuid(baseline, table);
    masked.set(baseline, table);
  }
  return table;
}

/** /dev/kvm, opened once per thread, with what every machine needs to know about it. */
export function kvmHandle(): KvmHandle {
  if (shared === null) {
    const fd = openKvm();
    try {
      const cpuid = supportedCpuid(fd);
      maskCpuid('host', cpuid);
      shared = { fd, runBytes: vcpuMapBytes(fd), cpuid };
    } catch (error) {
      // SAFETY: the descriptor is ours and nobody has it.
      libc.close(fd);
      throw error;
    }
  }
  return shared;
}

export class Machine {
  readonly vcpu: Vcpu;
  readonly vmFd: number;
  /** The private bank: host memory behind the guest's writable frames. */
  readonly bank: Bank;
  readonly base: NativeRange | null;
  readonly tables: DataView;
  readonly xcr0: number;
  /** Keeps the state memory alive: an address is not a reference. */
  readonly #owner: Uint8Array;
  #bankView: Uint8Array;
  #backedBytes: number = 0;
  #nextSlot: number = FIRST_GROWTH_SLOT;
  #closed: boolean = false;

  /** @throws HostError when the host gives no machine; nothing of it is left then */
  constructor(options: MachineOptions) {
    const kvm = kvmHandle();
    if (options.bankBytes > BANK_BYTES_MAX) {
      throw new HostError('CATAVMM_OUT_OF_MEMORY', `--memory is at most ${BANK_BYTES_MAX} bytes`);
    }
    const { bytes } = options.tables;
    if (bytes.length < TABLE_WINDOW_BYTES || bytes.length % PAGE_BYTES !== 0) {
      throw new RangeError('table window of the wrong size');
    }
    this.#owner = bytes;
    this.tables = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    writeKernelHalf(this.tables);
    this.xcr0 = xcr0Of(options.baseline, kvm.cpuid);
    const cpuid = cpuidOf(options.baseline);
    const vmFd = createVm(kvm.fd);
    let bank: Bank | null = null;
    let base: NativeRange | null = null;
    try {
      this.vmFd = vmFd;
      bank = takeBank(options.bankBytes);
      this.bank = bank;
      this.#bankView = viewBank(bank, 0);
      if (this.bank.bytes > SMALL_PAGES_BYTES) {
        const rest = this.bank.bytes - SMALL_PAGES_BYTES;
        wantHugePages(this.bank.address + SMALL_PAGES_BYTES, rest);
      }
      base = options.baseBytes === 0 ? null : mapWindow(options.baseBytes);
      this.base = base;
      this.#setSlots();
      this.vcpu = makeVcpu(vmFd, {
        runBytes: kvm.runBytes,
        cpuidAddress: cpuid.memory.address,
        xcr0: this.xcr0,
        cr3: TABLES_GPA,
      });
    } catch (error) {
      // SAFETY: the descriptor is ours and nobody has seen this machine.
      libc.close(vmFd);
      if (bank !== null) giveBank(bank);
      if (base !== null) unmap(base);
      throw error;
    }
  }

  /** What JavaScript sees of the bank: at least what is backed by ensureBacked(). */
  get bankView(): Uint8Array {
    return this.#bankView;
  }

  /** Registers more of the bank with KVM, so that its first `bytes` are backed and in view. */
  ensureBacked(bytes: number): void {
    if (bytes > this.#bankView.length) this.#bankView = viewBank(this.bank, bytes);
    this.#back(bytes);
  }

  #back(bytes: number): void {
    while (this.#backedBytes < bytes) {
      const from = this.#backedBytes;
      const step = from === 0 ? BANK_FIRST_BYTES : BANK_GROWTH_BYTES;
      const count = Math.min(step, this.bank.bytes - from);
      if (count <= 0) throw new RangeError('the bank has no more bytes');
      const slot = from === 0 ? BANK_SLOT : this.#nextSlot++;
      setMemoryRegion(this.vmFd, {
        slot, flags: 0, gpa: BANK_GPA + from, bytes: count, hva: this.bank.address + from,
      });
      this.#backedBytes += count;
    }
  }

  /** Host-virtual address of the table window. */
  get tablesAddress(): number {
    // SAFETY: as in #setSlots(), for as long as the caller holds this machine.
    return libc.addressOf(this.#owner);
  }

  /**
   * Closes the VM and unmaps its memory. Views of the bank must not be used afterwards. Idempotent.
   */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.vcpu.close();
    // SAFETY: the descriptor is ours and nothing uses it again.
    libc.close(this.vmFd);
    giveBank(this.bank);
    if (this.base !== null) unmap(this.base);
  }

  /**
   * Makes KVM forget all that it has derived from page tables: it drops that when a slot goes
   * (about 1 ms). Order: the vCPU is not in the guest.
   */
  forgetTables(): void {
    this.#setTableSlot(0);
    this.#setTableSlot(this.tables.byteLength);
  }

  /** @param bytes the whole window, or 0 to take the slot away */
  #setTableSlot(bytes: number): void {
    setMemoryRegion(this.vmFd, {
      slot: TABLE_SLOT,
      flags: 0,
      gpa: TABLES_GPA,
      bytes,
      // SAFETY: KVM uses the tables' address until close(): until then #owner keeps their buffer
      // alive, and a WebAssembly.Memory at its full size never moves.
      hva: libc.addressOf(this.#owner),
    });
  }

  #setSlots(): void {
    this.#setTableSlot(this.tables.byteLength);
    this.#back(Math.min(BANK_FIRST_BYTES, this.bank.bytes));
    if (this.base === null) return;
    setMemoryRegion(this.vmFd, {
      slot: BASE_SLOT,
      flags: KVM_MEM_READONLY,
      gpa: BASE_GPA,
      bytes: this.base.bytes,
      hva: this.base.address,
    });
  }
}
