// Sandboxes in worker processes: answers, streams, limits, lost workers and no orphans.

import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { CatavmmError, Sandbox, WorkerPool } from '../../mod.ts';
import { assert, needsKvm, suite } from '../harness.ts';
import { root } from '../helpers/repository.ts';
import { commandFor, currentRuntimeName, getRuntime, isSource } from '../helpers/runtimes.ts';

const test = suite('vmm/worker-pool');
const testKvm = needsKvm(test);
const slow = { timeoutMs: 120_000 };
const directory = mkdtempSync(join(tmpdir(), 'catavmm-pool-'));
test.after(() => rmSync(directory, { recursive: true }));
const image = join(directory, 'shell.cfi');
const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
const sleep = (ms: number): Promise<void> => new Promise((resolve) => { setTimeout(resolve, ms); });

const script = `read line
case $line in
cat) exec cat;;
flood) while :; do echo 0123456789012345678901234567890123456789; done;;
loop) while :; do :; done;;
esac
echo "$line"; echo error >&2; exit 3`;

async function ensureImage(): Promise<void> {
  if (existsSync(image)) return;
  await Sandbox.build({ command: ['/bin/sh', '-c', script], output: image });
}

async function withPool(
  workers: number, body: (pool: WorkerPool) => Promise<void>, sandboxesPerWorker: number = 10,
): Promise<void> {
  await ensureImage();
  const pool = await WorkerPool.open(image, { workers, sandboxesPerWorker });
  try {
    await body(pool);
  } finally {
    await pool.close();
  }
}

/** A zombie is gone too: only its parent has not heard of it. */
function isAlive(pid: number): boolean {
  try {
    return !/^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, 'latin1'));
  } catch {
    return false;
  }
}

async function waitForEnd(pids: readonly number[]): Promise<void> {
  const untilMs = performance.now() + 10_000;
  while (pids.some(isAlive)) {
    assert.ok(performance.now() < untilMs, `${pids.filter(isAlive)} still live`);
    await sleep(10);
  }
}

/** Stdin that nothing comes from. */
function silence(): ReadableStream<Uint8Array> {
  return new ReadableStream<Uint8Array>({ pull: () => new Promise(() => {}) });
}

function codeOf(error: unknown): string {
  return CatavmmError.is(error) ? error.code : String(error);
}

testKvm('fork() gives status, output and report, from several workers at once', async () => {
  await withPool(2, async (pool) => {
    const started: number[] = [];
    const outputs = await Promise.all(Array.from({ length: 8 }, (_unused, i) => pool.fork({
      stdin: `line ${i}\n`, onStart: () => started.push(i),
    })));
    assert.is(started.length, 8);
    outputs.forEach(({ status, stdout, stderr, report }, i) => {
      assert.is(text(stdout), `line ${i}\n`);
      assert.is(text(stderr), 'error\n');
      assert.is(status.code, 3);
      assert.is(report.mode, 'fork');
      assert.is(report.image, image);
      assert.ok((report.boots[0]?.endUs ?? 0) > 0);
    });
    assert.is(pool.live, 0);
    assert.is(new Set(pool.pids).size, 2);
  });
}, slow);

testKvm('large stdin and streams arrive whole, and output comes piece by piece', async () => {
  await withPool(1, async (pool) => {
    const bytes = new Uint8Array(3_000_000).map((_unused, i) => i * 7);
    const first = new TextEncoder().encode('cat\n');
    const whole = new Uint8Array(first.length + bytes.length);
    whole.set(first);
    whole.set(bytes, first.length);
    let streamed = 0;
    const direct = pool.fork({
      stdin: whole, onOutput: (_stream, piece) => { streamed += piece.length; },
    });
    let next = 0;
    const pieces = [
      first, bytes.subarray(0, 1), bytes.subarray(1, 900_000), bytes.subarray(900_000),
    ];
    const stdin = new ReadableStream<Uint8Array>({ pull: (controller) => {
      const piece = pieces[next++];
      if (piece === undefined) controller.close();
      else controller.enqueue(piece);
    } });
    for (const { stdout, status } of await Promise.all([direct, pool.fork({ stdin })])) {
      assert.is(status.code, 0);
      assert.ok(Buffer.from(stdout).equals(bytes));
    }
    assert.is(streamed, bytes.length);
  });
}, slow);

testKvm('a guest is killed at its timeout, at an abort, and when it prints too much', async () => {
  await withPool(1, async (pool) => {
    const { status } = await pool.fork({ stdin: 'loop\n', timeoutMs: 100 });
    assert.is(status.reason, 'timeout');
    const abort = new AbortController();
    const aborted = pool.fork({ stdin: 'loop\n', signal: abort.signal });
    const flooded = pool.fork({ stdin: 'flood\n', outputBytesMax: 100_000 });
    const broken = pool.fork({ stdin: 'x\n', onOutput: () => { throw new Error('mine'); } });
    const ends = Promise.allSettled([aborted, flooded, broken]);
    await sleep(50);
    abort.abort(new Error('enough'));
    const reasons = (await ends).map((end) => end.status === 'rejected' ? String(end.reason) : '');
    const expected = [/enough/, /more than 100000 bytes/, /mine/];
    expected.forEach((reason, index) => assert.match(reasons[index] ?? '', reason));
    assert.is(text((await pool.fork({ stdin: 'y\n' })).stdout), 'y\n');
    assert.is(pool.live, 0);
  });
}, slow);

testKvm('a full pool says so', async () => {
  await withPool(1, async (pool) => {
    const waiting = [pool.fork({ stdin: silence() }), pool.fork({ stdin: silence() })];
    const ends = Promise.allSettled(waiting);
    await assert.rejects(pool.fork(), (error: unknown) => codeOf(error) === 'CATAVMM_POOL_FULL');
    await pool.close();
    for (const end of await ends) {
      assert.is(end.status === 'rejected' && codeOf(end.reason), 'CATAVMM_CLOSED');
    }
    await assert.rejects(pool.fork(), (error: unknown) => codeOf(error) === 'CATAVMM_CLOSED');
  }, 2);
}, slow);

testKvm('a worker that is killed loses its own sandboxes only, and is replaced', async () => {
  await withPool(2, async (pool) => {
    let started = 0;
    const forks = Array.from({ length: 4 }, () => pool.fork({
      stdin: silence(), onStart: () => { started++; },
    }));
    const ends = Promise.allSettled(forks);
    while (started < 4) await sleep(5);
    const [victim = 0, other = 0] = pool.pids;
    process.kill(victim, 'SIGKILL');
    await waitForEnd([victim]);
    while (pool.live > 2) await sleep(5);
    assert.is(text((await pool.fork({ stdin: 'on\n' })).stdout), 'on\n');
    while (pool.pids.length < 2) await sleep(5);
    assert.ok(pool.pids.includes(other) && !pool.pids.includes(victim));
    const { pids } = pool;
    await pool.close();
    const codes = (await ends).map((end) => end.status === 'rejected' ? codeOf(end.reason) : '');
    assert.equal(codes.sort(), [
      'CATAVMM_CLOSED', 'CATAVMM_CLOSED', 'CATAVMM_WORKER_LOST', 'CATAVMM_WORKER_LOST',
    ]);
    await waitForEnd(pids);
  });
}, slow);

testKvm('open() has the error of the image, and leaves no process', async () => {
  const error: unknown = await WorkerPool.open(join(directory, 'no.cfi'), { workers: 2 })
    .then(() => null, (reason: unknown) => reason);
  assert.match(String(error), /no\.cfi does not exist/);
  for (const options of [{ workers: 0 }, { workers: 1.5 }, { sandboxesPerWorker: 121 }]) {
    await assert.rejects(WorkerPool.open(image, options), /has to be a number/);
  }
}, slow);

testKvm('workers end when their parent is killed', async () => {
  await ensureImage();
  const built = isSource ? '' : 'dist/';
  const module = join(root, `${built}mod.${isSource ? 'ts' : 'js'}`);
  // Below the project, where Deno finds what it imports.
  mkdirSync(join(root, '.cache'), { recursive: true });
  const program = join(root, '.cache', `pool-${process.pid}.mjs`);
  writeFileSync(program, `import { WorkerPool } from ${JSON.stringify(module)};
const pool = await WorkerPool.open(${JSON.stringify(image)}, { workers: 2 });
const stdin = () => new ReadableStream({ pull: () => new Promise(() => {}) });
let started = 0;
const onStart = () => { if (++started === 3) console.log(JSON.stringify(pool.pids)); };
for (let i = 0; i < 2; i++) pool.fork({ stdin: stdin(), onStart }).catch(() => {});
pool.fork({ stdin: 'loop\\n', onStart }).catch(() => {});
`);
  try {
    const [binary = '', ...args] = commandFor(getRuntime(currentRuntimeName()), program);
    const child = spawn(binary, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    const exited = new Promise((resolve) => { child.on('exit', resolve); });
    const pids = await new Promise<number[]>((resolve, reject) => {
      child.stdout.once('data', (data: Buffer) => resolve(JSON.parse(data.toString()) as number[]));
      child.on('exit', () => reject(new Error('the parent ended')));
    });
    assert.is(pids.length, 2);
    assert.ok(pids.every(isAlive));
    process.kill(child.pid as number, 'SIGKILL');
    await exited;
    await waitForEnd(pids);
  } finally {
    rmSync(program);
  }
}, slow);

test.run();
