// Experiment `timeline`: run, build and boot phase by phase, for a small C program and for a Python
// service. The numbers are those of `--report`, whose clock starts when the image is opened.
//
//   run                    the program from its beginning, in a sandbox
//   build                  up to func-entry, profiled and saved
//   boot, first            by the command, in a process that has done nothing else
//   boot, later            one after another in this process, which has booted the image before;
//                          the machine is made beforehand (phase "prepare"), as a server would
//                          do between requests
//
// The first three take turns. Later boots follow one another: that is what they are about.
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { BootReport, Report } from '../../vmm/options.ts';
import { Sandbox } from '../../vmm/sandbox.ts';
import {
  type Collected, type Contender, namesOf, type Sample, takeTurns, valuesOf,
} from './harness.ts';
import { ownCommand } from './places.ts';
import { ENVIRONMENT, listPrograms, type Program, PYTHON_NAME } from './programs.ts';
import {
  type BenchContext, type Experiment, type ExperimentResult, makeClaim, makeRow, type Row,
  type Unit,
} from './report.ts';

const LATER = 'boot, later';
const FIRST_OUTPUT = 'first output';
const FIRST_OUTPUT_LIMIT_US = 3000;
const COUNTS: readonly string[] = ['exits', 'faults', 'opens'];

/** Phases first, in their order, then the milestones. */
function sampleOf(boot: BootReport | undefined, before: Sample = {}): Sample {
  if (boot === undefined) throw new Error('the report has no boot');
  return {
    ...before,
    ...Object.fromEntries(Object.entries(boot.phases).map(([name, us]) => [`phase ${name}`, us])),
    'first instruction': boot.firstInstructionUs,
    ...(boot.firstOutputUs === null ? {} : { [FIRST_OUTPUT]: boot.firstOutputUs }),
    end: boot.endUs,
    exits: boot.exits,
    faults: boot.faults,
    opens: boot.opens,
  };
}

/** A boot prints what comes after func-entry: the end of what the whole program prints. */
function checkOutput(program: Program, output: string, isBoot: boolean): void {
  const good = isBoot
    ? output !== '' && program.expected.endsWith(output) : output === program.expected;
  if (!good) {
    throw new Error(`printed ${JSON.stringify(output)}, not ${JSON.stringify(program.expected)}`);
  }
}

async function finish(sandbox: Sandbox, program: Program, isBoot: boolean): Promise<BootReport> {
  const { success, code, message, stdout, stderr } = await sandbox.output();
  if (!success) {
    throw new Error(message ?? `exit code ${code}: ${new TextDecoder().decode(stderr).trim()}`);
  }
  checkOutput(program, new TextDecoder().decode(stdout), isBoot);
  return sandbox.report().boots[0] as BootReport;
}

async function runOnce(program: Program): Promise<Sample> {
  const { command, input } = program;
  const sandbox = await Sandbox.run({ command, env: ENVIRONMENT, stdin: input });
  return sampleOf(await finish(sandbox, program, false));
}

async function buildOnce(program: Program, output: string): Promise<Sample> {
  const startMs = performance.now();
  const { phases } = await Sandbox.build({
    command: program.command, env: ENVIRONMENT, output, stdout: 'null', stderr: 'null',
  });
  const end = (performance.now() - startMs) * 1000;
  const named = Object.entries(phases).map(([name, us]) => [`phase ${name}`, us]);
  return { ...Object.fromEntries(named), end };
}

function bootInNewProcess(program: Program, image: string, report: string): Sample {
  const [binary, ...rest] = ownCommand() ?? [];
  if (binary === undefined) throw new Error('the command is not built: npm run build');
  const args = [...rest, 'boot', '--report', report, image];
  const { status, stdout, stderr } = spawnSync(binary, args, {
    input: program.input, encoding: 'utf8', timeout: 60_000,
  });
  if (status !== 0) throw new Error(`exit code ${status}: ${(stderr ?? '').trim()}`);
  checkOutput(program, stdout, true);
  return sampleOf((JSON.parse(readFileSync(report, 'utf8')) as Report).boots[0]);
}

async function bootLater(program: Program, image: string): Promise<Sample> {
  const startMs = performance.now();
  Sandbox.prepare(image);
  const prepare = (performance.now() - startMs) * 1000;
  const sandbox = await Sandbox.boot(image, { stdin: program.input });
  return sampleOf(await finish(sandbox, program, true), { 'phase prepare': prepare });
}

function contendersFor(
  program: Program, image: string, directory: string, index: number,
): Contender[] {
  const rebuilt = join(directory, `rebuilt-${index}.cfi`);
  const report = join(directory, `report-${index}.json`);
  return [
    { name: 'run', once: () => runOnce(program) },
    { name: 'build', once: () => buildOnce(program, rebuilt) },
    { name: 'boot, first', once: () => bootInNewProcess(program, image, report) },
  ];
}

function unitOf(name: string): Unit {
  return COUNTS.includes(name) ? 'count' : 'us';
}

function rowsOf(program: Program, collected: Map<string, Collected>): Row[] {
  return [...collected].flatMap(([contender, entry]) => {
    const group = `${program.name}: ${contender}`;
    if (entry.failure !== null) return [makeRow(group, 'end', 'us', [], entry.failure)];
    return namesOf(entry).map((name) => {
      const note = name === 'phase prepare' ? 'beforehand' : '';
      return makeRow(group, name, unitOf(name), valuesOf(entry, name), note);
    });
  });
}

async function run(context: BenchContext): Promise<ExperimentResult> {
  const rows: Row[] = [];
  for (const [index, { name, program }] of listPrograms(context.directory).entries()) {
    if (typeof program === 'string') {
      rows.push(makeRow(name, 'end', 'us', [], program));
      continue;
    }
    const image = join(context.directory, `timeline-${index}.cfi`);
    await buildOnce(program, image);
    const contenders = contendersFor(program, image, context.directory, index);
    rows.push(...rowsOf(program, await takeTurns(contenders, context, `timeline, ${name}`)));
    const later = [{ name: LATER, once: () => bootLater(program, image) }];
    // The first boot of an image in a process is no later boot.
    const warmUps = Math.max(1, context.warmUps);
    const collected = await takeTurns(later, { ...context, warmUps }, `timeline, ${name}, later`);
    rows.push(...rowsOf(program, collected));
  }
  const judged = rows.find(({ group, name }) =>
    group === `${PYTHON_NAME}: ${LATER}` && name === FIRST_OUTPUT);
  return {
    rows,
    claims: [makeClaim('a later boot of the Python service prints its answer within 3 ms of the ' +
      'opening of its image', 'at most', FIRST_OUTPUT_LIMIT_US, judged)],
  };
}

export const timelineExperiment: Experiment = {
  name: 'timeline', title: 'run, build and boot, phase by phase', run,
};
