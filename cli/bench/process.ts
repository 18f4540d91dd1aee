// Experiment `process`: whole commands, from their start to their end, as a shell sees them.
//
//   native           the program on the host's kernel
//   empty            a program that imports koffi, cbor-x and cac, on each runtime
//   boot             `catavmm boot` of its image, on each runtime, as built and from source
//   runsc            the program in gVisor: `runsc --network=none do`
//
// All take turns, each in a fresh process with the same stdin. Each answer is compared with the
// native one; a command that fails or answers otherwise has no figure.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { Sandbox } from '../../vmm/sandbox.ts';
import type { RuntimeName } from '../../vmm/host/runtime.ts';
import { writeEmptyProgram } from './empty-program.ts';
import {
  type Collected, type Contender, pairs, type Sample, takeTurns, valuesOf,
} from './harness.ts';
import { commandOn, findCommandFile, findRuntime, type Runtime } from './places.ts';
import {
  ENVIRONMENT, LEAVING_NAME, listPrograms, type Program, PYTHON_NAME,
} from './programs.ts';
import {
  type BenchContext, type Claim, type Experiment, type ExperimentResult, makeClaim, makeRow,
  type Row,
} from './report.ts';

const RUNTIMES: readonly RuntimeName[] = ['node', 'bun', 'deno'];
const EXTRA_LIMIT_US = 15_000;
const RUNSC_RATIO_LOW = 3;

/** Environment of a timed process. Deno and Bun find their caches by HOME. */
function environment(): Record<string, string> {
  const { HOME = '/root' } = process.env;
  return { ...ENVIRONMENT, HOME, DENO_NO_UPDATE_CHECK: '1' };
}

/** Times one process; `expected` is what its stdout must end with. */
function time(command: readonly string[], input: string, expected: string): Sample {
  const [program = '', ...rest] = command;
  const startMs = performance.now();
  const { status, error, stdout, stderr } = spawnSync(program, rest, {
    input, encoding: 'utf8', env: environment(), timeout: 60_000,
  });
  const us = (performance.now() - startMs) * 1000;
  if (error !== undefined) throw error;
  if (status !== 0) {
    throw new Error(`exit code ${status}: ${stderr.trim().split('\n')[0] ?? ''}`);
  }
  if (!stdout.endsWith(expected)) throw new Error(`printed ${JSON.stringify(stdout)}`);
  return { us };
}

/** A way to boot: a runtime and a form of the command. */
interface Way {
  runtime: RuntimeName;
  form: 'built' | 'source';
}

/** Node runs the built command; Bun and Deno run the source too. */
const WAYS: readonly Way[] = RUNTIMES.flatMap((runtime): Way[] => [
  { runtime, form: 'built' },
  ...(runtime === 'node' ? [] : [{ runtime, form: 'source' } as const]),
]);

function bootName({ runtime, form }: Way): string {
  return form === 'built' ? `boot on ${runtime}` : `boot on ${runtime}, from source`;
}

interface Setting {
  program: Program;
  image: string;
  /** What a boot prints. */
  answer: string;
  runtimes: Map<RuntimeName, Runtime>;
  empty: string | null;
}

function bootContender(setting: Setting, way: Way): Contender | null {
  const runtime = setting.runtimes.get(way.runtime);
  const file = findCommandFile(way.form);
  if (runtime === undefined || file === undefined) return null;
  const command = [...commandOn(runtime, file), 'boot', setting.image];
  const { program: { input }, answer } = setting;
  return { name: bootName(way), once: () => time(command, input, answer) };
}

function listContenders(setting: Setting): Contender[] {
  const { program, runtimes, empty } = setting;
  const { command, input, expected } = program;
  const contenders: (Contender | null)[] = [
    { name: 'native', once: () => time(command, input, expected) },
  ];
  for (const [name, runtime] of runtimes) {
    if (empty === null) continue;
    const words = commandOn(runtime, empty);
    contenders.push({ name: `empty on ${name}`, once: () => time(words, '', '') });
  }
  contenders.push(...WAYS.map((way) => bootContender(setting, way)));
  const runsc = ['runsc', '--network=none', 'do', ...command];
  contenders.push({ name: 'runsc', once: () => time(runsc, input, expected) });
  return contenders.filter((contender) => contender !== null);
}

/** What to install when a command could not be started. */
function explain(name: string, failure: string): string {
  if (!failure.includes('ENOENT')) return failure;
  return name === 'runsc' ? 'not installed: apt-get install runsc' : failure;
}

function rowsOf(setting: Setting, collected: Map<string, Collected>): Row[] {
  const group = setting.program.name;
  const rows = [...collected].map(([name, entry]) => {
    const note = entry.failure === null ? '' : explain(name, entry.failure);
    return makeRow(group, name, 'us', valuesOf(entry, 'us'), note);
  });
  for (const way of WAYS) {
    const boot = collected.get(bootName(way));
    if (boot === undefined) {
      rows.push(makeRow(group, bootName(way), 'us', [], missing(setting, way)));
      continue;
    }
    const extra = pairs(boot, collected.get(`empty on ${way.runtime}`), 'us', (a, b) => a - b);
    rows.push(makeRow(group, `${bootName(way)} - empty`, 'us', extra, noteFor(extra)));
    const ratio = pairs(collected.get('runsc'), boot, 'us', (a, b) => a / b);
    rows.push(makeRow(group, `runsc / ${bootName(way)}`, 'ratio', ratio, noteFor(ratio)));
  }
  return rows;
}

function noteFor(values: readonly number[]): string {
  return values.length > 0 ? 'turn by turn' : 'one of the two was not measured';
}

function missing({ runtimes }: Setting, { runtime, form }: Way): string {
  if (!runtimes.has(runtime)) return `no ${runtime} on this machine: npm install ${runtime}`;
  return form === 'built' ? 'not built: npm run build' : 'the source is only in the repository';
}

/** The claims about one way for the Python service to end. */
function claimsOf(rows: readonly Row[], program: string): Claim[] {
  const find = (name: string): Row | undefined =>
    rows.find((row) => row.group === program && row.name === name);
  return RUNTIMES.flatMap((runtime) => {
    const name = bootName({ runtime, form: 'built' });
    return [
      makeClaim(`${program}: on ${runtime}, boot takes at most 15 ms more than an empty program`,
        'at most', EXTRA_LIMIT_US, find(`${name} - empty`)),
      makeClaim(`${program}: on ${runtime}, boot is at least 3 times as fast as runsc`, 'at least',
        RUNSC_RATIO_LOW, find(`runsc / ${name}`)),
    ];
  });
}

/** What a boot of the image prints: found out once, by a boot in this process. */
async function answerOf(program: Program, image: string): Promise<string> {
  const sandbox = await Sandbox.boot(image, { stdin: program.input });
  const { success, code, message, stdout } = await sandbox.output();
  const text = new TextDecoder().decode(stdout);
  if (success && text !== '' && program.expected.endsWith(text)) return text;
  const what = `the boot ended with code ${code} and printed ${JSON.stringify(text)}`;
  throw new Error(message ?? what);
}

async function run(context: BenchContext): Promise<ExperimentResult> {
  const { directory, progress } = context;
  const found = RUNTIMES.flatMap((name) => findRuntime(name) ?? []);
  const runtimes = new Map(found.map((runtime) => [runtime.name, runtime]));
  const empty = writeEmptyProgram(directory);
  const rows: Row[] = [];
  if (typeof empty === 'string') rows.push(makeRow('empty', 'empty', 'us', [], empty));
  for (const [index, { name, program }] of listPrograms(directory).entries()) {
    if (typeof program === 'string') {
      rows.push(makeRow(name, 'native', 'us', [], program));
      continue;
    }
    progress(`process, building an image of ${program.name}`, 0, 0);
    const image = join(directory, `process-${index}.cfi`);
    await Sandbox.build({
      command: program.command, env: ENVIRONMENT, output: image, stdout: 'null', stderr: 'null',
    });
    const answer = await answerOf(program, image);
    const setting: Setting = {
      program, image, answer, runtimes, empty: typeof empty === 'string' ? null : empty.file,
    };
    const collected = await takeTurns(listContenders(setting), context, `process, ${program.name}`);
    rows.push(...rowsOf(setting, collected));
  }
  return { rows, claims: [LEAVING_NAME, PYTHON_NAME].flatMap((name) => claimsOf(rows, name)) };
}

export const processExperiment: Experiment = {
  name: 'process', title: 'whole commands, each in a fresh process', run,
};
