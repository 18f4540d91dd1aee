// A host process that dies takes its sandboxes with it: they live in it, not beside it.

import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { assert, kvmMissing, needs, suite } from '../harness.ts';
import { catavmmCommand, currentRuntimeName, getRuntime } from '../helpers/runtimes.ts';
import { fixturePath } from './compile.ts';
import { assertBoot, buildImage, withScratchAsync } from './images.ts';

const test = suite('test/oracle/orphans');
const testKvm = needs(test, kvmMissing());

/** Processes whose parent is `pid`, and theirs. */
function listDescendants(pid: number): number[] {
  const found: number[] = [];
  for (const name of readdirSync('/proc').filter((entry) => /^\d+$/.test(entry))) {
    try {
      const parent = /^PPid:\t(\d+)$/m.exec(readFileSync(`/proc/${name}/status`, 'latin1'))?.[1];
      if (Number(parent) === pid) found.push(Number(name), ...listDescendants(Number(name)));
    } catch {
      // It has ended meanwhile.
    }
  }
  return found;
}

async function waitFor(what: string, holds: () => boolean): Promise<void> {
  const endMs = performance.now() + 20_000;
  while (!holds()) {
    if (performance.now() > endMs) assert.unreachable(`timed out: ${what}`);
    await new Promise((resolve) => { setTimeout(resolve, 20); });
  }
}

/** A guest that waits for its stdin, in a process of its own. */
async function startBoot(image: string): Promise<ChildProcess> {
  const command = catavmmCommand(getRuntime(currentRuntimeName()), ['boot', image]);
  const [program = '', ...args] = command;
  const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'ignore'] });
  await waitFor('a virtual machine', () => hasMachine(child.pid as number));
  return child;
}

/** Whether a process holds a virtual CPU; it maps the page that it shares with KVM. */
function hasMachine(pid: number): boolean {
  return readFileSync(`/proc/${pid}/maps`, 'latin1').includes('kvm-vcpu');
}

testKvm('a host process that is killed leaves no process and no machine behind', async () => {
  await withScratchAsync(async (folder) => {
    const image = buildImage(folder, 'a.cfi', { argv: [fixturePath('hello/hello')] });
    const children = [await startBoot(image), await startBoot(image)];
    const all = children.flatMap(({ pid = 0 }) => [pid, ...listDescendants(pid)]);
    for (const child of children) child.kill('SIGKILL');
    await waitFor('the end of all', () => all.every((pid) => isGone(pid)));
    assertBoot(image, '5\n', { stdout: 'hello: 5 is prime number 3\n', code: 0 });
  });
}, { timeoutMs: 90_000 });

/** Gone, or a zombie that its parent has not asked about. */
function isGone(pid: number): boolean {
  if (!existsSync(`/proc/${pid}`)) return true;
  try {
    return /^State:\tZ/m.test(readFileSync(`/proc/${pid}/status`, 'latin1'));
  } catch {
    return true;
  }
}

test.run();
