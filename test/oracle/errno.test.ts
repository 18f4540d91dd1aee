// The errno of some 2,500 calls with bad arguments (fixtures/c/errno.c), natively and in the
// sandbox.

import { assert, kvmMissing, needs, suite } from '../harness.ts';
import { compileFixture, compilerMissing } from './compile.ts';
import { baseEnvironment, makeScratch, prepareFiles, runGuest, runNative } from './oracle.ts';
import { textOf } from './process.ts';
import { rmSync } from 'node:fs';

/** A difference that is meant to be: the rows it holds for, and why. */
interface Expected {
  /** Matches a line's label: `138 execveat low at 1`. */
  rows: RegExp;
  reason: string;
}

const expected: readonly Expected[] = [
  { rows: / (execveat|pidfd_open) /, reason: 'not implemented: ENOSYS instead of the first check' },
  {
    rows: / (settimeofday|fchown) /,
    reason: 'a container\'s root has no CAP_SYS_TIME; nobody may not change owners, also not to -1',
  },
];

const rowsMin = 1500;
const test = suite('test/oracle/errno');
const testBoth = needs(test, kvmMissing() ?? compilerMissing());

function readRows(output: Uint8Array): Map<string, string> {
  return new Map(textOf(output).trim().split('\n').map((line) => {
    const colon = line.lastIndexOf(': ');
    return [line.slice(0, colon), line.slice(colon + 2)];
  }));
}

testBoth('calls with bad arguments return the errno that the host returns', () => {
  const cwd = makeScratch();
  try {
    const argv = [compileFixture('errno', 'static')];
    const comparison = { argv, env: baseEnvironment, timeoutMs: 60_000 };
    const host = runNative(comparison, cwd);
    prepareFiles(cwd);
    const guest = runGuest(comparison, cwd);
    assert.is(host.code, 0, textOf(host.stderr));
    assert.is(guest.code, 0, textOf(guest.stderr));
    const wanted = readRows(host.stdout);
    const got = readRows(guest.stdout);
    assert.ok(wanted.size >= rowsMin, `${wanted.size} rows`);
    const differences = [...wanted]
      .filter(([row, errno]) => got.get(row) !== errno)
      .filter(([row]) => !expected.some(({ rows }) => rows.test(row)))
      .map(([row, errno]) => `${row}: host ${errno}, guest ${got.get(row) ?? 'nothing'}`);
    assert.equal(differences, []);
  } finally {
    rmSync(cwd, { recursive: true, force: true });
  }
}, { timeoutMs: 150_000 });

test.run();
