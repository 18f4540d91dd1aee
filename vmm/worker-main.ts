// A worker process of a WorkerPool: one template, many forks of it, requests on stdin, answers on
// stdout (worker-protocol.ts). It ends when its stdin does, so that it never outlives the pool: the
// kernel closes the pipe whatever ended the parent.
//
// Nothing else may write to stdout here.
import process from 'node:process';
import { FuncImage } from './func-image.ts';
import type { Sandbox } from './sandbox.ts';
import { Template } from './template.ts';
import {
  decodeJson, decodeJsonAndBytes, DONE, encodeFrame, encodeJson, FAILED, type Failure, FORK,
  type ForkRequest, type Frame, FrameReader, KILL, OPEN, type OpenRequest, PIECE_BYTES, READY,
  STARTED, STDERR, STDIN, STDIN_END, STDIN_PULL, STDOUT,
} from './worker-protocol.ts';

interface Live {
  sandbox: Sandbox | null;
  isKilled: boolean;
  /** Takes a piece of stdin that was asked for, or null at the end. */
  onStdin: ((piece: Uint8Array | null) => void) | null;
}

let template: Template | null = null;
const live: Map<number, Live> = new Map();
let drained: Promise<void> | null = null;

/** Sends a frame; resolves when there is room for more. */
function send(kind: number, request: number, payload?: Uint8Array): Promise<void> | null {
  if (process.stdout.write(encodeFrame(kind, request, payload))) return drained;
  drained ??= new Promise((resolve) => {
    process.stdout.once('drain', () => {
      drained = null;
      resolve();
    });
  });
  return drained;
}

function sendFailure(request: number, error: unknown): void {
  const { code, hint } = error as { code?: unknown; hint?: unknown };
  const failure: Failure = {
    code: typeof code === 'string' ? code : 'CATAVMM_INTERNAL',
    message: error instanceof Error ? error.message : String(error),
    hint: typeof hint === 'string' ? hint : '',
  };
  void send(FAILED, request, encodeJson(failure));
}

async function open({ image: path, pool }: OpenRequest): Promise<void> {
  try {
    const image = await FuncImage.open(path, { pool: { low: 0, high: 0 } });
    template = await Template.from(image, { pool });
    await image.close();
    void send(READY, 0);
  } catch (error) {
    sendFailure(0, error);
  }
}

/** Stdin that comes piece by piece, each when the guest has room for it. */
function pullStdin(request: number, state: Live): ReadableStream<Uint8Array> {
  return new ReadableStream<Uint8Array>({
    pull: (controller) => new Promise((resolve) => {
      state.onStdin = (piece) => {
        state.onStdin = null;
        if (piece === null) controller.close();
        else controller.enqueue(piece);
        resolve();
      };
      void send(STDIN_PULL, request);
    }),
    cancel: () => { state.onStdin = null; },
  }, { highWaterMark: 0 });
}

async function copy(
  kind: number, request: number, stream: ReadableStream<Uint8Array>,
): Promise<void> {
  for await (const bytes of stream as unknown as AsyncIterable<Uint8Array>) {
    for (let at = 0; at < bytes.length; at += PIECE_BYTES) {
      await send(kind, request, bytes.subarray(at, at + PIECE_BYTES));
    }
  }
}

async function fork(request: number, options: ForkRequest, bytes: Uint8Array): Promise<void> {
  const state: Live = { sandbox: null, isKilled: false, onStdin: null };
  live.set(request, state);
  try {
    if (template === null) throw new Error('FORK came before READY');
    const { streams, wantsStart, ...rest } = options;
    const sandbox = await template.fork({
      ...rest, stdin: streams ? pullStdin(request, state) : bytes,
    });
    state.sandbox = sandbox;
    if (state.isKilled) sandbox.kill();
    if (wantsStart) void send(STARTED, request);
    const [status] = await Promise.all([
      sandbox.status,
      copy(STDOUT, request, sandbox.stdout), copy(STDERR, request, sandbox.stderr),
    ]);
    live.delete(request);
    void send(DONE, request, encodeJson({ status, report: sandbox.report() }));
  } catch (error) {
    live.delete(request);
    sendFailure(request, error);
  }
}

/** A request that has ended meanwhile is not known any more: what is for it is dropped. */
function handle({ kind, request, payload }: Frame): void {
  const state = live.get(request);
  if (kind === OPEN) {
    void open(decodeJson(payload) as OpenRequest);
  } else if (kind === FORK) {
    const [options, bytes] = decodeJsonAndBytes(payload);
    void fork(request, options as ForkRequest, bytes);
  } else if (kind === STDIN || kind === STDIN_END) {
    state?.onStdin?.(kind === STDIN ? payload : null);
  } else if (kind === KILL && state !== undefined) {
    state.isKilled = true;
    state.sandbox?.kill();
  }
}

function main(): void {
  const frames = new FrameReader();
  // Ctrl-C goes to the parent too, which knows what is to become of its guests.
  process.on('SIGINT', () => {});
  const end = (): void => process.exit(0);
  process.stdout.on('error', end);
  process.stdin.on('error', end);
  process.stdin.on('end', end);
  process.stdin.on('close', end);
  process.stdin.on('data', (bytes: Uint8Array) => {
    for (const frame of frames.push(bytes)) handle(frame);
  });
}

main();
