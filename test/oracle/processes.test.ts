// Programs of several processes as people run them: shells, Python; and what cannot be saved.

import { join } from 'node:path';
import { assert, kvmMissing, needs, suite } from '../harness.ts';
import { CatavmmError } from '../../vmm/errors.ts';
import { Sandbox } from '../../vmm/sandbox.ts';
import { fixturePath } from './compile.ts';
import { runFork, withTemplate } from './forks.ts';
import { withScratchAsync } from './images.ts';
import { compareWithHost } from './oracle.ts';
import { runCatavmm, textOf } from './process.ts';
import { findProgram, programMissing } from './programs.ts';
import { pythonMissing } from './python-missing.ts';

const test = suite('test/oracle/processes');
const testKvm = needs(test, kvmMissing());

const shells = ['dash', 'bash', 'busybox'] as const;
const scripts: readonly (readonly [script: string, shells: readonly string[]])[] = [
  ['tour', shells], ['scripts', shells], ['bash', ['bash']],
];
for (const [script, wanted] of scripts) {
  for (const shell of wanted) {
    const testShell = needs(test, kvmMissing() ?? programMissing(shell));
    testShell(`${shell} runs ${script}.sh as on the host`, () => {
      const path = findProgram(shell) as string;
      const argv = [path, ...shell === 'busybox' ? ['sh'] : [], fixturePath(`shell/${script}.sh`)];
      const { guest } = compareWithHost({ argv, timeoutMs: 60_000, retries: 1 });
      assert.is(guest.code, 0);
    }, { timeoutMs: 180_000 });
  }
}

const testPython = needs(test, kvmMissing() ?? pythonMissing());
testPython('Python starts, forks and waits for processes as on the host', () => {
  const argv = ['/usr/bin/python3', fixturePath('python/processes.py')];
  compareWithHost({ argv, timeoutMs: 60_000, retries: 1 });
}, { timeoutMs: 180_000 });

testKvm('300 programs one after the other end as they should', () => {
  const script = 'i=0; while [ $i -lt 150 ]; do ' +
    'x=$(/bin/echo $i | tr 0-9 a-j) || exit 1; i=$((i+1)); done; echo $x';
  const outcome = runCatavmm(['run', '--', '/bin/sh', '-c', script], { timeoutMs: 60_000 });
  assert.is(textOf(outcome.stderr), '');
  assert.is(textOf(outcome.stdout), 'bej\n');
  assert.is(outcome.code, 0);
}, { timeoutMs: 90_000 });

testKvm('a fork bomb runs into its limit, and the sandbox ends in time', () => {
  const script = 'bomb() { bomb | bomb & }; bomb; sleep 1; echo survived';
  const outcome = runCatavmm(
    ['run', '--timeout', '20s', '--', '/bin/bash', '-c', script], { timeoutMs: 60_000 });
  assert.ok([0, 124, 254].includes(outcome.code), `exit code ${outcome.code}`);
}, { timeoutMs: 90_000 });

testKvm('a child that takes all memory is killed, its parent goes on', () => {
  const script = 'python3 -c "b = bytearray(10**9)" 2>/dev/null; echo "child $?"';
  const outcome = runCatavmm(
    ['run', '--memory', '96m', '--', '/bin/sh', '-c', script], { timeoutMs: 60_000 });
  assert.match(textOf(outcome.stdout), /^child (1|137|127)\n$/);
}, { timeoutMs: 90_000 });

testKvm('a program with a child cannot be saved, and says so', async () => {
  await withScratchAsync(async (folder) => {
    const output = join(folder, 'a.cfi');
    const command = ['/bin/sh', '-c', 'sleep 30 & read line'];
    const error = await Sandbox.build({ command, output }).then(() => null, (e: unknown) => e);
    assert.ok(CatavmmError.is(error), String(error));
    assert.is((error as CatavmmError).code, 'CATAVMM_PROCESSES');
    assert.match((error as CatavmmError).message, /has a child process/);
  });
});

testKvm('a program that has waited for its children is saved, and its forks have their own',
  async () => {
  const script = 'x=$(echo ready); read line; echo "$x $(echo $line | tr a-z A-Z)"; (exit 3)';
  await withTemplate({ command: ['/bin/sh', '-c', `${script}; true`] }, async (template, image) => {
    assert.is(await runFork(image, 'one\n'), 'ready ONE\n');
    for (const word of ['two', 'three']) {
      assert.is(await runFork(template, `${word}\n`), `ready ${word.toUpperCase()}\n`);
    }
  });
}, { timeoutMs: 60_000 });

test.run();
