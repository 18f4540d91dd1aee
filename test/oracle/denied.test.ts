// Calls that templates may not make: they end a build, and no template is made after one.

import { join } from 'node:path';
import { existsSync } from 'node:fs';
import { assert, kvmMissing, needs, suite } from '../harness.ts';
import { CatavmmError } from '../../vmm/errors.ts';
import { Sandbox } from '../../vmm/sandbox.ts';
import { Template } from '../../vmm/template.ts';
import { compileFixture, compilerMissing } from './compile.ts';
import { runFork, waitForText, withTemplate } from './forks.ts';
import { withScratchAsync } from './images.ts';

const test = suite('test/oracle/denied');
const testBoth = needs(test, kvmMissing() ?? compilerMissing());

/** The error that a promise ends with. */
async function errorOf(promise: Promise<unknown>): Promise<CatavmmError> {
  try {
    await promise;
  } catch (error) {
    if (CatavmmError.is(error)) return error;
    throw error;
  }
  return assert.unreachable('it should have failed');
}

testBoth('a denied call before the func-entry point ends the build and says why', async () => {
  await withScratchAsync(async (folder) => {
    const output = join(folder, 'a.cfi');
    const error = await errorOf(Sandbox.build({ command: [compileFixture('denied')], output }));
    assert.is(error.code, 'CATAVMM_TEMPLATE_DENIED');
    assert.match(error.message, /called mlock\(\).* Locked pages .*\.$/);
    assert.match(error.hint, /func-entry point/);
    assert.not(existsSync(output));
  });
});

testBoth('calls that fail, and denied ones behind the entry, are nobody\'s concern', async () => {
  await withTemplate({ command: [compileFixture('denied'), 'after'] }, async (template) => {
    for (const word of ['one\n', 'two\n']) {
      assert.is(await runFork(template, word), `mlock(page, sizeof(page)) = 0\nread ${word}\n`);
    }
  });
});

testBoth('no template is made of a sandbox that made a denied call, and it goes on', async () => {
  const input = new TransformStream<Uint8Array, Uint8Array>();
  const writer = input.writable.getWriter();
  const sandbox = await Sandbox.run({
    command: [compileFixture('denied'), 'wait'], stdin: input.readable,
  });
  const reader = sandbox.stdout.getReader();
  await waitForText(reader, 'io_uring');
  const error = await errorOf(Template.from(sandbox));
  assert.is(error.code, 'CATAVMM_TEMPLATE_DENIED');
  assert.is((await errorOf(sandbox.fork())).code, 'CATAVMM_TEMPLATE_DENIED');
  await writer.write(new TextEncoder().encode('on\n'));
  await writer.close();
  assert.match(await waitForText(reader, 'read'), /read on/);
  assert.is((await sandbox.status).code, 0);
  await sandbox.close();
});

testBoth('a fork that makes a denied call can be forked no more, its template can', async () => {
  await withTemplate({ command: [compileFixture('denied'), 'after'] }, async (template) => {
    const input = new TransformStream<Uint8Array, Uint8Array>();
    const sandbox = await template.fork({ stdin: input.readable });
    await waitForText(sandbox.stdout.getReader(), 'mlock');
    assert.is((await errorOf(Template.from(sandbox))).code, 'CATAVMM_TEMPLATE_DENIED');
    await sandbox.close();
    assert.match(await runFork(template, 'x\n'), /read x/);
  });
});

test.run();
