// Programs that are several processes at their func-entry point: saved, and booted in every way.
// Behind that point they answer as on the host.

import { dirname, join } from 'node:path';
import { assert, kvmMissing, needs, suite } from '../harness.ts';
import { FuncImage } from '../../vmm/func-image.ts';
import { Sandbox } from '../../vmm/sandbox.ts';
import { Template } from '../../vmm/template.ts';
import { compileFixture, compilerMissing, fixturePath } from './compile.ts';
import { withImage, withTemplate } from './forks.ts';
import { assertBoot, buildImage, withScratch, withScratchAsync } from './images.ts';
import { runNative } from './oracle.ts';
import { runCatavmm, textOf } from './process.ts';
import { pythonMissing } from './python-missing.ts';

const test = suite('test/oracle/saved-processes');
const testKvm = needs(test, kvmMissing());
const testCompiler = needs(test, kvmMissing() ?? compilerMissing());
const testPython = needs(test, kvmMissing() ?? pythonMissing());

interface Program {
  command: readonly string[];
  stdins: readonly string[];
}

const family: () => Program = () => ({
  command: [compileFixture('entry-family')],
  stdins: ['hey\n', 'a longer line than the others\n'],
});
const python: () => Program = () => ({
  command: ['/usr/bin/python3', fixturePath('python/workers.py')],
  stdins: ['some words\n'],
});

const twins: () => Program = () => ({
  command: ['/usr/bin/python3', fixturePath('python/twins.py')],
  stdins: ['first\nand second\n', '', 'another word\n'],
});

/** What a program prints natively once it is ready, and how it ends. */
function runTail(
  { command }: Program, stdin: string, folder: string,
): { stdout: string; code: number } {
  const { stdout, code } = runNative({ argv: command, stdin }, folder);
  const [, tail = ''] = textOf(stdout).split('ready\n');
  assert.ok(tail !== '', textOf(stdout));
  return { stdout: tail, code };
}

/** Boots or forks, and compares with the host. */
async function assertAnswers(
  program: Program, folder: string, start: (stdin: string) => Promise<Sandbox>,
): Promise<void> {
  for (const stdin of program.stdins) {
    const sandbox = await start(stdin);
    const { code, stdout, stderr } = await sandbox.output();
    await sandbox.close();
    assert.equal({ code, stdout: textOf(stdout), stderr: textOf(stderr) },
      { ...runTail(program, stdin, folder), stderr: '' });
  }
}

/** A stdin that stays open. */
function openStdin(): ReadableStream<Uint8Array> {
  return new TransformStream<Uint8Array, Uint8Array>().readable;
}

testCompiler('a family of processes answers in every cold boot', () => {
  withScratch((folder) => {
    const program = family();
    const image = buildImage(folder, 'a.cfi', { argv: program.command });
    const ways = [
      [], ['--without', 'write-set'], ['--without', 'overlay'], ['--without', 'separated'],
    ];
    for (const [i, flags] of ways.entries()) {
      const stdin = program.stdins[i % program.stdins.length] as string;
      assertBoot(image, stdin, runTail(program, stdin, folder), flags);
    }
    assert.is(runCatavmm(['verify', image]).code, 0);
    assert.is(runCatavmm(['tune', image], { stdin: '' }).code, 0);
    assertBoot(image, 'tuned\n', runTail(program, 'tuned\n', folder));
  });
}, { timeoutMs: 120_000 });

for (const [what, make, testIt] of [
  ['a family of processes', family, testCompiler], ['Python with its workers', python, testPython],
  ['Python with a twin', twins, testPython],
] as const) {
  testIt(`${what} answers in warm boots, in forks, and in forks of forks`, async () => {
    const program = make();
    await withTemplate({ command: [...program.command] }, async (template, image) => {
      await withScratchAsync(async (folder) => {
        const check = (start: (stdin: string) => Promise<Sandbox>): Promise<void> =>
          assertAnswers(program, folder, start);
        for (let i = 0; i < 2; i++) {
          await check((stdin) => image.boot({ stdin }));
          await check((stdin) => template.fork({ stdin }));
        }
        const running = await template.fork({ stdin: openStdin() });
        await check((stdin) => running.fork({ stdin }));
        const second = await Template.from(running);
        await check((stdin) => second.fork({ stdin }));
        await second.close();
        await running.close();
      });
    });
  }, { timeoutMs: 180_000 });
}

testCompiler('a checkpoint of a family is a layer, from which it goes on', async () => {
  const program = family();
  await withImage({ command: [...program.command] }, async (image) => {
    await withScratchAsync(async (folder) => {
      const running = await image.boot({ stdin: openStdin() });
      for (const whole of [false, true]) {
        const file = join(whole ? folder : dirname(image.path), 'layer.cfi');
        await running.checkpoint(file, { whole });
        await assertAnswers(program, folder, (stdin) => Sandbox.boot(file, { stdin }));
      }
      await running.close();
    });
  });
}, { timeoutMs: 120_000 });

testPython('layers over an image of two processes go on from what both have', () => {
  withScratch((folder) => {
    const { command } = twins();
    const flags = ['--entry', 'stdin'];
    const parent = buildImage(folder, 'parent.cfi', { argv: command, flags });
    const layer = join(folder, 'layer.cfi');
    const handler = 'what the layer has read';
    const built = runCatavmm(['build', '-o', layer, '--from', parent, '--handler', handler]);
    assert.is(built.code, 0, textOf(built.stderr));
    for (const stdin of ['', 'one\n', 'two\nand three\n']) {
      const all = runTail({ command, stdins: [] }, `${handler}\n${stdin}`, folder);
      const own = { ...all, stdout: all.stdout.slice(all.stdout.indexOf('\n') + 1) };
      for (let i = 0; i < 2; i++) assertBoot(layer, stdin, own);
    }
    assert.is(runCatavmm(['verify', layer]).code, 0);
  });
}, { timeoutMs: 120_000 });

testCompiler('a program is saved whatever its children do', () => {
  withScratch((folder) => {
    const program = compileFixture('entry-children');
    for (const how of ['running', 'zombie', 'child', 'waited', 'ignored']) {
      const output = join(folder, `${how}.cfi`);
      const built = runCatavmm(['build', '-o', output, '--', program, how]);
      assert.is(built.code, 0, textOf(built.stderr));
      const booted = runCatavmm(['boot', output]);
      assert.is(textOf(booted.stdout), `its own child: yes\nended as ${how}\n`);
      assert.is(booted.code, 0);
    }
  });
}, { timeoutMs: 60_000 });

const manyCount = 80;

testCompiler('an image of many processes has what they share once, and boots again and again',
  async () => {
  const program = compileFixture('entry-many');
  await withScratchAsync(async (folder) => {
    const build = async (count: number): Promise<{ frames: number; output: string }> =>
      Sandbox.build({ command: [program, `${count}`], output: join(folder, `${count}.cfi`) });
    const alone = await build(0);
    const { frames, output } = await build(manyCount);
    assert.atMost(frames - alone.frames, manyCount * 20, 'frames of children');
    const command = [program, `${manyCount}`];
    const image = await FuncImage.open(output);
    const template = await Template.from(image);
    for (let i = 0; i < 4; i++) {
      await assertAnswers({ command, stdins: [''] }, folder, (stdin) => image.boot({ stdin }));
      await assertAnswers({ command, stdins: [''] }, folder, (stdin) => template.fork({ stdin }));
    }
    await template.close();
    await image.close();
  });
}, { timeoutMs: 120_000 });

testPython('a server is saved when its workers wait for connections', () => {
  withScratch((folder) => {
    const program = {
      command: ['/usr/bin/python3', fixturePath('python/prefork.py')],
      stdins: ['one\ntwo\nthree\n', ''],
    };
    const flags = ['--entry', 'listen'];
    const image = buildImage(folder, 'a.cfi', { argv: program.command, flags });
    for (const stdin of program.stdins) {
      assertBoot(image, stdin, runTail(program, stdin, folder));
    }
  });
}, { timeoutMs: 60_000 });

testKvm('a shell is saved while the program in its pipeline waits for input', () => {
  withScratch((folder) => {
    const script = 'x=$(echo all); echo ready; cat | tr a-z A-Z | while read line; do ' +
      'echo "$x $line"; done; echo "end $?"; exit 3';
    const program = { command: ['/bin/sh', '-c', script], stdins: ['one\ntwo\n', ''] };
    const flags = ['--entry', 'stdin'];
    const image = buildImage(folder, 'a.cfi', { argv: program.command, flags });
    for (const stdin of program.stdins) {
      assertBoot(image, stdin, runTail(program, stdin, folder));
    }
  });
}, { timeoutMs: 60_000 });

test.run();
