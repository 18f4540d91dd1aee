// Connects the options for stdin, stdout and stderr with a console port.
import type { OutputTarget, SandboxOptions, StdinSource } from '../../options.ts';
import { writeFd } from '../../host/stdio.ts';
import { HostConsole, QueueConsole, type WaitableConsole } from './console.ts';
import { toBytes } from '../run/launch.ts';
import { OutputPipe } from './output-pipe.ts';

/** A console and the pipes that belong to it. */
export interface Stdio {
  console: WaitableConsole;
  /** What is piped; null for what is not. */
  stdout: OutputPipe | null;
  stderr: OutputPipe | null;
  /** Ends both. */
  finish(): void;
}

/** Bytes of stdin kept ahead of the guest. */
const STDIN_BYTES = 256 * 1024;

type Output = OutputPipe | null;

/** Whether a sandbox has to do with the host's network. */
export function wantsNetwork({ publish, network }: SandboxOptions): boolean {
  return network === 'host' || (publish?.length ?? 0) > 0;
}

/** Makes the console that the options ask for. */
export function wireStdio(options: SandboxOptions): Stdio {
  const stdout = options.stdout ?? 'piped';
  const stderr = options.stderr ?? 'piped';
  if (options.stdin === 'inherit' && stdout === 'inherit' && stderr === 'inherit') {
    // Connections come by way of the event loop.
    const console = new HostConsole(wantsNetwork(options) ? 0 : options.burstMs);
    return { console, stdout: null, stderr: null, finish: () => {} };
  }
  return wireQueues(options.stdin ?? 'null', [stdout, stderr]);
}

function wireQueues(stdin: StdinSource, targets: [OutputTarget, OutputTarget]): Stdio {
  const [stdout, stderr] = targets.map((target, index) => target === 'piped'
    ? new OutputPipe(() => console.resume((index + 1) as 1 | 2)) : null) as [Output, Output];
  const console: QueueConsole = new QueueConsole((stream, data) => {
    if (targets[stream - 1] === 'inherit') writeFd(stream, data);
    return (stream === 1 ? stdout : stderr)?.push(data) ?? true;
  });
  const stopFeeding = feedStdin(console, stdin);
  return {
    console, stdout, stderr,
    finish: () => {
      stdout?.end();
      stderr?.end();
      stopFeeding();
    },
  };
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
