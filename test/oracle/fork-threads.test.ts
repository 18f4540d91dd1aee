// Forks of a program with many threads (paper, section 4.1): each thread goes on where it waited.

import { assert, kvmMissing, needs, suite } from '../harness.ts';
import { compileFixture, compilerMissing } from './compile.ts';
import { runFork, withTemplate } from './forks.ts';
import { runNative } from './oracle.ts';
import { textOf } from './process.ts';

const test = suite('test/oracle/fork-threads');
const testBoth = needs(test, kvmMissing() ?? compilerMissing());

const FORKS = 20;

function answerTo(n: number): string {
  return `sum ${n * (n + 1) / 2} steps ${n}\n`;
}

testBoth('the program with eight threads answers so natively', () => {
  const { stdout } = runNative({ argv: [compileFixture('fork-threads')], stdin: '100\n' }, '/');
  assert.is(textOf(stdout), answerTo(100));
});

testBoth('20 forks of a program with eight waiting threads end right, one by one', async () => {
  await withTemplate({ command: [compileFixture('fork-threads')] }, async (template) => {
    for (let i = 0; i < FORKS; i++) {
      assert.is(await runFork(template, `${i * 37}\n`), answerTo(i * 37), `fork ${i}`);
    }
  });
});

testBoth('20 forks of a program with eight waiting threads end right, all at once', async () => {
  await withTemplate({
    command: [compileFixture('fork-threads', 'static')], memory: '64Mi',
  }, async (template) => {
    const numbers = Array.from({ length: FORKS }, (_unused, i) => 50 + i);
    const answers = await Promise.all(numbers.map((n) => runFork(template, `${n}\n`)));
    assert.equal(answers, numbers.map(answerTo));
  });
}, { timeoutMs: 120_000 });

test.run();
