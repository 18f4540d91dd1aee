// The public object: a program running in its own virtual machine.
import { SIGKILL } from './abi/signal.ts';
import { signalNumber } from './abi/signal-names.ts';
import { closeInstance, type Instance } from './boot/run/instance.ts';
import { openImage } from './boot/image/image-open.ts';
import { launchProgram } from './boot/run/launch.ts';
import { beginPhases, type Phases } from './boot/run/phases.ts';
import { emptySnapshot } from './boot/restore/empty-snapshot.ts';
import type { TemplateState } from './boot/restore/template.ts';
import { Session } from './boot/run/session.ts';
import type { OutputPipe } from './boot/stdio/output-pipe.ts';
import { type Stdio, wantsNetwork, wireStdio } from './boot/stdio/stdio-wiring.ts';
import { type Snapshot, withRootfs } from './boot/restore/snapshot.ts';
import { type StartOptions, startSnapshot } from './boot/restore/start-snapshot.ts';
import { prepareBoot } from './boot/restore/prepare.ts';
import { CatavmmError } from './errors.ts';
import { wantedTechniques } from './options.ts';
import type {
  BootOptions, BuildOptions, BuildResult, CheckpointOptions, CheckpointResult, ForkOptions,
  ProgramOptions, Report, SandboxOptions, Status,
} from './options.ts';

/** What output() gives: the status and everything that was printed. */
export interface Output extends Status {
  stdout: Uint8Array;
  stderr: Uint8Array;
}

/**
 * A guest. It starts running at once; `status` resolves when it has ended.
 *
 * @example
 * await using sandbox = await Sandbox.run({ command: ['echo', 'hello'] });
 * const { code, stdout } = await sandbox.output();
 */
export class Sandbox {
  /** How the guest ended. Never rejects, but for `signal.reason` after an abort. */
  readonly status: Promise<Status>;
  readonly #session: Session;
  readonly #origin: Snapshot;
  readonly #stdio: Stdio;
  /** What a run was given; what an image holds was asked about when it was built. */
  readonly #env: ProgramOptions['env'];

  /** @internal Use run(), boot(), FuncImage or Template. */
  constructor(
    session: Session, stdio: Stdio, options: SandboxOptions & Pick<ProgramOptions, 'env'>,
    origin: Snapshot,
  ) {
    this.#session = session;
    this.#origin = origin;
    this.#stdio = stdio;
    this.#env = options.env;
    this.status = session.status.then((status) => {
      stdio.finish();
      if (status.reason === 'aborted') throw options.signal?.reason;
      return status;
    });
    this.status.catch(() => {});
  }

  /** What the guest prints on stdout; empty unless the option is 'piped'. */
  get stdout(): ReadableStream<Uint8Array> {
    return streamOf(this.#stdio.stdout);
  }

  /** The same of stderr. */
  get stderr(): ReadableStream<Uint8Array> {
    return streamOf(this.#stdio.stderr);
  }

  /** Runs a program from the beginning. @throws CatavmmError, HostError */
  static run(options: ProgramOptions): Promise<Sandbox> {
    return Promise.resolve().then(async () => {
      options.signal?.throwIfAborted();
      const phases = beginPhases();
      const stdio = wireStdio(options);
      const instance = launchProgram(options, stdio.console, phases);
      if (options.strace !== undefined) await traceCalls(instance, options.strace);
      if (wantsNetwork(options)) await connectNet(instance, options);
      const origin = emptySnapshot(instance, options);
      const session = new Session(instance, phases, {
        mode: 'run',
        image: null,
        timeoutMs: options.timeoutMs,
        signal: options.signal,
        burstMs: options.burstMs,
        swap: await autosave(instance, origin, options),
        onEnd: () => {},
      });
      return new Sandbox(session, stdio, options, origin);
    });
  }

  /** Boots an image. @throws ImageError, CfiError, HostError with one plain sentence */
  static boot(image: string, options: BootOptions = {}): Promise<Sandbox> {
    return Promise.resolve().then(async () => {
      options.signal?.throwIfAborted();
      // Loaded on demand: what a boot loads counts into every boot.
      if (options.verify === true) {
        await (await import('./boot/image/verify.ts')).requireGoodImage(image);
      }
      const baseline = wantedTechniques(options).length === 0 ? undefined :
        (await import('./boot/image/baseline-image.ts')).makeImageBaseline(image, options);
      const phases = beginPhases();
      const snapshot = openImage(image);
      phases.mark('open');
      return startFrom(snapshot, { ...options, baseline, mode: 'cold', image }, phases);
    });
  }

  /** Runs a program to its func-entry point and saves it. @throws CatavmmError, HostError */
  static async build(options: BuildOptions): Promise<BuildResult> {
    const { buildImage } = await import('./boot/build/build.ts');
    return buildImage(options);
  }

  /** Makes `count` machines for boots of `image` beforehand, off the critical path. */
  static prepare(image: string, count: number = 1): void {
    prepareBoot(image, count);
  }

  /** Waits for the end and collects what was printed ('piped' streams only). */
  async output(): Promise<Output> {
    const [stdout, stderr, status] = await Promise.all([
      collect(this.#stdio.stdout), collect(this.#stdio.stderr), this.status,
    ]);
    return { ...status, stdout, stderr };
  }

  /** Sends a signal, SIGKILL unless given: a number or a name such as 'SIGTERM'. */
  kill(signal: number | string = SIGKILL): void {
    const number = typeof signal === 'number' ? signal : signalNumber(signal);
    if (!(number >= 1 && number <= 64)) {
      throw new CatavmmError('CATAVMM_OPTION', `${signal} is not a signal.`);
    }
    this.#session.kill(number);
  }

  /** Exits, faults, opens and the timeline. Order: after `status` has resolved. */
  report(): Report {
    return this.#session.report();
  }

  /** The image that it was started from, or null. */
  get image(): string | null {
    return this.#session.report().image;
  }

  /**
   * Starts another sandbox that goes on where this one is just now; this one goes on too. For more
   * than a few forks of one place, make a Template. @throws CatavmmError, HostError
   */
  async fork(options: ForkOptions = {}): Promise<Sandbox> {
    const { Template } = await import('./template.ts');
    const allowSecrets = options.allowSecrets === true;
    const template = await Template.from(this, { pool: { low: 0, high: 0 }, allowSecrets });
    try {
      const sandbox = await template.fork(options);
      const close = (): void => { void template.close(); };
      sandbox.status.then(close, close);
      return sandbox;
    } catch (error) {
      await template.close();
      throw error;
    }
  }

  /**
   * Saves what it is just now as an image, from which boots go on; this sandbox goes on too. Only
   * what differs from the image it came from is written, as a layer that has to be beside that one;
   * of a program that was run, all is written. @throws CatavmmError, HostError, file system errors
   */
  async checkpoint(file: string, options: CheckpointOptions = {}): Promise<CheckpointResult> {
    const { requireNoSecrets } = await import('./boot/build/template-rules.ts');
    if (options.allowSecrets !== true) requireNoSecrets(this.#env);
    const { writeCheckpoint } = await import('./boot/build/checkpoint-file.ts');
    return writeCheckpoint(this.#session.running(), this.#origin, file, options);
  }

  /** @internal Its state just now. @throws CatavmmError, HostError */
  async capture(allowSecrets: boolean): Promise<TemplateState> {
    // Loaded when it is needed: boots do not wait for what only templates take.
    const { requireNoSecrets } = await import('./boot/build/template-rules.ts');
    const { makeTemplate } = await import('./boot/restore/template.ts');
    if (!allowSecrets) requireNoSecrets(this.#env);
    return makeTemplate(this.#session.running(), this.#origin);
  }

  /**
   * Kills the guest if it still runs, and waits until everything it held is given back. Idempotent.
   */
  async close(): Promise<void> {
    this.#session.kill(SIGKILL);
    await this.#session.status;
    await this.#session.closed;
  }

  /** For `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

/** What is not piped is an empty stream. */
function streamOf(pipe: OutputPipe | null): ReadableStream<Uint8Array> {
  return pipe?.stream() ??
    new ReadableStream<Uint8Array>({ start: (controller) => controller.close() });
}

function collect(pipe: OutputPipe | null): Promise<Uint8Array> {
  return pipe?.collect() ?? Promise.resolve(new Uint8Array());
}

/** @internal Starts a sandbox of a snapshot. @throws ImageError, HostError */
export async function startFrom(
  snapshot: Snapshot, options: StartOptions, phases: Phases = beginPhases(),
): Promise<Sandbox> {
  options.signal?.throwIfAborted();
  if (options.baseline === undefined && wantedTechniques(options).length > 0) {
    const { makeBaseline } = await import('./boot/restore/baseline.ts');
    return startFrom(snapshot, { ...options, baseline: makeBaseline(snapshot, options) });
  }
  const stdio = wireStdio(options);
  const { instance, start } = startSnapshot(snapshot, options, stdio.console, phases);
  if (options.strace !== undefined) await traceCalls(instance, options.strace);
  if (wantsNetwork(options)) await connectNet(instance, options);
  const origin = withRootfs(snapshot, options.rootfs);
  return new Sandbox(start(await autosave(instance, origin, options)), stdio, options, origin);
}

/** What has the sandbox replaced by what was saved of it; undefined unless that is asked for. */
async function autosave(
  instance: Instance, origin: Snapshot, options: BootOptions,
): Promise<((instance: Instance) => Promise<Instance>) | undefined> {
  if (options.autosave === undefined) return undefined;
  const { startAutosave } = await import('./boot/build/autosave.ts');
  return startAutosave(instance, origin, options, async (next) => {
    if (options.strace !== undefined) await traceCalls(next, options.strace);
  });
}

/** Loaded when it is asked for, as the runtime's sockets are. */
async function connectNet(instance: Instance, options: SandboxOptions): Promise<void> {
  const { openNet } = await import('./boot/net/open-net.ts');
  await openNet(instance, options);
}

/** --strace: loaded when it is asked for, because its tables of names are large. */
async function traceCalls(instance: Instance, write: (line: string) => void): Promise<void> {
  try {
    const hook = await import('./boot/run/strace-hook.ts');
    hook.traceCalls(instance, write);
  } catch (error) {
    closeInstance(instance);
    throw error;
  }
}
