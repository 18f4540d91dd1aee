// What CRIU takes to bring a program back (no isolation): the program waits for its line of stdin,
// is dumped once, and restored each turn by `criu restore`, to its end.
//
// stdin is a FIFO that this process holds open, stdout a file; both lie where CRIU finds them.
import { spawn, spawnSync } from 'node:child_process';
import {
  closeSync, constants, mkdirSync, openSync, readFileSync, truncateSync, writeSync,
} from 'node:fs';
import { join } from 'node:path';
import type { Sample } from './harness.ts';
import { ENVIRONMENT, type Program } from './programs.ts';

const START_MS = 5000;
const POLL_MS = 5;
const TIMEOUT_MS = 30_000;
const NOT_INSTALLED = 'not installed: CRIU 4 (apt-get install criu from Debian 13)';

/** A dumped program. */
export interface Criu {
  restore(): Sample;
  close(): void;
}

function criu(args: readonly string[]): { status: number | null; complaint: string } {
  const { status, error, stderr } = spawnSync('criu', args, {
    encoding: 'utf8', timeout: TIMEOUT_MS,
  });
  if (error !== undefined) return { status: null, complaint: NOT_INSTALLED };
  const line = stderr.split('\n').findLast((text) => text.includes('Error')) ?? '';
  return { status, complaint: `criu failed: ${line.trim() || `exit code ${status}`}` };
}

/** Starts the program and dumps it when it reads its stdin; the reason when that cannot be done. */
export async function dumpWithCriu(
  program: Program, directory: string, index: number,
): Promise<Criu | string> {
  const version = criu(['--version']);
  if (version.status === null) return NOT_INSTALLED;
  const folder = join(directory, `criu-${index}`);
  const [fifo, output, images] = ['in', 'out', 'img'].map((name) => join(folder, name)) as
    [string, string, string];
  mkdirSync(images, { recursive: true });
  if (spawnSync('mkfifo', [fifo]).status !== 0) return 'mkfifo failed';
  const stdin = openSync(fifo, constants.O_RDWR);
  const failed = await dump(program, stdin, output, images);
  if (failed !== null) {
    closeSync(stdin);
    return failed;
  }
  return {
    restore: () => restore(program, stdin, output, images),
    close: () => closeSync(stdin),
  };
}

async function dump(
  program: Program, stdin: number, output: string, images: string,
): Promise<string | null> {
  const [command = '', ...args] = program.command;
  const stdout = openSync(output, 'a');
  const child = spawn(command, args, {
    stdio: [stdin, stdout, 'ignore'], detached: true, env: { ...ENVIRONMENT },
  });
  closeSync(stdout);
  const ended = new Promise((resolve) => { child.once('exit', resolve); });
  const { pid = 0 } = child;
  const isWaiting = await waitsForStdin(pid);
  const { status, complaint } = isWaiting
    ? criu(['dump', '-t', String(pid), '-D', images, '-v1'])
    : { status: 1, complaint: 'the program did not read its stdin' };
  // A dump ends it; its number is free again when it has been waited for.
  if (status !== 0) child.kill('SIGKILL');
  await ended;
  return status === 0 ? null : complaint;
}

/** Waits until a process is in read(0, …): proc_pid_syscall(5). */
async function waitsForStdin(pid: number): Promise<boolean> {
  for (let waited = 0; waited < START_MS; waited += POLL_MS) {
    await new Promise((resolve) => { setTimeout(resolve, POLL_MS); });
    try {
      if (readFileSync(`/proc/${pid}/syscall`, 'latin1').startsWith('0 0x0 ')) return true;
    } catch {
      return false;
    }
  }
  return false;
}

function restore(program: Program, stdin: number, output: string, images: string): Sample {
  truncateSync(output, 0);
  writeSync(stdin, program.input);
  const startMs = performance.now();
  const { status, complaint } = criu(['restore', '-D', images, '-v1']);
  const us = (performance.now() - startMs) * 1000;
  if (status !== 0) throw new Error(complaint);
  const text = readFileSync(output, 'utf8');
  if (text === '' || !program.expected.endsWith(text)) {
    throw new Error(`criu: printed ${JSON.stringify(text)}`);
  }
  return { us };
}
