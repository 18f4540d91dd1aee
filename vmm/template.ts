// Templates: what forks are made of (sfork; paper, section 4).
import { launchSnapshot, zygoteOptionsOf } from './boot/run/launch.ts';
import { QueueConsole } from './boot/stdio/console.ts';
import { closeInstance } from './boot/run/instance.ts';
import { beginPhases } from './boot/run/phases.ts';
import { closeTemplate, makeTemplate, type TemplateState } from './boot/restore/template.ts';
import { keepReady, prepareZygotes, type WaterMarks } from './boot/pool/zygote-pool.ts';
import { CatavmmError } from './errors.ts';
import type { FuncImage } from './func-image.ts';
import { LiveSandboxes } from './live-sandboxes.ts';
import type { BootOptions } from './options.ts';
import { Sandbox, startFrom } from './sandbox.ts';

export interface TemplateOptions {
  /** How many machines shall be ready for forks, `{ low: 1, high: 2 }` unless given. */
  pool?: WaterMarks;
  /** Make it although variables that the sandbox was given look like secrets. */
  allowSecrets?: boolean;
}

const DEFAULT_POOL: WaterMarks = { low: 1, high: 2 };
/** Pages of the bank that a machine has in memory while nobody knows what forks write. */
const READY_PAGES = 256;

/**
 * A sandbox that was stopped where it was, to be forked any number of times. Forks share its memory
 * until they write, and its read-only files; randomness, ids and clocks are theirs alone.
 *
 * @example
 * await using template = await Template.from(image);
 * await using sandbox = await template.fork({ stdin: '{"n": 6}\n' });
 * const { code, stdout } = await sandbox.output();
 */
export class Template {
  readonly #state: TemplateState;
  readonly #image: string | null;
  readonly #live: LiveSandboxes = new LiveSandboxes();
  readonly #endPool: () => void;
  #isClosed: boolean = false;

  private constructor(state: TemplateState, image: string | null, pool: WaterMarks) {
    this.#state = state;
    this.#image = image;
    this.#endPool = keepReady(zygoteOptionsOf(state), pool);
  }

  /**
   * Makes a template of an open image, at its func-entry point, or of a sandbox, where it is just
   * now; the sandbox goes on. Image and sandbox may be closed afterwards.
   * @throws CatavmmError, ImageError, HostError
   */
  static async from(source: FuncImage | Sandbox, options: TemplateOptions = {}): Promise<Template> {
    const [state, image] = source instanceof Sandbox
      ? [await source.capture(options.allowSecrets === true), source.image]
      : [captureImage(source), source.path];
    const pool = options.pool ?? DEFAULT_POOL;
    try {
      const pages = state.hot?.count ?? READY_PAGES;
      if (pool.low > 0) prepareZygotes(zygoteOptionsOf(state), pool.low, pages);
    } catch (error) {
      closeTemplate(state);
      throw error;
    }
    return new Template(state, image, pool);
  }

  /** Starts a sandbox that goes on where the template was made. @throws HostError */
  async fork(options: BootOptions = {}): Promise<Sandbox> {
    if (this.#isClosed) {
      throw new CatavmmError('CATAVMM_CLOSED', 'The template has been closed.');
    }
    const phases = beginPhases();
    const sandbox = await startFrom(
      this.#state, { ...options, mode: 'fork', image: this.#image }, phases);
    return this.#live.keep(sandbox);
  }

  /** Kills the forks that still run and gives the template's memory back. Idempotent. */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#endPool();
    await this.#live.close();
    closeTemplate(this.#state);
  }

  /** For `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

/** Restores an image into a sandbox, which never runs, and takes that as the template. */
function captureImage(source: FuncImage): TemplateState {
  const snapshot = source.snapshot();
  const console = new QueueConsole(() => true);
  const instance = launchSnapshot(snapshot, { isCaptured: true }, console, beginPhases());
  try {
    return makeTemplate(instance, snapshot);
  } finally {
    closeInstance(instance);
  }
}
