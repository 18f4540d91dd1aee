// A live sandbox from its first instruction to its end: drives it, ends it, and says how it went.
import { processOf } from '../../kernel/kernel.ts';
import { exitProcess } from '../../kernel/task/exit.ts';
import { makeInfo, sendSignal } from '../../kernel/signal/pending.ts';
import { groupOf } from '../../kernel/task/family.ts';
import { SIGINT, SIGKILL, SIGQUIT, SIGTSTP } from '../../abi/signal.ts';
import { signalName } from '../../abi/signal-names.ts';
import { CatavmmError } from '../../errors.ts';
import { monotonicNs } from '../../host/clock.ts';
import { getRuntime } from '../../host/runtime.ts';
import type { BootMode, BootReport, Report, Status, Technique } from '../../options.ts';
import { drive, type DriveEnd, type DriveOptions } from './drive.ts';
import { blameImage } from '../image/image-error.ts';
import { closeInstance, type Instance } from './instance.ts';
import type { Phases } from './phases.ts';

/** Exit codes of catavmm itself (coreutils' and docker's conventions). */
export const EXIT_TIMEOUT = 124;
export const EXIT_FAILED = 125;
const SIGNAL_BASE = 128;
/** Sent by Ctrl-C, Ctrl-\\ and Ctrl-Z. */
const TERMINAL_SIGNALS: readonly number[] = [SIGINT, SIGQUIT, SIGTSTP];
/** SI_USER: sent by kill(2). */
const SI_USER = 0;

export interface SessionOptions {
  mode: BootMode | 'run';
  image: string | null;
  /** Techniques that were turned off, for the report. */
  without?: readonly Technique[];
  timeoutMs: number | undefined;
  signal: AbortSignal | undefined;
  burstMs: number | undefined;
  /** Takes the sandbox's place when a hook has stopped it. */
  swap?: ((instance: Instance) => Promise<Instance>) | undefined;
  /** Throws when nothing that the sandbox did can be relied on. */
  checkEnd?: () => void;
  /** Called once, before the sandbox's memory goes. */
  onEnd: (instance: Instance) => void;
}

export class Session {
  #instance: Instance;
  readonly status: Promise<Status>;
  /** Resolves when all that the sandbox held is given back. Order: after `status`. */
  closed: Promise<void> = Promise.resolve();
  readonly #phases: Phases;
  readonly #options: SessionOptions;
  #boot: BootReport | null = null;
  #ended: boolean = false;
  /** Why a signal could not be sent: ends the sandbox. */
  #broken: { error: unknown } | null = null;

  constructor(instance: Instance, phases: Phases, options: SessionOptions) {
    this.#instance = instance;
    this.#phases = phases;
    this.#options = options;
    this.status = this.#live();
  }

  get instance(): Instance {
    return this.#instance;
  }

  /**
   * Sends a signal to the guest's first process; one that a terminal's keys send goes to the
   * process group in the foreground, as there. No effect once it has ended.
   */
  kill(signal: number): void {
    if (this.#ended) return;
    const { k } = this.instance;
    const first = processOf(k);
    try {
      const group = k.root.console?.foreground || first.pgid;
      const targets = TERMINAL_SIGNALS.includes(signal) ? groupOf(k, group) : [first];
      for (const target of targets) sendSignal(k, target, makeInfo(signal, SI_USER));
    } catch (error) {
      this.#broken = { error };
    }
    this.#interruptWait();
  }

  /** The instance while it has not ended. @throws CatavmmError */
  running(): Instance {
    if (!this.#ended) return this.instance;
    throw new CatavmmError('CATAVMM_CLOSED', 'The sandbox has ended.');
  }

  /** The report of this run or boot. Order: after `status` has resolved. */
  report(): Report {
    const { name, version } = getRuntime();
    return {
      runtime: `${name} ${version}`,
      mode: this.#options.mode,
      image: this.#options.image,
      boots: this.#boot === null ? [] : [this.#boot],
    };
  }

  async #live(): Promise<Status> {
    const { timeoutMs, signal, burstMs } = this.#options;
    const onAbort = (): void => this.#interruptWait();
    signal?.addEventListener('abort', onAbort);
    try {
      const deadlineNs = timeoutMs === undefined ? Infinity : monotonicNs() + timeoutMs * 1e6;
      const end = await this.#drive({
        deadlineNs, burstMs,
        isAborted: () => this.#broken !== null || signal?.aborted === true,
      });
      if (this.#broken !== null) throw (this.#broken as { error: unknown }).error;
      if (end === 'exited') this.#options.checkEnd?.();
      return this.#statusOf(end);
    } catch (error) {
      return {
        success: false, code: EXIT_FAILED, signal: null, reason: 'failed',
        message: this.#describe(error),
      };
    } finally {
      signal?.removeEventListener('abort', onAbort);
      // What the guest has sent leaves before anybody hears that it has ended.
      await this.instance.closeNet?.();
      this.#finish();
    }
  }

  /** Drives the sandbox, and whichever takes its place, to the end. */
  async #drive(options: DriveOptions): Promise<DriveEnd> {
    const { swap } = this.#options;
    for (;;) {
      const end = await drive(this.#instance, options);
      if (end !== 'stopped' || swap === undefined) return end;
      this.#instance = await swap(this.#instance);
    }
  }

  #describe(error: unknown): string {
    if (this.#options.image !== null) return blameImage(error).message;
    return error instanceof Error ? error.message : String(error);
  }

  #statusOf(end: DriveEnd): Status {
    const process = processOf(this.instance.k);
    if (end === 'timeout' || end === 'aborted') {
      exitProcess(this.instance.k, process, 0, SIGKILL);
      const code = end === 'timeout' ? EXIT_TIMEOUT : SIGNAL_BASE + SIGKILL;
      return { success: false, code, signal: 'SIGKILL', reason: end };
    }
    const { exitCode, exitSignal } = process;
    if (exitSignal !== 0) {
      const code = SIGNAL_BASE + exitSignal;
      return { success: false, code, signal: signalName(exitSignal), reason: 'signaled' };
    }
    return { success: exitCode === 0, code: exitCode, signal: null, reason: 'exited' };
  }

  #finish(): void {
    this.#ended = true;
    const { instance } = this;
    this.#phases.mark('guest');
    const since = (ms: number): number => Math.round((ms - this.#phases.startMs) * 1000);
    const { counters, console } = instance;
    console.release?.();
    this.#boot = {
      firstInstructionUs: since(counters.firstExitMs),
      firstOutputUs: console.firstOutputMs === 0 ? null : since(console.firstOutputMs),
      endUs: since(performance.now()),
      exits: counters.exits,
      faults: counters.faults,
      opens: instance.k.vfs.hostOpens,
      opensBeforehand: instance.k.vfs.borrowed.size,
      without: [...this.#options.without ?? []],
      phases: this.#phases.us,
    };
    // Whoever waits for the end need not wait for this.
    this.closed = new Promise((resolve) => { setImmediate(resolve); })
      .then(() => closeInstance(instance));
    this.#options.onEnd(instance);
  }

  #interruptWait(): void {
    (this.instance.console as { interrupt?: () => void }).interrupt?.();
  }
}
