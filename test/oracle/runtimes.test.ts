// An image does not belong to the runtime that built it: built here, booted on all three, from the
// place where it was built and from another directory.

import { copyFileSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { assert, kvmMissing, needs, suite } from '../harness.ts';
import { runtimeNames } from '../helpers/runtimes.ts';
import { compileFixture, compilerMissing, fixturePath } from './compile.ts';
import { assertBoot, bootImage, buildImage, withScratch } from './images.ts';
import { textOf } from './process.ts';
import { pythonMissing } from './python-missing.ts';

const test = suite('test/oracle/runtimes');
const testKvm = needs(test, kvmMissing());
const testBoth = needs(test, kvmMissing() ?? compilerMissing());
const testPython = needs(test, kvmMissing() ?? pythonMissing());

testKvm('an image boots under Node, Bun and Deno, also after being copied', () => {
  withScratch((folder) => {
    const image = buildImage(folder, 'hello.cfi', { argv: [fixturePath('hello/hello')] });
    mkdirSync(join(folder, 'elsewhere'));
    const copy = join(folder, 'elsewhere/copied.cfi');
    copyFileSync(image, copy);
    for (const runtime of runtimeNames) {
      const expected = { stdout: 'hello: 5 is prime number 3\n', code: 0 };
      assertBoot(image, '5\n', expected, [], runtime);
      assertBoot(copy, '5\n', expected, [], runtime);
    }
  });
}, { timeoutMs: 120_000 });

testBoth('deterministic builds give the same bytes on Node, Bun and Deno', () => {
  withScratch((folder) => {
    const argv = [compileFixture('static-entry', 'static'), 'x'];
    const images = runtimeNames.map((runtime) => readFileSync(
      buildImage(folder, `${runtime}.cfi`, { argv, flags: ['--deterministic'], runtime })));
    for (const image of images) {
      assert.bytes(new Uint8Array(image), new Uint8Array(images[0] as Uint8Array));
    }
  });
}, { timeoutMs: 120_000 });

testPython('a Python image boots under Node, Bun and Deno and answers', () => {
  withScratch((folder) => {
    const argv = ['python3', fixturePath('python/server_stdin.py')];
    const image = buildImage(folder, 'python.cfi', { argv, flags: ['--entry', 'stdin'] });
    for (const runtime of runtimeNames) {
      const outcome = bootImage(image, '{"n": 7, "zone": "Europe/Paris"}\n', [], runtime);
      assert.is(outcome.code, 0, textOf(outcome.stderr));
      const answer = JSON.parse(textOf(outcome.stdout)) as Record<string, unknown>;
      assert.is(answer['square'], 49);
      assert.is(answer['fruit'], 'red grape');
      assert.is(answer['time'], '2023-11-14T23:13:20+01:00');
    }
  });
}, { timeoutMs: 150_000 });

testPython('the Python helper sees a new generation and new randomness in each boot', () => {
  withScratch((folder) => {
    const argv = ['python3', fixturePath('python/entry_helper.py'), 'show'];
    const image = buildImage(folder, 'python.cfi', { argv });
    const outputs = [1, 2].map(() => textOf(bootImage(image, '4\n').stdout).split('\n'));
    for (const lines of outputs) {
      assert.is(lines[0], 'callbacks True True');
      assert.is(lines[2], '16');
    }
    const [first, second] = outputs.map((lines) => (lines[1] ?? '').split(' '));
    assert.ok(Number(first?.[1]) >= 1, 'a generation');
    assert.ok(first?.[3] !== second?.[3], 'random numbers differ');
    assert.is(first?.[5], second?.[5], 'the hash seed is the image\'s');
  });
}, { timeoutMs: 120_000 });

test.run();
