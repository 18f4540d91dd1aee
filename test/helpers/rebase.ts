// What a save and a restore do to guest memory, without files: every frame that has a name becomes
// a read-only base frame, untouched anonymous pages go, the bank is empty again.
import { FrameAllocator } from '../../vmm/kernel/mm/frames.ts';
import { CHUNK_PAGES } from '../../vmm/kernel/mm/cache-pages.ts';
import { frameAt } from '../../vmm/kernel/mm/pages.ts';
import {
  pfnOf, PTE_NX_HIGH, PTE_P, PTE_SHARED, PTE_US, setEntry,
} from '../../vmm/kernel/mm/pte.ts';
import { visitPresent } from '../../vmm/kernel/mm/tables.ts';
import { BASE_FRAME, PAGE_BYTES } from '../../vmm/kernel/ports.ts';
import type { Inode } from '../../vmm/kernel/records/vfs.ts';
import { u32 } from '../../vmm/kernel/state/memory.ts';
import type { TestKernel } from './kernel.ts';

/**
 * Turns all of the bank's frames into base frames.
 * @param inodes inodes with a page cache
 * @param next first base frame that is free; @returns the next one
 */
export function rebase(t: TestKernel, inodes: readonly Inode[], next: number): number {
  const { k, mm } = t;
  const { frames } = k.ports;
  const numbers = new Map<number, number>();
  let free = next;
  const move = (frame: number): number => {
    if (frame >= BASE_FRAME) return frame;
    let number = numbers.get(frame);
    if (number === undefined) {
      number = free++;
      if (number >= frames.baseFrames) throw new Error('the test needs more base frames');
      numbers.set(frame, number);
      t.base.set(k.frames.page(frame), number * PAGE_BYTES);
    }
    return BASE_FRAME + number;
  };
  visitPresent(k.tables, mm.rootTable, 0, 2 ** 47, (at) => {
    const low = u32[at] as number;
    const frame = frameAt(k, at);
    const isPrivate = (low & PTE_SHARED) === 0;
    if (isPrivate && frame < BASE_FRAME && k.frames.page(frame).every((byte) => byte === 0)) {
      u32[at] = 0;
      u32[at + 1] = 0;
      mm.residentPages--;
      return;
    }
    const isExecutable = ((u32[at + 1] as number) & PTE_NX_HIGH) === 0;
    const flags = PTE_P | (low & (PTE_US | PTE_SHARED));
    setEntry(at, pfnOf(frames, move(frame)), flags, isExecutable);
  });
  for (const inode of new Set(inodes)) {
    const { pages } = inode;
    for (let index = 0; pages !== null && index < pages.length; index++) {
      const chunk = pages.get(index);
      for (let slot = 0; chunk !== null && slot < CHUNK_PAGES; slot++) {
        const frame = chunk.data[slot] as number;
        if (frame !== 0) chunk.data[slot] = move(frame);
      }
    }
  }
  frames.bank.fill(0);
  k.tables.unsettled.clear();
  (k as { frames: FrameAllocator }).frames = new FrameAllocator(frames, k.limits);
  return free;
}
