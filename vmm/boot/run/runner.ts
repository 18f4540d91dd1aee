// The run loop of one sandbox: picks a thread, loads it, enters the guest, handles the exit. It is
// synchronous and returns when the sandbox ends, when all threads wait, or when its time budget is
// over; whoever drives it (drive.ts) waits for the outside and calls again.
import { u32 } from '../../kernel/state/memory.ts';
import type { Kernel } from '../../kernel/kernel.ts';
import { processOf } from '../../kernel/kernel.ts';
import { Task, TASK_RUNNABLE } from '../../kernel/records/task.ts';
import { makeBytes } from '../../kernel/state/containers.ts';
import { charge, endSlice, nextTask } from '../../kernel/task/run-queue.ts';
import { dispatchSyscall, resumeSyscall } from '../../kernel/syscalls/dispatch.ts';
import { deliverSignals, forceSignal, signalOfException } from '../../kernel/signal/deliver.ts';

import { handlePageFault } from '../../kernel/mm/fault.ts';
import { exitProcess } from '../../kernel/task/exit.ts';
import { runNs } from '../../kernel/time/clock.ts';
import { runTimers } from '../../kernel/time/timers.ts';
import { REG, getReg, setReg } from '../../kernel/syscalls/args.ts';
import { SIGKILL, SIGSEGV } from '../../abi/signal.ts';
import type { Machine } from '../../machine/machine.ts';
import {
  classifyExit, EXIT_EXCEPTION, EXIT_FORGED, EXIT_SLICE, EXIT_SYSCALL, type ExceptionFrame,
  isInStub, readException,
} from '../../machine/exits.ts';
import { isUserAccess, leaveStub, settleCall } from '../../machine/stub-calls.ts';
import { XSAVE_BYTES, readXsave, writeXsave } from '../../machine/fpu.ts';
import type { StaleTranslations } from '../../machine/translations.ts';
import { KERNEL_ROOT_ENTRY } from '../../machine/stub.ts';
import { PAGE_BYTES, TABLES_GPA_BASE } from './geometry.ts';
import { eatSliceSignal } from '../../host/slice-timer.ts';
import { EFAULT, EINTR } from '../../abi/errno.ts';
import type { RunCounters } from './counters.ts';
import { StubAnswers } from './stub-answers.ts';
import { FixedSlices } from './fixed-slices.ts';
import { ImageError } from '../image/image-error.ts';

export type RunState = 'exited' | 'idle' | 'budget' | 'stopped';

/** SI_KERNEL: sent by the kernel, no further detail. */
const SI_KERNEL = 0x80;
const PAGE_FAULT = 14;
const REGS_WORD = Task.offset('regs') >> 2;
const USER_CEILING = 0x8000_0000_0000;

export interface RunnerHooks {
  /** Around each call, for --strace. */
  beforeCall?: (task: Task) => void;
  afterCall?: (task: Task) => void;
  /** Asked after each exit; true stops the loop (the func-entry point was reached). */
  shouldStop?: () => boolean;
}

export class Runner {
  readonly k: Kernel;
  readonly machine: Machine;
  readonly stale: StaleTranslations;
  readonly counters: RunCounters;
  hooks: RunnerHooks = {};
  /** Whose FPU state is in the vCPU. */
  #loaded: Task | null = null;
  #rootTable: number = -1;
  #chargedNs: number = 0;
  #fixedSlices: FixedSlices = new FixedSlices();
  readonly #answers: StubAnswers;

  constructor(k: Kernel, machine: Machine, stale: StaleTranslations, counters: RunCounters) {
    this.k = k;
    this.machine = machine;
    this.stale = stale;
    this.counters = counters;
    this.#answers = new StubAnswers(k, machine);
  }

  /**
   * Runs until the process has exited, all threads wait, or `untilNs` (host monotonic) has passed
   * at the end of a time slice.
   */
  run(untilNs: number): RunState {
    const { k } = this;
    const process = processOf(k);
    // Nobody is charged with the time that the sandbox waited, or the event loop took.
    this.#chargedNs = runNs(k);
    k.ports.clock.refresh(this.#chargedNs);
    for (;;) {
      if (process.exited) return 'exited';
      if (this.hooks.shouldStop?.() === true) return 'stopped';
      const task = nextTask(k);
      if (task === null) {
        this.#chargeLoaded();
        return 'idle';
      }
      if (!this.#prepare(task)) continue;
      const wentOn = this.#enter(task);
      if (k.root.deterministic && this.#fixedSlices.isOver(k, task)) {
        this.#chargeLoaded();
        endSlice(k);
      }
      if (wentOn) continue;
      this.counters.slices++;
      this.#endSlice(task);
      if (k.ports.clock.monotonicNs() >= untilNs) return 'budget';
    }
  }

  #endSlice(task: Task): void {
    const { k } = this;
    if (k.root.deterministic) {
      this.#fixedSlices.afterHostSlice(k, task);
      return;
    }
    // Order: whom a timer wakes is compared with what the others have had, this slice included.
    this.#chargeLoaded();
    endSlice(k);
    runTimers(k);
  }

  /** Stores the FPU state of the thread on the vCPU in its record. Order: before a save. */
  parkThread(): void {
    const task = this.#loaded;
    if (task === null) return;
    this.#saveFpu(task);
    this.#loaded = null;
    this.k.current = null;
  }

  /** The task on the vCPU is gone or its FPU state was replaced in its record. */
  forgetThread(): void {
    this.#loaded = null;
  }

  /** Finishes a woken call and delivers signals; false when the task cannot run now. */
  #prepare(task: Task): boolean {
    const { k } = this;
    if (this.#loaded !== task) this.#switchTo(task);
    if (task.syscall >= 0) {
      resumeSyscall(k, task);
      this.hooks.afterCall?.(task);
    }
    if (task.state !== TASK_RUNNABLE || task.process.exited) return false;
    return deliverSignals(k, task) && task.state === TASK_RUNNABLE && !task.process.exited;
  }

  /** One entry into the guest; false when the time slice is over. */
  #enter(task: Task): boolean {
    const { vcpu } = this.machine;
    if (!this.#load(task)) return true;
    this.stale.flush();
    this.#answers.load(task, this.hooks.beforeCall !== undefined);
    let failed = vcpu.enter();
    // Interrupted on the way out, inside the stub or on the way to it: the call or exception is not
    // reported yet. Going on with the registers untouched reports it; its state is nothing that a
    // thread could resume from.
    while (failed === EINTR && this.#isOnTheWayOut()) {
      eatSliceSignal();
      failed = vcpu.enter();
    }
    this.#answers.store(task);
    if (this.counters.exits++ === 0) this.counters.firstExitMs = performance.now();
    if (failed !== 0) {
      vcpu.storeRegs(u32, (task.address >> 2) + REGS_WORD);
      if (failed === EFAULT) {
        throw new ImageError('truncated', "The func-image's file has gone or was truncated.");
      }
      this.#storeBases(task);
      eatSliceSignal();
      return false;
    }
    return this.#handleExit(task);
  }

  #isOnTheWayOut(): boolean {
    const { vcpu, tables } = this.machine;
    return vcpu.hasPendingException() || isInStub(vcpu) && !leaveStub(vcpu, tables);
  }

  #handleExit(task: Task): boolean {
    const { vcpu } = this.machine;
    const exit = classifyExit(vcpu);
    vcpu.storeRegs(u32, (task.address >> 2) + REGS_WORD);
    this.#storeBases(task);
    switch (exit) {
      case EXIT_SYSCALL:
        this.#handleSyscall(task);
        return true;
      case EXIT_EXCEPTION:
        this.#handleException(task, readException(vcpu, this.machine.tables));
        return true;
      case EXIT_SLICE:
        eatSliceSignal();
        return false;
      case EXIT_FORGED:
        forceSignal(this.k, task, SIGSEGV, SI_KERNEL, 0);
        return true;
      default:
        throw new Error(`KVM could not run the guest: exit ${vcpu.run.getUint32(8, true)}`);
    }
  }

  #handleSyscall(task: Task): void {
    const rip = getReg(task, REG.rcx);
    setReg(task, REG.rip, rip);
    setReg(task, REG.rflags, getReg(task, REG.r11));
    this.counters.syscalls++;
    this.#answers.note(task);
    if (this.hooks.beforeCall === undefined) {
      dispatchSyscall(this.k, task);
      return;
    }
    this.hooks.beforeCall(task);
    dispatchSyscall(this.k, task);
    this.hooks.afterCall?.(task);
  }

  #handleException(task: Task, frame: ExceptionFrame): void {
    const { k } = this;
    if (!frame.fromUser) {
      forceSignal(k, task, SIGSEGV, SI_KERNEL, 0);
      return;
    }
    setReg(task, REG.rsp, frame.rsp);
    if (isUserAccess(frame.stubOffset)) {
      // A pointer that the stub cannot follow: the handler finds out why.
      settleCall(u32, (task.address >> 2) + REGS_WORD, frame.stubOffset, this.machine.tables);
      this.#handleSyscall(task);
      return;
    }
    setReg(task, REG.rip, frame.rip);
    setReg(task, REG.rflags, frame.rflags);
    if (frame.vector !== PAGE_FAULT) {
      signalOfException(k, task, frame.vector, frame.errorCode, frame.rip);
      return;
    }
    this.counters.faults++;
    const result = handlePageFault(k, this.machine.vcpu.cr2, frame.errorCode);
    if (result.kind === 'signal') {
      const { signal, code, address, errorCode } = result;
      forceSignal(k, task, signal, code, address, errorCode);
    } else if (result.kind === 'oom') {
      k.ports.events.event('out-of-memory', 'the sandbox has no frames left');
      exitProcess(k, task.process, 0, SIGKILL);
    }
  }

  /** Loads registers and address space; false when the task must not enter (bad RIP). */
  #load(task: Task): boolean {
    const { vcpu } = this.machine;
    const rip = getReg(task, REG.rip);
    if (!(rip < USER_CEILING)) {
      forceSignal(this.k, task, SIGSEGV, SI_KERNEL, 0);
      return false;
    }
    this.#loadRoot(task);
    vcpu.loadRegs(u32, (task.address >> 2) + REGS_WORD);
    vcpu.fsBase = task.fsBase;
    vcpu.gsBase = task.gsBase;
    return true;
  }

  #loadRoot(task: Task): void {
    const root = task.process.mm?.rootTable ?? 0;
    // An address space that has ended may have had the same table, which was cleared then.
    const at = root * PAGE_BYTES + 511 * 8;
    if (root === this.#rootTable && this.machine.tables.getUint32(at, true) !== 0) return;
    this.machine.tables.setBigUint64(at, KERNEL_ROOT_ENTRY, true);
    this.machine.vcpu.cr3 = TABLES_GPA_BASE + root * PAGE_BYTES;
    this.#rootTable = root;
  }

  #storeBases(task: Task): void {
    task.fsBase = this.machine.vcpu.fsBase;
    task.gsBase = this.machine.vcpu.gsBase;
  }

  #switchTo(task: Task): void {
    const { k } = this;
    this.#chargeLoaded();
    if (this.#loaded !== null) this.#saveFpu(this.#loaded);
    writeXsave(this.machine.vcpu, task.xsave?.data ?? null);
    this.counters.switches++;
    this.#loaded = task;
    k.current = task;
  }

  /** Charges the thread on the vCPU with the time since the last charge. */
  #chargeLoaded(): void {
    const nowNs = runNs(this.k);
    const task = this.#loaded;
    if (task !== null && isAlive(task)) charge(this.k, task, nowNs - this.#chargedNs);
    this.#chargedNs = nowNs;
  }

  #saveFpu(task: Task): void {
    if (!isAlive(task)) return;
    const image = readXsave(this.machine.vcpu);
    if (task.xsave === null) task.xsave = makeBytes(this.k.arena, image.subarray(0, XSAVE_BYTES));
    else task.xsave.data.set(image.subarray(0, XSAVE_BYTES));
  }
}

function isAlive(task: Task): boolean {
  return u32[task.address >> 2] !== 0;
}
