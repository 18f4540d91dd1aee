// Layers: two handlers on one Python runtime image.

import { copyFileSync, existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspectLayers, inspectSharing } from '../../../cli/inspect-layers.ts';
import { FuncImage } from '../../../vmm/func-image.ts';
import type { BuildResult } from '../../../vmm/options.ts';
import { Sandbox } from '../../../vmm/sandbox.ts';
import { Template } from '../../../vmm/template.ts';
import { checkImageFile } from '../../../vmm/boot/image/verify.ts';
import { assert, kvmMissing, needs, suite } from '../../harness.ts';
import { root } from '../../helpers/repository.ts';
import { runCatavmm, textOf } from '../../oracle/process.ts';
import { pythonMissing } from '../../oracle/python-missing.ts';

const test = suite('vmm/boot/layers');
const testPython = needs(test, kvmMissing() ?? pythonMissing());
const slow = { timeoutMs: 180_000 };
const folder = mkdtempSync(join(tmpdir(), 'catavmm-layers-'));
test.after(() => rmSync(folder, { recursive: true }));

const hello = join(root, 'fixtures/hello/hello');
const parent = join(folder, 'runtime.cfi');
const handlers = [{
  name: 'handler_squares',
  file: join(folder, 'squares.cfi'),
  answers: ['36 True\n', '81 True\n'],
}, {
  name: 'handler_fractions',
  file: join(folder, 'fractions.cfi'),
  answers: ['3/4 True\n', '9/8 True\n'],
}] as const;
const requests = ['{"n": 6}\n', '{"n": 9}\n'] as const;
const built: BuildResult[] = [];

/** Builds the images that the tests share, once. */
async function ensureImages(): Promise<BuildResult> {
  if (built.length === 0) {
    built.push(await Sandbox.build({
      command: ['/usr/bin/python3', join(root, 'fixtures/python/runtime_template.py')],
      env: { PYTHONDONTWRITEBYTECODE: '1' }, output: parent,
    }));
    for (const { name, file } of handlers) {
      built.push(await Sandbox.build({ from: parent, handler: [name], output: file }));
    }
  }
  return built[0] as BuildResult;
}

async function outputOf(sandbox: Sandbox): Promise<string> {
  const { stdout, stderr, code, message } = await sandbox.output();
  await sandbox.close();
  assert.equal([code, textOf(stderr), message], [0, '', undefined]);
  return textOf(stdout);
}

testPython('a layer holds less than a quarter of the frames of its parent', async () => {
  const runtime = await ensureImages();
  for (const { frames, parentFrames, entry } of built.slice(1)) {
    assert.is(parentFrames, runtime.frames);
    assert.is(entry, 'explicit');
    assert.ok(frames < runtime.frames / 4, `${frames} of ${runtime.frames}`);
  }
}, slow);

testPython('layers answer in cold, warm and forked sandboxes', async () => {
  await ensureImages();
  for (const { file, answers } of handlers) {
    assert.is(await outputOf(await Sandbox.boot(file, { stdin: requests[0] })), answers[0]);
    const image = await FuncImage.open(file);
    const template = await Template.from(image);
    for (const [index, stdin] of [...requests, ...requests].entries()) {
      const answer = answers[index % 2] as string;
      assert.is(await outputOf(await image.boot({ stdin })), answer, 'warm');
      assert.is(await outputOf(await template.fork({ stdin })), answer, 'fork');
    }
    await template.close();
    await image.close();
  }
}, slow);

testPython('verify and inspect know parents', async () => {
  const runtime = await ensureImages();
  for (const { file } of handlers) assert.equal(await checkImageFile(file), []);
  const [first] = handlers;
  const layers = inspectLayers(first.file, built[1]?.frames ?? 0);
  assert.is(layers.parent, parent);
  assert.is(layers.below, runtime.frames);
  assert.ok((layers.shared ?? 0) > runtime.frames / 2, `${layers.shared} shared`);
  const { common, images } = inspectSharing(handlers.map(({ file }) => file));
  assert.ok(common > runtime.frames / 2 && common <= (images[0]?.shared ?? 0), `${common} common`);
  const shown = textOf(runCatavmm(['inspect', first.file]).stdout);
  assert.match(shown, /parent +.*runtime\.cfi, [0-9a-f]{12}…\n +frames +[\d,]+ own, [\d,]+ shared/);
  const diff = runCatavmm(['inspect', '--diff', first.file, handlers[1].file]);
  assert.is(diff.code, 1);
  assert.match(textOf(diff.stdout), /\d+ guest pages differ\./);
}, slow);

testPython('layers and their parent move together', async () => {
  await ensureImages();
  const other = join(folder, 'moved');
  mkdirSync(other);
  copyFileSync(parent, join(other, 'another-name.cfi'));
  for (const { file, answers } of handlers) {
    const moved = join(other, 'child.cfi');
    copyFileSync(file, moved);
    const { stdout, stderr, code } = runCatavmm(['boot', moved], { stdin: requests[0] });
    assert.equal([textOf(stdout), textOf(stderr), code], [answers[0], '', 0]);
  }
}, slow);

testPython('a parent that is missing or another image is one sentence and 125', async () => {
  await ensureImages();
  const other = join(folder, 'alone');
  mkdirSync(other);
  const moved = join(other, 'child.cfi');
  copyFileSync(handlers[0].file, moved);
  const expected =
    /^catavmm: The func-image needs its parent image [0-9a-f]{12}…, which is not in .*\.\n$/;
  const boot = (): void => {
    const { stdout, stderr, code } = runCatavmm(['boot', moved], { stdin: requests[0] });
    assert.is(code, 125);
    assert.is(textOf(stdout), '');
    assert.match(textOf(stderr), expected);
  };
  boot();
  await Sandbox.build({ command: [hello], output: join(other, 'runtime.cfi') });
  boot();
  const findings = await checkImageFile(moved);
  assert.equal(findings.map(({ code }) => code), ['CATAVMM_IMAGE_PARENT']);
}, slow);

testPython('verify finds a damaged frame in a parent', async () => {
  await ensureImages();
  const other = join(folder, 'damaged');
  mkdirSync(other);
  copyFileSync(handlers[0].file, join(other, 'child.cfi'));
  const bad = join(other, 'runtime.cfi');
  copyFileSync(parent, bad);
  const { openSync, writeSync, closeSync, statSync } = await import('node:fs');
  const fd = openSync(bad, 'r+');
  writeSync(fd, Uint8Array.of(1, 2, 3), 0, 3, statSync(bad).size - 4096);
  closeSync(fd);
  const [finding] = await checkImageFile(join(other, 'child.cfi'));
  assert.is(finding?.where, `parent ${bad}: frames`);
  assert.is(finding?.code, 'CATAVMM_CFI_DIGEST');
}, slow);

testPython('a layer on a layer boots', async () => {
  await ensureImages();
  const middle = join(folder, 'middle.cfi');
  await Sandbox.build({ from: parent, output: middle });
  const top = join(folder, 'top.cfi');
  const result = await Sandbox.build({ from: middle, handler: ['handler_squares'], output: top });
  assert.ok(result.parentFrames > (built[0]?.frames ?? 0));
  assert.is(await outputOf(await Sandbox.boot(top, { stdin: requests[1] })), '81 True\n');
  renameSync(middle, join(folder, 'middle.gone'));
  assert.is(runCatavmm(['boot', top]).code, 125);
  assert.ok(existsSync(top));
}, slow);

testPython('what cannot become a layer is refused with one sentence', async () => {
  await ensureImages();
  const other = mkdtempSync(join(folder, 'other-'));
  const output = join(folder, 'no.cfi');
  for (const [options, pattern] of [
    [{ output: join(other, 'x.cfi') }, /would not find its parent: it has to be beside/],
    [{ output, command: [hello] }, /has "command" from its parent/],
    [{ output, handler: ['handler_squares', 'more'] }, /before it had read all of --handler/],
    [{ output, handler: ['no_such_module'] }, /exited with code 1 before its func-entry point/],
  ] as const) {
    await assert.rejects(Sandbox.build({ from: parent, ...options }), pattern);
    assert.not(existsSync(options.output));
  }
  for (const [args, pattern] of [
    [['--from', parent, '--', hello], /With --from there is no command/],
    [['--from', parent, '-e', 'A=b'], /--env cannot change what/],
    [['--handler', 'x', '--', hello], /--handler is for an image/],
    [[], /build needs a command, or an image to go on from/],
  ] as const) {
    const { code, stderr } = runCatavmm(['build', '-o', output, ...args]);
    assert.is(code, 2);
    assert.match(textOf(stderr), pattern);
  }
}, slow);

test.run();
