// Networks within the sandbox, as programs use them: the same as on the host's loopback device.
import { kvmMissing, needs, suite } from '../harness.ts';
import { fixturePath } from './compile.ts';
import { compareWithHost } from './oracle.ts';
import { pythonMissing } from './python-missing.ts';

const test = suite('test/oracle/network');
const testPython = needs(test, kvmMissing() ?? pythonMissing());

testPython('python3 serves and asks over TCP and UDP as on the host', () => {
  compareWithHost({ argv: ['python3', fixturePath('python/network.py')], retries: 1 });
}, { timeoutMs: 120_000 });

test.run();
