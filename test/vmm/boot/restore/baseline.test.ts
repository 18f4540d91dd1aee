// Boots with techniques turned off behave like any other, and say in their reports what was off.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { decodeRecords, encodeRecords } from '../../../../vmm/boot/restore/baseline.ts';
import { closeImage, openImage } from '../../../../vmm/boot/image/image-open.ts';
import { FuncImage } from '../../../../vmm/func-image.ts';
import { Sandbox as RootRecord } from '../../../../vmm/kernel/records/index.ts';
import { u32, u8 } from '../../../../vmm/kernel/state/memory.ts';
import { saveObjects } from '../../../../vmm/kernel/state/save.ts';
import type { BaselineOptions, BootReport, Technique } from '../../../../vmm/options.ts';
import { Sandbox } from '../../../../vmm/sandbox.ts';
import { Template } from '../../../../vmm/template.ts';
import { assert, kvmMissing, needs, suite } from '../../../harness.ts';
import { runCatavmm, textOf } from '../../../oracle/process.ts';
import { pythonMissing } from '../../../oracle/python-missing.ts';

const test = suite('vmm/boot/baseline');
const testPython = needs(test, kvmMissing() ?? pythonMissing());
const slow = { timeoutMs: 180_000 };
const folder = mkdtempSync(join(tmpdir(), 'catavmm-baseline-'));
test.after(() => rmSync(folder, { recursive: true }));
const output = join(folder, 'app.cfi');

const program = [
  'import hashlib, os, json, threading',
  'table = {i: str(i) for i in range(30000)}',
  'source = open(json.__file__)',
  'first = source.readline()',
  'worker = threading.Thread(target=lambda: gate.wait(), daemon=True)',
  'gate = threading.Event()',
  'worker.start()',
  'os.mkdir("/tmp/here")',
  'request = input()',
  'gate.set(); worker.join()',
  'import fractions',
  'total = sum(int(x) for x in table.values())',
  'print(request, total, len(source.read()) > 100, os.listdir("/tmp/here"), fractions.__name__)',
].join('\n');
const answer = 'x 449985000 True [] fractions\n';
const techniques: readonly Technique[] =
  ['overlay', 'separated', 'lazy-io', 'io-cache', 'zygote', 'write-set'];

let isBuilt = false;

async function ensureImage(): Promise<void> {
  if (isBuilt) return;
  isBuilt = true;
  await Sandbox.build({ command: ['/usr/bin/python3', '-c', program], output });
}

async function reportOf(sandbox: Sandbox): Promise<BootReport> {
  const { stdout, stderr, code, message } = await sandbox.output();
  await sandbox.close();
  assert.equal([textOf(stdout), textOf(stderr), code, message], [answer, '', 0, undefined]);
  return sandbox.report().boots[0] as BootReport;
}

testPython('records decoded one by one are those that were saved', async () => {
  await ensureImage();
  const image = openImage(output);
  const { objects, relations } = image;
  const { arena, root } = decodeRecords(encodeRecords(image), objects.bytes);
  const saved = saveObjects(arena.at(RootRecord, root));
  assert.equal(saved.objects, u8.slice(objects.address, objects.address + objects.bytes));
  const { address, bytes } = relations;
  assert.equal(saved.relations, u32.slice(address >> 2, (address + bytes) >> 2));
  arena.close();
  closeImage(image);
}, slow);

testPython('each technique can be turned off alone in cold, warm and forked boots', async () => {
  await ensureImage();
  const image = await FuncImage.open(output);
  const template = await Template.from(image);
  await reportOf(await image.boot({ stdin: 'x\n' }));
  for (const name of techniques) {
    const options: BaselineOptions & { stdin: string } = { without: [name], stdin: 'x\n' };
    const boots = [
      await reportOf(await Sandbox.boot(output, options)),
      await reportOf(await image.boot(options)),
      await reportOf(await template.fork(options)),
    ];
    for (const { without, phases } of boots) {
      assert.equal(without, [name]);
      assert.is('io' in phases, name === 'lazy-io');
    }
  }
  const shared = await reportOf(await image.boot({ stdin: 'x\n' }));
  assert.ok(shared.opensBeforehand > 0);
  assert.equal(shared.without, []);
  const alone = await reportOf(await image.boot({ stdin: 'x\n', without: ['io-cache'] }));
  assert.is(alone.opensBeforehand, 0);
  assert.ok(alone.opens > shared.opens);
  await template.close();
  await image.close();
}, slow);

testPython('--eager opens all files and copies all memory before the guest goes on', async () => {
  await ensureImage();
  const usual = await reportOf(await Sandbox.boot(output, { stdin: 'x\n' }));
  const eager = await reportOf(await Sandbox.boot(output, { stdin: 'x\n', eager: true }));
  assert.equal(eager.without, ['overlay', 'separated', 'lazy-io']);
  assert.ok(eager.opens > usual.opens, `${eager.opens} and ${usual.opens} opens`);
  assert.ok(eager.faults < usual.faults, `${eager.faults} and ${usual.faults} faults`);
  const all = { stdin: 'x\n', eager: true, without: techniques };
  assert.equal((await reportOf(await Sandbox.boot(output, all))).without.length, techniques.length);
}, slow);

testPython('boot takes --eager and --without', async () => {
  await ensureImage();
  const report = join(folder, 'report.json');
  for (const flags of [['--eager'], ['--without', 'overlay', '--without', 'zygote']]) {
    const args = ['boot', ...flags, '--report', report, output];
    const { stdout, code } = runCatavmm(args, { stdin: 'x\n' });
    assert.equal([textOf(stdout), code], [answer, 0]);
  }
  const { code, stderr } = runCatavmm(['boot', '--without', 'overlays', output]);
  assert.is(code, 2);
  assert.match(textOf(stderr), /"overlays" is not one of overlay, separated/);
}, slow);

testPython('without overlay the memory limit has to hold the image', async () => {
  await ensureImage();
  const boot = Sandbox.boot(output, { stdin: 'x\n', without: ['overlay'], memory: '8Mi' });
  await assert.rejects(boot, /memory limit has to hold the whole image/);
}, slow);

test.run();
