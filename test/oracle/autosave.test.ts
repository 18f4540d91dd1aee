// Autosave: programs that are saved after every 50 system calls, and go on from what was saved, do
// the same as on the host. So every kind of state is saved somewhere in the middle of its life.
import { kvmMissing, needs, suite } from '../harness.ts';
import { compileFixture, compilerMissing, fixturePath } from './compile.ts';
import { compareWithHost } from './oracle.ts';
import { pythonMissing } from './python-missing.ts';

const CALLS = '50';
/** By what is behind the descriptors and waits of each. */
const forked = ['files', 'pipes', 'inet', 'epoll', 'signals', 'futex', 'exec', 'groups'];
const restored = ['files', 'sockets', 'ipc-processes'];

const test = suite('test/oracle/autosave');
const testC = needs(test, kvmMissing() ?? compilerMissing());
const testPython = needs(test, kvmMissing() ?? pythonMissing());

for (const [flag, names] of [['--fork-every', forked], ['--checkpoint-every', restored]] as const) {
  for (const name of names) {
    testC(`${name} with ${flag} ${CALLS}`, () => {
      const argv = [compileFixture(name, 'dynamic')];
      compareWithHost({ argv, flags: [flag, CALLS], retries: 1, timeoutMs: 120_000 });
    }, { timeoutMs: 250_000 });
  }
}

testPython('python3 with --fork-every 50', () => {
  const argv = ['python3', fixturePath('python/imports.py')];
  compareWithHost({ argv, flags: ['--fork-every', CALLS], retries: 1, timeoutMs: 120_000 });
}, { timeoutMs: 250_000 });

test.run();
