// Func-image compilation (paper, section 5): run the program to its func-entry point, train it if
// asked, quiesce, take a checkpoint, write it.
import * as fs from 'node:fs';
import type { CfiIoEntry } from '../../../formats/cfi/header.ts';
import type { BuildOptions, BuildResult } from '../../options.ts';
import { CatavmmError } from '../../errors.ts';
import { openFilesForImage } from '../../kernel/vfs/image-files.ts';
import { pinForSelfContained, pruneUnpinned } from '../../kernel/vfs/prune.ts';
import { pinToFirstCpu } from '../../host/affinity.ts';
import { monotonicNs } from '../../host/clock.ts';
import { type Checkpoint, takeCheckpoint } from './checkpoint.ts';
import { QueueConsole } from '../stdio/console.ts';
import { describeCpu, describeState } from './describe-state.ts';
import { drive } from '../run/drive.ts';
import { type EntryWatch, watchEntry } from './entry-watch.ts';
import { type OpenImage, useUnnamedImage } from '../image/image-open.ts';
import { openUnnamed } from '../image/new-file.ts';
import { makePresent } from './fresh-pages.ts';
import { type ImageDescription, writeImage, writeImageInto } from '../image/image-write.ts';
import { closeInstance, type Instance } from '../run/instance.ts';
import { describeProgram, describeRootfs, launchProgram, toBytes } from '../run/launch.ts';
import { describeLayer, endLine, launchLayer, openParent } from './build-layer.ts';
import { beginPhases, type Phases } from '../run/phases.ts';
import { type LayersBelow, layersOf, NOTHING_BELOW } from './same-frames.ts';
import { profileImage } from './profile.ts';
import { parseMemory } from '../../memory-size.ts';
import { hasDeniedCall, requireNoSecrets, requireTemplatable } from './template-rules.ts';
import { processOf } from '../../kernel/kernel.ts';
import type { Mm } from '../../kernel/records/mm.ts';
import { listSpaces } from '../../kernel/task/family.ts';
import { writeFd } from '../../host/stdio.ts';

const DEFAULT_TIMEOUT_MS = 120_000;
const NEWLINE = 0x0a;
/** A layer has copies of at most this share of its parents' frames: what boots write first. */
const COPIED_SHARE = 16;

/**
 * Builds an image.
 * @throws CatavmmError when the entry is not reached, HostError, file system errors
 */
export async function buildImage(options: BuildOptions): Promise<BuildResult> {
  if (options.allowSecrets !== true) requireNoSecrets(options.env);
  const parent = options.from === undefined ? null : openParent(options);
  const isDeterministic = parent?.header.clock.deterministic ?? options.deterministic;
  const unpin = isDeterministic === true ? pinToFirstCpu() : () => undefined;
  try {
    return await buildOnCpu({ ...options, parent });
  } finally {
    unpin();
  }
}

/** What is asked for, and the image to go on from. */
interface Build extends BuildOptions {
  parent: OpenImage | null;
}

function launch(options: Build, console: QueueConsole, phases: Phases): Instance {
  const { parent, command } = options;
  if (parent !== null) return launchLayer(parent, options, console, phases);
  if (command !== undefined) return launchProgram({ ...options, command }, console, phases);
  throw new CatavmmError('CATAVMM_OPTION', 'There is no command and no image to go on from.');
}

async function buildOnCpu(options: Build): Promise<BuildResult> {
  const phases = beginPhases();
  const console = new QueueConsole(outputSink(options));
  const instance = launch(options, console, phases);
  try {
    if (options.strace !== undefined) {
      const { traceCalls } = await import('../run/strace-hook.ts');
      traceCalls(instance, options.strace);
    }
    const watch = watchEntry(
      instance.k, console, options.entry ?? { kind: 'default' }, trainingOf(options),
    );
    await runToEntry(instance, options, watch);
    if (console.queuedBytes > 0) throw unreadInput();
    phases.mark('initialise');
    const saved = save(instance, options, watch);
    phases.mark('save');
    const result = await reorder(instance, options, saved);
    phases.mark('profile');
    return { ...result, entry: watch.kind(), phases: phases.us };
  } finally {
    closeInstance(instance);
  }
}

/** What the program prints while it initialises: to stderr when inherited, else nowhere. */
function outputSink(options: BuildOptions): (stream: 1 | 2, data: Uint8Array) => boolean {
  return (stream, data) => {
    const target = stream === 1 ? options.stdout : options.stderr;
    if (target === 'inherit') writeFd(2, data);
    return true;
  };
}

function trainingOf(options: BuildOptions): Uint8Array[] {
  const given = (options.train ?? []).map((line) => endLine(toBytes(line)));
  const count = options.trainCount ?? given.length;
  if (count === 0) return [];
  const requests = given.length > 0 ? given : [Uint8Array.of(NEWLINE)];
  return Array.from({ length: count }, (_unused, i) => requests[i % requests.length] as Uint8Array);
}

async function runToEntry(
  instance: Instance,
  options: BuildOptions,
  watch: EntryWatch,
): Promise<void> {
  const { k } = instance;
  instance.runner.hooks.shouldStop = () => hasDeniedCall(k) || watch.reached();
  const end = await drive(instance, {
    deadlineNs: monotonicNs() + (options.timeoutMs ?? DEFAULT_TIMEOUT_MS) * 1e6,
    isAborted: () => options.signal?.aborted === true,
  });
  requireTemplatable(k);
  if (end === 'stopped') return;
  if (end === 'aborted') throw options.signal?.reason;
  const { exitCode, exitSignal } = processOf(k);
  const why = end === 'timeout'
    ? 'did not reach its func-entry point in time'
    : exitSignal !== 0
      ? `was killed by signal ${exitSignal} before its func-entry point`
      : `exited with code ${exitCode} before its func-entry point`;
  throw new CatavmmError(
    'CATAVMM_ENTRY_NOT_REACHED',
    `The program ${why}.`,
    'Choose the point with --entry (listen, stdin, line=TEXT), ' +
      'or call catavmm_entry() in the program.',
  );
}

function unreadInput(): CatavmmError {
  return new CatavmmError(
    'CATAVMM_ENTRY_NOT_REACHED',
    'The program reached its func-entry point before it had read all of --handler.',
    'Each --handler is one line; the program has to read them all before its next entry.',
  );
}

interface Saved {
  checkpoint: Checkpoint;
  description: ImageDescription;
  io: CfiIoEntry[];
}

function belowOf({ parent }: Build): LayersBelow {
  return parent === null ? NOTHING_BELOW : layersOf(parent);
}

/** Quiesces the sandbox and takes a checkpoint. */
function save(instance: Instance, options: Build, watch: EntryWatch): Saved {
  const { k, runner } = instance;
  runner.parkThread();
  const io = openFilesForImage(k);
  if (options.selfContained === true) pinForSelfContained(k);
  pruneUnpinned(k);
  const checkpoint = takeCheckpoint(k, undefined, belowOf(options));
  return { checkpoint, description: describe(instance, options, watch), io };
}

/** Profiles the image in a trial boot and writes it in the order that the trial showed. */
async function reorder(
  instance: Instance,
  options: Build,
  saved: Saved,
): Promise<Omit<BuildResult, 'phases' | 'entry'>> {
  let { checkpoint } = saved;
  const trial = openUnnamed(options.output);
  try {
    writeImageInto(trial, checkpoint, saved.description, saved.io);
    const profile = await useUnnamedImage(trial, options.output,
      (image) => profileImage(image, trainingOf(options)[0]));
    const { frameOrder, baseFrames } = saved.checkpoint;
    const { bankFrames } = instance.k.ports.frames;
    let copies = baseFrames / COPIED_SHARE;
    const combined = (frames: number[]): number[] => frames.flatMap((frame) => {
      if (frame >= baseFrames) return frameOrder[frame - baseFrames] as number;
      return copies-- >= 1 ? bankFrames + frame : [];
    });
    const spaces = listSpaces(instance.k);
    const hot = profile.map(({ written, read, fresh }, i) => {
      const made = fresh.flatMap((gva) => makePresent(instance.k, spaces[i] as Mm, gva));
      return {
        written: [...combined(written), ...made],
        read: combined(read.filter((frame) => frame >= baseFrames)),
      };
    });
    checkpoint = takeCheckpoint(instance.k, hot, belowOf(options));
  } finally {
    fs.closeSync(trial);
  }
  const { onProgress } = options;
  const written = writeImage(options.output, checkpoint, saved.description, saved.io,
    (done, total) => onProgress?.('frames', done, total));
  return {
    output: options.output,
    bytes: written.bytes,
    frames: written.frames,
    parentFrames: checkpoint.baseFrames,
    objects: checkpoint.objectCount,
    relations: checkpoint.relations.length / 2,
  };
}

/** What does not change from a parent to its children. */
type Surroundings = Pick<ImageDescription,
  'memoryLimitBytes' | 'cpu' | 'rootfs' | 'program' | 'parent'>;

function describeOrigin({ zygote }: Instance, options: Build): Surroundings {
  return {
    memoryLimitBytes: parseMemory(options.memory),
    cpu: describeCpu(options.cpu ?? 'host', zygote.machine),
    rootfs: describeRootfs(options),
    program: describeProgram(options),
    parent: null,
  };
}

function describe(instance: Instance, options: Build, watch: EntryWatch): ImageDescription {
  const { k } = instance;
  const entry = options.entry ?? { kind: 'default' as const };
  const { parent } = options;
  return {
    ...describeState(k),
    ...parent === null ? describeOrigin(instance, options) : describeLayer(parent, options),
    entry: entry.kind === 'line'
      ? { kind: 'line', line: toBytes(entry.text) } : { kind: watch.kind() },
  };
}
