// The same program, built to an image and booted from it: after the func-entry point it must answer
// as it would natively. What it printed before belongs to the build.

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { assert, kvmMissing, needs, suite } from '../harness.ts';
import { Sandbox } from '../../vmm/sandbox.ts';
import { compileFixture, compilerMissing, fixturePath } from './compile.ts';
import { assertBoot, bootImage, buildImage, withScratch, withScratchAsync } from './images.ts';
import { runCatavmm, textOf } from './process.ts';
import { runNative } from './oracle.ts';

const test = suite('test/oracle/images');
const testKvm = needs(test, kvmMissing());
const testBoth = needs(test, kvmMissing() ?? compilerMissing());

/** What a program prints natively after the line that ends its initialisation. */
function nativeTail(
  argv: readonly string[], stdin: string, folder: string, lastLine: string | undefined,
): { stdout: string; code: number } {
  const { stdout, code } = runNative({ argv, stdin }, folder);
  const text = textOf(stdout);
  if (lastLine === undefined) return { stdout: text, code };
  const at = text.indexOf(lastLine);
  assert.ok(at >= 0, `"${lastLine}" in ${text}`);
  return { stdout: text.slice(at + lastLine.length), code };
}

interface Row {
  what: string;
  argv: () => readonly string[];
  /** The last line before the func-entry point. */
  lastLine?: string;
  requests: readonly string[];
  flags?: readonly string[];
}

const rows: readonly Row[] = [
  {
    what: 'threads that wait at an explicit entry',
    argv: () => [compileFixture('entry')],
    lastLine: 'initialised\n',
    requests: ['one\ntwo\n', ''],
  },
  {
    what: 'static threads that wait at an explicit entry',
    argv: () => [compileFixture('entry', 'static'), 'once'],
    lastLine: 'initialised\n',
    requests: ['one\ntwo\nthree\n'],
  },
  {
    what: 'an entry that comes twice',
    argv: () => [compileFixture('entry', 'static'), 'twice'],
    lastLine: 'initialised\n',
    requests: ['x\n'],
  },
  {
    what: 'the first read of stdin',
    argv: () => [compileFixture('stdin-echo')],
    lastLine: 'ready\n',
    requests: ['1\n2\n3\n', ''],
    flags: ['--entry', 'stdin'],
  },
  {
    what: 'a line that is printed',
    argv: () => [compileFixture('stdin-echo', 'static')],
    lastLine: 'ready\n',
    requests: ['7\n'],
    flags: ['--entry', 'line=ready'],
  },
  {
    what: 'whatever comes first',
    argv: () => [compileFixture('stdin-echo', 'static-pie')],
    lastLine: 'ready\n',
    requests: ['9\n'],
  },
];

for (const { what, argv, lastLine, requests, flags = [] } of rows) {
  testBoth(`an image built at ${what} answers like the program on the host`, () => {
    withScratch((folder) => {
      const image = buildImage(folder, 'a.cfi', { argv: argv(), flags });
      for (const stdin of requests) {
        assertBoot(image, stdin, nativeTail(argv(), stdin, folder, lastLine));
      }
    });
  }, { timeoutMs: 120_000 });
}

testKvm('hello boots from its image again and again', () => {
  withScratch((folder) => {
    const argv = [fixturePath('hello/hello')];
    const image = buildImage(folder, 'hello.cfi', { argv });
    for (const stdin of ['104729\n', 'Ada\n', '', '9999991\n']) {
      assertBoot(image, stdin, nativeTail(argv, stdin, folder, 'are ready\n'));
    }
  });
});

testKvm('an image boots twice in one process, and two boots run at once', async () => {
  await withScratchAsync(async (folder) => {
    const image = buildImage(folder, 'hello.cfi', { argv: [fixturePath('hello/hello')] });
    for (const number of [2, 3]) {
      const output = await (await Sandbox.boot(image, { stdin: `${number}\n` })).output();
      assert.is(output.code, 0);
      assert.is(textOf(output.stdout), `hello: ${number} is prime number ${number - 1}\n`);
    }
    const both = await Promise.all(['Ada', 'Bob'].map(async (name) =>
      (await Sandbox.boot(image, { stdin: `${name}\n`, verify: true })).output()));
    assert.equal(both.map(({ stdout }) => textOf(stdout)), ['hello, Ada!\n', 'hello, Bob!\n']);
  });
});

testBoth('two boots of one image differ in randomness and generation, not in addresses', () => {
  withScratch((folder) => {
    const argv = [compileFixture('static-entry'), 'show'];
    const image = buildImage(folder, 'a.cfi', { argv });
    const [first, second] = [1, 2].map(() => readShown(textOf(bootImage(image, 'x\n').stdout)));
    assert.is(first?.['address'], second?.['address']);
    assert.is(first?.['drawn'], second?.['drawn']);
    assert.ok(first?.['random'] !== second?.['random'], 'getrandom() after the entry');
    assert.ok(Number(first?.['generation']) >= 1, 'a generation');
    const now = Date.now() / 1000;
    assert.ok(Math.abs(Number(second?.['wall']) - now) < 30, 'the wall clock is right');
  });
});

/** `key value key value` of the fixture's last line. */
function readShown(text: string): Record<string, string> {
  const words = (text.trim().split('\n').at(-1) ?? '').split(' ');
  const shown: Record<string, string> = {};
  for (let i = 0; i + 1 < words.length; i += 2) shown[words[i] as string] = words[i + 1] as string;
  assert.ok(shown['address'] !== undefined, text);
  return shown;
}

testBoth('two ordinary builds have different address spaces', () => {
  withScratch((folder) => {
    const argv = [compileFixture('static-entry', 'static-pie'), 'show'];
    const addresses = ['a.cfi', 'b.cfi'].map((name) => {
      const image = buildImage(folder, name, { argv });
      return readShown(textOf(bootImage(image, 'x\n').stdout))['address'];
    });
    assert.ok(addresses[0] !== addresses[1], `both at ${addresses[0]}`);
  });
});

testBoth('two deterministic builds of a static program are the same file', () => {
  withScratch((folder) => {
    const argv = [compileFixture('static-entry', 'static'), 'x'];
    const [a, b] = ['a.cfi', 'b.cfi'].map((name) =>
      readFileSync(buildImage(folder, name, { argv, flags: ['--deterministic'] })));
    assert.bytes(new Uint8Array(a as Uint8Array), new Uint8Array(b as Uint8Array));
    assertBoot(join(folder, 'b.cfi'), 'x\n', nativeTail(argv, 'x\n', folder, 'ready 2 x\n'));
  });
});

testBoth('a self-contained image boots where the rootfs is empty', () => {
  withScratch((folder) => {
    withScratch((empty) => {
      const argv = [compileFixture('entry')];
      const image = buildImage(folder, 'a.cfi', { argv, flags: ['--self-contained'] });
      const expected = nativeTail(argv, 'one\n', folder, 'initialised\n');
      assertBoot(image, 'one\n', expected, ['--rootfs', empty]);
    });
  });
});

testBoth('an image built after training goes on where the training ended', () => {
  withScratch((folder) => {
    const argv = [compileFixture('stdin-echo', 'static')];
    const requests = join(folder, 'requests');
    writeFileSync(requests, '5\n6\n');
    const flags = ['--entry', 'stdin', '--train', '2', '--train-input', requests];
    const image = buildImage(folder, 'a.cfi', { argv, flags });
    // The third answer, for the program counts.
    assertBoot(image, '7\n', nativeTail(argv, '5\n6\n7\n', folder, '2: 36\n'));
  });
});

testBoth('training goes past an explicit entry, to where the next request is waited for', () => {
  withScratch((folder) => {
    const argv = [compileFixture('entry', 'static')];
    const requests = join(folder, 'requests');
    writeFileSync(requests, 'one\ntwo\n');
    const flags = ['--entry', 'explicit', '--train', '2', '--train-input', requests];
    const image = buildImage(folder, 'a.cfi', { argv, flags });
    const native = nativeTail(argv, 'two\nthree\n', folder, 'woken with 42\n');
    assertBoot(image, 'three\n', { ...native, stdout: native.stdout.replace(/^two: .*\n/, '') });
  });
});

testBoth('a failed build leaves the good image in place', () => {
  withScratch((folder) => {
    const argv = [fixturePath('hello/hello')];
    const image = buildImage(folder, 'a.cfi', { argv });
    const before = readFileSync(image);
    const outcome = runCatavmm(['build', '-o', image, '--', compileFixture('ends'), 'null']);
    assert.ok(outcome.code !== 0, 'the program ended before its entry');
    assert.bytes(new Uint8Array(readFileSync(image)), new Uint8Array(before));
  });
});

test.run();
