// A set of shell scripts on one side, each in a directory of its own. In the sandbox a script has
// to print what it printed natively.

import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { runProcess, textOf } from '../oracle/process.ts';
import { keep } from './results.ts';
import type { CaseResult, Side, SideResults } from './results.ts';
import { commandOn, environment } from './side.ts';
import type { Script } from './suites.ts';

const scriptMsMax = 60_000;
const detailChars = 2000;

function runScript(script: Script, side: Side, workdir: string): CaseResult {
  const argv = ['/bin/sh', '-c', script.code];
  const outcome = runProcess(commandOn(side, argv, scriptMsMax, workdir), {
    env: { ...environment }, timeoutMs: scriptMsMax + 5000, cwd: workdir,
  });
  const output = textOf(outcome.stdout);
  const detail = `${output}${textOf(outcome.stderr)}`.slice(-detailChars);
  if (outcome.hung || side === 'guest' && outcome.ms > scriptMsMax) {
    return { result: 'hang', detail };
  }
  if (outcome.code !== 0) return { result: 'fail', detail: `exit code ${outcome.code}\n${detail}` };
  return { result: 'ok', detail: script.quiet === true ? '' : output };
}

/** Turns a pass with another output than the native one into a failure. */
function checkOutput(id: string, got: CaseResult, native: SideResults): CaseResult {
  const wanted = native.cases[id];
  if (got.result !== 'ok' || wanted?.result !== 'ok' || wanted.detail === got.detail) return got;
  return { result: 'output', detail: `natively:\n${wanted.detail}\nsandbox:\n${got.detail}` };
}

/** Runs the scripts that `results` lacks; `native` is what they are compared with. */
export function runScripts(
  name: string, scripts: readonly Script[], side: Side, results: SideResults, native: SideResults,
): void {
  for (const script of scripts) {
    if (results.cases[script.id] !== undefined) continue;
    // The same path on both sides: programs print it. Not below a tree that another test watches.
    const workdir = mkdtempSync('/tmp/compat-');
    try {
      const got = runScript(script, side, join(workdir));
      results.cases[script.id] = side === 'guest' ? checkOutput(script.id, got, native) : got;
    } finally {
      rmSync(workdir, { recursive: true, force: true });
    }
    keep(name, side, results);
  }
  results.complete = true;
  keep(name, side, results);
}
