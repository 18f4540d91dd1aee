// One worker process as its pool sees it: started, given requests, lost or closed.
//
// Ownership: the process belongs to the object from its making until `ended` resolves. What it
// sends is not trusted: a guest may have broken out of its sandbox into it.
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { CatavmmError, type CatavmmErrorCode } from './errors.ts';
import { getRuntime } from './host/runtime.ts';
import { PoolRequest, type PoolForkOptions, type PoolOutput } from './worker-request.ts';
import {
  decodeJson, encodeFrame, encodeJson, FAILED, type Failure, FrameReader, type Frame, OPEN,
  type OpenRequest, ProtocolError, READY,
} from './worker-protocol.ts';

/** How long a worker may take to end by itself. */
const GRACE_MS = 2000;

/** The worker's program, beside this file or, from the bundled command, in dist/vmm. */
function findEntry(): string {
  const here = import.meta.url.startsWith('file:')
    ? import.meta.url : `file://${import.meta.url}`;
  const name = here.endsWith('.ts') ? 'worker-main.ts' : 'worker-main.js';
  const places = [`./${name}`, `../../vmm/${name}`];
  const found = places.map((place) => fileURLToPath(new URL(place, here))).find(existsSync);
  if (found !== undefined) return found;
  throw new CatavmmError('CATAVMM_WORKER_LOST', `${name} is missing, which workers run.`,
    'Leave catavmm out of bundles: it has to lie in node_modules as it was installed.');
}

/** An error that a worker had. */
function revive(payload: Uint8Array): CatavmmError {
  const { code, message, hint } = decodeJson(payload) as Partial<Failure>;
  return new CatavmmError(
    String(code) as CatavmmErrorCode, String(message), hint === undefined ? '' : String(hint));
}

export class WorkerProcess {
  /** Resolves when forks can be asked for; rejects when that will never be. */
  readonly ready: Promise<void>;
  /** Resolves when the process is gone. */
  readonly ended: Promise<void>;
  isReady: boolean = false;
  /** Whether it ever was. */
  wasReady: boolean = false;
  readonly #child: ChildProcess;
  readonly #frames: FrameReader = new FrameReader();
  readonly #requests: Map<number, PoolRequest> = new Map();
  readonly #settle: { ready: () => void; fail: (error: unknown) => void };
  #lastRequest: number = 0;
  /** Why it ends. */
  #reason: CatavmmError | null = null;

  constructor(request: OpenRequest) {
    const flags = getRuntime().name === 'deno' ? ['run', '-A', '--quiet'] : [];
    let settle: { ready: () => void; fail: (error: unknown) => void } | null = null;
    this.ready = new Promise((resolve, reject) => { settle = { ready: resolve, fail: reject }; });
    this.ready.catch(() => {});
    this.#settle = settle as unknown as { ready: () => void; fail: (error: unknown) => void };
    const child = spawn(process.execPath, [...flags, findEntry()], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    this.#child = child;
    this.ended = new Promise((resolve) => {
      child.on('error', (error) => {
        this.#lose(`could not be started: ${error.message}`);
        resolve();
      });
      child.on('exit', (code, signal) => {
        this.#lose(`ended with ${signal ?? `code ${code}`}`);
        resolve();
      });
    });
    child.stdin?.on('error', () => {});
    child.stdout?.on('data', (bytes: Uint8Array) => this.#take(bytes));
    this.#send(encodeFrame(OPEN, 0, encodeJson(request)));
  }

  /** Of the process; 0 when there is none. */
  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** How many sandboxes it has, those included that are being started. */
  get live(): number {
    return this.#requests.size;
  }

  /** Whether it will answer no more. */
  get isLost(): boolean {
    return this.#reason !== null;
  }

  fork(options: PoolForkOptions): Promise<PoolOutput> {
    return new Promise((resolve, reject) => {
      const id = this.#nextRequest();
      const request = new PoolRequest(id, options, {
        send: (frame) => this.#send(frame),
        resolve, reject,
      });
      this.#requests.set(id, request);
      request.begin();
    });
  }

  /** Ends the process and what runs in it. Idempotent. */
  async close(): Promise<void> {
    this.#fail(new CatavmmError('CATAVMM_CLOSED', 'The worker pool has been closed.'));
    this.#child.stdin?.end();
    const timer = setTimeout(() => this.#kill(), GRACE_MS);
    await this.ended;
    clearTimeout(timer);
  }

  #nextRequest(): number {
    do this.#lastRequest = (this.#lastRequest + 1) >>> 0;
    while (this.#lastRequest === 0 || this.#requests.has(this.#lastRequest));
    return this.#lastRequest;
  }

  #send(frame: Uint8Array): void {
    if (this.#reason === null) this.#child.stdin?.write(frame);
  }

  #take(bytes: Uint8Array): void {
    if (this.#reason !== null) return;
    try {
      for (const frame of this.#frames.push(bytes)) this.#handle(frame);
    } catch (error) {
      const what = error instanceof ProtocolError ? error.message : String(error);
      this.#lose(`sent what makes no sense (${what})`);
      this.#kill();
    }
  }

  #handle(frame: Frame): void {
    const { kind, request: id, payload } = frame;
    if (id === 0) {
      if (kind === READY) {
        this.isReady = true;
        this.wasReady = true;
        this.#settle.ready();
      } else if (kind === FAILED) {
        this.#fail(revive(payload));
        this.#child.stdin?.end();
      }
      return;
    }
    const request = this.#requests.get(id);
    if (request === undefined) return;
    if (kind === FAILED) request.fail(revive(payload));
    else request.handle(frame);
    if (request.isOver) this.#requests.delete(id);
  }

  #lose(how: string): void {
    const count = this.live;
    const running = count === 0 ? '' : `, and with it ${count} sandboxes`;
    this.#fail(new CatavmmError('CATAVMM_WORKER_LOST', `A worker process ${how}${running}.`,
      'The other workers go on, and another one takes its place.'));
  }

  /** Ends all that waits for the worker; the first reason counts. */
  #fail(reason: CatavmmError): void {
    if (this.#reason !== null) return;
    this.#reason = reason;
    this.isReady = false;
    this.#settle.fail(reason);
    for (const request of this.#requests.values()) request.fail(reason);
    this.#requests.clear();
  }

  #kill(): void {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    // Not child.kill(): after it, Deno takes every end of the child for an end by that signal.
    try {
      process.kill(this.pid, 'SIGKILL');
    } catch {
      // It has just ended by itself.
    }
  }
}
