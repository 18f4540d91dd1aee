// One module of CPython's regression tests on one side. A case that hangs or ends the interpreter
// is noted, and the rest runs in a new one, so that one bad case costs only itself.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { root } from '../helpers/repository.ts';
import { runLines } from './lines.ts';
import type { LineOutcome, LineRecord } from './lines.ts';
import { keep } from './results.ts';
import type { Side, SideResults } from './results.ts';
import { commandOn, environment } from './side.ts';

const script = join(root, 'test/compat/python-cases.py');
const restartsMax = 40;
const caseMsMax = 60_000;
const moduleMsMax = 1_800_000;

interface Progress {
  results: SideResults;
  /** The case that was started last and has not ended. */
  current: string | undefined;
  /** Cases that ended in this process. */
  ended: number;
}

function takeRecord(progress: Progress, record: LineRecord): void {
  const { results } = progress;
  if (typeof record['start'] === 'string') progress.current = record['start'];
  if (typeof record['id'] === 'string') {
    const { id, result, detail } = record;
    results.cases[id] = { result: String(result), detail: String(detail) };
    progress.current = undefined;
    progress.ended++;
  }
  if (record['done'] !== undefined) results.complete = true;
}

/** Notes the case in which the interpreter stopped. */
function noteEnd(module: string, { results, current, ended }: Progress, end: LineOutcome): void {
  if (results.complete) return;
  const detail = end.hung ? `no end within ${caseMsMax / 1000} s` : `${end.end}\n${end.tail}`;
  const result = end.hung ? 'hang' : 'crash';
  if (current !== undefined) results.cases[current] = { result, detail };
  else if (ended === 0) {
    // Not even one case: the module does not load, and would not the next time.
    results.cases[module] = { result, detail };
    results.complete = true;
  }
}

async function runOnce(
  module: string, side: Side, results: SideResults, skipFile: string,
): Promise<void> {
  const progress: Progress = { results, current: undefined, ended: 0 };
  writeFileSync(skipFile, Object.keys(results.cases).join('\n'));
  const argv = ['/usr/bin/python3', '-u', script, module, skipFile];
  const end = await runLines({
    command: commandOn(side, argv, moduleMsMax),
    env: { ...environment },
    idleMsMax: caseMsMax,
    onRecord: (record) => takeRecord(progress, record),
  });
  noteEnd(module, progress, end);
}

/** Runs the cases that `results` lacks, and keeps what has come after each process. */
export async function runPythonModule(
  module: string, side: Side, results: SideResults,
): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'compat-'));
  try {
    for (let i = 0; i < restartsMax && !results.complete; i++) {
      await runOnce(module, side, results, join(folder, 'skip'));
      keep(module, side, results);
    }
    results.complete = true;
    keep(module, side, results);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
