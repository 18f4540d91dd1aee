// Experiment `recovery`: bringing the records of a saved sandbox back, separated (one copy, then
// the relations) and one by one, decoded from CBOR (`--without separated`).
//
// The sandbox has made thousands of directories before its func-entry point, so that it has many
// records. The machine is made beforehand; the boots take turns, and each has to go on afterwards.
import { join } from 'node:path';
import { FuncImage } from '../../vmm/func-image.ts';
import type { BootOptions } from '../../vmm/options.ts';
import { Sandbox } from '../../vmm/sandbox.ts';
import { type Contender, pairs, type Sample, takeTurns, valuesOf } from './harness.ts';
import { ENVIRONMENT } from './programs.ts';
import {
  type BenchContext, type Experiment, type ExperimentResult, makeClaim, makeRow, type Row,
} from './report.ts';

/** A directory is two records at least: an inode and a name. */
const DIRECTORIES = 16_000;
const DIRECTORIES_QUICK = 500;
const OBJECTS_MIN = 30_000;
const RATIO_MIN = 50;
const US_PER_OBJECT_MAX = 3;
const NOTE = 'python3 is not at /usr/bin/python3';

const program = (directories: number): string => [
  'import os',
  'os.mkdir("/tmp/recovery")',
  `for i in range(${directories}): os.mkdir(f"/tmp/recovery/{i}")`,
  'line = input()',
  'print(line, len(os.listdir("/tmp/recovery")), flush=True)',
  'os._exit(0)',
].join('\n');

async function bootOnce(
  image: FuncImage, expected: string, options: BootOptions,
): Promise<Sample> {
  const sandbox = await image.boot({ ...options, stdin: 'x\n' });
  const { stdout, message, code } = await sandbox.output();
  await sandbox.close();
  const text = new TextDecoder().decode(stdout);
  if (text !== expected) throw new Error(message ?? `exit code ${code}, printed ${text}`);
  const [boot] = sandbox.report().boots;
  return { us: boot?.phases['objects'] ?? NaN, instruction: boot?.firstInstructionUs ?? NaN };
}

async function measure(
  image: FuncImage, expected: string, objects: number, context: BenchContext,
): Promise<ExperimentResult> {
  const contenders: Contender[] = [
    { name: 'separated', once: () => bootOnce(image, expected, {}) },
    { name: 'one by one', once: () => bootOnce(image, expected, { without: ['separated'] }) },
    { name: 'eager', once: () => bootOnce(image, expected, { eager: true }) },
  ];
  const collected = await takeTurns(contenders, context, 'recovery');
  const group = 'records of a saved sandbox';
  const row = (name: string, value: 'us' | 'instruction', what: string): Row => {
    const entry = collected.get(name);
    return makeRow(group, what, 'us', valuesOf(entry, value), entry?.failure ?? '');
  };
  const slow = collected.get('one by one');
  const ratio = makeRow(group, 'one by one / separated', 'ratio',
    pairs(slow, collected.get('separated'), 'us', (a, b) => a / b), slow?.failure ?? '');
  const each = makeRow(group, 'one by one, for one object', 'us',
    valuesOf(slow, 'us').map((us) => us / objects), slow?.failure ?? '');
  const count = makeRow(group, 'objects', 'count', [objects]);
  return {
    rows: [
      count,
      row('separated', 'us', 'separated'),
      row('one by one', 'us', 'one by one'),
      each, ratio,
      row('separated', 'instruction', 'separated: first instruction'),
      row('one by one', 'instruction', 'one by one: first instruction'),
      row('eager', 'instruction', '--eager: first instruction'),
    ],
    claims: [
      makeClaim(`the sandbox has at least ${OBJECTS_MIN} objects`, 'at least', OBJECTS_MIN, count),
      makeClaim('decoding one object takes at most 3 µs', 'at most', US_PER_OBJECT_MAX, each),
      makeClaim('separated recovery is at least 50 times as fast', 'at least', RATIO_MIN, ratio),
    ],
  };
}

async function run(context: BenchContext): Promise<ExperimentResult> {
  const directories = context.quick ? DIRECTORIES_QUICK : DIRECTORIES;
  const output = join(context.directory, 'recovery.cfi');
  context.progress('building an image with many objects', 0, 0);
  const { objects } = await Sandbox.build({
    command: ['/usr/bin/python3', '-I', '-c', program(directories)],
    env: ENVIRONMENT, entry: { kind: 'stdin' }, output,
  }).catch((error: unknown) => {
    const { code } = error as { code?: unknown };
    throw code === 'CATAVMM_NOT_FOUND' ? new Error(NOTE) : error;
  });
  const image = await FuncImage.open(output);
  try {
    return await measure(image, `x ${directories}\n`, objects, context);
  } finally {
    await image.close();
  }
}

export const recoveryExperiment: Experiment = {
  name: 'recovery', title: 'records of a saved sandbox, separated and one by one', run,
};
