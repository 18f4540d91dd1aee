// Runs a process to its end and keeps what it wrote, as bytes. Shells' convention for ends: the
// exit code, or 128 + n for signal n, so that the host's programs and `catavmm run` compare.

import { Buffer } from 'node:buffer';
import { spawnSync } from 'node:child_process';
import { constants } from 'node:os';
import process from 'node:process';
import { catavmmCommand, currentRuntimeName, getRuntime } from '../helpers/runtimes.ts';
import type { RuntimeName } from '../helpers/runtimes.ts';

export interface ProcessOptions {
  stdin?: string | Uint8Array;
  cwd?: string;
  /** Exactly these variables, in this order. Default: this process's own. */
  env?: Readonly<Record<string, string>>;
  /** The process is killed after this long and counts as hanging. Default 60 s. */
  timeoutMs?: number;
}

export interface Outcome {
  stdout: Uint8Array;
  stderr: Uint8Array;
  /** Exit code, or 128 + n when ended by signal n. */
  code: number;
  /** True when it was killed because it did not end. */
  hung: boolean;
  ms: number;
}

const timeoutMsDefault = 60_000;
const outputBytesMax = 64 << 20;
const decoder = new TextDecoder();

/** Text of an output, with replacement characters for what is not UTF-8. */
export function textOf(bytes: Uint8Array): string {
  return decoder.decode(bytes);
}

function asBytes(output: unknown): Uint8Array {
  if (typeof output === 'string') return Buffer.from(output);
  return output instanceof Uint8Array ? new Uint8Array(output) : new Uint8Array(0);
}

/** Runs `[command, …arguments]`. @throws when it cannot be started */
export function runProcess(command: readonly string[], options: ProcessOptions = {}): Outcome {
  const started = Date.now();
  const result = spawnSync(command[0] as string, command.slice(1), {
    input: options.stdin ?? '',
    env: options.env ?? process.env,
    timeout: options.timeoutMs ?? timeoutMsDefault,
    killSignal: 'SIGKILL',
    maxBuffer: outputBytesMax,
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
  });
  const failure = result.error as { code?: string } | undefined;
  const hung = failure?.code === 'ETIMEDOUT' || result.signal === 'SIGKILL' &&
    Date.now() - started >= (options.timeoutMs ?? timeoutMsDefault);
  // EPIPE: the program ended without reading its stdin.
  if (failure !== undefined && !hung && failure.code !== 'EPIPE') throw result.error;
  const signal = result.signal === null ? undefined : constants.signals[result.signal];
  return {
    stdout: asBytes(result.stdout),
    stderr: asBytes(result.stderr),
    code: signal === undefined ? result.status ?? -1 : 128 + signal,
    hung,
    ms: Date.now() - started,
  };
}

/** What `catavmm …` of a runtime gives; by default of the runtime that runs this test. */
export function runCatavmm(
  args: readonly string[], options: ProcessOptions = {}, name: RuntimeName = currentRuntimeName(),
): Outcome {
  return runProcess(catavmmCommand(getRuntime(name), [...args]), options);
}
