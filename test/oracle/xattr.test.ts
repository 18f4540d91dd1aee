// Extended attributes of lower files: read from the host, changed in the sandbox only.

import { rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { assert, kvmMissing, needs, suite } from '../harness.ts';
import { compileFixture, compilerMissing } from './compile.ts';
import { listDifferences, makeScratch, prepareFiles, runGuest, runNative } from './oracle.ts';
import type { Comparison } from './oracle.ts';
import { textOf } from './process.ts';

const test = suite('test/oracle/xattr');
const testBoth = needs(test, kvmMissing() ?? compilerMissing());

testBoth('a program sees the attributes of files that were there, and changes its own', () => {
  const cwd = makeScratch();
  try {
    prepareFiles(cwd, { file: 'content', plain: '', 'dir/inside': '' });
    symlinkSync('file', join(cwd, 'link'));
    const program: Comparison = { argv: [compileFixture('xattr')] };
    const made = runNative({ argv: [...program.argv, 'set'] }, cwd);
    // A file system without attributes says so, and then there is nothing to compare.
    if (textOf(made.stdout).includes('EOPNOTSUPP')) return;
    // Order: what the guest does must not be seen by the native run that follows.
    const guest = runGuest(program, cwd);
    const host = runNative(program, cwd);
    assert.equal(listDifferences(host, guest), []);
    assert.match(textOf(host.stdout), 'user.one=first(5)');
  } finally {
    rmSync(cwd, { recursive: true, force: true });
  }
});

test.run();
