// Threads of a test kernel that make system calls the way the run loop lets them: registers,
// dispatch, execution again after a wake-up, delivery of signals.
//
//   const g = makeGuest();
//   g.call('futex', [word, FUTEX_WAIT, 0, 0]) === BLOCKED;
//   g.callAs(other, 'futex', [word, FUTEX_WAKE, 1]);  g.resume(g.task) === 0
import { SYSCALL_NUMBERS } from '../../../../vmm/abi/syscall-numbers.ts';
import {
  MAP_ANONYMOUS, MAP_FIXED, MAP_PRIVATE, PROT_READ, PROT_WRITE,
} from '../../../../vmm/abi/mman.ts';
import type { Kernel } from '../../../../vmm/kernel/kernel.ts';
import { mapRegion } from '../../../../vmm/kernel/mm/map.ts';
import { copyIn, copyOut } from '../../../../vmm/kernel/mm/user-memory.ts';
import { type Process, TASK_RUNNABLE, type Task } from '../../../../vmm/kernel/records/task.ts';
import { deliverSignals } from '../../../../vmm/kernel/signal/deliver.ts';
import { REG, setReg, setRegBig } from '../../../../vmm/kernel/syscalls/args.ts';
import { SyscallCounter } from '../../../../vmm/kernel/syscalls/counter.ts';
import { BLOCKED } from '../../../../vmm/kernel/syscalls/define.ts';
import {
  dispatchSyscall, readResult, resumeSyscall,
} from '../../../../vmm/kernel/syscalls/dispatch.ts';
import { runTimers } from '../../../../vmm/kernel/time/timers.ts';
import {
  makeTestKernel, type TestKernel, type TestKernelOptions,
} from '../../../helpers/kernel.ts';

/** Start of the guest's memory, 1 MiB, readable and writable. */
export const MEMORY = 0x100_0000;
const MEMORY_BYTES = 0x10_0000;
/** Top of it, for stacks. */
export const STACK: number = MEMORY + MEMORY_BYTES;
/** Address behind the `syscall` instruction that all calls of these tests come from. */
export const AFTER_SYSCALL = 0x40_1002;
const ARGUMENT_REGS = [REG.rdi, REG.rsi, REG.rdx, REG.r10, REG.r8, REG.r9];

export interface Guest {
  readonly t: TestKernel;
  readonly k: Kernel;
  readonly process: Process;
  readonly task: Task;
  /** The first thread makes a call: its result, or BLOCKED. */
  call(name: string, args: readonly (number | bigint)[]): number;
  callAs(task: Task, name: string, args: readonly (number | bigint)[]): number;
  /** What the run loop does with a thread that was woken; the result, or BLOCKED. */
  resume(task: Task): number;
  /** Time passes: fires what is due. */
  advance(ns: number): void;
  addTask(): Task;
  poke(gva: number, bytes: Uint8Array): void;
  poke32(gva: number, value: number): void;
  poke64(gva: number, value: number | bigint): void;
  peek(gva: number, count: number): DataView;
  peek32(gva: number): number;
  peek64(gva: number): number;
  close(): void;
}

export function makeGuest(options: TestKernelOptions = {}): Guest {
  const t = makeTestKernel(options);
  const { k, process, task } = t;
  (k as { counters: SyscallCounter }).counters = new SyscallCounter();
  const mapped = mapRegion(k, {
    gva: MEMORY,
    bytes: MEMORY_BYTES,
    prot: PROT_READ | PROT_WRITE,
    flags: MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
  });
  if (mapped !== MEMORY) throw new Error(`no memory for the test guest: ${mapped}`);
  let threads = 1;
  const start = (made: Task): Task => {
    setReg(made, REG.rsp, STACK - 0x1_0000 * threads++);
    setReg(made, REG.rflags, 0x202);
    setReg(made, REG.rip, AFTER_SYSCALL);
    return made;
  };
  start(task);
  const finish = (who: Task, result: number): number => {
    if (result === BLOCKED || who.state !== TASK_RUNNABLE) return result;
    deliverSignals(k, who);
    return readResult(who);
  };
  const callAs: Guest['callAs'] = (who, name, args) => {
    k.current = who;
    setReg(who, REG.rip, AFTER_SYSCALL);
    setReg(who, REG.rax, SYSCALL_NUMBERS[name] ?? -1);
    args.forEach((value, index) => setRegBig(who, ARGUMENT_REGS[index] as number,
      BigInt.asUintN(64, BigInt(value))));
    return finish(who, dispatchSyscall(k, who));
  };
  const peek: Guest['peek'] = (gva, count) => {
    const raw = new Uint8Array(count);
    if (copyIn(k, gva, raw) !== count) throw new Error(`bad address ${gva.toString(16)}`);
    return new DataView(raw.buffer);
  };
  const poke: Guest['poke'] = (gva, bytes) => {
    if (copyOut(k, gva, bytes) !== bytes.length) throw new Error(`bad address ${gva.toString(16)}`);
  };
  return {
    t, k, process, task, callAs, peek, poke,
    call: (name, args) => callAs(task, name, args),
    resume(who) {
      if (who.state !== TASK_RUNNABLE) return BLOCKED;
      k.current = who;
      return finish(who, who.syscall >= 0 ? resumeSyscall(k, who) : 0);
    },
    advance(ns) {
      t.clock.advance(ns);
      runTimers(k);
    },
    addTask: () => start(t.addTask()),
    poke32: (gva, value) => poke(gva, new Uint8Array(Uint32Array.of(value).buffer)),
    poke64: (gva, value) =>
      poke(gva, new Uint8Array(BigUint64Array.of(BigInt.asUintN(64, BigInt(value))).buffer)),
    peek32: (gva) => peek(gva, 4).getUint32(0, true),
    peek64: (gva) => Number(peek(gva, 8).getBigInt64(0, true)),
    close: () => t.close(),
  };
}

/** Runs a test body with a guest and gives its memory back. */
export function withGuest(body: (g: Guest) => void, options: TestKernelOptions = {}): () => void {
  return () => {
    const g = makeGuest(options);
    try {
      body(g);
    } finally {
      g.close();
    }
  };
}
