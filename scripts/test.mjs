// `npm test`: installs, builds, then runs every test file in a process of its own on Node (dist,
// and source where Node runs TypeScript), Bun and Deno. Needs Node >= 20.19 and npm, nothing else.
//
//   npm test -- [--only node|bun|deno] [--no-build] [--verbose] [part of a file name …]
//
// The last line is `N passed, N failed, N skipped`; the exit code is 0 only if nothing failed.
// Tests that need /dev/kvm skip themselves where it is missing: the end of the output says so.

import { availableParallelism } from 'node:os';
import { styleText } from 'node:util';
import { build } from './build.mjs';
import { ensureInstalled } from './install.mjs';
import { findRuntimes, linkBinaries, makePath, runsSource } from './runtimes.mjs';
import { runFile, stopAll } from './test-file.mjs';
import { listTests } from './test-plan.mjs';

const jobsMax = 2;
const slowestShown = 10;
const isTty = process.stdout.isTTY && !process.env.NO_COLOR;
const paint = (style, text) => (isTty ? styleText(style, text) : text);

function parseArguments(argv) {
  const options = { only: undefined, build: true, verbose: false, filters: [] };
  for (let index = 0; index < argv.length; index++) {
    const argument = argv[index];
    if (argument === '--only') options.only = argv[++index];
    else if (argument === '--no-build') options.build = false;
    else if (argument === '--verbose') options.verbose = true;
    else if (argument.startsWith('-')) throw new Error(`unknown option ${argument}`);
    else options.filters.push(argument);
  }
  if (options.only !== undefined && !['node', 'bun', 'deno'].includes(options.only)) {
    throw new Error('--only takes node, bun or deno');
  }
  return options;
}

/** The ways to run a file: { name, runtime, label, command(path) }. */
function listLegs(runtimes, only) {
  const { node, bun, deno } = runtimes;
  const toDist = (path) => `dist/${path.replace(/\.ts$/, '.js')}`;
  const legs = [
    { name: 'node', label: `Node ${node.version}`, command: (path) => [node.path, toDist(path)] },
    { name: 'bun', label: `Bun ${bun.version}`, command: (path) => [bun.path, path] },
    {
      name: 'deno',
      label: `Deno ${deno.version}`,
      command: (path) => [deno.path, 'run', '-A', '--quiet', path],
    },
  ].map((leg) => ({ ...leg, runtime: leg.name }));
  if (runsSource(node.version)) {
    legs.splice(1, 0, {
      name: 'node-ts',
      runtime: 'node',
      label: `Node ${node.version}, source`,
      command: (path) => [node.path, path],
    });
  }
  return legs.filter(({ runtime }) => only === undefined || runtime === only);
}

/** Every (file, leg) to run. Files that want one runtime only are not repeated on its source. */
function listJobs(tests, legs) {
  return tests.flatMap((test) => legs
    .filter(({ name }) => test.runtimes === undefined || test.runtimes.includes(name))
    .map((leg) => ({ test, leg })));
}

function printResult({ test, leg }, result, verbose) {
  const mark = result.failed > 0 ? paint('red', 'FAIL') : paint('green', 'ok  ');
  const skips = result.skipped.length > 0 ? `, ${result.skipped.length} skipped` : '';
  const seconds = (result.ms / 1000).toFixed(1);
  console.log(
    `${mark} ${leg.name.padEnd(7)} ${test.path}: ${result.passed} passed${skips}, ${seconds} s`,
  );
  if (result.failed > 0 || verbose) console.log(result.output.replace(/^/gm, '     '));
}

/** Runs jobs with at most `width` at once. */
async function runJobs(jobs, width, results, context) {
  const queue = [...jobs];
  async function work() {
    for (let job = queue.shift(); job !== undefined; job = queue.shift()) {
      const result = await runFile(job.leg.command(job.test.path), job.test, context.env);
      results.push({ ...job, result });
      printResult(job, result, context.verbose);
    }
  }
  await Promise.all(Array.from({ length: width }, work));
}

function count(results) {
  const total = { passed: 0, failed: 0, skipped: 0 };
  for (const { result } of results) {
    total.passed += result.passed;
    total.failed += result.failed;
    total.skipped += result.skipped.length;
  }
  return total;
}

function printSkips(results) {
  const byReason = new Map();
  for (const { result } of results) {
    for (const { name, reason } of result.skipped) {
      byReason.set(reason, [...(byReason.get(reason) ?? []), name]);
    }
  }
  for (const [reason, names] of byReason) {
    const examples = [...new Set(names)];
    console.log(paint('yellow', `\nSKIPPED ${names.length} TESTS: ${reason}`));
    for (const name of examples.slice(0, 5)) console.log(`  ${name}`);
    if (examples.length > 5) console.log(`  … and ${examples.length - 5} more`);
  }
}

function printSummary(results, legs) {
  console.log('\nSlowest files:');
  const slowest = [...results].sort((a, b) => b.result.ms - a.result.ms).slice(0, slowestShown);
  for (const { test, leg, result } of slowest) {
    console.log(`  ${(result.ms / 1000).toFixed(1).padStart(6)} s  ${leg.name} ${test.path}`);
  }
  printSkips(results);
  const failures = results.filter(({ result }) => result.failed > 0);
  if (failures.length > 0) console.log(paint('red', '\nFailed:'));
  for (const { test, leg, result } of failures) {
    console.log(`  ${leg.name} ${test.path}: ${result.failed} failed`);
  }
  console.log('');
  for (const leg of legs) {
    const { passed, failed, skipped } = count(results.filter((item) => item.leg === leg));
    console.log(`${leg.label}: ${passed} passed, ${failed} failed, ${skipped} skipped`);
  }
}

/** Builds; a failure is reported and counted, but the tests run on what there is. */
function tryBuild(wanted) {
  if (!wanted) return 0;
  try {
    build();
    return 0;
  } catch (error) {
    console.error(paint('red', `BUILD FAILED: ${error.message}`));
    return 1;
  }
}

async function main() {
  const options = parseArguments(process.argv.slice(2));
  const started = Date.now();
  ensureInstalled();
  const runtimes = findRuntimes();
  linkBinaries(runtimes);
  const buildFailures = tryBuild(options.build);
  const { filters, only } = options;
  const isChosen = ({ path }) => filters.length === 0 || filters.some((f) => path.includes(f));
  const tests = listTests().filter(isChosen);
  if (tests.length === 0) throw new Error('no test file matches');
  const legs = listLegs(runtimes, only);
  const env = {
    ...process.env,
    PATH: makePath(runtimes),
    CATAVMM_TEST_RUNTIMES: JSON.stringify(runtimes),
    DENO_NO_UPDATE_CHECK: '1',
  };
  const context = { env, verbose: options.verbose };
  const jobs = listJobs(tests, legs);
  const results = [];
  const width = Math.min(jobsMax, availableParallelism());
  await runJobs(jobs.filter(({ test }) => !test.serial), width, results, context);
  await runJobs(jobs.filter(({ test }) => test.serial), 1, results, context);
  printSummary(results, legs);
  const { passed, failed, skipped } = count(results);
  const minutes = ((Date.now() - started) / 60_000).toFixed(1);
  console.log(`${results.length} test processes in ${minutes} min\n`);
  console.log(`${passed} passed, ${failed + buildFailures} failed, ${skipped} skipped`);
  process.exitCode = failed + buildFailures > 0 ? 1 : 0;
}

for (const [signal, code] of [['SIGINT', 130], ['SIGTERM', 143]]) {
  process.on(signal, () => {
    stopAll();
    process.exit(code);
  });
}
try {
  await main();
} catch (error) {
  console.error(paint('red', error.message));
  process.exitCode = 1;
}
