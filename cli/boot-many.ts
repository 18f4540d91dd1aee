// `catavmm boot` with --mode or --count: boots of one image one after another in this process, from
// its file (cold), from the image held open (warm), or from a template of it (fork).
//
// Order: a boot begins when the one before has ended and given everything back, so that outputs
// follow each other and no boot's times contain work for another.

import process from 'node:process';
import type { BootMode, BootOptions, Report, Status } from '../vmm/options.ts';
import { Sandbox } from '../vmm/sandbox.ts';
import type { Arguments } from './args.ts';
import type { Context } from './context.ts';
import { asThisProcess, concludeStatus, noteEvent, SignalRelay, writeReport } from './guest.ts';
import type { Output } from './output.ts';
import { parseLimits, parseRootfs } from './program.ts';
import { Progress } from './progress.ts';
import { readStdin } from './stdin.ts';
import { makeTracing } from './strace.ts';

const NEWLINE = 10;

/** What boots come from. */
interface Source {
  boot(options: BootOptions): Promise<Sandbox>;
  close(): Promise<void>;
}

async function openSource(mode: BootMode, path: string): Promise<Source> {
  if (mode === 'cold') {
    return { boot: (options) => Sandbox.boot(path, options), close: async () => {} };
  }
  const { FuncImage } = await import('../vmm/func-image.ts');
  const image = await FuncImage.open(path);
  if (mode === 'warm') {
    return { boot: (options) => image.boot(options), close: () => image.close() };
  }
  try {
    const { Template } = await import('../vmm/template.ts');
    const template = await Template.from(image);
    return { boot: (options) => template.fork(options), close: () => template.close() };
  } finally {
    await image.close();
  }
}

/** Guests' output and our progress on two streams that may be the same terminal. */
class Screen {
  readonly #output: Output;
  readonly #progress: Progress;
  /** Whether a line of progress would overwrite something. */
  #isBusy: boolean;

  constructor(output: Output) {
    this.#output = output;
    this.#progress = new Progress(output);
    this.#isBusy = output.isTerminal(1);
  }

  update(done: number, total: number): void {
    if (!this.#isBusy) this.#progress.update('booting', done, total);
  }

  async copy(stream: 1 | 2, from: ReadableStream<Uint8Array>): Promise<void> {
    for await (const bytes of from as unknown as AsyncIterable<Uint8Array>) {
      this.#progress.end();
      this.#output.writeBytes(stream, bytes);
      if (stream === 2) this.#isBusy ||= bytes.at(-1) !== NEWLINE;
    }
  }

  end(): void {
    this.#progress.end();
  }
}

function optionsFor(
  args: Arguments, output: Output, strace: ((line: string) => void) | undefined,
): BootOptions {
  const rootfs = parseRootfs(args, process.cwd());
  return {
    ...parseLimits(args),
    ...(rootfs === undefined ? {} : { rootfs }),
    ...(strace === undefined ? {} : { strace }),
    onEvent: noteEvent(args, output),
  };
}

/** What all boots have in common, and what came of them. */
interface Series {
  source: Source;
  options: BootOptions;
  relay: SignalRelay;
  screen: Screen;
  report: Report | null;
  /** Of the boots that did not end with code 0. */
  bad: Status[];
}

/** One boot to its end. */
async function bootOnce(series: Series): Promise<Status> {
  const sandbox = await series.source.boot(series.options);
  series.relay.connect(sandbox);
  const { screen } = series;
  const [status] = await Promise.all([
    sandbox.status, screen.copy(1, sandbox.stdout), screen.copy(2, sandbox.stderr),
  ]);
  const report = sandbox.report();
  if (series.report === null) series.report = report;
  else series.report.boots.push(...report.boots);
  await sandbox.close();
  return status;
}

/** Boots until it is enough, somebody asks for the end, or catavmm itself fails. */
async function bootInTurn(series: Series, count: number): Promise<void> {
  try {
    for (let done = 0; done < count && !series.relay.isAsked; done++) {
      series.screen.update(done, count);
      const status = await bootOnce(series);
      if (status.code !== 0) series.bad.push(status);
      if (status.reason === 'failed') break;
    }
  } finally {
    series.screen.end();
    await series.source.close();
  }
}

/** Boots `count` times; the exit code is the first that is not 0. */
export async function bootMany(
  { args, output }: Context, mode: BootMode, count: number,
): Promise<number> {
  const image = args.operands[0] as string;
  const tracing = makeTracing(
    { lines: args.has('strace'), summary: args.has('strace-summary') }, output);
  const options = optionsFor(args, output, tracing.strace);
  if (args.has('verify')) {
    await (await import('../vmm/boot/image/verify.ts')).requireGoodImage(image);
  }
  const stdio: BootOptions = count === 1 ? asThisProcess : { stdin: readStdin() };
  const relay = new SignalRelay();
  try {
    const series: Series = {
      source: await openSource(mode, image), options: { ...options, ...stdio },
      relay, screen: new Screen(output), report: null, bad: [],
    };
    await bootInTurn(series, count);
    tracing.finish();
    const path = args.text('report');
    if (path !== undefined) writeReport(path, series.report);
    const codes = series.bad.map((status) => concludeStatus(status, args, output));
    return codes[0] ?? 0;
  } finally {
    relay.stop();
  }
}
