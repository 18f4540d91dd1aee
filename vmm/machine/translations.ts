// Making the guest forget translations that the kernel has changed. Under shadow paging KVM does
// not see a store that the VMM makes into a guest page table, so a present entry that lost
// something stays in use until KVM is told; with nested paging a TLB flush would do.
//
// The kernel reports each changed entry; before the next entry into the guest they are flushed
// together, by host-virtual range of the *old* frames (host/memory.ts dropTranslations).
import { dropTranslations } from '../host/memory.ts';
import { BANK_GPA, BASE_GPA } from './layout.ts';
import type { Machine } from './machine.ts';
import { PAGE_BYTES } from './paging.ts';

const FRAME_MASK = 0x000f_ffff_ffff_f000n;
/** More separate ranges than this are flushed as one: the whole of the bank and the base window. */
const RANGES_MAX = 48;

/** How a changed entry is made known: by a TLB flush, or by the MMU notifier (works always). */
export type InvalidationMethod = 'flush' | 'notifier';

let method: InvalidationMethod = 'notifier';

/** Sets what findInvalidationMethod() found on this host. */
export function setInvalidationMethod(found: InvalidationMethod): void {
  method = found;
}

export class StaleTranslations {
  readonly #machine: Machine;
  #bankPages: number[] = [];
  #basePages: number[] = [];
  /** How many flushes and ranges there were, for the report. */
  flushes: number = 0;
  ranges: number = 0;

  constructor(machine: Machine) {
    this.#machine = machine;
  }

  /** Notes that `oldPte`, which the guest may have used, no longer holds. */
  add(oldPte: bigint): void {
    const gpa = Number(oldPte & FRAME_MASK);
    if (gpa >= BASE_GPA) this.#basePages.push((gpa - BASE_GPA) / PAGE_BYTES);
    else this.#bankPages.push((gpa - BANK_GPA) / PAGE_BYTES);
  }

  /** Forgets what was noted: whoever calls it drops all translations. */
  forget(): void {
    this.#bankPages = [];
    this.#basePages = [];
  }

  /** Makes the guest forget every translation, and KVM every way to a page table. */
  forgetAll(): void {
    this.forget();
    this.#machine.forgetTables();
  }

  /** Flushes what was noted. Order: before the vCPU is entered again. */
  flush(): void {
    if (method === 'flush' && this.#bankPages.length + this.#basePages.length > 0) {
      this.flushes++;
      this.#bankPages = [];
      this.#basePages = [];
      this.#machine.vcpu.flushOnEntry();
      return;
    }
    if (this.#bankPages.length > 0) {
      this.#drop(this.#bankPages, this.#machine.bank, true);
      this.#bankPages = [];
    }
    if (this.#basePages.length > 0) {
      const { base } = this.#machine;
      if (base !== null) this.#drop(this.#basePages, base, false);
      this.#basePages = [];
    }
  }

  #drop(pages: number[], range: { address: number; bytes: number }, writable: boolean): void {
    this.flushes++;
    const runs = toRuns(pages);
    this.ranges += runs.length;
    if (runs.length > RANGES_MAX) {
      dropTranslations(range.address, range.bytes, writable);
      return;
    }
    for (const [first, count] of runs) {
      dropTranslations(range.address + first * PAGE_BYTES, count * PAGE_BYTES, writable);
    }
  }
}

/** Sorts page numbers in place and joins neighbours: [first, count] pairs. */
export function toRuns(pages: number[]): [number, number][] {
  pages.sort((a, b) => a - b);
  const runs: [number, number][] = [];
  for (const page of pages) {
    const last = runs[runs.length - 1];
    if (last !== undefined && page <= last[0] + last[1]) {
      last[1] = Math.max(last[1], page - last[0] + 1);
    } else {
      runs.push([page, 1]);
    }
  }
  return runs;
}
