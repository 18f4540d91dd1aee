// A boot from a func-image (paper, 3.5): map the frames, bring the records in with one copy,
// relocate them, merge page tables with the pre-copied write set, redraw what must be unique, go.
import { createMerge, type Merge } from '../../wasm/merge.ts';
import { createRelocate, type Relocate } from '../../wasm/relocate.ts';
import { Arena } from '../kernel/state/arena.ts';
import { memory, u8 } from '../kernel/state/memory.ts';
import { Sandbox } from '../kernel/records/index.ts';
import { assembleKernel, ARENA_BYTES } from '../kernel/make-kernel.ts';
import { type Kernel, processOf } from '../kernel/kernel.ts';
import type { Mm } from '../kernel/records/mm.ts';
import { resumeEntry } from '../kernel/entry.ts';
import { reconnectConsole } from '../kernel/ipc/console.ts';
import { type LowerFs, PAGE_BYTES } from '../kernel/ports.ts';
import { mapFileOver } from '../host/memory.ts';
import type { HostRoot } from '../host/files.ts';
import { FIRST_GUEST_TABLE, TABLE_COUNT, TABLES_GPA } from '../machine/layout.ts';
import type { WaitableConsole } from './console.ts';
import { type OpenImage, readImageFrames } from './image-open.ts';
import { blameImage, ImageError } from './image-error.ts';
import { type Instance, limitsFor, makeInstance, makePorts } from './instance.ts';
import type { Phases } from './phases.ts';
import { frameRuns, type WriteSet } from './write-set.ts';
import type { Zygote } from './zygote.ts';

export interface ColdOptions {
  image: OpenImage;
  zygote: Zygote;
  console: WaitableConsole;
  lower: LowerFs;
  /** What is below `lower`, for the instance to close. */
  roots: readonly HostRoot[];
  writeSet: WriteSet | null;
  onEvent: (kind: string, detail: string) => void;
}

let relocate: Relocate | null = null;
let merge: Merge | null = null;

/** Makes a sandbox out of an image. Nothing of it has run yet. @throws ImageError, HostError */
export function bootCold(options: ColdOptions, phases: Phases): Instance {
  const { image, zygote } = options;
  const { base } = zygote.machine;
  if (base === null) throw new Error('the zygote has no base window');
  if (image.frames.bytes > 0) {
    mapFileOver(base, image.fd, image.frames.offset, image.frames.bytes);
  }
  phases.mark('map');
  const arena = restoreObjects(image);
  phases.mark('objects');
  try {
    return joinSandbox(arena, options, phases);
  } catch (error) {
    arena.close();
    throw blameImage(error);
  }
}

function joinSandbox(arena: Arena, options: ColdOptions, phases: Phases): Instance {
  const { image, zygote } = options;
  const root = arena.at(Sandbox, arena.region.address + image.header.objects.root);
  if ((root.process?.mm ?? null) === null) {
    throw new ImageError('objects', 'The func-image has no program.');
  }
  const ports = makePorts({
    zygote,
    console: options.console,
    lower: options.lower,
    onEvent: options.onEvent,
    baseFrames: image.header.memory.frames,
    readFrames: (offset, target) => readImageFrames(image, offset, target),
  });
  const k = assembleKernel(arena, root, ports, limitsFor(zygote.options.memoryBytes));
  restoreTables(k, options);
  phases.mark('tables');
  redraw(k);
  phases.mark('redraw');
  return makeInstance(k, zygote, options.console, options.roots);
}

/** Stage 1: one copy; stage 2: relocate (design: separated state recovery). */
function restoreObjects(image: OpenImage): Arena {
  const { objects, relations } = image;
  relocate ??= createRelocate(memory);
  const arena = new Arena(ARENA_BYTES);
  try {
    const address = arena.adopt(objects.bytes);
    u8.copyWithin(address, objects.address, objects.address + objects.bytes);
    const count = relations.bytes / 8;
    const done = relocate.relocate(address, objects.bytes, relations.address, count, address);
    if (done === count) return arena;
    throw new ImageError('objects', 'The func-image\'s relation table is malformed.');
  } catch (error) {
    arena.close();
    throw error;
  }
}

function restoreTables(k: Kernel, options: ColdOptions): void {
  const { image, zygote, writeSet } = options;
  merge ??= createMerge(memory);
  const usable = writeSet !== null && copyWriteSet(k, image, writeSet);
  const target = {
    tables: zygote.tables.address + FIRST_GUEST_TABLE * PAGE_BYTES,
    firstIndex: FIRST_GUEST_TABLE,
    capacity: TABLE_COUNT - FIRST_GUEST_TABLE,
  };
  const priv = {
    tables: usable ? (writeSet as WriteSet).tree.address : 0,
    count: usable ? (writeSet as WriteSet).tableCount : 0,
    firstIndex: FIRST_GUEST_TABLE,
  };
  const base = {
    tables: image.tables.address,
    count: image.tables.bytes / PAGE_BYTES,
    firstIndex: FIRST_GUEST_TABLE,
  };
  const count = merge.mergeTree(target, priv, base, TABLES_GPA / PAGE_BYTES);
  if (count < 0) {
    const { sentence } = merge.fault(count);
    throw new ImageError('tables', `The func-image's page tables are malformed: ${sentence}.`);
  }
  (processOf(k).mm as Mm).rootTable = FIRST_GUEST_TABLE;
  k.tables.adopt(FIRST_GUEST_TABLE + count);
}

/** Copies the write set into the bank's first frames; false when that cannot be. */
function copyWriteSet(k: Kernel, image: OpenImage, writeSet: WriteSet): boolean {
  const first = k.frames.allocateRun(writeSet.pages.length);
  if (first !== 1) return false;
  const { bank } = k.ports.frames;
  for (const [frame, position, count] of frameRuns(writeSet.pages)) {
    const from = (1 + position) * PAGE_BYTES;
    const target = bank.subarray(from, from + count * PAGE_BYTES);
    if (!readImageFrames(image, frame * PAGE_BYTES, target)) {
      throw new ImageError('truncated', 'The func-image was truncated while it was read.');
    }
  }
  return true;
}

/** What no two instances may share (design: Uniqueness). Fails closed: an error ends the boot. */
function redraw(k: Kernel): void {
  const { root } = k;
  root.generation++;
  k.ports.entropy.fill(root.bootId);
  // A deterministic clock knows nothing of the host's and simply goes on.
  if (!root.deterministic) {
    root.monotonicOffsetNs = root.savedMonotonicNs - k.ports.clock.monotonicNs();
  }
  reconnectConsole(k);
  resumeEntry(k);
}
