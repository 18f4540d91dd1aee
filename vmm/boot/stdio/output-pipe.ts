// What a guest writes to a piped stdout or stderr, until somebody takes it: all at once at the end,
// or as a web stream. The stream is made when it is asked for, because making one costs more than a
// fork's first system calls.
//
// Limit: CAPACITY bytes are kept; then the guest's writes block until something is taken.
import { joinBytes } from '../../../formats/join-bytes.ts';

/** Bytes a pipe may hold before the guest's writes block. */
const CAPACITY = 1024 * 1024;

export class OutputPipe {
  #chunks: Uint8Array[] = [];
  #bytes: number = 0;
  #hasEnded: boolean = false;
  #isCancelled: boolean = false;
  /** Waits for the end, with all that came. */
  #collector: ((all: Uint8Array) => void) | null = null;
  #stream: ReadableStream<Uint8Array> | null = null;
  #controller: ReadableStreamDefaultController<Uint8Array> | null = null;
  readonly #onDrained: () => void;

  /** @param onDrained told when a pipe that was full takes more */
  constructor(onDrained: () => void) {
    this.#onDrained = onDrained;
  }

  /** Takes a piece; false when it is full now. */
  push(data: Uint8Array): boolean {
    if (this.#isCancelled) return true;
    if (this.#controller !== null) {
      this.#controller.enqueue(data);
      return (this.#controller.desiredSize ?? 1) > 0;
    }
    this.#chunks.push(data);
    this.#bytes += data.length;
    return this.#collector !== null || this.#bytes < CAPACITY;
  }

  /** Nothing more comes. */
  end(): void {
    this.#hasEnded = true;
    this.#collector?.(this.#join());
    this.#collector = null;
    if (!this.#isCancelled) this.#controller?.close();
  }

  /** All that comes, at the end. What the stream has been given already is not in it. */
  collect(): Promise<Uint8Array> {
    if (this.#stream !== null) return collectStream(this.#stream);
    if (this.#hasEnded) return Promise.resolve(this.#join());
    const wasFull = this.#bytes >= CAPACITY;
    const all = new Promise<Uint8Array>((resolve) => { this.#collector = resolve; });
    if (wasFull) this.#onDrained();
    return all;
  }

  /** The same stream each time. */
  stream(): ReadableStream<Uint8Array> {
    this.#stream ??= new ReadableStream<Uint8Array>({
      start: (controller) => this.#attach(controller),
      pull: this.#onDrained,
      cancel: () => {
        this.#isCancelled = true;
        this.#onDrained();
      },
    }, { highWaterMark: CAPACITY, size: (chunk) => chunk.length });
    return this.#stream;
  }

  #attach(controller: ReadableStreamDefaultController<Uint8Array>): void {
    for (const chunk of this.#chunks) controller.enqueue(chunk);
    this.#chunks = [];
    this.#bytes = 0;
    if (this.#hasEnded) controller.close();
    else this.#controller = controller;
  }

  #join(): Uint8Array {
    const all = joinBytes(this.#chunks);
    this.#chunks = [];
    this.#bytes = 0;
    return all;
  }
}

async function collectStream(stream: ReadableStream<Uint8Array>): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of stream as unknown as AsyncIterable<Uint8Array>) chunks.push(chunk);
  return joinBytes(chunks);
}
