// What watches files and processes lives through save, boot and fork.

import { rmSync } from 'node:fs';
import { assert, kvmMissing, needs, suite } from '../harness.ts';
import { compileFixture, compilerMissing } from './compile.ts';
import { runFork, withTemplate } from './forks.ts';
import type { ForkedProgram } from './forks.ts';
import { makeScratch, runNative } from './oracle.ts';
import { textOf } from './process.ts';

const test = suite('test/oracle/watch-entry');
const testBoth = needs(test, kvmMissing() ?? compilerMissing());

testBoth('watches, unread events, pidfds and pipes go on in boots and forks', async () => {
  const cwd = makeScratch();
  try {
    const argv = [compileFixture('watch-entry')];
    const native = textOf(runNative({ argv, stdin: 'go\n' }, cwd).stdout);
    // The first line was printed before the image was saved.
    const expected = native.slice(native.indexOf('\n') + 1);
    assert.match(expected, 'wd 1 mask 100 before');
    const program: ForkedProgram = { command: argv, cwd, entry: { kind: 'stdin' } };
    await withTemplate(program, async (template, image) => {
      assert.is(await runFork(image, 'go\n'), expected);
      assert.is(await runFork(template, 'go\n'), expected);
      assert.is(await runFork(template, 'go\n'), expected);
    });
  } finally {
    rmSync(cwd, { recursive: true, force: true });
  }
}, { timeoutMs: 60_000 });

test.run();
