// Counting system calls from the lines that the kernel's strace writes.

import { CallSummary, makeTracing } from '../../cli/strace.ts';
import { Output } from '../../cli/output.ts';
import { assert, suite } from '../harness.ts';

const test = suite('cli/strace');

const lines: readonly string[] = [
  'openat(AT_FDCWD, "/etc/ld.so.cache", O_RDONLY)   = 3',
  'openat(AT_FDCWD, "/x = -1 EPERM (", O_RDONLY)    = -1 ENOENT (No such file or directory)',
  '[pid     7] read(0,  <unfinished ...>',
  '[pid     8] futex(0x7f00, FUTEX_WAIT, 0, NULL)   = -1 EAGAIN (Resource temporarily unavailable)',
  '[pid     7] <... read resumed>)                  = 5',
  'exit_group(0)                                    = ?',
  '+++ exited with 0 +++',
];

test('CallSummary counts each call once, with its errors', () => {
  const summary = new CallSummary();
  for (const line of lines) summary.add(line);
  const rows = summary.format().split('\n').map((row) => row.trim().split(/\s{2,}/));
  assert.equal(rows, [
    ['calls', 'share', 'call', 'errors'],
    ['2', '40.0%', 'openat', 'ENOENT 1'],
    ['1', '20.0%', 'exit_group'],
    ['1', '20.0%', 'futex', 'EAGAIN 1'],
    ['1', '20.0%', 'read'],
    ['5', 'total'],
  ]);
});

test('makeTracing() asks for no lines unless a flag does', () => {
  const output = new Output({ json: false, quiet: false, noColor: true, env: {} });
  assert.is(makeTracing({ lines: false, summary: false }, output).strace, undefined);
  assert.ok(makeTracing({ lines: false, summary: true }, output).strace !== undefined);
});

test.run();
