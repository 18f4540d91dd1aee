// One fork that a pool has asked a worker for, until its guest has ended.
import { joinBytes } from '../formats/join-bytes.ts';
import { CatavmmError } from './errors.ts';
import type { BootOptions, Report, Status } from './options.ts';
import {
  decodeJson, DONE, encodeFrame, encodeJsonAndBytes, FORK, type ForkRequest, type Frame,
  INLINE_BYTES, KILL, PIECE_BYTES, ProtocolError, STARTED, STDERR, STDIN, STDIN_END, STDIN_PULL,
  STDOUT,
} from './worker-protocol.ts';

export interface PoolForkOptions
  extends Pick<BootOptions, 'memory' | 'rootfs' | 'logs' | 'timeoutMs' | 'signal'> {
  /** Default 'null'. A stream is cancelled when the guest has ended. */
  stdin?: 'null' | string | Uint8Array | ReadableStream<Uint8Array>;
  /** Most bytes of stdout and stderr together, 16 MiB unless given. The guest is killed at more. */
  outputBytesMax?: number;
  /** The sandbox has come to life: it waits, or gives the other sandboxes a turn. */
  onStart?: () => void;
  /** Hears each piece of output as it comes. */
  onOutput?: (stream: 'stdout' | 'stderr', bytes: Uint8Array) => void;
}

/** How a guest of a pool ended, and what it printed. */
export interface PoolOutput {
  status: Status;
  stdout: Uint8Array;
  stderr: Uint8Array;
  report: Report;
}

/** How a request reaches its worker and whoever asked. */
interface Ends {
  send(frame: Uint8Array): void;
  resolve(output: PoolOutput): void;
  reject(error: unknown): void;
}

const OUTPUT_BYTES_MAX = 16 * 1024 * 1024;
const nothing = new Uint8Array(0);
const encoder = new TextEncoder();

export class PoolRequest {
  /** Nothing more is to come. */
  isOver: boolean = false;
  readonly #id: number;
  readonly #options: PoolForkOptions;
  readonly #ends: Ends;
  readonly #pieces: [stdout: Uint8Array[], stderr: Uint8Array[]] = [[], []];
  readonly #onAbort: () => void;
  #outputBytes: number = 0;
  #stdin: ReadableStreamDefaultReader<Uint8Array> | null = null;
  /** Of a piece that was too large for one frame. */
  #rest: Uint8Array = nothing;
  /** Why its guest is killed. */
  #failure: { error: unknown } | null = null;

  constructor(id: number, options: PoolForkOptions, ends: Ends) {
    this.#id = id;
    this.#options = options;
    this.#ends = ends;
    this.#onAbort = () => this.#giveUp(options.signal?.reason);
  }

  /** Asks for the fork. */
  begin(): void {
    const { memory, rootfs, logs, timeoutMs, signal, onStart } = this.#options;
    const inline = this.#beginStdin();
    const request: ForkRequest = {
      streams: this.#stdin !== null || this.#rest.length > 0,
      wantsStart: onStart !== undefined,
      ...(memory === undefined ? {} : { memory }),
      ...(rootfs === undefined ? {} : { rootfs }),
      ...(logs === undefined ? {} : { logs }),
      ...(timeoutMs === undefined ? {} : { timeoutMs }),
    };
    this.#ends.send(encodeFrame(FORK, this.#id, encodeJsonAndBytes(request, inline)));
    if (signal?.aborted === true) this.#onAbort();
    else signal?.addEventListener('abort', this.#onAbort);
  }

  /** What travels with the request. */
  #beginStdin(): Uint8Array {
    const { stdin = 'null' } = this.#options;
    if (stdin === 'null') return nothing;
    if (typeof stdin !== 'string' && !(stdin instanceof Uint8Array)) {
      this.#stdin = stdin.getReader();
      return nothing;
    }
    const bytes = typeof stdin === 'string' ? encoder.encode(stdin) : stdin;
    if (bytes.length <= INLINE_BYTES) return bytes;
    this.#rest = bytes;
    return nothing;
  }

  /** Takes a frame of the worker's. @throws ProtocolError */
  handle({ kind, payload }: Frame): void {
    if (kind === STDOUT || kind === STDERR) {
      this.#takeOutput(kind === STDOUT ? 0 : 1, payload);
    } else if (kind === STARTED) {
      this.#tell(() => this.#options.onStart?.());
    } else if (kind === STDIN_PULL) {
      void this.#feed();
    } else if (kind === DONE) {
      this.#finish(decodeJson(payload) as Pick<PoolOutput, 'status' | 'report'>);
    } else {
      throw new ProtocolError(`a frame of kind ${kind}`);
    }
  }

  /** Ends it without a result. */
  fail(error: unknown): void {
    if (this.isOver) return;
    this.#end();
    this.#ends.reject(this.#failure === null ? error : this.#failure.error);
  }

  #takeOutput(index: 0 | 1, bytes: Uint8Array): void {
    this.#outputBytes += bytes.length;
    const most = this.#options.outputBytesMax ?? OUTPUT_BYTES_MAX;
    if (this.#outputBytes > most) {
      this.#giveUp(new CatavmmError('CATAVMM_OUTPUT_LIMIT',
        `The guest printed more than ${most} bytes.`, 'Raise outputBytesMax.'));
      return;
    }
    this.#pieces[index].push(bytes);
    this.#tell(() => this.#options.onOutput?.(index === 0 ? 'stdout' : 'stderr', bytes));
  }

  /** Sends the next piece of stdin. */
  async #feed(): Promise<void> {
    try {
      while (this.#rest.length === 0 && this.#stdin !== null) {
        const { done, value } = await this.#stdin.read();
        if (done) break;
        this.#rest = value;
      }
    } catch {
      // A broken source ends the guest's input, as a broken pipe would.
    }
    if (this.isOver) return;
    const piece = this.#rest.subarray(0, PIECE_BYTES);
    this.#rest = this.#rest.subarray(piece.length);
    const kind = piece.length === 0 ? STDIN_END : STDIN;
    this.#ends.send(encodeFrame(kind, this.#id, piece));
  }

  /** Calls back; what the callback throws is what the fork rejects with. */
  #tell(callback: () => void): void {
    try {
      callback();
    } catch (error) {
      this.#giveUp(error);
    }
  }

  /** Has the guest killed; the request ends when the worker says so. */
  #giveUp(error: unknown): void {
    if (this.#failure !== null || this.isOver) return;
    this.#failure = { error };
    this.#ends.send(encodeFrame(KILL, this.#id));
  }

  #finish({ status, report }: Pick<PoolOutput, 'status' | 'report'>): void {
    if (typeof status !== 'object' || typeof report !== 'object') {
      throw new ProtocolError('an end without a status');
    }
    if (this.#failure !== null) {
      this.fail(this.#failure.error);
      return;
    }
    this.#end();
    const [stdout, stderr] = this.#pieces.map(joinBytes) as [Uint8Array, Uint8Array];
    this.#ends.resolve({ status, stdout, stderr, report });
  }

  #end(): void {
    this.isOver = true;
    this.#options.signal?.removeEventListener('abort', this.#onAbort);
    this.#stdin?.cancel().catch(() => {});
  }
}
