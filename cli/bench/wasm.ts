// Experiment `wasm`: relocate, layout and merge beside their references in TypeScript.
import { benchWasm } from '../../wasm/bench.ts';
import {
  type BenchContext, type Experiment, type ExperimentResult, makeClaim, type Row,
} from './report.ts';

const RELOCATE = 'relocate 100,000 relations';
const RELOCATE_LIMIT_US = 100;

/** wasm/bench.ts gives medians only. */
function medianRow(group: string, name: string, runs: number, median: number): Row {
  return { group, name, unit: 'us', runs, min: null, median, p99: null, note: '' };
}

function run({ runs, progress }: BenchContext): Promise<ExperimentResult> {
  progress('wasm', 0, 0);
  const measured = benchWasm({ runs });
  const rows = measured.flatMap((row): Row[] => [
    medianRow(row.name, 'WebAssembly', row.runs, row.wasmMedian),
    medianRow(row.name, 'TypeScript', row.runs, row.referenceMedian),
    {
      ...medianRow(row.name, 'TypeScript / WebAssembly', row.runs,
        row.referenceMedian / row.wasmMedian),
      unit: 'ratio',
    },
  ]);
  const relocate = rows.find(({ group, name }) => group === RELOCATE && name === 'WebAssembly');
  return Promise.resolve({
    rows,
    claims: [makeClaim('100,000 relations are relocated in at most 100 µs', 'at most',
      RELOCATE_LIMIT_US, relocate)],
  });
}

export const wasmExperiment: Experiment = {
  name: 'wasm', title: 'relocate, layout and merge', run,
};
