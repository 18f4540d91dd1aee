// `catavmm bench`: measures this host. Exit code 0 when every experiment could be done, whether or
// not the claims hold: how fast a host is says nothing about whether the command worked.
import { experiments, runBench, RUNS_DEFAULT, RUNS_QUICK } from '../bench/mod.ts';
import { saveFigures, savePage } from '../bench/save.ts';
import { showReport } from '../bench/show.ts';
import type { Command } from '../context.ts';
import { suggest, UsageError } from '../errors.ts';
import { EXIT_NO } from '../exit-codes.ts';
import { Progress } from '../progress.ts';
import { parseCount } from '../sizes.ts';

const RUNS_MAX = 10_000;

/** The experiments of `--only exit,wasm`. @throws UsageError */
export function parseOnly(text: string | undefined): string[] | undefined {
  if (text === undefined) return undefined;
  const known = experiments.map(({ name }) => name);
  const names = text.split(',').map((name) => name.trim());
  for (const name of names) {
    if (known.includes(name)) continue;
    const meant = suggest(name, known);
    const hint = meant === undefined ? `There are ${known.join(', ')}.` : `Did you mean ${meant}?`;
    throw new UsageError(`There is no experiment "${name}".`, hint);
  }
  return names;
}

function parseRuns(text: string | undefined, quick: boolean): number {
  if (text === undefined) return quick ? RUNS_QUICK : RUNS_DEFAULT;
  const runs = parseCount(text, '--runs', RUNS_MAX);
  if (runs === 0) throw new UsageError('--runs: 0 runs measure nothing.');
  return runs;
}

export const command: Command = async ({ args, output }) => {
  const quick = args.has('quick');
  const only = parseOnly(args.text('only'));
  const progress = new Progress(output);
  const report = await runBench({
    runs: parseRuns(args.text('runs'), quick),
    quick,
    progress: (text, done, total) => progress.update(text, done, total),
    ...(only === undefined ? {} : { only }),
  }).finally(() => progress.end());
  const [page, figures] = [args.text('html'), args.text('svg')];
  if (page !== undefined) savePage(page, report);
  if (figures !== undefined) saveFigures(figures, report);
  if (output.json) output.printJson(report);
  else showReport(report, output);
  return report.experiments.every(({ failure }) => failure === null) ? 0 : EXIT_NO;
};
