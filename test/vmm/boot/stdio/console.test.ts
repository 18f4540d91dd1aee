// A guest that shares this process's descriptors: what it costs this process, and how soon it hears
// of signals.
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import process from 'node:process';
import { HostConsole } from '../../../../vmm/boot/stdio/console.ts';
import { Sandbox } from '../../../../vmm/sandbox.ts';
import { assert, needsKvm, suite } from '../../../harness.ts';
import { catavmmCommand, currentRuntimeName, getRuntime } from '../../../helpers/runtimes.ts';

const test = suite('vmm/boot/stdio/console');
const testKvm = needsKvm(test);
const timeoutMs = 60_000;
const sleep = (ms: number): Promise<void> => new Promise((resolve) => { setTimeout(resolve, ms); });

/** Runs a program as a user does, its stdout a pipe that nobody reads from. */
function start(...command: string[]): ChildProcess {
  const [program = '', ...args] = catavmmCommand(
    getRuntime(currentRuntimeName()), ['run', '--', ...command]);
  return spawn(program, args, { stdio: ['pipe', 'pipe', 'ignore'] });
}

/** CPU time that a process has used. */
function cpuMs(child: ChildProcess): number {
  const [, text = ''] = readFileSync(`/proc/${child.pid}/stat`, 'latin1').split(') ');
  const fields = text.split(' ');
  return (Number(fields[11]) + Number(fields[12])) * 10;
}

/** Sends SIGTERM and waits; how long that took. */
async function endOf(child: ChildProcess): Promise<number> {
  const startMs = performance.now();
  const ended = once(child, 'exit');
  // Not child.kill(): after it, Deno takes every end of the child for an end by that signal.
  process.kill(child.pid as number, 'SIGTERM');
  const [code] = await ended as [number];
  assert.is(code, 143);
  return performance.now() - startMs;
}

/** Starts a guest that prints a line, and lets it get to what it does then. */
async function startTalking(...command: string[]): Promise<ChildProcess> {
  const child = start(...command);
  if (child.stdout === null) throw new Error('no stdout');
  await once(child.stdout, 'readable');
  await sleep(500);
  return child;
}

testKvm('a guest whose output nobody takes waits, and hears of signals', async () => {
  const child = await startTalking('yes');
  const before = cpuMs(child);
  await sleep(1000);
  assert.atMost(cpuMs(child) - before, 500, 'ms of CPU time in a second');
  assert.atMost(await endOf(child), 1000, 'ms until the signal has its effect');
}, { timeoutMs });

testKvm('guests that wait for input or compute hear of signals at once', async () => {
  for (const script of ['echo; read line', 'echo; while :; do :; done']) {
    assert.atMost(await endOf(await startTalking('sh', '-c', script)), 1000, script);
  }
}, { timeoutMs });

testKvm('a guest with the descriptors of this process leaves it its event loop', async () => {
  let turns = 0;
  const timer = setInterval(() => { turns++; }, 5);
  const sandbox = await Sandbox.run({
    command: ['sleep', '0.5'], stdin: 'inherit', stdout: 'inherit', stderr: 'inherit',
  });
  turns = 0;
  await sandbox.status;
  clearInterval(timer);
  assert.ok(turns > 20, `${turns} turns`);
  await sandbox.close();
});

test('HostConsole.wait() ends when it is interrupted', async () => {
  const console = new HostConsole();
  for (let i = 0; i < 10; i++) {
    const wait = console.wait({ stdin: false, output: 0, timeoutMs: Infinity });
    console.interrupt();
    await wait;
  }
  assert.is(new HostConsole(100).wait({ stdin: false, output: 0, timeoutMs: 0 }) instanceof Promise,
    true);
});

test.run();
