// Autosave: after every so many system calls a sandbox is saved and another one, made of what was
// saved, takes its place, with the same console. A program cannot tell, but for what a boot may
// change; so every state that a program reaches is tried as a func-entry point.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CatavmmError } from '../../errors.ts';
import type { AutosaveOptions, BootOptions } from '../../options.ts';
import { closeImage, openImage } from '../image/image-open.ts';
import type { Snapshot } from '../restore/snapshot.ts';
import { closeTemplate, makeTemplate } from '../restore/template.ts';
import { closeInstance, type Instance } from '../run/instance.ts';
import { launchSnapshot, type SnapshotOptions } from '../run/launch.ts';
import { beginPhases } from '../run/phases.ts';
import { writeCheckpoint } from './checkpoint-file.ts';
import { hasDeniedCall } from './template-rules.ts';

/** Each fork of a fork adds a layer of frames; from so many on, they are written into one. */
const LAYERS_MOST = 16;

export class Autosave {
  /** How often a sandbox was replaced. */
  count: number = 0;
  readonly #every: number;
  readonly #kind: AutosaveOptions['kind'];
  readonly #options: SnapshotOptions;
  readonly #onSwap: (instance: Instance) => Promise<void>;
  #origin: Snapshot;
  /** Gives back the snapshot that the sandbox in place was made of. */
  #release: () => void = () => {};

  /**
   * @param origin the snapshot that the first sandbox was made of
   * @param onSwap called with each sandbox that takes another's place, before it runs
   */
  constructor(
    wanted: AutosaveOptions, origin: Snapshot, options: SnapshotOptions,
    onSwap: (instance: Instance) => Promise<void>,
  ) {
    this.#every = wanted.every;
    this.#kind = wanted.kind;
    this.#origin = origin;
    this.#options = { ...options, tenant: options.tenant ?? 'autosave' };
    this.#onSwap = onSwap;
  }

  /** Has the driver stop after so many calls. */
  attach(instance: Instance): void {
    const { runner, counters, k } = instance;
    const inner = runner.hooks.shouldStop;
    const due = counters.syscalls + this.#every;
    // Nothing is saved after a call that templates may not make: it goes on to its end.
    runner.hooks.shouldStop = () =>
      inner?.() === true || counters.syscalls >= due && !hasDeniedCall(k);
  }

  /**
   * Puts a sandbox made of this one's state in its place.
   * @throws CatavmmError, ImageError, HostError
   */
  async swap(instance: Instance): Promise<Instance> {
    const isWhole = this.#kind === 'restore' || this.#origin.layers.length >= LAYERS_MOST;
    const { snapshot, release } = isWhole ? this.#write(instance) : this.#capture(instance);
    const next = launchSnapshot(snapshot, this.#options, instance.console, beginPhases());
    Object.assign(next.counters, instance.counters);
    closeInstance(instance);
    this.close();
    this.#release = release;
    this.#origin = snapshot;
    this.count++;
    this.attach(next);
    await this.#onSwap(next);
    return next;
  }

  #capture(instance: Instance): { snapshot: Snapshot; release: () => void } {
    const template = makeTemplate(instance, this.#origin);
    return { snapshot: template, release: () => closeTemplate(template) };
  }

  /** By way of a file: an image that holds everything. */
  #write(instance: Instance): { snapshot: Snapshot; release: () => void } {
    const folder = mkdtempSync(join(tmpdir(), 'catavmm-autosave-'));
    try {
      const path = join(folder, 'state.cfi');
      writeCheckpoint(instance, this.#origin, path, { whole: true });
      const image = openImage(path);
      return { snapshot: image, release: () => closeImage(image) };
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  }

  /** Gives back what was saved last. Order: after the sandbox made of it is closed. */
  close(): void {
    this.#release();
    this.#release = () => {};
  }
}

/**
 * Begins to save a sandbox again and again.
 * @returns what puts another in the place of one that was stopped for it
 * @throws CatavmmError for options that make no sense together
 */
export function startAutosave(
  instance: Instance, origin: Snapshot, options: BootOptions,
  onSwap: (instance: Instance) => Promise<void>,
): (instance: Instance) => Promise<Instance> {
  const { autosave: wanted, publish = [], network } = options;
  const isCount = wanted !== undefined && Number.isSafeInteger(wanted.every) && wanted.every > 0;
  if (!isCount || publish.length > 0 || network === 'host') {
    closeInstance(instance);
    throw new CatavmmError(
      'CATAVMM_OPTION', 'Autosave needs a number of system calls, and a sandbox without a network.');
  }
  const autosave = new Autosave(wanted, origin, options, onSwap);
  autosave.attach(instance);
  return (stopped) => autosave.swap(stopped);
}
