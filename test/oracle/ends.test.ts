// How programs end: exit codes, signals, faults of all kinds (fixtures/c/ends.c, hostile.c).
// A fault that a program makes on purpose ends it by the signal Linux sends, and leaves the VMM
// alone.

import { assert, kvmMissing, needs, suite } from '../harness.ts';
import { compileFixture, compilerMissing } from './compile.ts';
import { compareWithHost } from './oracle.ts';
import { runCatavmm, textOf } from './process.ts';

const ends: readonly string[] = [
  'exit:0', 'exit:7', 'exit:300', 'return:255', '_exit:3', 'signal:1', 'signal:2', 'signal:6',
  'signal:9', 'signal:11', 'signal:13', 'signal:14', 'signal:15', 'signal:17', 'signal:34',
  'signal:64', 'abort', 'caught-abort', 'null', 'divide', 'trap', 'thread-exit', 'thread-spin',
  'thread-kill', 'main-leaves', 'raw-exit', 'pipe', 'fault-in-handler', 'no-stack',
  'closed-stdout', 'cpu-limit',
];

const hostile: readonly string[] = [
  'jump-stub', 'jump-kernel', 'jump-idt', 'store-stub', 'out', 'out-fault', 'out-dx', 'outs', 'in',
  'hlt', 'cr3', 'sysret', 'iret', 'iopl', 'far-call', 'selector', 'stack-overflow',
  'thread-stack-overflow', 'handler-loop', 'handler-nested', 'handler-wild',
  'handler-not-canonical', 'sigreturn', 'sigreturn-wild', 'sigreturn-forged', 'sigreturn-kernel',
  'unmap-self', 'unmap-all', 'unmap-stack', 'wild-registers', 'fs-kernel',
];

const test = suite('test/oracle/ends');
const testBoth = needs(test, kvmMissing() ?? compilerMissing());

for (const way of ends) {
  testBoth(`a program that ends by ${way} has the host's exit code`, () => {
    compareWithHost({ argv: [compileFixture('ends'), way], retries: 1 });
  }, { timeoutMs: 60_000 });
}

for (const what of hostile) {
  testBoth(`${what} ends a program by the host's signal`, () => {
    const { guest } = compareWithHost({ argv: [compileFixture('hostile'), what] });
    assert.ok(guest.code > 128, `exit code ${guest.code}`);
  }, { timeoutMs: 60_000 });
}

testBoth('a jump to the stub with a call\'s registers is that call, or SIGSEGV', () => {
  // Where SYSCALL reaches the stub at CPL 3 the two cannot be told apart, and need not be: the
  // program could have made the call. The host has no stub, so it is no oracle here.
  const outcome = runCatavmm(['run', '--', compileFixture('hostile'), 'jump-stub-forged']);
  assert.ok(outcome.code === 0 || outcome.code === 139, `exit code ${outcome.code}`);
  assert.is(textOf(outcome.stdout), 'trying jump-stub-forged\n');
});

test.run();
