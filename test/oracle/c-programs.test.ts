// C programs, static and dynamic, against the host's kernel: files, memory, threads, signals, time.
// Processes and sockets are in c-processes.test.ts.

import { assert, kvmMissing, needs, suite } from '../harness.ts';
import { both, testPrograms } from './c-rows.ts';
import { compileFixture, fixturePath } from './compile.ts';
import { compareWithHost } from './oracle.ts';
import { textOf } from './process.ts';

const test = suite('test/oracle/c-programs');

// Programs that look at clocks get another chance on a busy machine.
const testBoth = testPrograms(test, [
  {
    name: 'hello-libc',
    args: ['a', 'b c', '', 'é'],
    variants: ['static', 'dynamic', 'static-pie'],
  },
  { name: 'files', variants: both },
  { name: 'map-file', variants: both },
  { name: 'memory', variants: ['static', 'dynamic', 'static-pie'] },
  { name: 'big-memory' },
  { name: 'signals', variants: both, retries: 2 },
  { name: 'fpu', retries: 1 },
  { name: 'threads', variants: both, retries: 1 },
  { name: 'futex', variants: both, retries: 2 },
  { name: 'pipes', retries: 1 },
  { name: 'epoll', retries: 2 },
  { name: 'time', variants: both, retries: 2 },
  { name: 'locks', retries: 1 },
  { name: 'holes', files: { given: 'content of a file'.repeat(500) }, variants: both },
  { name: 'inotify', variants: both },
  { name: 'sendfile' },
  { name: 'splice', stdin: 'first line\nsecond line\n', variants: both, retries: 1 },
  { name: 'stub-calls', variants: both },
  { name: 'signal-masks', variants: both },
  { name: 'entry', stdin: 'one\ntwo\n', variants: both, retries: 1 },
  { name: 'stdin-echo', stdin: '1\n22\n333\n', variants: both },
  { name: 'static-entry', stdin: 'request\n', args: ['x'] },
]);

testBoth('a stack full of arguments reaches the program', () => {
  const many = Array.from({ length: 3000 }, (_, i) => `argument-${i}`);
  const env = Object.fromEntries(many.slice(0, 300).map((name) => [name, 'v'.repeat(50)]));
  const program = compileFixture('arguments');
  compareWithHost({ argv: [program, ...many], env });
  compareWithHost({ argv: [program, 'x'.repeat(100_000), ''] });
});

const testHello = needs(test, kvmMissing());

testHello('hello, as it is shipped, answers like on the host', () => {
  for (const stdin of ['104729\n', 'Ada\n', '', '4\n', 'no newline']) {
    const { host } = compareWithHost({ argv: [fixturePath('hello/hello')], stdin });
    assert.match(textOf(host.stdout), 'primes below 10000000 are ready');
  }
});

test.run();
