// Programs that ask for their ids get the answer without leaving the guest (fixtures/c/stub-calls.c
// compares the answers), also after a boot or a fork; not where each call has to be seen.

import { assert, kvmMissing, needs, suite } from '../harness.ts';
import type { FuncImage } from '../../vmm/func-image.ts';
import { Sandbox } from '../../vmm/sandbox.ts';
import type { Template } from '../../vmm/template.ts';
import { compileFixture, compilerMissing } from './compile.ts';
import { withTemplate } from './forks.ts';
import { runCatavmm, textOf } from './process.ts';

const test = suite('test/oracle/stub-calls');
const testBoth = needs(test, kvmMissing() ?? compilerMissing());
const ASKED = 20_000;
/** More than the other calls and the faults of the program, fewer than ASKED. */
const EXITS_MOST = 1500;

function command(...more: string[]): string[] {
  return [compileFixture('ask-ids', 'static'), String(ASKED), ...more];
}

/** Runs to the end; what it said, and how often it left the guest. */
async function finish(sandbox: Sandbox): Promise<{ text: string; exits: number }> {
  const { code, stdout, message } = await sandbox.output();
  assert.is(code, 0, message ?? '');
  const [boot] = sandbox.report().boots;
  return { text: textOf(stdout), exits: boot?.exits ?? NaN };
}

const RIGHT = /^before: 0 wrong; after: 0 wrong, mask kept\n$/;

testBoth(`a program asks ${ASKED} times in few exits`, async () => {
  const { text, exits } = await finish(await Sandbox.run({ command: command(), stdin: '\n' }));
  assert.match(text, RIGHT);
  assert.ok(exits < EXITS_MOST, `${exits} exits`);
});

testBoth('boots and forks go on doing so, and their ids are those of the program', async () => {
  await withTemplate({ command: command() }, async (template, image) => {
    for (const source of [image, template, template] as (FuncImage | Template)[]) {
      const options = { stdin: '\n' };
      const sandbox = 'fork' in source ? await source.fork(options) : await source.boot(options);
      const { text, exits } = await finish(sandbox);
      assert.match(text, RIGHT);
      assert.ok(exits < EXITS_MOST, `${exits} exits`);
    }
  });
});

testBoth('a sandbox that is forked again and again while it sets its mask keeps it', async () => {
  const program = [compileFixture('signal-masks', 'static'), 'wander', '150000'];
  const sandbox = await Sandbox.run({ command: program, stdin: 'null', stdout: 'piped' });
  const all = [sandbox];
  for (let i = 0; i < 8; i++) {
    await new Promise((resolve) => { setTimeout(resolve, 5 + 3 * i); });
    all.push(await sandbox.fork({ stdin: 'null', stdout: 'piped' }));
  }
  for (const one of all) assert.is((await finish(one)).text, 'wrong masks = 0\n');
});

testBoth('every call of a traced program is seen', async () => {
  const lines: string[] = [];
  const sandbox = await Sandbox.run({
    command: command(), stdin: '\n', strace: (line) => { lines.push(line); },
  });
  const { text, exits } = await finish(sandbox);
  assert.match(text, RIGHT);
  assert.ok(exits > 2 * ASKED, `${exits} exits`);
  const seen = lines.filter((line) => /\bgetpid\(/.test(line)).length;
  assert.ok(seen >= 2 * ASKED / 4, `${seen} of getpid`);
});

testBoth('a deterministic program makes each call: its clock counts them', async () => {
  const sandbox = await Sandbox.run({ command: command(), stdin: '\n', deterministic: true });
  const { text, exits } = await finish(sandbox);
  assert.match(text, RIGHT);
  assert.ok(exits > 2 * ASKED, `${exits} exits`);
});

testBoth('a program that jumps into the stub, or writes its mask there, harms itself', () => {
  const program = compileFixture('hostile-stub');
  const { stdout, stderr, code } = runCatavmm(['run', '--', program], { timeoutMs: 60_000 });
  assert.is(textOf(stderr).replace(/^catavmm: missing-call: .*\n/gm, ''), '');
  assert.is(textOf(stdout), '308 jumps, 0 wrong answers\nstill there = 0\nkilled = 9\n' +
    'mask == 0: yes\na write to the answers = 11\n');
  assert.is(code, 0);
}, { timeoutMs: 60_000 });

for (const call of ['getpid', 'sched_yield', 'rt_sigprocmask']) {
  testBoth(`a program that does nothing but ${call} is ended at its time limit`, async () => {
    const sandbox = await Sandbox.run({ command: command(call), stdin: '', timeoutMs: 300 });
    const { reason } = await sandbox.status;
    assert.is(reason, 'timeout');
  });
}

test.run();
