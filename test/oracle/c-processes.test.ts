// C programs, static and dynamic, against the host's kernel: processes and sockets.

import { suite } from '../harness.ts';
import { both, testPrograms } from './c-rows.ts';

const test = suite('test/oracle/c-processes');

// Programs that look at clocks get another chance on a busy machine.
testPrograms(test, [
  { name: 'pidfd', variants: both, retries: 1 },
  { name: 'sockets', variants: both, retries: 1 },
  { name: 'inet', variants: both, retries: 1 },
  { name: 'interfaces' },
  { name: 'proc-net' },
  { name: 'process', variants: both },
  { name: 'fork', variants: both, retries: 1 },
  { name: 'fork-memory', variants: both },
  { name: 'wait-options', variants: both, retries: 1 },
  { name: 'groups', variants: both, retries: 1 },
  { name: 'exec', variants: both },
  { name: 'exec-state', variants: both },
  { name: 'ipc-processes', variants: both, retries: 1 },
  { name: 'other-process' },
  { name: 'process-limit', variants: both },
  { name: 'process-storm', flags: ['--memory', '64m'], timeoutMs: 60_000, retries: 1 },
]);

test.run();
