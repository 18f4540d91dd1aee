// What `run` and `boot` do with a sandbox that runs: pass signals on, wait, write the report, and
// turn the guest's end into an exit code.

import { writeFileSync } from 'node:fs';
import process from 'node:process';
import type { CheckpointOptions, CheckpointResult, Report, Status } from '../vmm/options.ts';
import type { Arguments } from './args.ts';
import { CommandError, UsageError } from './errors.ts';
import { EXIT_FAILED, EXIT_TIMEOUT } from './exit-codes.ts';
import { printable } from './output.ts';
import type { Output } from './output.ts';
import type { GuestSaver } from './save-guest.ts';
import type { Tracing } from './strace.ts';

/** The part of Sandbox that is needed here. */
export interface RunningGuest {
  readonly status: Promise<Status>;
  kill(signal?: string | number): void;
  report(): Report;
  checkpoint(file: string, options: CheckpointOptions): Promise<CheckpointResult>;
}

/**
 * Options of a guest that stands for this process: it has its descriptors and, because nothing but
 * signals waits for the event loop, its time.
 */
export const asThisProcess = {
  stdin: 'inherit', stdout: 'inherit', stderr: 'inherit', burstMs: 100,
} as const;

/** Signals that go to the guest. The second SIGINT or SIGTERM kills it. */
const passedOn = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2'] as const;
const insistent: readonly string[] = ['SIGINT', 'SIGTERM'];

/**
 * Catches this process's signals and passes them on to a guest, which may come later: a guest
 * that has just printed its first line may be sent a signal for it at once.
 */
export class SignalRelay {
  readonly #handlers: { signal: string; handler: () => void }[];
  #guest: Pick<RunningGuest, 'kill'> | null = null;
  #waiting: string[] = [];
  #isAsked: boolean = false;
  readonly #onUser1: (() => void) | null;

  /** @param onUser1 told of SIGUSR1 in place of the guest, once there is one */
  constructor(onUser1: (() => void) | null = null) {
    this.#onUser1 = onUser1;
    this.#handlers = passedOn.map((signal) => {
      const handler = (): void => this.#take(signal);
      process.on(signal, handler);
      return { signal, handler };
    });
  }

  /** From now on signals go to `guest`; those that came before it go first. */
  connect(guest: Pick<RunningGuest, 'kill'>): void {
    this.#guest = guest;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const signal of waiting) this.#take(signal);
  }

  /** Whether somebody asked for the end, with SIGINT or SIGTERM. */
  get isAsked(): boolean {
    return this.#isAsked;
  }

  /** Signals do again what they did before. */
  stop(): void {
    for (const { signal, handler } of this.#handlers) process.off(signal, handler);
  }

  #take(signal: string): void {
    if (this.#guest === null) {
      this.#waiting.push(signal);
      return;
    }
    if (signal === 'SIGUSR1' && this.#onUser1 !== null) {
      this.#onUser1();
      return;
    }
    const isInsistent = insistent.includes(signal);
    this.#guest.kill(this.#isAsked && isInsistent ? 'SIGKILL' : signal);
    if (isInsistent) this.#isAsked = true;
  }
}

/** Writes `--report FILE`. @throws CommandError */
export function writeReport(path: string, report: unknown): void {
  try {
    writeFileSync(path, `${JSON.stringify(report, null, 2)}\n`);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new CommandError('CATAVMM_REPORT', `The report cannot be written: ${reason}`);
  }
}

/** The exit code for a guest's end; says on stderr what the guest could not say itself. */
export function concludeStatus(status: Status, args: Arguments, output: Output): number {
  if (status.reason === 'timeout') {
    output.note(`${output.paint('yellow', 'catavmm:', 2)} killed after ${args.text('timeout')}.`);
    return EXIT_TIMEOUT;
  }
  if (status.reason === 'failed') {
    throw new CommandError('CATAVMM_FAILED', status.message ?? 'The sandbox failed.');
  }
  if (status.reason === 'aborted') return EXIT_FAILED;
  return status.code;
}

/** Loaded when it is asked for: `boot` does not wait for it. */
async function prepareSaver(
  file: string, args: Arguments, output: Output,
): Promise<GuestSaver> {
  if (file === '') throw new UsageError('--checkpoint needs a file to write.');
  const { GuestSaver: Saver } = await import('./save-guest.ts');
  return await Saver.prepare(file, args, output);
}

/**
 * Starts a guest and waits for its end. Ownership: the process ends next, and with it goes what the
 * guest held, faster than we could give it back.
 */
export async function superviseGuest(
  start: () => Promise<RunningGuest>, args: Arguments, output: Output, tracing: Tracing,
): Promise<number> {
  const file = args.text('checkpoint');
  const saver = file === undefined ? null : await prepareSaver(file, args, output);
  let guest: RunningGuest | null = null;
  const relay = new SignalRelay(saver === null ? null : () => {
    if (guest !== null) saver.save(guest);
  });
  try {
    guest = await start();
    relay.connect(guest);
    const status = await guest.status;
    await saver?.idle();
    tracing.finish();
    const path = args.text('report');
    if (path !== undefined) writeReport(path, guest.report());
    return concludeStatus(status, args, output);
  } finally {
    relay.stop();
  }
}

/** What programs do and bear all the time: of interest only to who traces calls. */
const quietEvents: readonly string[] = ['missing-call', 'unknown-call'];

/** Events of a guest that its user should know, as notes on stderr. */
export function noteEvent(
  args: Arguments, output: Output,
): (kind: string, detail: string) => void {
  const isTraced = args.has('strace') || args.has('strace-summary');
  return (kind, detail) => {
    if (quietEvents.includes(kind) && !isTraced) return;
    output.note(`${output.paint('yellow', 'catavmm:', 2)} ${kind}: ${printable(detail)}`);
  };
}
