// A process that a test talks to while it runs.

import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import { catavmmCommand, currentRuntimeName, getRuntime } from '../helpers/runtimes.ts';

export interface Conversation {
  /** Everything printed so far. */
  readonly stdout: string;
  readonly stderr: string;
  write(text: string): void;
  /** Closes its stdin. */
  end(): void;
  /** Sends a signal to it. */
  signal(name: NodeJS.Signals): void;
  /** Resolves when stdout contains the text. @throws when it ends or takes too long */
  waitFor(text: string): Promise<void>;
  /** Its exit code, 128 + n for signal n; it is killed when it takes too long (code 137). */
  wait(): Promise<number>;
}

const waitMsMax = 20_000;
const pollMs = 5;

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => { setTimeout(resolve, ms); });
}

/** Starts `catavmm …` on the runtime of this test. */
export function startCatavmm(args: readonly string[], cwd?: string): Conversation {
  const [command, ...rest] = catavmmCommand(getRuntime(currentRuntimeName()), [...args]);
  const child = spawn(command as string, rest, {
    stdio: ['pipe', 'pipe', 'pipe'], ...(cwd === undefined ? {} : { cwd }),
  });
  const said = { stdout: '', stderr: '' };
  child.stdout.setEncoding('utf8').on('data', (text: string) => { said.stdout += text; });
  child.stderr.setEncoding('utf8').on('data', (text: string) => { said.stderr += text; });
  // It may end before it has read everything.
  child.stdin.on('error', () => {});
  let ended = false;
  const code = new Promise<number>((resolve) => {
    child.on('close', (status, signal) => {
      ended = true;
      resolve(signal === null ? status ?? -1 : 128 + constants.signals[signal]);
    });
  });
  async function waitFor(text: string): Promise<void> {
    const until = Date.now() + waitMsMax;
    while (!said.stdout.includes(text)) {
      if (ended || Date.now() > until) {
        child.kill('SIGKILL');
        throw new Error(`"${text}" did not come; stdout ${said.stdout}, stderr ${said.stderr}`);
      }
      await sleep(pollMs);
    }
  }
  async function wait(): Promise<number> {
    const timer = setTimeout(() => child.kill('SIGKILL'), waitMsMax);
    try {
      return await code;
    } finally {
      clearTimeout(timer);
    }
  }
  return {
    get stdout() { return said.stdout; },
    get stderr() { return said.stderr; },
    write: (text) => { child.stdin.write(text); },
    end: () => { child.stdin.end(); },
    signal: (name) => { child.kill(name); },
    waitFor,
    wait,
  };
}
