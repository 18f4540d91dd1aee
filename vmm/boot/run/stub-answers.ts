// Keeps the answers right that the machine's stub gives to system calls (machine/stub-calls.ts):
// fields of the thread that is entered next and of its process, the ones its handlers return. All
// are written before each entry, which takes less time than to find out what has changed.
//
// Off until a program has asked twice, so that a boot that never does pays nothing. Off as well
// where each call has to be seen: --strace, and --deterministic, whose clock counts calls.
import type { Kernel } from '../../kernel/kernel.ts';
import { Process, Task } from '../../kernel/records/task.ts';
import { u32 } from '../../kernel/state/memory.ts';
import { hasOthers } from '../../kernel/task/run-queue.ts';
import type { Machine } from '../../machine/machine.ts';
import {
  isStubCall, setAnswer, STUB_CALLS, type StubCall, switchAnswers,
} from '../../machine/stub-calls.ts';
import { changedMask, showMask } from '../../machine/stub-sigmask.ts';
import { setMask } from '../../kernel/signal/mask.ts';

const RAX_WORD = Task.offset('regs') >> 2;
const PROCESS_WORD = Task.offset('process') >> 2;
const ASKED_MIN = 2;

/** Where the answers stand in a process's record (syscalls/process.ts, identity.ts, …). */
const PROCESS_FIELDS: readonly [StubCall, Parameters<typeof Process.offset>[0]][] = [
  ['getpid', 'pid'], ['getppid', 'ppid'], ['getpgrp', 'pgid'],
  ['getuid', 'realUid'], ['geteuid', 'uid'], ['getgid', 'realGid'], ['getegid', 'gid'],
];
const PROCESS_WORDS: readonly [index: number, word: number][] = PROCESS_FIELDS
  .map(([call, field]) => [STUB_CALLS.indexOf(call), Process.offset(field) >> 2]);
const GETTID = STUB_CALLS.indexOf('gettid');
const TID_WORD = Task.offset('tid') >> 2;
const SCHED_YIELD = STUB_CALLS.indexOf('sched_yield');
const RT_SIGPROCMASK = STUB_CALLS.indexOf('rt_sigprocmask');
const MASK_WORD = Task.offset('mask') >> 2;

export class StubAnswers {
  readonly #k: Kernel;
  readonly #machine: Machine;
  #asked: number = 0;
  #isOn: boolean = false;
  /** The thread was shown its mask, and may have changed it. */
  #hasMask: boolean = false;

  constructor(k: Kernel, machine: Machine) {
    this.#k = k;
    this.#machine = machine;
  }

  /** A thread has left for the call in its rax. */
  note(task: Task): void {
    if (this.#asked >= ASKED_MIN) return;
    if (isStubCall(u32[(task.address >> 2) + RAX_WORD] as number)) this.#asked++;
  }

  /** Order: right before each entry of `task`. @param isTraced every call is to be seen */
  load(task: Task, isTraced: boolean): void {
    const wanted = this.#asked >= ASKED_MIN && !isTraced && !this.#k.root.deterministic;
    if (wanted !== this.#isOn) {
      switchAnswers(this.#machine.tables, wanted);
      this.#isOn = wanted;
    }
    this.#hasMask = wanted && !hasSignals(task);
    if (wanted) writeAnswers(this.#machine.tables, this.#k, task, this.#hasMask);
  }

  /** Takes over what the thread has changed. Order: right after each exit. */
  store(task: Task): void {
    if (!this.#hasMask) return;
    const mask = changedMask(this.#machine.tables, u32, (task.address >> 2) + MASK_WORD);
    if (mask !== null) setMask(this.#k, task, mask);
  }
}

/** Whether a signal waits that another mask would let through, or the mask is put back later. */
function hasSignals(task: Task): boolean {
  return task.pending !== null || task.process.pending !== null || task.hasSavedMask;
}

/** @param tables the machine's table window */
function writeAnswers(tables: DataView, k: Kernel, task: Task, hasMask: boolean): void {
  const words = task.address >> 2;
  const process = (u32[words + PROCESS_WORD] as number) >> 2;
  for (const [index, word] of PROCESS_WORDS) {
    setAnswer(tables, index, u32[process + word] as number);
  }
  setAnswer(tables, GETTID, u32[words + TID_WORD] as number);
  // Linux: sched_yield(2) returns at once when nobody else can run.
  setAnswer(tables, SCHED_YIELD, hasOthers(k) ? null : 0);
  setAnswer(tables, RT_SIGPROCMASK, hasMask ? 0 : null);
  if (hasMask) showMask(tables, u32, words + MASK_WORD);
}
