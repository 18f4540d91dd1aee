// Functions in languages with a runtime of their own: prepared, saved at their entry, and right in
// every kind of boot. Also what such runtimes have in memory that no C program has.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { assert, kvmMissing, needs, suite } from '../harness.ts';
import { compileFixture, compilerMissing, fixturePath } from './compile.ts';
import { bootImage, buildImage, withScratch } from './images.ts';
import { runProcess, textOf } from './process.ts';

const MODES = ['cold', 'warm', 'fork'] as const;
const REQUESTS = '{"n": 7}\n{"n": 99}\n';
const ANSWERS = '{"n":7,"square":49,"random":true}\n{"n":99,"square":9801,"random":true}\n';

const test = suite('test/oracle/languages');

function needsProgram(path: string, install: string): string | undefined {
  return kvmMissing() ?? (existsSync(path) ? undefined : `${path} (apt-get install ${install})`);
}

/** Saves a function and boots it twice in each mode; its memory limit is that of the build. */
function checkFunction(folder: string, argv: readonly string[]): void {
  const flags = ['--memory', '2g'];
  const image = buildImage(folder, 'function.cfi', { argv, flags, cwd: folder });
  for (const mode of MODES) {
    const outcome = bootImage(image, REQUESTS, ['--mode', mode, '-n', '2']);
    assert.is(textOf(outcome.stderr), '', mode);
    assert.is(textOf(outcome.stdout), ANSWERS + ANSWERS, mode);
    assert.is(outcome.code, 0, mode);
  }
}

needs(test, needsProgram('/usr/bin/node', 'nodejs'))('Node', () => {
  withScratch((folder) => {
    checkFunction(folder, ['/usr/bin/node', fixturePath('node/function.cjs')]);
  });
}, { timeoutMs: 200_000 });

needs(test, needsProgram('/usr/bin/ruby', 'ruby'))('Ruby', () => {
  withScratch((folder) => {
    checkFunction(folder, ['/usr/bin/ruby', fixturePath('ruby/function.rb')]);
  });
}, { timeoutMs: 200_000 });

needs(test, needsProgram('/usr/bin/javac', 'openjdk-17-jdk-headless'))('Java', () => {
  withScratch((folder) => {
    const sources = ['helpers/java/catavmm/Catavmm.java', 'java/Function.java'].map(fixturePath);
    const classes = join(folder, 'classes');
    const outcome = runProcess(
      ['/usr/bin/javac', '-d', classes, ...sources], { timeoutMs: 100_000 });
    assert.is(outcome.code, 0, textOf(outcome.stderr));
    checkFunction(folder, ['/usr/bin/java', '-cp', classes, 'Function']);
  });
}, { timeoutMs: 300_000 });

const testC = needs(test, kvmMissing() ?? compilerMissing());

testC('pages that nobody may touch are so in boots', () => {
  withScratch((folder) => {
    const argv = [compileFixture('guard-entry')];
    const native = runProcess(argv, { stdin: '\n\n', timeoutMs: 20_000 });
    assert.is(native.code, 0);
    const image = buildImage(folder, 'guard.cfi', { argv });
    for (const mode of MODES) {
      const outcome = bootImage(image, '\n\n', ['--mode', mode, '-n', '3']);
      assert.is(textOf(outcome.stdout), textOf(native.stdout).repeat(3), mode);
    }
  });
});

test.run();
