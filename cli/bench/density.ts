// Experiment `density`: forks while many others live. Sandboxes of the C demo, spread over worker
// processes, are forked and wait in a read of stdin that nothing comes from; at each level new ones
// are forked, one after another without a pause, each to its end.
//
//   call to first output   the caller's clock, from pool.fork() to the first byte in its hands: the
//                          way to the worker and back, machines that were not ready, all is in it
//   of it in the worker    the worker's clock, from the fork to the first byte that is written
//   memory of one idle     what MemAvailable lost while the level was filled, by those added
//   …, workers included    what it lost since before the workers were started, by all that live
//   one bare machine       the same for machines with the same slots that nobody has used
import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { closeZygote, makeZygote, type Zygote } from '../../vmm/boot/pool/zygote.ts';
import { zygoteOptionsOf } from '../../vmm/boot/run/launch.ts';
import { CatavmmError } from '../../vmm/errors.ts';
import { FuncImage } from '../../vmm/func-image.ts';
import { Sandbox } from '../../vmm/sandbox.ts';
import { WorkerPool } from '../../vmm/worker-pool.ts';
import { ENVIRONMENT, HELLO_NAME, listPrograms, type Program } from './programs.ts';
import {
  type BenchContext, type Experiment, type ExperimentResult, makeClaim, makeRow, type Row,
  summarise,
} from './report.ts';

const LIVE = 1000;
const LIVE_QUICK = 100;
const LEVELS: readonly number[] = [0, 100, 500, 1000];
/** Fewer have no 99th percentile. */
const RUNS_MIN = 200;
const RUNS_QUICK = 10;
/** Forks in each worker that do not count. */
const WARM_UPS = 40;
const IDLE_PER_WORKER = 100;
/** Room for new ones. */
const SPARE_PER_WORKER = 8;
/** How many idle ones are asked for at a time. */
const FILL_WIDTH = 10;
const BARE_MACHINES = 200;
const P99 = 'call to first output: p99';
const P99_LIMIT_US = 10_000;
const BEYOND = 'memory of one idle beyond a bare machine';
const IDLE_LIMIT_BYTES = 1024 * 1024;
/** What ended processes had comes back late: MemAvailable counts once it stays the same. */
const SETTLE_MS = 500;
const SETTLED_BYTES = 2 ** 20;
const SETTLE_ROUNDS = 10;
const READINGS = 9;
const READING_MS = 50;

const sleep = (ms: number): Promise<void> => new Promise((resolve) => { setTimeout(resolve, ms); });

/** MemAvailable once the machine has settled, or after some seconds. */
async function readAvailable(): Promise<number> {
  let last = await readSteadily();
  for (let round = 1; round < SETTLE_ROUNDS; round++) {
    const next = await readSteadily();
    if (Math.abs(next - last) <= SETTLED_BYTES) return next;
    last = next;
  }
  return last;
}

/** The median of some readings. */
async function readSteadily(): Promise<number> {
  await sleep(SETTLE_MS);
  const readings: number[] = [];
  for (let i = 0; i < READINGS; i++) {
    const match = /^MemAvailable:\s+(\d+) kB$/m.exec(readFileSync('/proc/meminfo', 'latin1'));
    if (match === null) throw new Error('/proc/meminfo has no MemAvailable');
    readings.push(Number(match[1]) * 1024);
    await sleep(READING_MS);
  }
  return summarise(readings).median;
}

/** The sandboxes that wait. */
class Idle {
  readonly #pool: WorkerPool;
  /** Why some live no more. */
  #failure: unknown = null;
  count: number = 0;

  constructor(pool: WorkerPool) {
    this.#pool = pool;
  }

  /** Forks more of them, until there are `count` that wait. */
  async fill(count: number): Promise<void> {
    while (this.count < count) {
      const some = Math.min(FILL_WIDTH, count - this.count);
      await Promise.all(Array.from({ length: some }, () => this.#add()));
      this.count += some;
    }
    this.check();
  }

  /** @throws when one of them has ended */
  check(): void {
    if (this.#failure !== null) throw this.#failure;
    const { live } = this.#pool;
    if (live !== this.count) throw new Error(`${live} live, not ${this.count}`);
  }

  #add(): Promise<void> {
    return new Promise((resolve, reject) => {
      const stdin = new ReadableStream<Uint8Array>({ pull: () => new Promise(() => {}) });
      this.#pool.fork({ stdin, onStart: resolve }).then(
        ({ status }) => { throw new Error(`an idle sandbox ended with code ${status.code}`); },
      ).catch((error: unknown) => {
        if (CatavmmError.is(error) && error.code === 'CATAVMM_CLOSED') return;
        this.#failure ??= error;
        reject(error);
      });
    });
  }
}

/** What a machine costs that no guest has had: what idle sandboxes are compared with. */
async function measureBareMachine(image: string): Promise<number> {
  const open = await FuncImage.open(image, { pool: { low: 0, high: 0 } });
  const machines: Zygote[] = [];
  try {
    const options = zygoteOptionsOf(open.snapshot());
    const beforeBytes = await readAvailable();
    while (machines.length < BARE_MACHINES) machines.push(makeZygote(options));
    return (beforeBytes - await readAvailable()) / BARE_MACHINES;
  } finally {
    for (const machine of machines) closeZygote(machine);
    await open.close();
  }
}

interface ForkSample {
  us: number;
  workerUs: number;
}

async function forkOnce(pool: WorkerPool, { input, expected }: Program): Promise<ForkSample> {
  const startMs = performance.now();
  let firstMs = NaN;
  const { status, stdout, report } = await pool.fork({
    stdin: input,
    onOutput: () => { if (Number.isNaN(firstMs)) firstMs = performance.now(); },
  });
  const text = new TextDecoder().decode(stdout);
  if (!status.success || text === '' || !expected.endsWith(text)) {
    throw new Error(status.message ?? `exit code ${status.code}, printed ${JSON.stringify(text)}`);
  }
  return {
    us: (firstMs - startMs) * 1000,
    workerUs: report.boots[0]?.firstOutputUs ?? NaN,
  };
}

interface Setting {
  program: Program;
  pool: WorkerPool;
  idle: Idle;
  workers: number;
  /** MemAvailable before the workers were started. */
  beforeBytes: number;
  /** Of one machine that nobody has used. */
  bareBytes: number;
}

/** Fills up to a level and measures there. */
async function measureLevel(
  { program, pool, idle, workers, beforeBytes, bareBytes }: Setting, level: number, runs: number,
  context: BenchContext,
): Promise<Row[]> {
  const group = `${level} live`;
  const added = level - idle.count;
  const emptyBytes = await readAvailable();
  context.progress(`density, filling up to ${level}`, 0, 0);
  await idle.fill(level);
  const fullBytes = await readAvailable();
  const samples: ForkSample[] = [];
  for (let run = 0; run < runs; run++) {
    context.progress(`density, ${group}`, run, runs);
    samples.push(await forkOnce(pool, program));
  }
  idle.check();
  const us = samples.map((sample) => sample.us);
  const workerUs = samples.map((sample) => sample.workerUs);
  const rows = [
    makeRow(group, 'call to first output', 'us', us, 'the way to the worker included'),
    makeRow(group, P99, 'us', [summarise(us).p99]),
    makeRow(group, 'of it in the worker', 'us', workerUs),
  ];
  if (level === 0) return rows;
  const one = (emptyBytes - fullBytes) / added;
  const all = (beforeBytes - fullBytes) / level;
  return [
    ...rows,
    makeRow(group, 'memory of one idle', 'bytes', [one], `${added} were added`),
    makeRow(group, BEYOND, 'bytes', [one - bareBytes], 'the same slots, no guest'),
    makeRow(group, 'memory of one idle, workers included', 'bytes', [all], `${workers} workers`),
    makeRow(group, 'sandboxes', 'count', [level], `${pool.pids.length} workers live`),
  ];
}

async function measureAll(
  program: Program, image: string, live: number, context: BenchContext,
): Promise<Row[]> {
  const runs = context.quick ? RUNS_QUICK : Math.max(context.runs, RUNS_MIN);
  const workers = Math.max(availableParallelism(), Math.ceil(live / IDLE_PER_WORKER));
  const bareBytes = await measureBareMachine(image);
  const beforeBytes = await readAvailable();
  context.progress(`density, starting ${workers} workers`, 0, 0);
  const sandboxesPerWorker = IDLE_PER_WORKER + SPARE_PER_WORKER;
  const pool = await WorkerPool.open(image, { workers, sandboxesPerWorker });
  try {
    const idle = new Idle(pool);
    const rows: Row[] = [makeRow('no live', 'memory of one bare machine', 'bytes', [bareBytes])];
    // The first fork in a worker is watched: it learns what forks write. And its code gets warm,
    // which would else look as if forks became faster the more there are.
    const warmUps = (context.quick ? 1 : WARM_UPS) * workers;
    for (let run = 0; run < warmUps; run++) await forkOnce(pool, program);
    const setting = { program, pool, idle, workers, beforeBytes, bareBytes };
    for (const level of LEVELS.filter((value) => value <= live)) {
      rows.push(...await measureLevel(setting, level, runs, context));
    }
    return rows;
  } finally {
    await pool.close();
  }
}

async function run(context: BenchContext): Promise<ExperimentResult> {
  const live = context.quick ? LIVE_QUICK : LIVE;
  const found = listPrograms(context.directory).find(({ name }) => name === HELLO_NAME);
  const program = found?.program ?? `${HELLO_NAME} is missing`;
  if (typeof program === 'string') {
    return { rows: [makeRow(HELLO_NAME, 'call to first output', 'us', [], program)], claims: [] };
  }
  const image = join(context.directory, 'density.cfi');
  await Sandbox.build({
    command: program.command, env: ENVIRONMENT, output: image, stdout: 'null', stderr: 'null',
  });
  const rows = await measureAll(program, image, live, context);
  const group = `${LIVE} live`;
  if (live < LIVE) rows.push(makeRow(group, 'sandboxes', 'count', [], 'not with --quick'));
  const judged = (name: string): Row | undefined =>
    rows.find((row) => row.group === group && row.name === name);
  const [forks, memory] = ['of a hundred forks meanwhile, 99 take at most 10 ms to their output',
    'one idle takes at most 1 MiB beyond a machine without a guest'];
  return {
    rows,
    claims: [
      makeClaim(`${LIVE} sandboxes live at once`, 'at least', LIVE, judged('sandboxes')),
      makeClaim(forks as string, 'at most', P99_LIMIT_US, judged(P99)),
      makeClaim(memory as string, 'at most', IDLE_LIMIT_BYTES, judged(BEYOND)),
    ],
  };
}

export const densityExperiment: Experiment = {
  name: 'density', title: 'forks while many others live, over worker processes', run,
};
