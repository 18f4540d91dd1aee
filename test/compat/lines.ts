// Runs a process whose stdout carries records (lines that begin with U+001E and hold JSON) among
// other output, and ends it when no record has come for too long.

import { spawn } from 'node:child_process';
import process from 'node:process';

export type LineRecord = Readonly<Record<string, unknown>>;

export interface LineProcess {
  command: readonly string[];
  env: Readonly<Record<string, string>>;
  /** The longest time between two records. */
  idleMsMax: number;
  onRecord: (record: LineRecord) => void;
}

export interface LineOutcome {
  hung: boolean;
  /** The end of what it wrote beside the records. */
  tail: string;
  /** The exit code or signal. */
  end: string;
}

const tailChars = 2000;
const lineChars = 1 << 20;

/** Kills a process group; it may be gone already. */
function killGroup(pid: number | undefined): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, 'SIGKILL');
  } catch (error) {
    if ((error as { code?: string }).code !== 'ESRCH') throw error;
  }
}

function parseRecord(text: string): LineRecord | undefined {
  try {
    return JSON.parse(text) as LineRecord;
  } catch {
    return undefined;
  }
}

/** Gives records to `take`, and what lies between them back. */
function makeSplitter(take: (record: LineRecord) => void): (text: string) => string {
  let rest = '';
  return (text) => {
    const lines = (rest + text).split('\n');
    rest = (lines.pop() ?? '').slice(-lineChars);
    let other = '';
    for (const line of lines) {
      const at = line.indexOf('\x1e');
      const record = at < 0 ? undefined : parseRecord(line.slice(at + 1));
      if (record === undefined) other += `${line}\n`;
      else take(record);
    }
    return other;
  };
}

/** Runs to the end, or until it hangs. */
export function runLines({ command, env, idleMsMax, onRecord }: LineProcess): Promise<LineOutcome> {
  return new Promise((resolve) => {
    const child = spawn(command[0] as string, command.slice(1), {
      detached: true, stdio: ['ignore', 'pipe', 'pipe'], env,
    });
    let tail = '';
    let hung = false;
    const note = (text: string): void => { tail = (tail + text).slice(-tailChars); };
    const onIdle = (): void => {
      hung = true;
      killGroup(child.pid);
    };
    let timer = setTimeout(onIdle, idleMsMax);
    const split = makeSplitter((record) => {
      clearTimeout(timer);
      timer = setTimeout(onIdle, idleMsMax);
      onRecord(record);
    });
    child.stdout.setEncoding('utf8').on('data', (text: string) => note(split(text)));
    child.stderr.setEncoding('utf8').on('data', note);
    child.on('error', (error) => note(`${error.message}\n`));
    child.on('exit', () => killGroup(child.pid));
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      resolve({ hung, tail, end: signal ?? `exit code ${code}` });
    });
  });
}
