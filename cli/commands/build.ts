// `catavmm build`: runs a program up to its func-entry point and saves it.

import { readFileSync } from 'node:fs';
import { Sandbox } from '../../vmm/sandbox.ts';
import type { BuildOptions, BuildResult, EntryChoice } from '../../vmm/options.ts';
import type { Arguments } from '../args.ts';
import type { Command } from '../context.ts';
import { UsageError } from '../errors.ts';
import { noteEvent, writeReport } from '../guest.ts';
import type { Output } from '../output.ts';
import { parseLimits, parseProgram, parseRootfs, readSurroundings } from '../program.ts';
import type { Surroundings } from '../program.ts';
import { Progress } from '../progress.ts';
import { formatBytes, formatCount, formatMicros, parseCount } from '../sizes.ts';
import { makeTracing } from '../strace.ts';

const trainMax = 1_000_000;

/** `--entry`; the parser has let only known kinds through. */
export function parseEntry(text: string | undefined): EntryChoice {
  if (text === undefined) return { kind: 'default' };
  if (text.startsWith('line=')) return { kind: 'line', text: text.slice('line='.length) };
  return { kind: text as 'explicit' | 'listen' | 'stdin' };
}

/** `--train N` and the requests, one per line of `--train-input`. */
export function parseTraining(args: Arguments): Pick<BuildOptions, 'train' | 'trainCount'> {
  const count = args.text('train');
  const path = args.text('train-input');
  const train = path === undefined ? [] : readFileSync(path, 'utf8').split('\n');
  if (train.at(-1) === '') train.pop();
  if (count === undefined) {
    return path === undefined ? {} : { train, trainCount: train.length };
  }
  const trainCount = parseCount(count, '--train', trainMax);
  if (path !== undefined && train.length < trainCount) {
    throw new UsageError(`--train: ${path} has ${train.length} lines, not ${trainCount}.`);
  }
  return { trainCount, ...(path === undefined ? {} : { train: train.slice(0, trainCount) }) };
}

/** Flags that describe a program; an image to go on from has its own. */
const programFlags: readonly string[] = [
  'env', 'env-file', 'workdir', 'volume', 'tmpfs', 'cpu', 'deterministic',
];

/** What is to be built: a command, or what an image becomes. @throws UsageError */
function parseOrigin(
  args: Arguments, surroundings: Surroundings,
): Partial<BuildOptions> {
  const from = args.text('from');
  if (from === undefined) {
    if (args.operands.length === 0) {
      throw new UsageError('build needs a command, or an image to go on from: --from image.cfi.');
    }
    if (args.has('handler')) throw new UsageError('--handler is for an image: --from image.cfi.');
    return parseProgram(args, surroundings);
  }
  if (args.operands.length > 0) throw new UsageError('With --from there is no command.');
  const given = programFlags.find((name) => args.has(name));
  if (given !== undefined) {
    throw new UsageError(`--${given} cannot change what ${from} was built with.`);
  }
  const rootfs = parseRootfs(args, surroundings.cwd);
  return {
    from, handler: args.list('handler'),
    ...parseLimits(args),
    ...(rootfs === undefined ? {} : { rootfs }),
  };
}

function describeResult(result: BuildResult, us: number): string {
  const { output, bytes, entry, frames, objects, parentFrames } = result;
  const shared = parentFrames === 0
    ? '' : ` over ${formatCount(parentFrames)} in its parents`;
  return `Wrote ${output}: ${formatBytes(bytes)}, ${formatCount(frames)} frames${shared}, ` +
    `${formatCount(objects)} objects, entry ${entry}, in ${formatMicros(us)}.`;
}

function showResult(result: BuildResult, us: number, output: Output): void {
  if (output.json) output.printJson(result);
  else output.note(describeResult(result, us));
}

export const command: Command = async ({ args, output, env }) => {
  const image = args.text('output');
  if (image === undefined || image === '') {
    throw new UsageError('build needs a file to write: -o image.cfi.');
  }
  const entry = parseEntry(args.text('entry'));
  const tracing = makeTracing(
    { lines: args.has('strace'), summary: args.has('strace-summary') }, output);
  const progress = new Progress(output);
  const startedMs = performance.now();
  const result = await Sandbox.build({
    ...parseOrigin(args, readSurroundings(env, output)),
    ...parseTraining(args),
    output: image,
    entry,
    selfContained: args.has('self-contained'),
    allowSecrets: args.has('allow-secrets'),
    // What the program prints before the image is saved goes to stderr: stdout is the result's.
    stdout: 'inherit',
    stderr: 'inherit',
    onEvent: noteEvent(args, output),
    onProgress: (stage, done, total) => progress.update(stage, done, total),
    ...(tracing.strace === undefined ? {} : { strace: tracing.strace }),
  }).finally(() => progress.end());
  tracing.finish();
  const path = args.text('report');
  if (path !== undefined) writeReport(path, result);
  showResult(result, (performance.now() - startedMs) * 1000, output);
  return 0;
};
