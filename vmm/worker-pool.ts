// Sandboxes of one image spread over worker processes: more than one thread can hold or drive, and
// none of them lost with another one's worker.
import { availableParallelism } from 'node:os';
import { resolve } from 'node:path';
import type { WaterMarks } from './boot/pool/zygote-pool.ts';
import { CatavmmError } from './errors.ts';
import { WorkerProcess } from './worker-process.ts';
import type { PoolForkOptions, PoolOutput } from './worker-request.ts';

export interface WorkerPoolOptions {
  /** How many processes, as many as there are CPUs unless given. */
  workers?: number;
  /** Most sandboxes of a process that live at once, up to 120; 100 unless given. */
  sandboxesPerWorker?: number;
  /** How many machines each process keeps ready, `{ low: 1, high: 2 }` unless given. */
  pool?: WaterMarks;
}

const WORKERS_MAX = 256;
/** With the machines that are ready, less than 128: what a thread's state memory holds. */
const SANDBOXES_MAX = 120;
const SANDBOXES_DEFAULT = 100;
const MACHINES_MAX = 4;
const DEFAULT_POOL: WaterMarks = { low: 1, high: 2 };

function checkCount(value: number, name: string, low: number, high: number): number {
  if (Number.isInteger(value) && value >= low && value <= high) return value;
  throw new CatavmmError('CATAVMM_OPTION', `${name} has to be a number from ${low} to ${high}.`);
}

/**
 * Worker processes that each hold a template of an image and fork it. A worker that ends takes only
 * its own sandboxes with it (CATAVMM_WORKER_LOST), and another one takes its place.
 *
 * @example
 * await using pool = await WorkerPool.open('app.cfi', { workers: 4 });
 * const { status, stdout } = await pool.fork({ stdin: '{"n": 6}\n' });
 */
export class WorkerPool {
  /** The image's file. */
  readonly path: string;
  readonly #count: number;
  readonly #most: number;
  readonly #pool: WaterMarks;
  readonly #workers: Set<WorkerProcess> = new Set();
  #isClosed: boolean = false;

  private constructor(path: string, options: WorkerPoolOptions) {
    this.path = resolve(path);
    const { workers = availableParallelism(), sandboxesPerWorker = SANDBOXES_DEFAULT } = options;
    this.#count = checkCount(workers, 'workers', 1, WORKERS_MAX);
    this.#most = checkCount(sandboxesPerWorker, 'sandboxesPerWorker', 1, SANDBOXES_MAX);
    this.#pool = options.pool ?? DEFAULT_POOL;
    checkCount(this.#pool.high, 'pool.high', 0, MACHINES_MAX);
    checkCount(this.#pool.low, 'pool.low', 0, this.#pool.high);
  }

  /** Starts all workers. @throws CatavmmError with the code of what a worker met */
  static async open(path: string, options: WorkerPoolOptions = {}): Promise<WorkerPool> {
    const pool = new WorkerPool(path, options);
    try {
      await Promise.all(Array.from({ length: pool.#count }, () => pool.#start()));
      return pool;
    } catch (error) {
      await pool.close();
      throw error;
    }
  }

  /** Process ids of the workers. */
  get pids(): number[] {
    return [...this.#workers].map(({ pid }) => pid);
  }

  /** How many sandboxes live just now. */
  get live(): number {
    return [...this.#workers].reduce((sum, { live }) => sum + live, 0);
  }

  /**
   * Starts a sandbox in the worker that has the fewest, and waits for its end.
   * @throws CatavmmError with code CATAVMM_WORKER_LOST when its worker ends first, and
   *   CATAVMM_POOL_FULL when no worker can take it; `signal.reason` after an abort
   */
  async fork(options: PoolForkOptions = {}): Promise<PoolOutput> {
    for (;;) {
      this.#checkOpen();
      options.signal?.throwIfAborted();
      const worker = this.#choose();
      if (worker !== null) return await worker.fork(options);
      await this.#waitForWorker();
    }
  }

  /** Kills what still runs and ends all workers. Idempotent. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await Promise.all([...this.#workers].map((worker) => worker.close()));
  }

  /** For `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #checkOpen(): void {
    if (!this.#isClosed) return;
    throw new CatavmmError('CATAVMM_CLOSED', 'The worker pool has been closed.');
  }

  #choose(): WorkerProcess | null {
    let best: WorkerProcess | null = null;
    for (const worker of this.#workers) {
      if (!worker.isReady || worker.live >= this.#most) continue;
      if (best === null || worker.live < best.live) best = worker;
    }
    if (best !== null) {
      // To the end of the row: equals take turns.
      this.#workers.delete(best);
      this.#workers.add(best);
    }
    return best;
  }

  /** Waits for a worker that is being started, or starts one. */
  async #waitForWorker(): Promise<void> {
    const starting = [...this.#workers].filter(({ isReady, isLost }) => !isReady && !isLost);
    const ending = [...this.#workers].filter(({ isLost }) => isLost);
    if (starting.length > 0) {
      await Promise.race(starting.map(({ ready }) => ready));
    } else if (ending.length > 0) {
      await Promise.race(ending.map(({ ended }) => ended));
    } else if (this.#workers.size < this.#count) {
      await this.#start();
    } else {
      throw new CatavmmError('CATAVMM_POOL_FULL', `All ${this.#workers.size} workers are full.`,
        'Wait until a sandbox has ended, or open the pool with more workers.');
    }
  }

  async #start(): Promise<void> {
    this.#checkOpen();
    const worker = new WorkerProcess({ image: this.path, pool: this.#pool });
    this.#workers.add(worker);
    void worker.ended.then(() => this.#replace(worker));
    await worker.ready;
  }

  /** One that never came to serve is not tried again until somebody asks for a fork. */
  #replace(worker: WorkerProcess): void {
    this.#workers.delete(worker);
    if (this.#isClosed || !worker.wasReady) return;
    this.#start().catch(() => {});
  }
}
