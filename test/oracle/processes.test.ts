// Programs of several processes as people run them, shells and Python.

import { assert, kvmMissing, needs, suite } from '../harness.ts';
import { Sandbox } from '../../vmm/sandbox.ts';
import { Template } from '../../vmm/template.ts';
import { fixturePath } from './compile.ts';
import { Dialogue, runFork, withTemplate } from './forks.ts';
import { compareWithHost } from './oracle.ts';
import { runCatavmm, textOf } from './process.ts';
import { findProgram, programMissing } from './programs.ts';
import { pythonMissing } from './python-missing.ts';

const test = suite('test/oracle/processes');
const testKvm = needs(test, kvmMissing());

const shells = ['dash', 'bash', 'busybox'] as const;
const scripts: readonly (readonly [script: string, shells: readonly string[]])[] = [
  ['tour', ['dash']], ['scripts', shells], ['bash', ['bash']],
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
for (const script of ['processes', 'process-modules']) {
  testPython(`Python runs ${script}.py as on the host`, () => {
    const argv = ['/usr/bin/python3', fixturePath(`python/${script}.py`)];
    compareWithHost({ argv, timeoutMs: 60_000, retries: 1 });
  }, { timeoutMs: 180_000 });
}

testKvm('a fork bomb runs into its limit, and the sandbox ends in time', () => {
  const script = 'bomb() { bomb | bomb & }; bomb; sleep 1; echo survived';
  const outcome = runCatavmm(
    ['run', '--timeout', '4s', '--', '/bin/bash', '-c', script], { timeoutMs: 60_000 });
  assert.ok([0, 124, 254].includes(outcome.code), `exit code ${outcome.code}`);
}, { timeoutMs: 90_000 });

testKvm('a child that takes all memory is killed, its parent goes on', () => {
  const script = 'python3 -c "b = bytearray(10**9)" 2>/dev/null; echo "child $?"';
  const outcome = runCatavmm(
    ['run', '--memory', '96m', '--', '/bin/sh', '-c', script], { timeoutMs: 60_000 });
  assert.match(textOf(outcome.stdout), /^child (1|137|127)\n$/);
}, { timeoutMs: 90_000 });

const env = { PATH: '/usr/bin:/bin' };

testKvm('a sandbox can be forked while it has a child, and afterwards', async () => {
  const script = 'sleep 30 & echo up; read line; kill $!; wait; echo alone; read line; ' +
    'echo "$line $(echo $line | rev)"';
  const command = ['/bin/sh', '-c', script];
  const dialogue = await Dialogue.begin((stdin) => Sandbox.run({ command, stdin, env }));
  assert.is(await dialogue.line(), 'up');
  const first = await Template.from(dialogue.sandbox);
  for (const word of ['one', 'two']) {
    const reversed = [...word].reverse().join('');
    assert.is(await runFork(first, `go\n${word}\n`), `alone\n${word} ${reversed}\n`);
  }
  await first.close();
  assert.is(await dialogue.ask('go'), 'alone');
  const template = await Template.from(dialogue.sandbox);
  assert.is(await runFork(template, 'one\n'), 'one eno\n');
  assert.is(await runFork(template, 'two\n'), 'two owt\n');
  await template.close();
  assert.is(await dialogue.ask('last'), 'last tsal');
  await dialogue.end();
}, { timeoutMs: 60_000 });

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
