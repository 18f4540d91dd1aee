// A guest CPU in a few lines, for tests of the memory manager: it walks the page tables, caches
// translations, and keeps using a cached one although the entry in memory has changed, until the
// kernel reports the old entry as stale. A report that is missing shows up as wrong bytes.
//
// As under shadow paging: a walk sets A (and D for a write); a report drops every cached
// translation of the old entry's frame; a write through a read-only translation walks again.
import type { FaultResult } from '../../vmm/kernel/mm/fault.ts';
import { handlePageFault } from '../../vmm/kernel/mm/fault.ts';
import {
  frameOf, PTE_A, PTE_D, PTE_NX_HIGH, PTE_P, PTE_RW, PTE_US, pfnAt,
} from '../../vmm/kernel/mm/pte.ts';
import { findEntry } from '../../vmm/kernel/mm/tables.ts';
import { BASE_FRAME, PAGE_BYTES } from '../../vmm/kernel/ports.ts';
import type { Task } from '../../vmm/kernel/records/task.ts';
import { u32 } from '../../vmm/kernel/state/memory.ts';
import type { TestKernel } from './kernel.ts';

interface Translation {
  frame: number;
  writable: boolean;
  executable: boolean;
}

export type Access = 'read' | 'write' | 'fetch';

export class GuestCpu {
  readonly #t: TestKernel;
  readonly #task: Task;
  readonly #cached: Map<number, Translation> = new Map();
  #seen: number = 0;
  /** Page faults that reached the kernel. */
  faults: number = 0;

  /** @param task the thread it executes; what it caches concerns that one's process alone */
  constructor(t: TestKernel, task: Task = t.task) {
    this.#t = t;
    this.#task = task;
  }

  /** Forgets everything (a new VM). */
  flush(): void {
    this.#cached.clear();
    this.#seen = this.#t.stale.length;
  }

  /** Reads a byte as the guest: the byte, or the fault that the kernel did not resolve. */
  read(gva: number): number | FaultResult {
    const frame = this.#translate(gva, 'read');
    return typeof frame === 'number' ? this.#bytes(frame)[gva % PAGE_BYTES] as number : frame;
  }

  /** Writes a byte; null, or the fault. */
  write(gva: number, value: number): FaultResult | null {
    const frame = this.#translate(gva, 'write');
    if (typeof frame !== 'number') return frame;
    if (frame >= BASE_FRAME) throw new Error('the guest writes to a base frame');
    this.#bytes(frame)[gva % PAGE_BYTES] = value;
    return null;
  }

  /**
   * A write that faults and is not repeated: another thread runs, or a signal comes. The kernel has
   * resolved the fault, but this CPU has not walked again. Null, or the fault; no byte is written.
   */
  beginWrite(gva: number): FaultResult | null {
    this.#dropStale();
    const cached = this.#cached.get(Math.floor(gva / PAGE_BYTES));
    if (cached?.writable === true || this.#mayWrite(gva)) return null;
    const result = this.#fault(gva, 'write');
    return result.kind === 'ok' ? null : result;
  }

  #mayWrite(gva: number): boolean {
    const at = this.#entry(gva);
    const wanted = PTE_P | PTE_US | PTE_RW;
    return at !== 0 && ((u32[at] as number) & wanted) === wanted;
  }

  /** Executes at an address; null, or the fault. */
  fetch(gva: number): FaultResult | null {
    const frame = this.#translate(gva, 'fetch');
    return typeof frame === 'number' ? null : frame;
  }

  #bytes(frame: number): Uint8Array {
    const { frames } = this.#t.k.ports;
    const isBank = frame < BASE_FRAME;
    const start = (isBank ? frame : frame - BASE_FRAME) * PAGE_BYTES;
    return (isBank ? frames.bank : this.#t.base).subarray(start, start + PAGE_BYTES);
  }

  /** The frame, or the fault. */
  #translate(gva: number, access: Access): number | FaultResult {
    this.#dropStale();
    const page = Math.floor(gva / PAGE_BYTES);
    for (let tries = 0; tries < 4; tries++) {
      const cached = this.#cached.get(page) ?? null;
      if (cached !== null && allows(cached, access)) return cached.frame;
      const walked = this.#walk(gva, access);
      if (walked !== null) {
        this.#cached.set(page, walked);
        return walked.frame;
      }
      this.faults++;
      const result = this.#fault(gva, access);
      if (result.kind !== 'ok') return result;
      this.#dropStale();
    }
    throw new Error(`the guest faults for ever at 0x${gva.toString(16)}`);
  }

  #dropStale(): void {
    const { stale, k } = this.#t;
    for (; this.#seen < stale.length; this.#seen++) {
      const pte = stale[this.#seen]?.oldPte ?? 0n;
      const frame = frameOf(k.ports.frames, Number((pte & 0x000f_ffff_ffff_f000n) >> 12n));
      for (const [page, cached] of this.#cached) {
        if (cached.frame === frame) this.#cached.delete(page);
      }
    }
  }

  /** Walks the tables; sets A and D; null when the entry does not allow the access. */
  #walk(gva: number, access: Access): Translation | null {
    const { k } = this.#t;
    const at = this.#entry(gva);
    if (at === 0) return null;
    const low = u32[at] as number;
    if ((low & PTE_P) === 0 || (low & PTE_US) === 0) return null;
    const made = {
      frame: frameOf(k.ports.frames, pfnAt(at)),
      writable: (low & PTE_RW) !== 0,
      executable: ((u32[at + 1] as number) & PTE_NX_HIGH) === 0,
    };
    if (!allows(made, access)) return null;
    u32[at] = low | PTE_A | (access === 'write' ? PTE_D : 0);
    return made;
  }

  #entry(gva: number): number {
    return findEntry(this.#t.k.tables, this.#task.process.mm?.rootTable ?? 0, gva);
  }

  #fault(gva: number, access: Access): FaultResult {
    const { k } = this.#t;
    k.current = this.#task;
    return handlePageFault(k, gva, this.#errorCode(gva, access));
  }

  #errorCode(gva: number, access: Access): number {
    const at = this.#entry(gva);
    const isPresent = at !== 0 && ((u32[at] as number) & PTE_P) !== 0;
    return 4 | (isPresent ? 1 : 0) | (access === 'write' ? 2 : 0) | (access === 'fetch' ? 16 : 0);
  }
}

function allows(translation: Translation, access: Access): boolean {
  if (access === 'write') return translation.writable;
  return access === 'read' || translation.executable;
}
