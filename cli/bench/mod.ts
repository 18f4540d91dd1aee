// Runs experiments and gathers what they gave. `catavmm bench` prints it.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { bootsExperiment } from './boots.ts';
import { densityExperiment } from './density.ts';
import { exitExperiment } from './exit.ts';
import {
  currentLoad, describeMachine, type MachineInfo, OTHERS_PERCENT_HIGH, type Sharing, watchSharing,
} from './machine-info.ts';
import { processExperiment } from './process.ts';
import { recoveryExperiment } from './recovery.ts';
import type { Experiment, ExperimentResult } from './report.ts';
import { timelineExperiment } from './timeline.ts';
import { wasmExperiment } from './wasm.ts';

export const experiments: readonly Experiment[] = [
  exitExperiment, wasmExperiment, timelineExperiment, processExperiment, bootsExperiment,
  densityExperiment, recoveryExperiment,
];

export interface BenchOptions {
  /** Names of experiments; all unless given. */
  only?: readonly string[];
  /** Measured repetitions of everything. */
  runs: number;
  /** Shorter turns and hardly any warm-up: shows that everything works, not how fast. */
  quick: boolean;
  progress?: (text: string, done: number, total: number) => void;
}

export interface MeasuredExperiment extends ExperimentResult, Sharing {
  name: string;
  title: string;
  /** Why there is nothing, when the experiment could not be done at all. */
  failure: string | null;
}

export interface BenchReport {
  machine: MachineInfo;
  /** When it began, ISO 8601. */
  date: string;
  runs: number;
  quick: boolean;
  /** 1-minute load average before and after. */
  load: [before: number, after: number];
  experiments: MeasuredExperiment[];
  /** What makes the figures doubtful. */
  warnings: string[];
}

export const RUNS_DEFAULT = 20;
export const RUNS_QUICK = 2;
const WARM_UPS = 3;
const WARM_UPS_QUICK = 0;

async function measure(
  experiment: Experiment,
  options: BenchOptions,
  directory: string,
): Promise<MeasuredExperiment> {
  const stop = watchSharing();
  const { name, title } = experiment;
  try {
    const result = await experiment.run({
      runs: options.runs,
      warmUps: options.quick ? WARM_UPS_QUICK : WARM_UPS,
      quick: options.quick,
      directory,
      progress: options.progress ?? (() => undefined),
    });
    return { name, title, ...result, failure: null, ...stop() };
  } catch (error) {
    const failure = error instanceof Error ? error.message : String(error);
    return { name, title, rows: [], claims: [], failure, ...stop() };
  }
}

function listWarnings(report: Omit<BenchReport, 'warnings'>): string[] {
  const warnings: string[] = [];
  if (report.runs < RUNS_DEFAULT) {
    warnings.push(`only ${report.runs} runs: medians need ${RUNS_DEFAULT} to mean something`);
  }
  if (report.quick) warnings.push('quick: turns are too short to be compared with other figures');
  for (const { name, othersPercent, stealPercent } of report.experiments) {
    if ((othersPercent ?? 0) > OTHERS_PERCENT_HIGH) {
      warnings.push(`${name}: other processes used ${othersPercent} % of a CPU meanwhile`);
    }
    if ((stealPercent ?? 0) > OTHERS_PERCENT_HIGH) {
      warnings.push(`${name}: the outer host withheld ${stealPercent} % of a CPU meanwhile`);
    }
  }
  return warnings;
}

/**
 * Runs experiments one after another, each in a temporary directory of its own.
 * An experiment that cannot be done says why in `failure`; the others are done.
 */
export async function runBench(options: BenchOptions): Promise<BenchReport> {
  const chosen = experiments.filter(({ name }) => options.only?.includes(name) ?? true);
  const date = new Date().toISOString();
  const before = currentLoad();
  const measured: MeasuredExperiment[] = [];
  for (const experiment of chosen) {
    const directory = mkdtempSync(join(tmpdir(), 'catavmm-bench-'));
    try {
      measured.push(await measure(experiment, options, directory));
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  }
  const report = {
    machine: describeMachine(), date, runs: options.runs, quick: options.quick,
    load: [before, currentLoad()] as [number, number], experiments: measured,
  };
  return { ...report, warnings: listWarnings(report) };
}
