// Machines that wait for guests (paper, 4.1). A boot takes one that is ready; making, wiping and
// closing machines happens between requests, in turns of the event loop.
//
//   make ─► ready (unused) ─► take ─► guest ─► give ─► wipe ─► ready (of a tenant)
//                                                  └─► close, when there are enough or it is worn
//
// Invariant: a machine that was used is only ever given to the tenant that used it.
import { populate } from '../../host/memory.ts';
import { PAGE_BYTES } from '../../kernel/ports.ts';
import { findInvalidationMethod } from '../../machine/self-test.ts';
import { setInvalidationMethod } from '../../machine/translations.ts';
import { visibleFeatures } from './cpu-check.ts';
import {
  closeZygote, makeZygote, recycleZygote, type Used, warmZygote, type Zygote, type ZygoteOptions,
} from './zygote.ts';

/** How many ready machines of a configuration there shall be. */
export interface WaterMarks {
  /** Fewer unused ones than this: more are made, up to `high`. */
  low: number;
  /** More used ones than this: those that were used longest ago are closed. */
  high: number;
}

interface Shelf {
  readonly options: ZygoteOptions;
  /** What those want who wait for guests; the largest count. */
  readonly wishes: Set<WaterMarks>;
  marks: WaterMarks;
  /** Bytes of the bank that are brought into memory beforehand. */
  populatedBytes: number;
  readonly ready: Zygote[];
  isFilling: boolean;
}

/** Bank memory that a prepared machine has beyond what its guest pre-copies. */
const SPARE_BYTES = 256 * 1024;
const TEST_BYTES = 4 * 1024 * 1024;
const NO_MARKS: WaterMarks = { low: 0, high: 0 };

const shelves: Map<string, Shelf> = new Map();
let isTested = false;

function shelfOf(options: ZygoteOptions): Shelf {
  const key = `${options.memoryBytes} ${options.baseBytes} ${options.baseline}`;
  let shelf = shelves.get(key);
  if (shelf === undefined) {
    shelf = {
      options, wishes: new Set(), marks: NO_MARKS, populatedBytes: 0, ready: [], isFilling: false,
    };
    shelves.set(key, shelf);
  }
  return shelf;
}

/** Runs the machine's self-test once per process, on a machine that is thrown away. */
function testHost(options: ZygoteOptions): void {
  if (isTested) return;
  isTested = true;
  const zygote = makeZygote({ ...options, memoryBytes: TEST_BYTES, baseBytes: 0 });
  try {
    setInvalidationMethod(findInvalidationMethod(zygote.machine));
  } finally {
    closeZygote(zygote);
  }
}

function makeReady(shelf: Shelf): void {
  const { options, populatedBytes } = shelf;
  const zygote = makeZygote(options);
  try {
    visibleFeatures(options.baseline, zygote.machine);
    warmZygote(zygote);
    const bytes = Math.min(populatedBytes + SPARE_BYTES, options.memoryBytes);
    populate(zygote.machine.bank.address, bytes);
  } catch (error) {
    closeZygote(zygote);
    throw error;
  }
  shelf.ready.push(zygote);
}

/**
 * Makes machines until `count` unused ones are ready, now.
 * @param pages how many pages of the bank a boot fills at once: brought in beforehand
 * @throws HostError when the host gives no more; those that were made stay
 */
export function prepareZygotes(options: ZygoteOptions, count: number, pages: number): void {
  const shelf = shelfOf(options);
  shelf.populatedBytes = Math.max(shelf.populatedBytes, pages * PAGE_BYTES);
  testHost(options);
  while (countUnused(shelf) < count) makeReady(shelf);
}

/**
 * Keeps a number of machines ready from now on.
 * @returns ends that; what others wish goes on
 */
export function keepReady(options: ZygoteOptions, marks: WaterMarks): () => void {
  const shelf = shelfOf(options);
  const wish = { ...marks };
  const update = (): void => {
    const wishes = [...shelf.wishes];
    shelf.marks = {
      low: Math.max(0, ...wishes.map(({ low }) => low)),
      high: Math.max(0, ...wishes.map(({ high }) => high)),
    };
    refill(shelf);
  };
  shelf.wishes.add(wish);
  update();
  return () => {
    shelf.wishes.delete(wish);
    update();
  };
}

function countUnused({ ready }: Shelf): number {
  return ready.reduce((count, { tenant }) => count + (tenant === null ? 1 : 0), 0);
}

function countUsed(shelf: Shelf): number {
  return shelf.ready.length - countUnused(shelf);
}

/** Makes one machine a turn until the shelf is full again. Used ones are not for everybody. */
function refill(shelf: Shelf): void {
  if (shelf.isFilling || countUnused(shelf) >= shelf.marks.low) return;
  shelf.isFilling = true;
  const step = (): void => {
    if (countUnused(shelf) >= shelf.marks.high) {
      shelf.isFilling = false;
      return;
    }
    try {
      testHost(shelf.options);
      makeReady(shelf);
      setImmediate(step);
    } catch {
      // The host gives no more: boots make their own and hear why. The next take tries again.
      shelf.isFilling = false;
    }
  };
  setImmediate(step);
}

/**
 * A machine for a tenant: one that it used before, with the frames of `snapshot` still mapped if
 * there is one, else an unused one, else a new one. @throws HostError
 */
export function takeZygote(
  options: ZygoteOptions, tenant: string | null = null, snapshot: string | null = null,
): Zygote {
  const shelf = shelfOf(options);
  const { ready } = shelf;
  let best = -1;
  let bestRank = 0;
  for (let i = ready.length - 1; i >= 0; i--) {
    const zygote = ready[i] as Zygote;
    if (zygote.tenant !== null && (tenant === null || zygote.tenant !== tenant)) continue;
    const rank = zygote.tenant === null ? 1 : zygote.mapped === snapshot ? 3 : 2;
    if (rank > bestRank) {
      best = i;
      bestRank = rank;
    }
  }
  const [found] = best < 0 ? [] : ready.splice(best, 1);
  refill(shelf);
  const zygote = found ?? makeZygote(options);
  zygote.tenant = tenant;
  return zygote;
}

/** Takes a machine back whose guest has ended, off the critical path: wipes it or closes it. */
export function giveZygote(zygote: Zygote, used: Used): void {
  const shelf = shelfOf(zygote.options);
  const isWanted = zygote.tenant !== null && shelf.marks.high > 0;
  if (!isWanted || !recycleZygote(zygote, used)) {
    closeZygote(zygote, used.tablesEnd);
    // Where the host gave no more, it may give again.
    refill(shelf);
    return;
  }
  shelf.ready.push(zygote);
  if (countUsed(shelf) <= shelf.marks.high) return;
  // Whoever came last will come again soonest.
  const oldest = shelf.ready.findIndex(({ tenant }) => tenant !== null);
  for (const worn of shelf.ready.splice(oldest, 1)) closeZygote(worn);
}

/** How many machines of a configuration are ready. */
export function countReady(options: ZygoteOptions): number {
  return shelfOf(options).ready.length;
}

/** Closes machines that nobody took. */
export function dropReadyZygotes(): void {
  for (const shelf of shelves.values()) {
    shelf.wishes.clear();
    shelf.marks = NO_MARKS;
    for (const zygote of shelf.ready.splice(0)) closeZygote(zygote);
  }
}
