// What the public verbs take and give. Shapes follow Deno.Command and Bun.spawn where they overlap.

/** Where a guest's stdin comes from. A stream is cancelled when the guest has ended. */
export type StdinSource =
  | 'inherit'
  | 'null'
  | string
  | Uint8Array
  | ReadableStream<Uint8Array>;

/** Where a guest's stdout or stderr goes: this process's own, a stream to read, or nowhere. */
export type OutputTarget = 'inherit' | 'piped' | 'null';

/** A host directory or file that the guest sees. Writes stay in the sandbox, or fail (`ro`). */
export interface Volume {
  source: string;
  target: string;
  readOnly: boolean;
}

/**
 * A regular file of the host that the guest may append to, made if there is none; it sees a device
 * at `target`. Each boot and fork is given its own: neither images nor templates hand them on.
 */
export interface LogFile {
  source: string;
  target: string;
}

/** A port of the host that leads to one of the guest, for TCP. */
export interface PublishedPort {
  /** Where the host listens. Default 127.0.0.1: only this machine. */
  address?: string;
  /** 0: any free one; onEvent hears which ('published'). */
  hostPort: number;
  guestPort: number;
}

/** Saves a sandbox again and again, and goes on from what was saved: for tests of both. */
export interface AutosaveOptions {
  /** After so many system calls, at least 1. */
  every: number;
  /** 'restore': through an image file; 'fork': through a template in memory. */
  kind: 'restore' | 'fork';
}

/** What every sandbox may be given. */
export interface SandboxOptions {
  stdin?: StdinSource;
  /** Default 'piped'. With 'inherit' for all three the guest shares this process's descriptors. */
  stdout?: OutputTarget;
  stderr?: OutputTarget;
  /** Files of the host that the guest may append to: all else that it writes ends with it. */
  logs?: readonly LogFile[];
  /**
   * Ports of the host whose connections go to whoever listens at a port of the guest: on its
   * loopback address or on all. Nobody listens: they are reset.
   */
  publish?: readonly PublishedPort[];
  /** Not together with a network. */
  autosave?: AutosaveOptions;
  /** 'host': TCP and UDP sockets of the guest reach what the host reaches. Default 'none'. */
  network?: 'none' | 'host';
  /** Most guest memory: bytes, or a string such as '512Mi'. Default 512 MiB. */
  memory?: number | string;
  /** The guest is killed after this long. */
  timeoutMs?: number;
  /**
   * Longest stretch, in milliseconds, that a computing guest keeps the event loop waiting when
   * nobody else wants to run. Default 16. When it is given, a guest that shares this process's
   * descriptors keeps it waiting for input as well, up to 50.
   */
  burstMs?: number;
  /** Aborting kills the guest; the pending promises reject with `signal.reason`. */
  signal?: AbortSignal;
  /** Called with one line per system call, like strace(1). */
  strace?: (line: string) => void;
  /** Unusual things the guest met: an unimplemented call, a lower file that changed … */
  onEvent?: (kind: string, detail: string) => void;
}

/** Which program, in which surroundings. */
export interface ProgramOptions extends SandboxOptions {
  /** argv; the first is looked up in PATH of `env` unless it has a slash. */
  command: readonly (string | Uint8Array)[];
  /** Read-only root directory on the host. Default '/'. */
  rootfs?: string;
  env?: Readonly<Record<string, string>>;
  /** Working directory in the guest. Default '/'. */
  cwd?: string;
  volumes?: readonly Volume[];
  /** Where the guest gets an empty file system in memory, hiding what is there. */
  tmpfs?: readonly string[];
  /** The CPU the guest may see. Default 'host'. */
  cpu?: 'v2' | 'v3' | 'v4' | 'host';
  /** Fixed clock and randomness. */
  deterministic?: boolean;
}

/** The func-entry point: what counts as "initialised". */
export type EntryChoice =
  | { kind: 'default' | 'explicit' | 'listen' | 'stdin' }
  | { kind: 'line'; text: string };

export interface BuildOptions extends Omit<ProgramOptions, 'command'> {
  /** As for run(); not with `from`. */
  command?: ProgramOptions['command'];
  /**
   * An image to go on from: what is saved holds only the frames that differ, and needs that image
   * beside it. Program, environment, volumes and CPU are the parent's.
   */
  from?: string;
  /** With `from`: lines fed to stdin, which say what to become (the name of a module, say). */
  handler?: readonly (string | Uint8Array)[];
  /** The image file; a half-written one never replaces it. */
  output: string;
  entry?: EntryChoice;
  /** Training requests fed to stdin (one line each) before the image is saved. */
  train?: readonly (string | Uint8Array)[];
  trainCount?: number;
  /** Store the rest of every mapped or open file too, so that the image needs no rootfs. */
  selfContained?: boolean;
  /** Save a program although variables of `env` look like secrets: they are in the image then. */
  allowSecrets?: boolean;
  onProgress?: (stage: string, done: number, total: number) => void;
}

export interface TuneOptions {
  /** How many boots to learn from; default 3. */
  boots?: number;
  /** Lines for their stdin, in turn; an empty one unless given. */
  requests?: readonly (string | Uint8Array)[];
}

export interface TuneResult {
  output: string;
  bytes: number;
  frames: number;
  boots: number;
  /** Frames that boots touch first, before and after. */
  hotFrames: [before: number, after: number];
  /** Those of them that are written. */
  writeFrames: [before: number, after: number];
}

export interface CheckpointOptions {
  /** Save all frames, so that the image needs no other beside it. */
  whole?: boolean;
  /** Save variables that look like secrets too. */
  allowSecrets?: boolean;
}

export interface CheckpointResult {
  output: string;
  bytes: number;
  /** That the image holds itself. */
  frames: number;
  /** That it shares with the image the sandbox came from, and with that one's parents. */
  parentFrames: number;
  objects: number;
}

/** What can be turned off, to measure what it is worth (docs/evaluation.md). */
export type Technique =
  | 'overlay' | 'separated' | 'lazy-io' | 'io-cache' | 'zygote' | 'write-set';

/** What `--eager` turns off: what is left is a restore as checkpoint/restore does it. */
const EAGER: readonly Technique[] = ['overlay', 'separated', 'lazy-io'];

/** For measurements only: boots are slower with any of it. */
export interface BaselineOptions {
  /** Techniques that are not to be used. */
  without?: readonly Technique[];
  /** Decode each record, copy all memory and open all files before the guest goes on. */
  eager?: boolean;
}

/** Everything that is not to be used, each once. */
export function wantedTechniques({ without, eager }: BaselineOptions): Technique[] {
  return [...new Set([...without ?? [], ...eager === true ? EAGER : []])];
}

export interface BootOptions extends SandboxOptions, BaselineOptions {
  /** Overrides the rootfs path that the image names. */
  rootfs?: string;
  /** Check the frames' digest too before the boot. */
  verify?: boolean;
  /**
   * Who may be given the machine of this sandbox, wiped, when it has ended: sandboxes of the same
   * tenant. Unless given, those of the same image or template.
   */
  tenant?: string;
}

/** A fork of a sandbox that runs. */
export interface ForkOptions extends BootOptions {
  /** Fork a program although variables that it was given look like secrets. */
  allowSecrets?: boolean;
}

/** How a guest ended. */
export interface Status {
  success: boolean;
  /** Exit code, 128 + n when killed by signal n. */
  code: number;
  /** Name of the killing signal ('SIGSEGV'), or null. */
  signal: string | null;
  /** Why catavmm ended it, when it did: a timeout, an abort, a failure of the host or the image. */
  reason: 'exited' | 'signaled' | 'timeout' | 'aborted' | 'failed';
  /** A sentence when `reason` is 'failed'. */
  message?: string;
}

/** One entry of `boots` in a report. Times in microseconds from the opening of the image. */
export interface BootReport {
  firstInstructionUs: number;
  firstOutputUs: number | null;
  endUs: number;
  exits: number;
  faults: number;
  /** Host files opened while the guest ran: on the path of its requests. */
  opens: number;
  /** Host files it used that had been reconnected beforehand. */
  opensBeforehand: number;
  /** Techniques that were turned off. */
  without: Technique[];
  phases: Record<string, number>;
}

/** What a sandbox starts from: a file, an image that is open, or a template. */
export type BootMode = 'cold' | 'warm' | 'fork';

/** `--report FILE`. */
export interface Report {
  runtime: string;
  mode: BootMode | 'run';
  image: string | null;
  boots: BootReport[];
}

export interface BuildResult {
  output: string;
  bytes: number;
  /** How the func-entry point was reached. */
  entry: 'explicit' | 'listen' | 'stdin' | 'line';
  /** That the image holds itself. */
  frames: number;
  /** That it shares with its parents; 0 without one. */
  parentFrames: number;
  objects: number;
  relations: number;
  phases: Record<string, number>;
}
