// Many sandboxes live at once in one thread of one process.

import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { FuncImage, Sandbox, Template } from '../../../mod.ts';
import { QueueConsole } from '../../../vmm/boot/stdio/console.ts';
import { assert, needsKvm, suite } from '../../harness.ts';

const test = suite('vmm/boot/many');
const testKvm = needsKvm(test);
const slow = { timeoutMs: 120_000 };
const directory = mkdtempSync(join(tmpdir(), 'catavmm-many-'));
test.after(() => rmSync(directory, { recursive: true }));

const COUNT = 50;
const BUSY_COUNT = 8;
const IDLE_MS = 1000;
/** CPU time of this process in so long an idle stretch, the runtime's own included. */
const IDLE_CPU_MS_MOST = 50;
const ROUNDS = 30_000;
const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** Answers the line `busy` after some work without any system call, every other line at once. */
const script = `read line
i=0
if [ "$line" = busy ]; then while [ $i -lt ${ROUNDS} ]; do i=$((i+1)); done; fi
echo "$line $i"`;

let template: Template;

testKvm('a template for the following tests', async () => {
  const output = join(directory, 'shell.cfi');
  await Sandbox.build({ command: ['/bin/sh', '-c', script], output });
  const image = await FuncImage.open(output);
  template = await Template.from(image);
  await image.close();
  test.after(() => template.close());
}, slow);

interface Waiting {
  sandbox: Sandbox;
  send(line: string): void;
}

/** A fork whose stdin is a stream that nothing comes from yet. */
async function forkWaiting(): Promise<Waiting> {
  let controller: ReadableStreamDefaultController<Uint8Array>;
  const stdin = new ReadableStream<Uint8Array>({ start: (c) => { controller = c; } });
  const sandbox = await template.fork({ stdin });
  return { sandbox, send: (line) => controller.enqueue(encoder.encode(line)) };
}

/** Threads of this process but those that KVM itself adds for each machine. */
function countThreads(): number {
  const names = readdirSync('/proc/self/task')
    .map((id) => readFileSync(`/proc/self/task/${id}/comm`, 'latin1'));
  return names.filter((name) => !name.startsWith('kvm-')).length;
}

async function expectAnswer(sandbox: Sandbox, answer: string): Promise<number> {
  const { code, stdout } = await sandbox.output();
  assert.is(decoder.decode(stdout), answer);
  assert.is(code, 0);
  return performance.now();
}

const sleep = (ms: number): Promise<void> => new Promise((resolve) => { setTimeout(resolve, ms); });

testKvm(`${COUNT} forks that wait for stdin cost no thread and no CPU`, async () => {
  const threads = countThreads();
  const waiting: Waiting[] = [];
  for (let i = 0; i < COUNT; i++) waiting.push(await forkWaiting());
  await sleep(500);
  // Engines start helpers of their own at any time, but not one for each sandbox.
  assert.atMost(countThreads() - threads, 8);
  let least = Infinity;
  // The engine's garbage collection may come into one of them.
  for (let round = 0; round < 3; round++) {
    const before = process.cpuUsage();
    await sleep(IDLE_MS);
    const { user, system } = process.cpuUsage(before);
    least = Math.min(least, (user + system) / 1000);
  }
  assert.atMost(least, IDLE_CPU_MS_MOST, 'ms of CPU');
  for (const [index, { send }] of waiting.entries()) send(`line${index}\n`);
  await Promise.all(waiting.map(({ sandbox }, i) => expectAnswer(sandbox, `line${i} 0\n`)));
}, slow);

testKvm('busy forks share the CPU, and those that wait are answered meanwhile', async () => {
  const waiting: Waiting[] = [];
  for (let i = 0; i < COUNT - BUSY_COUNT; i++) waiting.push(await forkWaiting());
  const startMs = performance.now();
  const busy: Promise<number>[] = [];
  for (let i = 0; i < BUSY_COUNT; i++) {
    const sandbox = await template.fork({ stdin: 'busy\n' });
    busy.push(expectAnswer(sandbox, `busy ${ROUNDS}\n`));
  }
  let busyLeft = BUSY_COUNT;
  for (const end of busy) void end.then(() => { busyLeft--; }, () => {});
  for (const { send } of waiting.slice(0, 5)) send('now\n');
  await Promise.all(waiting.slice(0, 5).map(({ sandbox }) => expectAnswer(sandbox, 'now 0\n')));
  assert.is(busyLeft, BUSY_COUNT, 'answers came before the work was done');
  const ends = (await Promise.all(busy)).map((ms) => ms - startMs);
  // One after another, the first would end after an eighth of the time.
  assert.ok(Math.min(...ends) > Math.max(...ends) / 2, ends.map(Math.round).join(' '));
  for (const { send } of waiting.slice(5)) send('later\n');
  await Promise.all(waiting.slice(5).map(({ sandbox }) => expectAnswer(sandbox, 'later 0\n')));
}, slow);

testKvm('a guest that ends without reading lets go of its stdin', async () => {
  let reason = 'not cancelled';
  let pulls = 0;
  const stdin = new ReadableStream<Uint8Array>({
    pull: (controller) => {
      pulls++;
      controller.enqueue(new Uint8Array(64 * 1024).fill(10));
    },
    cancel: () => { reason = 'cancelled'; },
  });
  const sandbox = await template.fork({ stdin });
  await expectAnswer(sandbox, ' 0\n');
  await sleep(20);
  assert.is(reason, 'cancelled');
  const before = pulls;
  await sleep(50);
  assert.is(pulls, before);
}, slow);

test('QueueConsole waits longer than a timer can, and tells when the guest has read', async () => {
  const console = new QueueConsole(() => true);
  let isOver = false;
  const wait = console.wait({ stdin: true, output: 0, timeoutMs: 1e12 });
  void Promise.resolve(wait).then(() => { isOver = true; });
  await sleep(20);
  assert.is(isOver, false);
  console.push(encoder.encode('abc'));
  await wait;
  let isDrained = false;
  const drained = console.drained(1).then(() => { isDrained = true; });
  console.read(new Uint8Array(1));
  await sleep(1);
  assert.is(isDrained, false);
  console.read(new Uint8Array(1));
  await drained;
  await console.drained(1);
});

test.run();
