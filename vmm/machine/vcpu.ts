// One vCPU: entering the guest, and telling why it came out.
//
// Registers travel through struct kvm_run's sync area (KVM_CAP_SYNC_REGS), so that an exit is one
// ioctl. Whatever comes out is guest input: an exit counts as a system call or an exception only
// when RIP is at (VMX/SVM) or right behind (PVM) the stub's own `out`; see exits.ts.
import * as libc from '../host/libc.ts';
import { HostError } from '../host/errors.ts';
import { createVcpu, mustIoctl } from '../host/kvm.ts';
import { giveScratch, takeScratch, type Scratch } from '../host/scratch.ts';
import { EFAULT, EINTR } from '../abi/errno.ts';
import { readI64 } from '../abi/layout.ts';
import {
  KVM_GET_MSRS, KVM_GET_SREGS, KVM_GET_TSC_KHZ, KVM_GET_VCPU_EVENTS, KVM_RUN, KVM_SET_CPUID2,
  KVM_SET_MSRS, KVM_SET_SIGNAL_MASK, KVM_SET_SREGS, KVM_SET_XCRS, KvmSregs, KvmVcpuEvents,
  MSR_IA32_TSC, MSR_LSTAR, MSR_STAR, MSR_SYSCALL_MASK,
} from '../abi/kvm.ts';
import {
  RUN_REGS_OFFSET, RUN_SREGS_OFFSET, RUN_DIRTY_OFFSET, RUN_VALID_OFFSET,
} from './run-page.ts';
import { FS_OFFSET, GS_OFFSET, writeUserSegments, writeUserSregs } from './segments.ts';
import { KERNEL_CODE_SELECTOR } from './stub.ts';
import { CALLS_OFFSET, STUB_GVA } from './layout.ts';

const PROT_READ_WRITE = 3;
const MAP_SHARED = 1;
const SCRATCH_BYTES = 1024;
const SYNC_REGS = 1;
const SYNC_SREGS = 2;
/** STAR: SYSCALL loads CS 0x08 and SS 0x10; SYSRET would load 0x23 and 0x1b. */
const STAR: bigint = (0x13n << 48n) | (BigInt(KERNEL_CODE_SELECTOR) << 32n);
/** Flags SYSCALL clears: TF, IF, DF, IOPL, NT, AC. */
const SYSCALL_FLAG_MASK = 0x4_7700n;
const FIXED_FLAG = 0x2;
/** Flag bits that a user may set: CF PF AF ZF SF TF DF OF NT AC ID. */
export const USER_FLAGS = 0x24_4dd5;
const INTERRUPT_FLAG = 0x200;
const CR3_IGNORED_BIT = 0x20;

export interface VcpuConfig {
  /** Bytes of the struct kvm_run mapping. */
  runBytes: number;
  cpuidAddress: number;
  xcr0: number;
  /** Guest-physical address of the first top-level table. */
  cr3: number;
}

/**
 * Makes the first vCPU of a VM.
 * @throws HostError when KVM refuses it; nothing of it is left then
 */
export function makeVcpu(vmFd: number, config: VcpuConfig): Vcpu {
  const fd = createVcpu(vmFd, 0);
  let vcpu: Vcpu | null = null;
  try {
    vcpu = new Vcpu(fd, config.runBytes);
    vcpu.prepare(config);
    return vcpu;
  } catch (error) {
    // SAFETY: without a Vcpu nobody has seen the descriptor; with one, it has it and closes it.
    if (vcpu === null) libc.close(fd);
    else vcpu.close();
    throw error;
  }
}

export class Vcpu {
  readonly fd: number;
  /** struct kvm_run. */
  readonly run: DataView;
  readonly run32: Uint32Array;
  readonly #runRange: { address: number; bytes: number };
  readonly #scratch: Scratch;

  /** @param fd becomes this object's. Order: prepare() comes next */
  constructor(fd: number, runBytes: number) {
    this.fd = fd;
    const scratch = takeScratch(SCRATCH_BYTES);
    // SAFETY: maps the vCPU's shared page at an address the kernel chooses; close() unmaps it.
    const address = libc.mmap(0, runBytes, PROT_READ_WRITE, MAP_SHARED, fd, 0);
    if (address === libc.MAP_FAILED) {
      giveScratch(scratch);
      throw new HostError('CATAVMM_KVM_FAILED', 'the vCPU\'s run page cannot be mapped');
    }
    this.#scratch = scratch;
    this.#runRange = { address, bytes: runBytes };
    // SAFETY: the mapping made above, as long as the view. It stays until close(), after which
    // `run` and `run32` are not used. Only this thread enters the vCPU.
    const buffer = libc.viewNative(address, runBytes);
    this.run = new DataView(buffer);
    this.run32 = new Uint32Array(buffer);
  }

  /** Sets what stays the same for the life of the vCPU. */
  prepare(config: VcpuConfig): void {
    mustIoctl(this.fd, KVM_SET_CPUID2, config.cpuidAddress, 'KVM_SET_CPUID2');
    this.#setXcr0(config.xcr0);
    this.#setMsrs();
    this.#setSregs(config.cr3);
    this.run.setUint32(RUN_VALID_OFFSET, SYNC_REGS | SYNC_SREGS, true);
  }

  /**
   * Runs the guest until it leaves. Returns 0, or the errno of KVM_RUN: EINTR (the time slice is
   * over, or a signal came) or EFAULT (memory behind the guest could not be had).
   * @throws HostError for any other failure
   */
  enter(): number {
    // SAFETY: KVM_RUN takes no argument; the run page and all slots are alive while the machine is.
    if (libc.ioctl(this.fd, KVM_RUN, 0) === 0) return 0;
    const errno = libc.lastErrno();
    if (errno === EINTR || errno === EFAULT) return errno;
    throw new HostError('CATAVMM_KVM_FAILED', `KVM_RUN failed (errno ${errno})`, {
      errno,
      call: 'KVM_RUN',
    });
  }

  /** Loads general registers from the `struct kvm_regs` (144 bytes) at index `from` of `words`. */
  loadRegs(words: Uint32Array, from: number): void {
    const to = RUN_REGS_OFFSET >> 2;
    const { run32 } = this;
    for (let i = 0; i < 36; i++) run32[to + i] = words[from + i] as number;
    const flags = run32[to + 34] as number;
    run32[to + 34] = (flags & USER_FLAGS) | FIXED_FLAG | INTERRUPT_FLAG;
    run32[to + 35] = 0;
    this.run.setUint32(RUN_DIRTY_OFFSET, SYNC_REGS | SYNC_SREGS, true);
    writeUserSegments(this.run, RUN_SREGS_OFFSET);
  }

  /** Stores the general registers to `words` at index `to`. */
  storeRegs(words: Uint32Array, to: number): void {
    const from = RUN_REGS_OFFSET >> 2;
    const { run32 } = this;
    for (let i = 0; i < 36; i++) words[to + i] = run32[from + i] as number;
  }

  get fsBase(): number {
    return readAddress(this.run, RUN_SREGS_OFFSET + FS_OFFSET);
  }
  set fsBase(value: number) {
    this.run.setBigUint64(RUN_SREGS_OFFSET + FS_OFFSET, BigInt(value), true);
  }
  get gsBase(): number {
    return readAddress(this.run, RUN_SREGS_OFFSET + GS_OFFSET);
  }
  set gsBase(value: number) {
    this.run.setBigUint64(RUN_SREGS_OFFSET + GS_OFFSET, BigInt(value), true);
  }
  /** Guest-physical address of the top-level page table. */
  set cr3(value: number) {
    this.run.setBigUint64(RUN_SREGS_OFFSET + KvmSregs.cr3.offset, BigInt(value), true);
  }
  /**
   * Makes the next entry flush the guest's TLB: a CR3 value that differs in a bit without meaning
   * (bits 5 to 11 are ignored without PCIDs; Intel SDM vol. 3, 4.5) is loaded through the sync
   * area.
   */
  flushOnEntry(): void {
    const at = RUN_SREGS_OFFSET + KvmSregs.cr3.offset;
    this.run.setUint32(at, this.run.getUint32(at, true) ^ CR3_IGNORED_BIT, true);
  }

  /** The faulting address of the last #PF, signed: exact in both halves of the address space. */
  get cr2(): number {
    return readI64(this.run, RUN_SREGS_OFFSET + KvmSregs.cr2.offset);
  }
  get codeSelector(): number {
    return this.run.getUint16(RUN_SREGS_OFFSET + 12, true);
  }

  /**
   * Whether an exception of the guest is still to be delivered: KVM keeps it when KVM_RUN is
   * interrupted meanwhile, and would give it to whichever thread is entered next.
   */
  hasPendingException(): boolean {
    const { view, address } = this.#scratch;
    mustIoctl(this.fd, KVM_GET_VCPU_EVENTS, address, 'KVM_GET_VCPU_EVENTS');
    const { exception_injected: injected, exception_pending: pending } = KvmVcpuEvents;
    return injected.get(view, 0) !== 0 || pending.get(view, 0) !== 0;
  }

  /** How fast the time stamp counter counts, in kHz; 0 when KVM does not know. */
  readTscKhz(): number {
    // SAFETY: the request takes no argument; its answer is the number.
    return Math.max(0, libc.ioctl(this.fd, KVM_GET_TSC_KHZ, 0));
  }

  /** The guest's time stamp counter now. */
  readTsc(): bigint {
    const { view, address } = this.#scratch;
    view.setUint32(0, 1, true);
    view.setUint32(4, 0, true);
    view.setUint32(8, MSR_IA32_TSC, true);
    mustIoctl(this.fd, KVM_GET_MSRS, address, 'KVM_GET_MSRS');
    return view.getBigUint64(16, true);
  }

  /** KVM_SET_SIGNAL_MASK: the signals blocked while in the guest. `mask` is a 64-bit sigset. */
  setSignalMask(mask: bigint): void {
    const { view, address } = this.#scratch;
    view.setUint32(0, 8, true);
    view.setBigUint64(4, mask, true);
    mustIoctl(this.fd, KVM_SET_SIGNAL_MASK, address, 'KVM_SET_SIGNAL_MASK');
  }

  /** Unmaps and closes. Order: nothing enters it again. */
  close(): void {
    // SAFETY: the mapping and descriptor are ours; `run` is not used after close.
    libc.munmap(this.#runRange.address, this.#runRange.bytes);
    // SAFETY: as above.
    libc.close(this.fd);
    giveScratch(this.#scratch);
  }

  #setXcr0(xcr0: number): void {
    const { view, address, bytes } = this.#scratch;
    bytes.fill(0);
    view.setUint32(0, 1, true);
    view.setBigUint64(16, BigInt(xcr0), true);
    mustIoctl(this.fd, KVM_SET_XCRS, address, 'KVM_SET_XCRS');
  }

  #setMsrs(): void {
    const { view, address, bytes } = this.#scratch;
    bytes.fill(0);
    const values: [number, bigint][] = [
      [MSR_STAR, STAR],
      [MSR_LSTAR, STUB_GVA + BigInt(CALLS_OFFSET)],
      [MSR_SYSCALL_MASK, SYSCALL_FLAG_MASK],
    ];
    view.setUint32(0, values.length, true);
    values.forEach(([msr, value], index) => {
      view.setUint32(8 + index * 16, msr, true);
      view.setBigUint64(16 + index * 16, value, true);
    });
    const set = mustIoctl(this.fd, KVM_SET_MSRS, address, 'KVM_SET_MSRS');
    if (set !== values.length) {
      throw new HostError('CATAVMM_KVM_UNSUPPORTED', `KVM refused MSR number ${set} of three`);
    }
  }

  #setSregs(cr3: number): void {
    const { view, address } = this.#scratch;
    mustIoctl(this.fd, KVM_GET_SREGS, address, 'KVM_GET_SREGS');
    writeUserSregs(view, 0, cr3);
    mustIoctl(this.fd, KVM_SET_SREGS, address, 'KVM_SET_SREGS');
    const run = new Uint8Array(this.run.buffer);
    run.set(this.#scratch.bytes.subarray(0, KvmSregs.bytes), RUN_SREGS_OFFSET);
  }
}

function readAddress(view: DataView, at: number): number {
  return view.getUint32(at, true) + view.getUint32(at + 4, true) * 0x1_0000_0000;
}

