// Time slices in deterministic mode: counted in system calls, as its clock is, so that the same
// program always switches threads and hears its timers at the same places. The host's timer has a
// say only over a thread that computes for long without any call: it may wait for another one.
import type { Kernel } from '../../kernel/kernel.ts';
import type { Task } from '../../kernel/records/task.ts';
import { charge, endSlice, hasOthers } from '../../kernel/task/run-queue.ts';
import { runTimers } from '../../kernel/time/timers.ts';

/** Calls in a slice: 4 ms of the deterministic clock. */
const SLICE_CALLS = 4000;
/** Slices of the host after which a thread without calls has to let others run: 100 ms. */
const QUIET_SLICES = 25;
/** What that costs it. */
const QUIET_CHARGE_NS = 4e6;

export class FixedSlices {
  #task: Task | null = null;
  #firstCall: number = 0;
  #lastCall: number = 0;
  #quietSlices: number = 0;

  /**
   * Whether the slice of `task` is over; asked after each exit of the guest. Timers that are due
   * run. Order: before the next thread is chosen.
   */
  isOver(k: Kernel, task: Task): boolean {
    const { syscallCount, runHead } = k.root;
    if (syscallCount === this.#lastCall) return false;
    this.#lastCall = syscallCount;
    this.#quietSlices = 0;
    // When nobody can run, time is skipped: whoever drives the sandbox does that.
    if (runHead !== null) runTimers(k);
    if (task !== this.#task) {
      this.#task = task;
      this.#firstCall = syscallCount;
    } else if (syscallCount - this.#firstCall >= SLICE_CALLS) {
      this.#firstCall = syscallCount;
      return k.root.runHead === task;
    }
    return false;
  }

  /** When a slice of the host has ended. */
  afterHostSlice(k: Kernel, task: Task): void {
    if (++this.#quietSlices < QUIET_SLICES) return;
    this.#quietSlices = 0;
    if (hasOthers(k)) charge(k, task, QUIET_CHARGE_NS);
    endSlice(k);
  }
}
