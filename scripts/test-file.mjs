// Runs one test file in a process group of its own, with a time limit, and reads its report.
//
// Invariant: a file passes only if its process exited with 0 *and* wrote a report without
// failures; a crash, a kill, or a report that is missing counts as one failed test.

import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { root } from './install.mjs';

const outputCharsMax = 100_000;
const running = new Set();

/** Kills a process group; it may be gone already. */
function killGroup(pid) {
  try {
    process.kill(-pid, 'SIGKILL');
  } catch (error) {
    if (error.code !== 'ESRCH') throw error;
  }
}

/** Kills every test that still runs. */
export function stopAll() {
  for (const pid of running) killGroup(pid);
}

function readReport(path) {
  try {
    return JSON.parse(readFileSync(path, 'utf8'));
  } catch {
    return undefined;
  }
}

/** Keeps the first and the last part of an output that is too long. */
function clip(text) {
  if (text.length <= outputCharsMax) return text;
  const half = outputCharsMax / 2;
  const left = text.length - outputCharsMax;
  return `${text.slice(0, half)}\n… ${left} characters …\n${text.slice(-half)}`;
}

function summarise(report, outcome, test) {
  const base = report ?? { passed: 0, failed: 0, skipped: [] };
  const { code, signal, timedOut } = outcome;
  let problem;
  if (timedOut) problem = `killed after ${test.timeoutMs / 1000} s`;
  else if (signal !== null) problem = `ended by ${signal}`;
  else if (report === undefined) problem = `exit code ${code} and no report`;
  else if (code !== 0 && base.failed === 0) problem = `exit code ${code} without a failed test`;
  if (problem === undefined) return { ...base, problem: '' };
  return { ...base, failed: Math.max(1, base.failed), problem };
}

/**
 * Runs [command, …arguments] for a test of the plan.
 * Resolves to { passed, failed, skipped: [{ name, reason }], ms, output }.
 */
export function runFile([command, ...args], test, env) {
  const directory = mkdtempSync(join(tmpdir(), 'catavmm-test-'));
  const reportPath = join(directory, 'report.json');
  const started = Date.now();
  return new Promise((resolve) => {
    const child = spawn(command, args, {
      cwd: root,
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...env, CATAVMM_TEST_REPORT: reportPath },
    });
    let output = '';
    const take = (text) => { output += text; };
    child.stdout.setEncoding('utf8').on('data', take);
    child.stderr.setEncoding('utf8').on('data', take);
    let timedOut = false;
    const timer = setTimeout(() => {
      timedOut = true;
      killGroup(child.pid);
    }, test.timeoutMs);
    child.on('error', (error) => take(`cannot start ${command}: ${error.message}\n`));
    if (child.pid !== undefined) running.add(child.pid);
    // A child that a test left behind would hold the pipes open: end the group at exit.
    child.on('exit', () => killGroup(child.pid));
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      running.delete(child.pid);
      const report = readReport(reportPath);
      rmSync(directory, { recursive: true, force: true });
      const { problem, ...result } = summarise(report, { code, signal, timedOut }, test);
      resolve({ ...result, ms: Date.now() - started, output: clip(`${output}${problem}`) });
    });
  });
}
