// Experiment `boots`: from the request for a sandbox to its first output, in a process that holds
// the image or template, the machine made or wiped beforehand.
//
//   native    vfork and exec of the same program by a C program (c/first-output.c)
//   cold      Sandbox.boot of the file, the machine made beforehand
//   warm      FuncImage.boot
//   fork      Template.fork, on a machine that no guest has had yet
//   recycled  Template.fork, on the wiped machine of the last fork
//   runsc     the program in gVisor, `runsc --network=none do`, to its end
//   criu      `criu restore` of the program, without isolation, to its end (criu.ts)
//   floor     what KVM alone costs for a fork, up to the guest's first exit (c/floor.c)
//
// First the C hello is forked one after the other for 10 seconds, with all that belongs to it; this
// also compiles what the turns use. Then all take turns, at least 200 times (runsc, criu 20).
// Machines are made and wiped between turns.
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { FuncImage } from '../../vmm/func-image.ts';
import { Sandbox } from '../../vmm/sandbox.ts';
import { Template } from '../../vmm/template.ts';
import { buildCFile, CGuest } from './c-guest.ts';
import { type Criu, dumpWithCriu } from './criu.ts';
import {
  type Collected, type Contender, pairs, type Sample, takeTurns, valuesOf,
} from './harness.ts';
import { ENVIRONMENT, LEAVING_NAME, listPrograms, makeProgram, type Program } from './programs.ts';
import {
  type BenchContext, type Claim, type Experiment, type ExperimentResult, makeClaim, makeRow,
  type Row,
} from './report.ts';

const HELLO = 'C hello';
const RUNS_MIN = 200;
const RUNS_QUICK = 3;
const SELDOM = 10;
const SUSTAINED_S = 10;
const SUSTAINED_S_QUICK = 0.5;
const RATE = 'forks per second';
const FLOOR_PAGES_MOST = 500;
const NO_POOL = { low: 0, high: 0 };
const SOME_WIPED = { low: 0, high: 8 };

interface Held {
  program: Program;
  image: FuncImage;
  /** Forks of one get new machines, those of the other the last fork's. */
  fresh: Template;
  recycling: Template;
  native: CGuest | null;
  floor: CGuest | null;
  /** Or why there is none. */
  criu: Criu | string;
}

let tenants = 0;

/** Lets machines be closed or wiped before the next turn. */
async function settle(sandbox: Sandbox): Promise<void> {
  await sandbox.close();
  await new Promise((resolve) => { setImmediate(resolve); });
}

async function finish(sandbox: Sandbox, { expected }: Program): Promise<Sample> {
  const { success, code, message, stdout } = await sandbox.output();
  const text = new TextDecoder().decode(stdout);
  if (!success || text === '' || !expected.endsWith(text)) {
    throw new Error(message ?? `exit code ${code}, printed ${JSON.stringify(text)}`);
  }
  const [boot] = sandbox.report().boots;
  await settle(sandbox);
  return { us: boot?.firstOutputUs ?? NaN, instruction: boot?.firstInstructionUs ?? NaN };
}

async function bootCold({ program, image }: Held): Promise<Sample> {
  Sandbox.prepare(image.path);
  return finish(await Sandbox.boot(image.path, { stdin: program.input }), program);
}

async function bootWarm({ program, image }: Held): Promise<Sample> {
  Sandbox.prepare(image.path);
  const tenant = `warm ${++tenants}`;
  return finish(await image.boot({ stdin: program.input, tenant }), program);
}

async function forkFresh({ program, image, fresh }: Held): Promise<Sample> {
  Sandbox.prepare(image.path);
  // A tenant of its own gets no machine that was used before.
  const tenant = `fork ${++tenants}`;
  return finish(await fresh.fork({ stdin: program.input, tenant }), program);
}

async function forkRecycled({ program, recycling }: Held): Promise<Sample> {
  return finish(await recycling.fork({ stdin: program.input }), program);
}

/** Every tenth turn, for what takes a hundred times as long as the others. */
function sometimes(once: () => Sample): Contender['once'] {
  let turn = 0;
  let last: Sample = {};
  return () => {
    if (turn++ % SELDOM === 0) last = once();
    return last;
  };
}

function restoreWithCriu({ criu }: Held): Contender['once'] {
  return sometimes(() => {
    if (typeof criu === 'string') throw new Error(criu);
    return criu.restore();
  });
}

function runGvisor({ program }: Held): Contender['once'] {
  return sometimes(() => {
    const startMs = performance.now();
    const { status, error, stdout } = spawnSync(
      'runsc', ['--network=none', 'do', ...program.command],
      { input: program.input, encoding: 'utf8', env: { ...ENVIRONMENT }, timeout: 60_000 });
    if (error !== undefined) throw new Error('not installed: apt-get install runsc');
    if (status !== 0 || stdout !== program.expected) throw new Error(`runsc: exit code ${status}`);
    return { us: (performance.now() - startMs) * 1000 };
  });
}

async function measureFloor(floor: CGuest): Promise<Sample> {
  return { instruction: await floor.measure(1) };
}

function contendersFor(held: Held): Contender[] {
  const { native, floor } = held;
  return [
    ...(native === null ? [] : [{
      name: 'native', once: async (): Promise<Sample> => ({ us: await native.measure(1) }),
    }]),
    { name: 'cold', once: () => bootCold(held) },
    { name: 'warm', once: () => bootWarm(held) },
    { name: 'fork', once: () => forkFresh(held) },
    { name: 'recycled', once: () => forkRecycled(held) },
    { name: 'runsc', once: runGvisor(held) },
    { name: 'criu', once: restoreWithCriu(held) },
    ...(floor === null ? [] : [{ name: 'floor', once: () => measureFloor(floor) }]),
  ];
}

async function hold(program: Program, directory: string, index: number): Promise<Held> {
  const output = join(directory, `boots-${index}.cfi`);
  await Sandbox.build({
    command: program.command, env: ENVIRONMENT, output, entry: { kind: 'stdin' },
    stdout: 'null', stderr: 'null',
  });
  const image = await FuncImage.open(output, { pool: NO_POOL });
  const input = join(directory, `boots-${index}.in`);
  writeFileSync(input, program.input);
  const runner = buildCFile('cli/bench/c/first-output.c', directory, []);
  return {
    program, image,
    fresh: await Template.from(image, { pool: NO_POOL }),
    recycling: await Template.from(image, { pool: SOME_WIPED }),
    native: typeof runner === 'string'
      ? null : new CGuest(runner.file, [input, ...program.command]),
    floor: startFloor(image, directory),
    criu: await dumpWithCriu(program, directory, index),
  };
}

/** The C program that copies and touches as many pages as a boot of the image does at once. */
function startFloor(image: FuncImage, directory: string): CGuest | null {
  const built = buildCFile('cli/bench/c/floor.c', directory, []);
  if (typeof built === 'string') return null;
  const pages = Math.min(image.snapshot().hot?.count ?? 0, FLOOR_PAGES_MOST);
  const file = join(directory, 'floor.bin');
  writeFileSync(file, new Uint8Array(FLOOR_PAGES_MOST * 4096).fill(1));
  return new CGuest(built.file, [file, String(pages)]);
}

async function release(held: Held): Promise<void> {
  const { image, fresh, recycling, native, floor, criu } = held;
  if (typeof criu !== 'string') criu.close();
  await native?.close();
  await floor?.close();
  await fresh.close();
  await recycling.close();
  await image.close();
}

function rowsOf({ program }: Held, collected: Map<string, Collected>): Row[] {
  const rows: Row[] = [];
  for (const [name, entry] of collected) {
    const note = entry.failure ?? '';
    const us = valuesOf(entry, 'us');
    if (us.length > 0 || note !== '') rows.push(makeRow(program.name, name, 'us', us, note));
    const instruction = valuesOf(entry, 'instruction');
    if (instruction.length > 0) {
      rows.push(makeRow(program.name, `${name}: first instruction`, 'us', instruction));
    }
  }
  for (const [name, other] of [
    ['native', 'fork'], ['runsc', 'fork'], ['criu', 'fork'],
  ] as const) {
    const values = pairs(collected.get(name), collected.get(other), 'us', (a, b) => a / b);
    rows.push(makeRow(program.name, `${name} / ${other}`, 'ratio', values, 'turn by turn'));
  }
  const overFloor = pairs(collected.get('fork'), collected.get('floor'), 'instruction',
    (fork, floor) => fork / floor);
  rows.push(makeRow(program.name, 'fork / floor: first instruction', 'ratio', overFloor,
    'KVM alone, as many pages'));
  return rows;
}

/** Forks that end in a second, one after the other, with the making and wiping of machines. */
async function forksPerSecond({ program, image }: Held, seconds: number): Promise<number> {
  const template = await Template.from(image, { pool: { low: 1, high: 4 } });
  const endMs = performance.now() + seconds * 1000;
  const startMs = performance.now();
  let done = 0;
  for (; performance.now() < endMs; done++) {
    const sandbox = await template.fork({ stdin: program.input });
    const { success, message } = await sandbox.output();
    if (!success) throw new Error(message ?? 'a fork failed');
    await sandbox.close();
  }
  const rate = done / (performance.now() - startMs) * 1000;
  await template.close();
  return rate;
}

type Goal = readonly [
  group: string, row: string, relation: 'at most' | 'at least', limit: number, claim: string,
];

const GOALS: readonly Goal[] = [
  [HELLO, 'native / fork', 'at least', 1, 'a fork of the C hello is faster than fork and exec'],
  [HELLO, 'runsc / fork', 'at least', 150, 'a fork of the C hello is 150 times as fast as runsc'],
  [HELLO, 'criu / fork', 'at least', 5, 'a fork of the C hello is 5 times as fast as CRIU'],
  [LEAVING_NAME, 'native / fork', 'at least', 8, 'a fork of Python takes an eighth of its start'],
  [HELLO, RATE, 'at least', 500, 'one core forks the C hello 500 times in a second'],
  [HELLO, 'warm', 'at most', 1500, 'a warm boot of the C hello takes at most 1.5 ms'],
  [LEAVING_NAME, 'warm', 'at most', 3000, 'a warm boot of Python takes at most 3 ms'],
  [HELLO, 'cold', 'at most', 3000, 'a cold boot of the C hello takes at most 3 ms'],
  [LEAVING_NAME, 'cold', 'at most', 6000, 'a cold boot of Python takes at most 6 ms'],
];

function claimsOf(rows: readonly Row[]): Claim[] {
  return GOALS.map(([group, name, relation, limit, claim]) => {
    const judged = rows.find((row) => row.group === group && row.name === name);
    return makeClaim(claim, relation, limit, judged);
  });
}

function programsFor(directory: string): { name: string; program: Program | string }[] {
  const built = buildCFile('cli/bench/c/hello.c', directory, ['-static']);
  const hello = typeof built === 'string' ? built : makeProgram(HELLO, [built.file]);
  const python = listPrograms(directory).filter(({ name }) => name === LEAVING_NAME);
  return [{ name: HELLO, program: hello }, ...python];
}

async function run(context: BenchContext): Promise<ExperimentResult> {
  const runs = context.quick ? RUNS_QUICK : Math.max(context.runs, RUNS_MIN);
  const rows: Row[] = [];
  for (const [index, { name, program }] of programsFor(context.directory).entries()) {
    if (typeof program === 'string') {
      rows.push(makeRow(name, 'fork', 'us', [], program));
      continue;
    }
    const held = await hold(program, context.directory, index);
    try {
      if (name === HELLO) {
        const seconds = context.quick ? SUSTAINED_S_QUICK : SUSTAINED_S;
        const rate = await forksPerSecond(held, seconds);
        rows.push(makeRow(HELLO, RATE, 'count', [rate], `in ${seconds} s, one after the other`));
      }
      const turns = { ...context, runs, warmUps: context.quick ? 1 : 20 };
      rows.push(...rowsOf(held, await takeTurns(contendersFor(held), turns, `boots, ${name}`)));
    } finally {
      await release(held);
    }
  }
  return { rows, claims: claimsOf(rows) };
}

export const bootsExperiment: Experiment = {
  name: 'boots', title: 'from the request to the first output: cold, warm, fork', run,
};
