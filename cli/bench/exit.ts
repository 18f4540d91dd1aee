// Experiment `exit`: what it costs to leave the guest and come back.
//
//   C         the same ioctls on the same machine, in C: what KVM and the CPU take
//   machine   the guest driven through vmm/machine, with nothing behind it
//   kernel    a program in a real sandbox that calls umask: the run loop, dispatch and handler too
//   stub      the same with getpid, which the machine's stub answers without an exit
//   native    getpid on the host's kernel
//
// They take turns; a value is the mean of one turn, some thousands of round trips.
import { RawGuest } from '../../vmm/doctor/raw-guest.ts';
import { buildCGuest, CGuest } from './c-guest.ts';
import { runLoop, runLoopNatively, writeCallLoop } from './call-loop.ts';
import {
  type Collected, type Contender, pairs, type Sample, takeTurns, valuesOf,
} from './harness.ts';
import {
  type BenchContext, type Experiment, type ExperimentResult, makeClaim, makeRow, type Row,
} from './report.ts';

const TURN_EXITS = 3000;
const TURN_EXITS_QUICK = 300;
const GROUP = 'one round trip';
const RATIO_LIMIT = 1.3;
/** Calls without an exit, for each one with an exit. */
const STUB_FACTOR = 50;
const STUB_RATIO_LIMIT = 1 / 8;

function timeMachine(guest: RawGuest, count: number): number {
  const startMs = performance.now();
  for (let index = 0; index < count; index++) guest.step();
  return (performance.now() - startMs) * 1000 / count;
}

/** Contenders that make a system call in a loop, `count` times with an exit. */
function listLoops(directory: string, count: number): Contender[] {
  const umask = writeCallLoop(directory, 'umask', count);
  const getpid = writeCallLoop(directory, 'getpid', count * STUB_FACTOR);
  const nothing = writeCallLoop(directory, 'getpid', 1);
  const kernel = async (): Promise<Sample> => {
    const { us, exits } = await runLoop(umask);
    return { us: us / exits };
  };
  const stub = async (): Promise<Sample> => {
    const { us } = await runLoop(getpid);
    return { us: us / (count * STUB_FACTOR) };
  };
  const native = (): Sample => {
    const us = runLoopNatively(getpid) - runLoopNatively(nothing);
    return { us: Math.max(us, 0) / (count * STUB_FACTOR) };
  };
  return [
    { name: 'kernel', once: kernel },
    { name: 'stub', once: stub },
    { name: 'native', once: native },
  ];
}

function rowsOf(collected: Map<string, Collected>, cMissing: string): Row[] {
  const row = (key: string, name: string, note: string): Row => {
    const { failure } = collected.get(key) ?? { failure: cMissing };
    return makeRow(GROUP, name, 'us', valuesOf(collected.get(key), 'us'), failure ?? note);
  };
  const ratio = (key: string, name: string, to: string = 'c'): Row => {
    const values = pairs(collected.get(key), collected.get(to), 'us', (a, b) => a / b);
    const missing = to !== 'c' || cMissing === '' ? 'one of the two was not measured' : cMissing;
    return makeRow(GROUP, name, 'ratio', values, values.length > 0 ? 'turn by turn' : missing);
  };
  return [
    row('c', 'C program', 'the same ioctls'),
    row('machine', 'machine', 'no kernel behind it'),
    ratio('machine', 'machine / C'),
    row('kernel', 'kernel', 'umask in a sandbox'),
    ratio('kernel', 'kernel / C'),
    row('stub', 'stub', 'getpid in a sandbox: no exit'),
    ratio('stub', 'stub / kernel', 'kernel'),
    row('native', 'native', 'getpid on the host'),
  ];
}

async function run(context: BenchContext): Promise<ExperimentResult> {
  const count = context.quick ? TURN_EXITS_QUICK : TURN_EXITS;
  const built = buildCGuest(context.directory);
  const cGuest = typeof built === 'string' ? null : new CGuest(built.file);
  const guest = new RawGuest();
  const contenders: Contender[] = [
    { name: 'machine', once: () => ({ us: timeMachine(guest, count) }) },
    ...listLoops(context.directory, count),
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
      claims: [
        makeClaim('an exit costs at most 1.3 times what it costs the C program', 'at most',
          RATIO_LIMIT, find('machine / C')),
        makeClaim('a call that the stub answers costs at most an eighth of an exit', 'at most',
          STUB_RATIO_LIMIT, find('stub / kernel')),
      ],
    };
  } finally {
    guest.close();
    await cGuest?.close();
  }
}

export const exitExperiment: Experiment = {
  name: 'exit', title: 'leaving the guest and coming back', run,
};
