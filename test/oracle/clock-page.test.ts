// Programs read the time without leaving the guest (fixtures/c/clock-reads.c), also after a boot
// or a fork; not where their time is none of the host's.

import { assert, kvmMissing, needs, suite } from '../harness.ts';
import { isTscHost } from '../../vmm/host/clock.ts';
import type { FuncImage } from '../../vmm/func-image.ts';
import { Sandbox } from '../../vmm/sandbox.ts';
import type { Template } from '../../vmm/template.ts';
import { compileFixture, compilerMissing, type Variant } from './compile.ts';
import { withTemplate } from './forks.ts';
import { textOf } from './process.ts';

const test = suite('test/oracle/clock-page');
const missing = kvmMissing() ?? compilerMissing();
const testBoth = needs(test, missing);
const tscMissing = isTscHost() ? undefined : 'needs a host whose clock is the time stamp counter';
const testTsc = needs(test, missing ?? tscMissing);
const READS = 20_000;
/** More than the calls and faults of the program, fewer than READS. */
const EXITS_MOST = 1000;

function command(variant: Variant): string[] {
  return [compileFixture('clock-reads', variant), String(READS)];
}

/** Runs to the end; what it said of its clocks, and how often it left the guest. */
async function finish(sandbox: Sandbox): Promise<{ seconds: number; exits: number }> {
  const { code, stdout, message } = await sandbox.output();
  assert.is(code, 0, message ?? '');
  const [boot] = sandbox.report().boots;
  const said = /^steps back: 0 before, 0 after; now (\d+)\n$/.exec(textOf(stdout));
  assert.ok(said !== null, textOf(stdout));
  return { seconds: Number(said?.[1]), exits: boot?.exits ?? NaN };
}

function assertNow(seconds: number): void {
  assert.ok(Math.abs(seconds - Date.now() / 1000) < 10, `${seconds} is not now`);
}

for (const variant of ['static', 'dynamic'] as const) {
  testTsc(`a ${variant} program reads a clock ${READS} times in few exits`, async () => {
    const sandbox = await Sandbox.run({ command: command(variant), stdin: '\n' });
    const { seconds, exits } = await finish(sandbox);
    assert.ok(exits < EXITS_MOST, `${exits} exits`);
    assertNow(seconds);
  });
}

testTsc('boots and forks go on doing so, and their clocks do not step back', async () => {
  await withTemplate({ command: command('static') }, async (template, image) => {
    for (const source of [image, template, template] as (FuncImage | Template)[]) {
      const options = { stdin: '\n' };
      const sandbox = 'fork' in source ? await source.fork(options) : await source.boot(options);
      const { seconds, exits } = await finish(sandbox);
      assert.ok(exits < EXITS_MOST, `${exits} exits`);
      assertNow(seconds);
    }
  });
});

testBoth('a deterministic program asks each time: its clock counts its calls', async () => {
  const sandbox = await Sandbox.run({
    command: command('static'), stdin: '\n', deterministic: true,
  });
  const { seconds, exits } = await finish(sandbox);
  assert.ok(exits > 2 * READS, `${exits} exits`);
  assert.is(seconds, 1_704_067_201);
});

test.run();
