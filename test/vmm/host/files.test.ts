// Roots on the host: many at once, one after the other, disposed of, one scratch piece for all.

import {
  closeSync, fstatSync, mkdirSync, mkdtempSync, openSync, rmSync, writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { EBADF } from '../../../vmm/abi/errno.ts';
import { HostError } from '../../../vmm/host/errors.ts';
import { HostRoot } from '../../../vmm/host/files.ts';
import { giveScratch, takeScratch } from '../../../vmm/host/scratch.ts';
import { assert, suite } from '../../harness.ts';

const test = suite('vmm/host/files');
const folder = mkdtempSync(join(tmpdir(), 'catavmm-files-'));
test.after(() => rmSync(folder, { recursive: true }));

/** More than a thread's scratch memory would hold if each root took a piece of its own. */
const ROOTS = 600;
const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** A directory with one file, which is named as its content. */
function makeDirectory(name: string): string {
  const path = join(folder, name);
  mkdirSync(path);
  writeFileSync(join(path, name), name);
  return path;
}

/** Names in the root's directory. */
function namesIn(root: HostRoot): string[] {
  const entries = root.list(new Uint8Array());
  if (typeof entries === 'number') throw new Error(`list: ${entries}`);
  return entries.map(({ name }) => decoder.decode(name)).sort();
}

test('HostRoot can be made and disposed of any number of times', () => {
  for (let index = 0; index < ROOTS; index++) {
    const root = new HostRoot('/');
    assert.is(typeof root.stat(encoder.encode('proc')), 'object');
    root.dispose();
  }
});

test('HostRoot can be open many times at once, and each one sees its own directory', () => {
  const [one, two] = [makeDirectory('one'), makeDirectory('two')];
  const roots = Array.from({ length: ROOTS }, (_, index) => new HostRoot(index % 2 ? two : one));
  try {
    roots.forEach((root, index) => assert.equal(namesIn(root), [index % 2 ? 'two' : 'one']));
    const [first, second] = roots as [HostRoot, HostRoot];
    const handles = [first.open(encoder.encode('one')), second.open(encoder.encode('two'))];
    for (const [index, handle] of handles.entries()) {
      const target = new Uint8Array(8);
      const count = (roots[index] as HostRoot).read(handle, 0, target);
      assert.is(decoder.decode(target.subarray(0, count)), ['one', 'two'][index]);
      first.close(handle);
    }
  } finally {
    for (const root of roots) root.dispose();
  }
});

test('HostRoot.dispose() closes the descriptor once and leaves its next owner alone', () => {
  const root = new HostRoot(folder);
  root.dispose();
  const fd = openSync('/dev/null', 'r');
  root.dispose();
  assert.ok(fstatSync(fd).isCharacterDevice());
  closeSync(fd);
  assert.is(root.stat(encoder.encode('proc')), -EBADF);
  assert.is(root.open(encoder.encode('proc')), -EBADF);
});

test('HostRoot takes nothing when its directory does not exist', () => {
  for (let index = 0; index < ROOTS; index++) {
    assert.throws(() => new HostRoot(join(folder, 'missing')), HostError);
  }
  giveScratch(takeScratch(40_960));
});

test.run();
