// A func-image that is held open, for many boots in one process.
import { closeImage, openImage, type OpenImage } from './boot/image/image-open.ts';
import { zygoteOptionsOf } from './boot/run/launch.ts';
import { beginPhases } from './boot/run/phases.ts';
import { keepReady, prepareZygotes, type WaterMarks } from './boot/pool/zygote-pool.ts';
import { holdSnapshot } from './boot/restore/snapshot-users.ts';
import { CatavmmError } from './errors.ts';
import { LiveSandboxes } from './live-sandboxes.ts';
import type { BootOptions, TuneOptions, TuneResult } from './options.ts';
import { type Sandbox, startFrom } from './sandbox.ts';

export interface FuncImageOptions {
  /** How many machines shall be ready for boots, `{ low: 1, high: 2 }` unless given. */
  pool?: WaterMarks;
}

const DEFAULT_POOL: WaterMarks = { low: 1, high: 2 };

/**
 * An open func-image. Its boots share what the image's file holds, find their files connected that
 * earlier boots used, and get machines that were made beforehand (warm boot; paper, 3).
 *
 * @example
 * await using image = await FuncImage.open('app.cfi');
 * await using sandbox = await image.boot({ stdin: '{"n": 6}\n' });
 * const { code, stdout } = await sandbox.output();
 */
export class FuncImage {
  /** The image's file. */
  readonly path: string;
  readonly #image: OpenImage;
  readonly #release: () => void;
  readonly #live: LiveSandboxes = new LiveSandboxes();
  readonly #endPool: () => void;
  #isClosed: boolean = false;

  private constructor(path: string, image: OpenImage, pool: WaterMarks) {
    this.path = path;
    this.#image = image;
    this.#release = holdSnapshot(image);
    this.#endPool = keepReady(zygoteOptionsOf(image), pool);
  }

  /** Opens and checks an image, and makes the first machines. @throws ImageError, HostError */
  static async open(path: string, options: FuncImageOptions = {}): Promise<FuncImage> {
    const image = openImage(path);
    const pool = options.pool ?? DEFAULT_POOL;
    if (pool.low > 0) {
      prepareZygotes(zygoteOptionsOf(image), pool.low, image.header.memory.hotFrames);
    }
    return new FuncImage(path, image, pool);
  }

  /**
   * Boots the image of a file a few times and rewrites the file in the order in which they touched
   * its memory. @throws ImageError, HostError, CatavmmError when other images are based on it
   */
  static async tune(path: string, options: TuneOptions = {}): Promise<TuneResult> {
    const { tuneImage } = await import('./boot/build/tune.ts');
    return tuneImage(path, options);
  }

  /** Boots it. @throws ImageError, HostError with one plain sentence */
  async boot(options: BootOptions = {}): Promise<Sandbox> {
    const phases = beginPhases();
    const snapshot = this.snapshot();
    const sandbox = await startFrom(
      snapshot, { ...options, mode: 'warm', image: this.path }, phases);
    return this.#live.keep(sandbox);
  }

  /** @internal What templates are made of. @throws CatavmmError when it has been closed */
  snapshot(): OpenImage {
    if (!this.#isClosed) return this.#image;
    throw new CatavmmError('CATAVMM_CLOSED', `The func-image ${this.path} has been closed.`);
  }

  /** Kills the sandboxes that still run and closes the image. Idempotent. */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#endPool();
    await this.#live.close();
    closeImage(this.#image);
    this.#release();
  }

  /** For `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
