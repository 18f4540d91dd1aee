// Experiment `exit`: what it costs to leave the guest and come back.
//
//   C         the same ioctls on the same machine, in C: what KVM and the CPU take
//   machine   the guest driven through vmm/machine, with nothing behind it
//   kernel    a program in a real sandbox that calls getpid: the run loop, dispatch and handler too
//
// The three take turns; a value is the mean of one turn, some thousands of round trips.
import { RawGuest } from '../../vmm/doctor/raw-guest.ts';
import { Sandbox } from '../../vmm/sandbox.ts';
import { buildCGuest, CGuest } from './c-guest.ts';
import {
  type Collected, type Contender, pairs, type Sample, takeTurns, valuesOf,
} from './harness.ts';
import { ENVIRONMENT, writeGetpidLoop } from './programs.ts';
import {
  type BenchContext, type Experiment, type ExperimentResult, makeClaim, makeRow, type Row,
} from './report.ts';

const TURN_EXITS = 3000;
const TURN_EXITS_QUICK = 300;
const GROUP = 'one round trip';
const RATIO_LIMIT = 1.3;

function timeMachine(guest: RawGuest, count: number): number {
  const startMs = performance.now();
  for (let index = 0; index < count; index++) guest.step();
  return (performance.now() - startMs) * 1000 / count;
}

/** Time between the first exit and the last, by the exits between them. */
async function timeKernel(file: string): Promise<number> {
  const sandbox = await Sandbox.run({
    command: [file], env: ENVIRONMENT, stdin: 'null', stdout: 'null', stderr: 'null',
  });
  const status = await sandbox.status;
  const [boot] = sandbox.report().boots;
  if (!status.success || boot === undefined) throw new Error(status.message ?? 'the guest failed');
  return (boot.endUs - boot.firstInstructionUs) / (boot.exits - 1);
}

function rowsOf(collected: Map<string, Collected>, cMissing: string): Row[] {
  const row = (key: string, name: string, note: string): Row => {
    const { failure } = collected.get(key) ?? { failure: cMissing };
    return makeRow(GROUP, name, 'us', valuesOf(collected.get(key), 'us'), failure ?? note);
  };
  const ratio = (key: string, name: string): Row => {
    const values = pairs(collected.get(key), collected.get('c'), 'us', (a, b) => a / b);
    const missing = cMissing === '' ? 'one of the two was not measured' : cMissing;
    return makeRow(GROUP, name, 'ratio', values, values.length > 0 ? 'turn by turn' : missing);
  };
  return [
    row('c', 'C program', 'the same ioctls'),
    row('machine', 'machine', 'no kernel behind it'),
    ratio('machine', 'machine / C'),
    row('kernel', 'kernel', 'getpid in a sandbox'),
    ratio('kernel', 'kernel / C'),
  ];
}

async function run(context: BenchContext): Promise<ExperimentResult> {
  const count = context.quick ? TURN_EXITS_QUICK : TURN_EXITS;
  const loop = writeGetpidLoop(context.directory, count);
  const built = buildCGuest(context.directory);
  const cGuest = typeof built === 'string' ? null : new CGuest(built.file);
  const guest = new RawGuest();
  const contenders: Contender[] = [
    { name: 'machine', once: () => ({ us: timeMachine(guest, count) }) },
    { name: 'kernel', once: async () => ({ us: await timeKernel(loop) }) },
  ];
  if (cGuest !== null) {
    const once = async (): Promise<Sample> => ({ us: await cGuest.measure(count) / count });
    contenders.unshift({ name: 'c', once });
  }
  try {
    const collected = await takeTurns(contenders, context, 'exit');
    const cMissing = typeof built === 'string' ? built : collected.get('c')?.failure ?? '';
    const rows = rowsOf(collected, cMissing);
    const find = (name: string): Row | undefined => rows.find((row) => row.name === name);
    return {
      rows,
      claims: [makeClaim('an exit costs at most 1.3 times what it costs the C program', 'at most',
        RATIO_LIMIT, find('machine / C'))],
    };
  } finally {
    guest.close();
    await cGuest?.close();
  }
}

export const exitExperiment: Experiment = {
  name: 'exit', title: 'leaving the guest and coming back', run,
};
