// A sandbox out of a snapshot (paper, 3.5): map the frames, bring the records in with one copy,
// relocate them, merge page tables with the pre-copied write set, redraw what must be unique, go.
import { createMerge, type HotRun, type Merge } from '../../../wasm/merge.ts';
import { createRelocate, type Relocate } from '../../../wasm/relocate.ts';
import { Arena } from '../../kernel/state/arena.ts';
import { memory, u8 } from '../../kernel/state/memory.ts';
import { Sandbox } from '../../kernel/records/index.ts';
import { arenaBytesFor, assembleKernel } from '../../kernel/make-kernel.ts';
import type { Kernel } from '../../kernel/kernel.ts';
import { wipeOnFork } from '../../kernel/mm/address-space.ts';
import { listSpaces } from '../../kernel/task/family.ts';
import { clockWasSet } from '../../kernel/time/wall-timers.ts';
import { resumeEntry } from '../../kernel/entry.ts';
import { resetOutside } from '../../kernel/inet/outside.ts';
import { reconnectConsole } from '../../kernel/ipc/console.ts';
import { type EntropyPort, type LowerFs, PAGE_BYTES } from '../../kernel/ports.ts';
import { mapFileOver, wantHugePages } from '../../host/memory.ts';
import { FIRST_GUEST_TABLE, TABLES_GPA } from '../../machine/layout.ts';
import type { WaitableConsole } from '../stdio/console.ts';
import type { Baseline } from './baseline.ts';
import { blameImage, ImageError } from '../image/image-error.ts';
import type { HostRoot } from '../../host/files.ts';
import type { IoCache } from './io-cache.ts';
import { type Instance, limitsFor, makeInstance, makePorts } from '../run/instance.ts';
import type { Phases } from '../run/phases.ts';
import { firstOwnFrame, readSnapshotFrames, type Snapshot } from './snapshot.ts';
import { frameRuns, type PrivateTree, type WriteSet } from './write-set.ts';
import type { Zygote } from '../pool/zygote.ts';

export interface RestoreOptions {
  snapshot: Snapshot;
  zygote: Zygote;
  console: WaitableConsole;
  io: IoCache;
  /** What the instance is to close. */
  roots: readonly HostRoot[];
  release: () => void;
  writeSet: WriteSet | null;
  /** Pages that are touched at once are copied beforehand. */
  preCopies: boolean;
  /** What takes the place of techniques that are turned off. */
  baseline: Baseline | null;
  /** It is to be captured where it is: it does not go on. */
  isCaptured: boolean;
  entropy: EntropyPort | undefined;
  onEvent: (kind: string, detail: string) => void;
}

/** So many pages at once are worth large ones: two faults instead of hundreds. */
const HUGE_FROM_FRAMES = 384;
const HUGE_BYTES = 2 * 1024 * 1024;

let relocate: Relocate | null = null;
let merge: Merge | null = null;

/** Makes a sandbox. Nothing of it has run yet. @throws ImageError, HostError */
export function restoreSandbox(options: RestoreOptions, phases: Phases): Instance {
  const { snapshot, zygote } = options;
  mapLayers(snapshot, zygote);
  phases.mark('map');
  const { arena, root } = options.baseline?.restoreObjects?.() ?? restoreObjects(snapshot);
  phases.mark('objects');
  try {
    return joinSandbox(arena, root, options, phases);
  } catch (error) {
    arena.close();
    throw blameImage(error);
  }
}

/** Maps the frames over the zygote's base window, unless they are there from its last use. */
function mapLayers(snapshot: Snapshot, zygote: Zygote): void {
  if (zygote.mapped === snapshot.identity) return;
  const { base } = zygote.machine;
  if (base === null) throw new Error('the zygote has no base window');
  zygote.mapped = null;
  let at = 0;
  for (const { fd, offset, frames } of snapshot.layers) {
    const bytes = frames * PAGE_BYTES;
    if (bytes === 0) continue;
    mapFileOver({ address: base.address + at, bytes: base.bytes - at }, fd, offset, bytes);
    at += bytes;
  }
  zygote.mapped = snapshot.identity;
}

function joinSandbox(
  arena: Arena, rootAddress: number, options: RestoreOptions, phases: Phases,
): Instance {
  const { snapshot, zygote, baseline } = options;
  const root = arena.at(Sandbox, rootAddress);
  if ((root.process?.mm ?? null) === null) {
    throw new ImageError('objects', 'The func-image has no program.');
  }
  const ports = makePorts({
    zygote,
    console: options.console,
    lower: options.io.lower,
    entropy: options.entropy,
    onEvent: options.onEvent,
    baseFrames: snapshot.baseFrames,
    readFrames: (offset, target) => readSnapshotFrames(snapshot, offset, target),
  });
  const k = assembleKernel(arena, root, ports, limitsFor(zygote.options.memoryBytes));
  k.vfs.shared = options.io.handles;
  restoreTables(k, options);
  baseline?.finishFrames?.(k);
  phases.mark('tables');
  if (baseline?.connect != null) {
    baseline.connect(k);
    phases.mark('io');
  }
  setClock(k);
  if (!options.isCaptured) redraw(k);
  phases.mark('redraw');
  return makeInstance(k, zygote, options.console, options.roots, options.release);
}

/** Stage 1: one copy; stage 2: relocate (design: separated state recovery). */
function restoreObjects(snapshot: Snapshot): { arena: Arena; root: number } {
  const { objects, relations } = snapshot;
  relocate ??= createRelocate(memory);
  const arena = new Arena(arenaBytesFor(objects.bytes));
  try {
    const address = arena.adopt(objects.bytes);
    u8.copyWithin(address, objects.address, objects.address + objects.bytes);
    const count = relations.bytes / 8;
    const done = relocate.relocate(address, objects.bytes, relations.address, count, address);
    if (done === count) return { arena, root: address + snapshot.root };
    throw new ImageError('objects', 'The func-image\'s relation table is malformed.');
  } catch (error) {
    arena.close();
    throw error;
  }
}

function restoreTables(k: Kernel, options: RestoreOptions): void {
  const { snapshot, zygote, preCopies, baseline } = options;
  const hot = baseline?.copyFrames?.(k, snapshot) ?? (preCopies ? copyHot(k, snapshot) : null);
  const writeSet = preCopies && hot === null ? options.writeSet : null;
  const trees = writeSet !== null && copyWriteSet(k, snapshot, writeSet) ? writeSet.trees : [];
  let end = snapshot.tables.bytes / PAGE_BYTES;
  for (const mm of listSpaces(k)) {
    const root = mm.rootTable;
    const tree = trees.find((candidate) => candidate.root === root) ?? NO_TREE;
    end = mergeSpace(options, root, tree, end);
    mm.rootTable = zygote.firstTable + root;
    mm.residentPages += tree.fresh;
  }
  if (hot !== null) moveHot(k, zygote, end, hot);
  k.tables.adopt(zygote.firstTable + end);
}

const NO_TREE: PrivateTree = { root: 0, address: 0, tableCount: 0, fresh: 0 };

/**
 * Brings the tables of an address space in. Order: with the first one's, whose root is the first
 * table, come those of the others, and what each has of its own follows behind all of them.
 * @param root place of its root among the snapshot's tables
 * @param end how many tables there are up to now
 * @returns how many there are then
 */
function mergeSpace(
  { snapshot, zygote }: RestoreOptions, root: number, tree: PrivateTree, end: number,
): number {
  merge ??= createMerge(memory);
  const target = {
    tables: zygote.tables.address + (zygote.firstTable + root) * PAGE_BYTES,
    firstIndex: zygote.firstTable + root,
    capacity: zygote.tables.bytes / PAGE_BYTES - zygote.firstTable - root,
  };
  const priv = {
    tables: tree.address,
    count: tree.tableCount,
    firstIndex: FIRST_GUEST_TABLE,
  };
  const base = {
    tables: root === 0 ? snapshot.tables.address : target.tables,
    count: end - root,
    firstIndex: FIRST_GUEST_TABLE + root,
  };
  const count = merge.mergeTree(target, priv, base, TABLES_GPA / PAGE_BYTES);
  if (count >= 0) return root + count;
  throw malformedTables(merge.fault(count).sentence);
}

function malformedTables(sentence: string): ImageError {
  return new ImageError('tables', `The func-image's page tables are malformed: ${sentence}.`);
}

/** Copies what the image says is touched at once to the bank's first frames; null without that. */
function copyHot(k: Kernel, snapshot: Snapshot): HotRun | null {
  const { hot } = snapshot;
  if (hot === null || k.frames.allocateRun(hot.count) !== 1) return null;
  const { frames } = k.ports;
  if (hot.count >= HUGE_FROM_FRAMES) wantHugePages(frames.bankAddress, HUGE_BYTES);
  const target = frames.bank.subarray(PAGE_BYTES, (1 + hot.count) * PAGE_BYTES);
  const first = firstOwnFrame(snapshot);
  if (!readSnapshotFrames(snapshot, first * PAGE_BYTES, target)) {
    throw new ImageError('truncated', 'The func-image was truncated while it was read.');
  }
  return {
    fromPfn: frames.basePfn + first, toPfn: frames.bankPfn + 1,
    count: hot.count, written: hot.written,
  };
}

function moveHot(k: Kernel, zygote: Zygote, end: number, run: HotRun): void {
  merge ??= createMerge(memory);
  for (const { rootTable } of listSpaces(k)) {
    const tree = {
      tables: zygote.tables.address + rootTable * PAGE_BYTES,
      firstIndex: rootTable,
      count: zygote.firstTable + end - rootTable,
    };
    const code = merge.moveHot(tree, TABLES_GPA / PAGE_BYTES, run);
    if (code < 0) throw malformedTables(merge.fault(code).sentence);
  }
}

/** Copies the write set into the bank's first frames; false when that cannot be. */
function copyWriteSet(k: Kernel, snapshot: Snapshot, writeSet: WriteSet): boolean {
  const first = k.frames.allocateRun(writeSet.pages.length);
  if (first !== 1) return false;
  const { bank } = k.ports.frames;
  for (const [frame, position, count] of frameRuns(writeSet.pages)) {
    const from = (1 + position) * PAGE_BYTES;
    const target = bank.subarray(from, from + count * PAGE_BYTES);
    if (!readSnapshotFrames(snapshot, frame * PAGE_BYTES, target)) {
      throw new ImageError('truncated', 'The func-image was truncated while it was read.');
    }
  }
  return true;
}

/**
 * CLOCK_MONOTONIC goes on where it was, CLOCK_REALTIME is the host's; deterministic ones know
 * nothing of the host's.
 */
function setClock(k: Kernel): void {
  const { root } = k;
  if (root.deterministic) return;
  root.monotonicOffsetNs = root.savedMonotonicNs - k.ports.clock.monotonicNs();
  clockWasSet(k);
}

/** What no two instances may share (design: Uniqueness). Fails closed: an error ends the boot. */
function redraw(k: Kernel): void {
  const { root } = k;
  root.generation++;
  k.ports.entropy.fill(root.bootId);
  for (const mm of listSpaces(k)) wipeOnFork(k, mm);
  reconnectConsole(k);
  resetOutside(k);
  resumeEntry(k);
}
