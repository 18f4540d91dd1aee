// A host that gives no more descriptors or memory: in a child process with such limits.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Sandbox } from '../../../vmm/sandbox.ts';
import { assert, needsKvm, suite } from '../../harness.ts';
import { root } from '../../helpers/repository.ts';
import { commandFor, currentRuntimeName, getRuntime } from '../../helpers/runtimes.ts';
import { runProcess, textOf } from '../../oracle/process.ts';

const test = suite('vmm/boot/scarce-host');
const testKvm = needsKvm(test);
const folder = mkdtempSync(join(tmpdir(), 'catavmm-scarce-'));
test.after(() => rmSync(folder, { recursive: true }));
const image = join(folder, 'hello.cfi');

interface Outcome {
  lived: number;
  isHostError: boolean;
  code: string;
  message: string;
  hint: string;
  before: number;
  codes: number[];
  again: number;
  after: number;
}

async function fill(kind: 'descriptors' | 'memory'): Promise<Outcome> {
  await Sandbox.build({ command: [join(root, 'fixtures/hello/hello')], output: image });
  const runtime = getRuntime(currentRuntimeName());
  // Node runs what was built.
  const file = runtime.name === 'node'
    ? 'dist/test/helpers/scarce-host.js' : 'test/helpers/scarce-host.ts';
  const command = commandFor(runtime, join(root, file), kind, image);
  const { stdout, stderr } = runProcess(command, { timeoutMs: 60_000 });
  assert.is(textOf(stderr), '');
  return JSON.parse(textOf(stdout)) as Outcome;
}

for (const [kind, expected] of [
  ['descriptors', /open files/],
  ['memory', /limits on address space/],
] as const) {
  testKvm(`without ${kind}, boots throw a HostError and the others live on`, async () => {
    const outcome = await fill(kind);
    assert.ok(outcome.lived >= 1 && outcome.lived < 64, `${outcome.lived} lived`);
    assert.is(outcome.isHostError, true, outcome.message);
    assert.match(outcome.hint, expected);
    assert.equal(outcome.codes, outcome.codes.map(() => 0));
    assert.is(outcome.codes.length, outcome.lived);
    assert.is(outcome.again, 0, 'a boot afterwards');
    assert.ok(outcome.before >= 1 && outcome.after >= 1, 'the pool has its floor again');
  }, { timeoutMs: 120_000 });
}

test.run();
