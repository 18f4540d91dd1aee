// A shell on a terminal, with job control: the guest's mode of the terminal is the host's, keys
// reach the group in the foreground, and the mode is given back at the end.

import { assert, kvmMissing, needs, suite } from '../harness.ts';
import { catavmmCommand, currentRuntimeName, getRuntime } from '../helpers/runtimes.ts';
import { fixturePath } from './compile.ts';
import { runProcess, textOf } from './process.ts';
import { programMissing } from './programs.ts';
import { pythonMissing } from './python-missing.ts';

const test = suite('test/oracle/terminal');
const missing = kvmMissing() ?? pythonMissing() ?? programMissing('bash');
const testTerminal = needs(test, missing);
const SHELL = ['/bin/bash', '--norc', '-i'];

function talk(command: readonly string[]): string {
  const talker = ['/usr/bin/python3', fixturePath('python/terminal.py')];
  const env = { PATH: '/usr/bin:/bin', HOME: '/root', PS1: '$ ', TERM: 'xterm' };
  const outcome = runProcess([...talker, ...command], { env, timeoutMs: 90_000 });
  assert.is(outcome.code, 0, textOf(outcome.stderr));
  return textOf(outcome.stdout);
}

testTerminal('an interactive bash does what it does on the host', () => {
  const run = ['run', '-e', 'PS1=$ ', '--', ...SHELL];
  const runtime = getRuntime(currentRuntimeName());
  assert.is(talk(catavmmCommand(runtime, run)), 'exit 3, missing [], mode kept True\n');
  assert.is(talk(SHELL), 'exit 3, missing [], mode kept True\n');
}, { timeoutMs: 200_000 });

test.run();
