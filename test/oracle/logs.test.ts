// Log files (--log): the only files of the host that a sandbox may write, named by whoever starts
// it.

import { existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { assert, kvmMissing, needs, suite } from '../harness.ts';
import { CatavmmError } from '../../vmm/errors.ts';
import { Sandbox } from '../../vmm/sandbox.ts';
import { withTemplate } from './forks.ts';
import { withScratchAsync } from './images.ts';
import { runCatavmm, textOf } from './process.ts';

const test = suite('test/oracle/logs');
const testKvm = needs(test, kvmMissing());
const TARGET = '/var/log/app.log';

function shell(script: string): string[] {
  return ['/bin/sh', '-c', script];
}

async function outputOf(sandbox: Sandbox): Promise<{ code: number; out: string; err: string }> {
  const { code, stdout, stderr } = await sandbox.output();
  return { code, out: textOf(stdout), err: textOf(stderr) };
}

testKvm('a guest appends to a log, whatever it opens it for, and reads it', async () => {
  await withScratchAsync(async (folder) => {
    const source = join(folder, 'host.log');
    writeFileSync(source, 'before\n');
    const script = `echo one >> ${TARGET}; echo two > ${TARGET}; cat ${TARGET}; ` +
      `tail -c 4 ${TARGET}; [ -c ${TARGET} ] && echo device; rm ${TARGET} 2>/dev/null; echo $?`;
    const sandbox = await Sandbox.run({
      command: shell(script), logs: [{ source, target: TARGET }],
    });
    const { out } = await outputOf(sandbox);
    assert.is(out, 'before\none\ntwo\ntwo\ndevice\n1\n');
    assert.is(readFileSync(source, 'utf8'), 'before\none\ntwo\n');
  });
});

testKvm('nothing else that it writes persists, and a log that is missing is made', async () => {
  await withScratchAsync(async (folder) => {
    const source = join(folder, 'made.log');
    const script = `echo lost > ${folder}/other; echo kept >> ${source}`;
    const outcome = runCatavmm(['run', '--log', source, '--', ...shell(script)]);
    assert.is(outcome.code, 0, textOf(outcome.stderr));
    assert.is(readFileSync(source, 'utf8'), 'kept\n');
    assert.not(existsSync(join(folder, 'other')));
  });
});

testKvm('forks share a log without losing a line; one without a grant cannot write', async () => {
  const script = `exec 3>> ${TARGET}; read word; i=0; while [ $i -lt 50 ]; do ` +
    'echo "$word $i" >&3 || exit 7; i=$((i+1)); done';
  await withScratchAsync(async (folder) => {
    const source = join(folder, 'shared.log');
    const logs = [{ source, target: TARGET }];
    await withTemplate({ command: shell(script), logs }, async (template, image) => {
      const words = ['a', 'b', 'c', 'd'];
      const forks = await Promise.all(words.map((word) =>
        template.fork({ stdin: `${word}\n`, logs })));
      const codes = await Promise.all(forks.map(async (fork) => (await outputOf(fork)).code));
      assert.equal(codes, [0, 0, 0, 0]);
      const lines = readFileSync(source, 'utf8').trim().split('\n');
      const wanted = words.flatMap((word) => Array.from({ length: 50 }, (_, i) => `${word} ${i}`));
      assert.equal(lines.sort(), wanted.sort());
      const refused = await outputOf(await image.boot({ stdin: 'x\n' }));
      assert.is(refused.code, 7);
      assert.is(readFileSync(source, 'utf8').includes('x'), false);
      const other = join(folder, 'other.log');
      const elsewhere = await image.boot({
        stdin: 'y\n', logs: [{ source: other, target: TARGET }],
      });
      assert.is((await outputOf(elsewhere)).code, 0);
      assert.match(readFileSync(other, 'utf8'), /^y 0\n/);
    });
  });
}, { timeoutMs: 60_000 });

testKvm('what is no regular file, or cannot be opened, is refused in a sentence', async () => {
  await withScratchAsync(async (folder) => {
    mkdirSync(join(folder, 'directory'));
    symlinkSync('/tmp/elsewhere', join(folder, 'link'));
    const rows: [source: string, target: string, why: RegExp][] = [
      [join(folder, 'no', 'such'), TARGET, /cannot be opened for writing \(ENOENT\)/],
      [join(folder, 'directory'), TARGET, /cannot be opened for writing \(EISDIR\)/],
      [join(folder, 'link'), TARGET, /cannot be opened for writing \(ELOOP\)/],
      ['/dev/null', TARGET, /is no regular file/],
      [join(folder, 'a'), 'relative', /is no file below/],
      [join(folder, 'a'), '/proc/a', /can be shown as \/proc\/a/],
    ];
    for (const [source, target, why] of rows) {
      const error = await Sandbox.run({
        command: ['/bin/true'], logs: [{ source, target }],
      }).then(() => null, (e: unknown) => e);
      assert.ok(CatavmmError.is(error), `${source}: ${String(error)}`);
      assert.match((error as CatavmmError).message, why);
    }
  });
});

test.run();
