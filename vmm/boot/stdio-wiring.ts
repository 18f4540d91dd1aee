// Connects the options for stdin, stdout and stderr with a console port.
import type { OutputTarget, SandboxOptions, StdinSource } from '../options.ts';
import { writeFd } from '../host/stdio.ts';
import { HostConsole, QueueConsole, type WaitableConsole } from './console.ts';
import { toBytes } from './launch.ts';

/** A console and the streams that belong to it. */
export interface Stdio {
  console: WaitableConsole;
  /** What is piped; null for what is not. */
  stdout: ReadableStream<Uint8Array> | null;
  stderr: ReadableStream<Uint8Array> | null;
  /** Ends both streams. */
  finish(): void;
}

/** Bytes a piped stream may hold before the guest's writes block. */
const PIPE_BYTES = 1024 * 1024;
/** Bytes of stdin kept ahead of the guest. */
const STDIN_BYTES = 256 * 1024;

interface Pipe {
  stream: ReadableStream<Uint8Array> | null;
  controller: ReadableStreamDefaultController<Uint8Array> | null;
}

/** Makes the console that the options ask for. */
export function wireStdio(options: SandboxOptions): Stdio {
  const stdout = options.stdout ?? 'piped';
  const stderr = options.stderr ?? 'piped';
  if (options.stdin === 'inherit' && stdout === 'inherit' && stderr === 'inherit') {
    return { console: new HostConsole(), stdout: null, stderr: null, finish: () => {} };
  }
  return wireQueues(options.stdin ?? 'null', [stdout, stderr]);
}

function wireQueues(stdin: StdinSource, targets: [OutputTarget, OutputTarget]): Stdio {
  const pipes = targets.map((target, index): Pipe =>
    target === 'piped'
      ? makePipe(() => console.resume((index + 1) as 1 | 2))
      : { stream: null, controller: null });
  const console: QueueConsole = new QueueConsole((stream, data) => {
    const target = targets[stream - 1];
    if (target === 'inherit') writeFd(stream, data);
    const controller = pipes[stream - 1]?.controller ?? null;
    if (controller === null) return true;
    controller.enqueue(data);
    return (controller.desiredSize ?? 1) > 0;
  });
  const stopFeeding = feedStdin(console, stdin);
  return {
    console,
    stdout: (pipes[0] as Pipe).stream,
    stderr: (pipes[1] as Pipe).stream,
    finish: () => {
      for (const { controller } of pipes) closeQuietly(controller);
      stopFeeding();
    },
  };
}

function makePipe(onPull: () => void): Pipe {
  const pipe: Pipe = { stream: null, controller: null };
  pipe.stream = new ReadableStream<Uint8Array>({
    start: (controller) => { pipe.controller = controller; },
    pull: onPull,
    cancel: () => { pipe.controller = null; },
  }, { highWaterMark: PIPE_BYTES, size: (chunk) => chunk.length });
  return pipe;
}

/** What stands for a stream that is not piped. */
export function closedStream(): ReadableStream<Uint8Array> {
  return new ReadableStream<Uint8Array>({ start: (controller) => controller.close() });
}

function closeQuietly(controller: ReadableStreamDefaultController<Uint8Array> | null): void {
  try {
    controller?.close();
  } catch {
    // The reader cancelled it.
  }
}

/** Gives the guest its stdin; the result ends that, for a guest that has ended. */
function feedStdin(console: QueueConsole, stdin: StdinSource): () => void {
  if (stdin === 'null' || stdin === 'inherit') {
    console.end();
  } else if (typeof stdin === 'string' || stdin instanceof Uint8Array) {
    console.push(toBytes(stdin));
    console.end();
  } else {
    const reader = stdin.getReader();
    void pump(console, reader);
    return () => { reader.cancel().catch(() => {}); };
  }
  return () => {};
}

async function pump(
  console: QueueConsole, reader: ReadableStreamDefaultReader<Uint8Array>,
): Promise<void> {
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      console.push(value);
      await console.drained(STDIN_BYTES);
    }
  } catch {
    // A broken source ends the guest's input, as a broken pipe would.
  } finally {
    console.end();
  }
}
