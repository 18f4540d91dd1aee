// Pages that a sandbox has in its bank although they are as they were in the snapshot it came from:
// pre-copied, copied along with a neighbour, or written with what was there. A layer over that
// snapshot names the old frame instead of a copy of it.
import { createLayout } from '../../../wasm/layout.ts';
import type { TableWindow } from '../../../wasm/tables.ts';
import { pfnAt } from '../../kernel/mm/pte.ts';
import { type GuestFrames, PAGE_BYTES } from '../../kernel/ports.ts';
import { giveRegion, memory, takeRegion, u32 } from '../../kernel/state/memory.ts';
import { BASE_GPA } from '../../machine/layout.ts';
import type { Piece } from '../image/image-records.ts';
import { findImageLeaf, listRoots } from '../image/image-tables.ts';
import type { Snapshot } from '../restore/snapshot.ts';

/** The frames that a checkpoint does not save again, and the page tables that name them. */
export interface LayersBelow {
  /** So many base frames, from the first on. */
  frames: number;
  /** Address of the tables of the snapshot that the sandbox came from. */
  tables: number;
  /** Its records; null when there is nothing below. */
  objects: Piece | null;
}

/** Nothing below: all frames are saved. */
export const NOTHING_BELOW: LayersBelow = { frames: 0, tables: 0, objects: null };

/** Everything that a snapshot has in its layers. */
export function layersOf({ baseFrames, tables, objects }: Snapshot): LayersBelow {
  if (tables.bytes === 0) return NOTHING_BELOW;
  return { frames: baseFrames, tables: tables.address, objects };
}

const WORDS_PER_LEAF = 3;
const TWO_32 = 0x1_0000_0000;

/**
 * Visits bank frames whose page has the same content in the layers below.
 * @param isFirst the address space is the first process's, which it is below, too; of another one
 * nobody knows which it was
 * @param visit told the bank frame and the base frame
 */
export function visitSameFrames(
  frames: GuestFrames, window: TableWindow, root: number, below: LayersBelow, isFirst: boolean,
  visit: (bankFrame: number, baseFrame: number) => void,
): void {
  if (below.tables === 0) return;
  const roots = isFirst || below.objects === null ? [0] : listRoots(below.objects);
  const capacity = window.bankFrames;
  const out = takeRegion(capacity * WORDS_PER_LEAF * 4);
  try {
    const found = createLayout(memory).collectDirty(window, root, out.address, capacity);
    const old = Buffer.alloc(PAGE_BYTES);
    for (let i = 0; i < Math.min(found, capacity); i++) {
      const at = (out.address >> 2) + i * WORDS_PER_LEAF;
      const vpn = (u32[at] as number) + (u32[at + 1] as number) * TWO_32;
      const bankFrame = u32[at + 2] as number;
      const start = bankFrame * PAGE_BYTES;
      const bytes = frames.bank.subarray(start, start + PAGE_BYTES);
      for (const baseFrame of framesBelow(below, roots, vpn)) {
        if (frames.readBase(baseFrame, 0, old) && old.equals(bytes)) visit(bankFrame, baseFrame);
      }
    }
  } finally {
    giveRegion(out);
  }
}

/** What the address spaces below have at a virtual page. */
function framesBelow(below: LayersBelow, roots: readonly number[], vpn: number): Set<number> {
  const found: Set<number> = new Set();
  for (const root of roots) {
    const leaf = findImageLeaf(below.tables, vpn, root);
    const frame = leaf === 0 ? Infinity : pfnAt(leaf) - BASE_GPA / PAGE_BYTES;
    if (frame < below.frames) found.add(frame);
  }
  return found;
}
