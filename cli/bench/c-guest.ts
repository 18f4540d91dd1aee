// C programs that are measured against: built with the host's compiler, kept running, and asked for
// one round after another. The one that does what vmm/machine does is c/exit-round-trip.c.
import { type ChildProcessWithoutNullStreams, spawn, spawnSync } from 'node:child_process';
import { basename, join } from 'node:path';
import { createInterface, type Interface } from 'node:readline';
import { projectFile } from './places.ts';

const SOURCE = 'cli/bench/c/exit-round-trip.c';
const COMPILERS: readonly string[] = ['gcc', 'cc', 'clang'];

/** Builds the machine's counterpart in `directory`; the reason when that cannot be done. */
export function buildCGuest(directory: string): { file: string } | string {
  return buildCFile(SOURCE, directory, []);
}

/** Builds a C file of the project in `directory`; the reason when that cannot be done. */
export function buildCFile(
  path: string, directory: string, flags: readonly string[],
): { file: string } | string {
  const source = projectFile(path);
  if (source === undefined) return `${path} is only in the repository`;
  const file = join(directory, basename(path, '.c'));
  for (const compiler of COMPILERS) {
    const { status, error, stderr } = spawnSync(compiler, ['-O2', ...flags, '-o', file, source], {
      encoding: 'utf8', timeout: 60_000,
    });
    if (error !== undefined) continue;
    if (status === 0) return { file };
    return `${compiler} failed: ${(stderr ?? '').trim().split('\n')[0] ?? ''}`;
  }
  return 'no C compiler: apt-get install gcc libc6-dev';
}

/** A running C program. */
export class CGuest {
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #lines: Interface;
  #complaint: string = '';

  constructor(file: string, args: readonly string[] = []) {
    this.#child = spawn(file, args, { stdio: 'pipe' });
    this.#child.stderr.on('data', (data: Buffer) => { this.#complaint += data.toString(); });
    this.#child.stdin.on('error', () => {});
    this.#lines = createInterface({ input: this.#child.stdout });
  }

  /** Microseconds that `count` rounds took. @throws Error when the program has ended */
  measure(count: number): Promise<number> {
    return new Promise((resolve, reject) => {
      const finish = (): void => {
        this.#lines.off('line', onLine);
        this.#lines.off('close', onClose);
      };
      const onLine = (line: string): void => {
        finish();
        resolve(Number(line) / 1000);
      };
      const onClose = (): void => {
        finish();
        reject(new Error(`the C program ended: ${this.#complaint.trim()}`));
      };
      this.#lines.once('line', onLine);
      this.#lines.once('close', onClose);
      this.#child.stdin.write(`${count}\n`);
    });
  }

  /** Ends the program and waits for that. */
  async close(): Promise<void> {
    const { exitCode, signalCode } = this.#child;
    if (exitCode !== null || signalCode !== null) return;
    const ended = new Promise((resolve) => { this.#child.once('close', resolve); });
    this.#child.stdin.end();
    await ended;
  }
}
