// Volumes from end to end: run with and without `ro`, build and boot with them, and what is said
// when they are gone.

import {
  copyFileSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ENOENT } from '../../../../vmm/abi/errno.ts';
import { ImageError } from '../../../../vmm/boot/image/image-error.ts';
import {
  addVolumes, checkTmpfs, checkVolumes, openVolume,
} from '../../../../vmm/boot/files/volumes.ts';
import { CatavmmError } from '../../../../vmm/errors.ts';
import { HostRoot } from '../../../../vmm/host/files.ts';
import { volumePath } from '../../../../vmm/kernel/vfs/volume-path.ts';
import type { Volume } from '../../../../vmm/options.ts';
import { Sandbox } from '../../../../vmm/sandbox.ts';
import { assert, needsKvm, suite } from '../../../harness.ts';
import { treeFs } from '../../../helpers/lower-tree.ts';

const test = suite('vmm/boot/volumes');
const testKvm = needsKvm(test);
const folder = mkdtempSync(join(tmpdir(), 'catavmm-volumes-'));
test.after(() => rmSync(folder, { recursive: true }));

const data = join(folder, 'data');
mkdirSync(join(data, 'deep'), { recursive: true });
writeFileSync(join(data, 'text'), 'of the host\n');
writeFileSync(join(data, 'deep', 'later'), 'read after the boot\n');
const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** Writes that a read-only volume refuses, and a look at what is there; no other program. */
const SCRIPT =
  'for f in text new; do echo mine > $f || echo refused; done; read a < text; echo "$a"; echo *';

async function runScript(readOnly: boolean): Promise<string> {
  const sandbox = await Sandbox.run({
    command: ['/bin/sh', '-c', SCRIPT], cwd: '/mnt/data', stderr: 'null',
    volumes: [{ source: data, target: '/mnt/data', readOnly }],
  });
  const { stdout } = await sandbox.output();
  return decoder.decode(stdout);
}

testKvm('a read-only volume refuses writes, another one keeps them in the sandbox', async () => {
  assert.is(await runScript(true), 'refused\nrefused\nof the host\ndeep text\n');
  assert.is(await runScript(false), 'mine\ndeep new text\n');
  assert.is(readFileSync(join(data, 'text'), 'utf8'), 'of the host\n');
});

testKvm('a tmpfs is empty, has a device of its own and is saved with the rest', async () => {
  const output = join(folder, 'tmpfs.cfi');
  await Sandbox.build({
    command: ['/bin/sh', '-c', 'echo mine > kept; read line; read a < kept; echo "$a" *; exit 0'],
    cwd: '/etc', tmpfs: ['/etc', '/var/new/'], output, entry: { kind: 'stdin' }, stderr: 'null',
  });
  assert.is(await boot(output), 'mine kept\n');
  const sandbox = await Sandbox.run({
    command: ['/bin/cat', '/proc/self/mountinfo'], tmpfs: ['/var/new', '/mnt'],
    volumes: [{ source: data, target: '/mnt/data', readOnly: false }],
  });
  const text = decoder.decode((await sandbox.output()).stdout);
  assert.match(text, / \/var\/new rw,nosuid - tmpfs tmpfs rw,mode=1777\n/);
  const [, above] = /^(\d+) \d+ \S+ \/ \/mnt /m.exec(text) ?? [];
  assert.match(text, new RegExp(`^30 ${above} \\S+ / /mnt/data `, 'm'));
});

test('a tmpfs has a place below the root, and one of its own', () => {
  const volumes = [{ source: data, target: '/a', readOnly: false }];
  assert.equal(checkTmpfs(['/b//c/../d/', '/tmp'], volumes), ['/b/d', '/tmp']);
  assert.throws(() => checkTmpfs(['relative'], []), /no place below/);
  assert.throws(() => checkTmpfs(['/'], []), /no place below/);
  assert.throws(() => checkTmpfs(['/a/'], volumes), /Two things/);
  assert.throws(() => checkTmpfs(Array.from({ length: 65 }, (_, i) => `/${i}`), []), /At most/);
});

const AFTER_BOOT =
  'read line; read a < deep/later && echo "$a"; echo x > new || echo refused; exit 0';

function build(name: string, selfContained: boolean, volumes: Volume[]): Promise<string> {
  const output = join(folder, name);
  return Sandbox.build({
    command: ['/bin/sh', '-c', AFTER_BOOT], cwd: '/mnt/data', output, selfContained, volumes,
    entry: { kind: 'stdin' }, stderr: 'null',
  }).then(() => output);
}

async function boot(image: string): Promise<string> {
  const sandbox = await Sandbox.boot(image, { stdin: 'go\n', stderr: 'null' });
  return decoder.decode((await sandbox.output()).stdout);
}

testKvm('a boot finds the volumes of its image where the build did', async () => {
  const moved = join(folder, 'moved');
  const volumes = [{ source: data, target: '/mnt/data', readOnly: true }];
  const [image, whole] = [
    await build('one.cfi', false, volumes), await build('two.cfi', true, volumes),
  ];
  renameSync(data, moved);
  try {
    const message = `The func-image shows ${data} as /mnt/data, and there is no ${data} here.`;
    await assert.rejects(boot(image), (error: unknown) =>
      error instanceof ImageError && error.message === message);
    // It needs no file of the host, so it runs; what it did not open before is not there.
    assert.is(await boot(whole), 'refused\n');
  } finally {
    renameSync(moved, data);
  }
  // A copy: this process keeps what it has opened for an image, and what it found missing.
  copyFileSync(whole, join(folder, 'three.cfi'));
  for (const file of [image, join(folder, 'three.cfi')]) {
    assert.is(await boot(file), 'read after the boot\nrefused\n', file);
  }
}, { timeoutMs: 120_000 });

test('checkVolumes() makes paths plain and refuses what cannot be', () => {
  const volume = { source: '/a', target: '/b', readOnly: false };
  const targets = ['/b/', '//c//d', '/e/./f/../g'].map((target) => ({ ...volume, target }));
  assert.equal(checkVolumes(targets).map(({ target }) => target), ['/b', '/c/d', '/e/g']);
  assert.is(checkVolumes([{ ...volume, source: 'x' }])[0]?.source, join(process.cwd(), 'x'));
  for (const target of ['/', '', 'b', '/b/..', './b']) {
    assert.throws(() => checkVolumes([{ ...volume, target }]), CatavmmError, target);
  }
  assert.throws(() => checkVolumes([volume, { ...volume, target: '/b/' }]), /Two volumes/);
  const many = Array.from({ length: 64 }, (_, index) => ({ ...volume, target: `/${index}` }));
  assert.is(checkVolumes(many.slice(1)).length, 63);
  assert.throws(() => checkVolumes(many), /At most 63/);
});

test('addVolumes() leads each path and handle to where it belongs', () => {
  const roots: HostRoot[] = [];
  const open = (directory: string): HostRoot => {
    const root = new HostRoot(directory);
    roots.push(root);
    return root;
  };
  const root = treeFs({ text: 'of the rootfs\n' });
  assert.is(openVolume(join(folder, 'missing'), open), null);
  const volumes = [openVolume(data, open), openVolume(join(data, 'text'), open), null];
  const fs = addVolumes(root, volumes);
  const read = (path: Uint8Array): string => {
    const handle = fs.open(path);
    const target = new Uint8Array(64);
    const text = decoder.decode(target.subarray(0, fs.read(handle, 0, target)));
    fs.close(handle);
    return text;
  };
  assert.is(read(encoder.encode('text')), 'of the rootfs\n');
  assert.is(read(Uint8Array.from([...volumePath(0), ...encoder.encode('/text')])), 'of the host\n');
  assert.is(read(volumePath(1)), 'of the host\n');
  assert.is(root.openHandles, 0);
  for (const path of [volumePath(2), volumePath(9), encoder.encode('\0x')]) {
    assert.equal([fs.stat(path), fs.open(path), fs.list(path), fs.readlink(path)],
      [-ENOENT, -ENOENT, -ENOENT, -ENOENT]);
  }
  for (const one of roots) one.dispose();
});

test.run();
