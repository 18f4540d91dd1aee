// The test harness: uvu with a timeout per test, skips that give a reason, and a report.
//
//   import { assert, suite } from './harness.ts';
//   const test = suite('formats/elf');
//   test('readHeader() rejects a short file', () => { … });
//   test.run();
//
// A test file runs alone on any runtime (bun x.test.ts, deno run -A x.test.ts, node dist/test/…)
// and exits with a code other than 0 when a test fails, never settles, a suite was not run, or
// something keeps the process alive afterwards. Nothing else imports uvu (but helpers/assert.ts).
// Environment: CATAVMM_TEST_NAME runs only tests whose name contains it, CATAVMM_TEST_REPORT
// names a file that gets the counts as JSON when the process ends (scripts/test.mjs reads it).

import { writeFileSync } from 'node:fs';
import process from 'node:process';
import { clearTimeout, setTimeout } from 'node:timers';
import { suite as uvuSuite } from 'uvu';
import { kvmMissing } from './helpers/kvm.ts';

export { assert, diffBytes } from './helpers/assert.ts';
export { kvmMissing, kvmUsable } from './helpers/kvm.ts';
export { seededRandom } from './helpers/random.ts';
export type { Assert, ErrorLike } from './helpers/assert.ts';
export type { Random } from './helpers/random.ts';

export type TestBody = () => unknown;

export interface TestOptions {
  /** The test fails when it has not settled after this time; default 30 s. */
  timeoutMs?: number;
}

/** Registers one test. */
export type RegisterTest = (name: string, body: TestBody, options?: TestOptions) => void;

/** A suite: call it to add a test, then `run()` it once at the end of the file. */
export interface Suite {
  (name: string, body: TestBody, options?: TestOptions): void;
  /** Counts the test as skipped; the reason is shown. */
  skip(name: string, reason: string): void;
  /** Before the first test. */
  before(body: TestBody): void;
  /** After the last test, also when tests failed. */
  after(body: TestBody): void;
  beforeEach(body: TestBody): void;
  afterEach(body: TestBody): void;
  run(): void;
}

const timeoutMsDefault = 30_000;
const lingerMs = 5_000;
const nameFilter: string = process.env['CATAVMM_TEST_NAME'] ?? '';
const reportPath: string = process.env['CATAVMM_TEST_REPORT'] ?? '';

const tally = {
  registered: 0,
  passed: 0,
  failed: 0,
  skipped: [] as { name: string; reason: string }[],
  suitesMade: 0,
  suitesRun: 0,
  suitesDone: 0,
};

/** Runs a body, but gives up on it after `timeoutMs`. Invariant: the timer keeps the process up. */
async function runTimed(name: string, body: TestBody, timeoutMs: number): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const timeout = new Promise<never>((_, reject) => {
    const error = new Error(`${name}: not settled after ${timeoutMs} ms`);
    timer = setTimeout(() => reject(error), timeoutMs);
  });
  try {
    await Promise.race([Promise.resolve().then(body), timeout]);
  } finally {
    clearTimeout(timer);
  }
}

/** A hook that fails counts as a failed test, for uvu gives up on the suite then. */
function guardHook(name: string, body: TestBody): () => Promise<void> {
  return async () => {
    try {
      await runTimed(name, body, timeoutMsDefault);
    } catch (error) {
      tally.failed++;
      console.error(`${name} failed:`, error);
      process.exitCode = 1;
      throw error;
    }
  };
}

/** Ends a process that something (a timer, a worker, a socket) keeps alive after the tests. */
function watchForLingering(): void {
  setTimeout(() => {
    console.error(`the process is still alive ${lingerMs} ms after its tests: something leaks`);
    tally.failed++;
    process.exit(1);
  }, lingerMs).unref();
}

/** Makes a suite. Its name is the source file it tests, e.g. `vmm/kernel/mm/vma`. */
export function suite(name: string): Suite {
  const inner = uvuSuite(name);
  tally.suitesMade++;

  function register(testName: string, body: TestBody, options: TestOptions = {}): void {
    if (nameFilter !== '' && !testName.includes(nameFilter)) return;
    tally.registered++;
    inner(testName, async () => {
      try {
        await runTimed(testName, body, options.timeoutMs ?? timeoutMsDefault);
        tally.passed++;
      } catch (error) {
        tally.failed++;
        throw error instanceof Error ? error : new Error(`thrown: ${String(error)}`);
      }
    });
  }
  function skip(testName: string, reason: string): void {
    if (nameFilter !== '' && !testName.includes(nameFilter)) return;
    tally.skipped.push({ name: `${name}: ${testName}`, reason });
    inner.skip();
  }
  function run(): void {
    tally.suitesRun++;
    // Registered last, so that it runs after the file's own `after` hooks.
    inner.after(() => {
      tally.suitesDone++;
      if (tally.suitesDone === tally.suitesRun) watchForLingering();
    });
    inner.run();
  }
  return Object.assign(register, {
    skip,
    before: (body: TestBody) => inner.before(guardHook(`${name}: before`, body)),
    after: (body: TestBody) => inner.after(guardHook(`${name}: after`, body)),
    beforeEach: (body: TestBody) => inner.before.each(body as () => void),
    afterEach: (body: TestBody) => inner.after.each(body as () => void),
    run,
  });
}

/**
 * A way to register tests that need something: `const testTar = needs(test, whyNot)`.
 * With a reason each test becomes a skip with that reason, with undefined it runs.
 */
export function needs(test: Suite, missing: string | undefined): RegisterTest {
  if (missing === undefined) return test;
  return (name) => test.skip(name, missing);
}

/** Registers tests that need KVM: `const testKvm = needsKvm(test); testKvm('…', () => …)`. */
export function needsKvm(test: Suite): RegisterTest {
  return needs(test, kvmMissing());
}

/** Sentences about what went wrong outside the tests themselves. */
function findMisuse(): string[] {
  const problems: string[] = [];
  if (tally.suitesRun < tally.suitesMade) problems.push('a suite was made but not run()');
  if (tally.suitesDone < tally.suitesRun) problems.push('the process ended before its tests');
  if (nameFilter === '' && tally.registered + tally.skipped.length === 0) {
    problems.push('the file has no test');
  }
  return problems;
}

process.on('exit', (code) => {
  for (const { name, reason } of tally.skipped) console.log(`SKIPPED ${name}: ${reason}`);
  const problems = findMisuse();
  for (const problem of problems) console.error(`harness: ${problem}`);
  const failed = tally.failed + problems.length;
  if (failed > 0 && !code) process.exitCode = 1;
  if (reportPath === '') return;
  const report = { passed: tally.passed, failed, skipped: tally.skipped };
  writeFileSync(reportPath, JSON.stringify(report));
});
