// The three ways a sandbox comes to life, up to the point where it can be driven: run, build, boot.
import type { HostRoot } from '../../host/files.ts';
import type { CfiProgram, CfiRootfs } from '../../../formats/cfi/header.ts';
import type { BootOptions, BuildOptions, ProgramOptions, Technique } from '../../options.ts';
import { parseMemory } from '../../memory-size.ts';
import type { EntropyPort } from '../../kernel/ports.ts';
import { makeKernel } from '../../kernel/make-kernel.ts';
import type { WaitableConsole } from '../stdio/console.ts';
import { checkCpu } from '../pool/cpu-check.ts';
import type { Baseline } from '../restore/baseline.ts';
import { IoCache, ioCacheOf } from '../restore/io-cache.ts';
import {
  closeInstance, giveBack, type Holdings, type Instance, limitsFor, makeInstance, makePorts,
} from './instance.ts';
import { grantLogs } from '../files/logs.ts';
import { missingSource, openLower } from '../files/open-lower.ts';
import type { Phases } from './phases.ts';
import { restoreSandbox } from '../restore/restore.ts';
import { baseBytesOf, requireUnchanged, type Snapshot } from '../restore/snapshot.ts';
import { holdSnapshot } from '../restore/snapshot-users.ts';
import { startProgram } from './start.ts';
import { checkTmpfs, checkVolumes } from '../files/volumes.ts';
import { writeSetOf } from '../restore/write-sets.ts';
import { baseClassOf, makeZygote, type ZygoteOptions } from '../pool/zygote.ts';
import { takeZygote } from '../pool/zygote-pool.ts';

const encoder = new TextEncoder();
const DEFAULT_ENV: Readonly<Record<string, string>> = {
  PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
  HOME: '/root',
};
/** Fixed seed of --deterministic. */
const DETERMINISTIC_SEED = 0x5a;

/** Makes a machine, loads the program; nothing of it has run yet. */
export function launchProgram(
  options: ProgramOptions,
  console: WaitableConsole,
  phases: Phases,
): Instance {
  const memoryBytes = parseMemory(options.memory);
  const volumes = checkVolumes(options.volumes ?? []);
  const tmpfs = checkTmpfs(options.tmpfs ?? [], volumes);
  const roots: HostRoot[] = [];
  const held: Holdings = { k: null, roots, zygote: null };
  try {
    const lower = openLower(roots, options.rootfs ?? '/', volumes, missingSource);
    const zygote = takeZygote({ memoryBytes, baseBytes: 0, baseline: options.cpu ?? 'host' });
    held.zygote = zygote;
    phases.mark('zygote');
    const ports = makePorts({
      zygote, console, lower, onEvent: options.onEvent ?? ignore, baseFrames: 0, readFrames: null,
    });
    const k = makeKernel(ports, limitsFor(memoryBytes));
    held.k = k;
    k.root.deterministic = options.deterministic === true;
    if (k.root.deterministic) k.root.seed = new Uint8Array(32).fill(DETERMINISTIC_SEED);
    ports.entropy.fill(k.root.bootId);
    startProgram(k, {
      argv: options.command.map(toBytes),
      env: Object.entries(options.env ?? DEFAULT_ENV)
        .map(([key, value]) => toBytes(`${key}=${value}`)),
      cwd: toBytes(options.cwd ?? '/'),
      volumes,
      tmpfs,
    });
    grantLogs(k, options.logs);
    phases.mark('load');
    return makeInstance(k, zygote, console, roots);
  } catch (error) {
    giveBack(held);
    throw error;
  }
}

/** What a header says of a program. */
export function describeProgram(
  { command, env, cwd }: Pick<BuildOptions, 'command' | 'env' | 'cwd'>,
): CfiProgram {
  return {
    argv: (command ?? []).map(toBytes),
    env: Object.entries(env ?? {}).map(([key, value]) => toBytes(`${key}=${value}`)),
    cwd: toBytes(cwd ?? '/'),
  };
}

/** What a header says of a program's files. */
export function describeRootfs(
  options: Pick<BuildOptions, 'rootfs' | 'volumes' | 'selfContained'>,
): CfiRootfs {
  const volumes = checkVolumes(options.volumes ?? []);
  return {
    path: options.rootfs ?? '/',
    selfContained: options.selfContained === true,
    ...(volumes.length === 0 ? {} : { volumes }),
  };
}

/** What a sandbox of a snapshot may have otherwise than the snapshot says. */
export interface SnapshotOptions
  extends Pick<BootOptions, 'memory' | 'rootfs' | 'tenant' | 'logs' | 'onEvent'> {
  /** Leave it where it was saved: it is to be captured, not to run. */
  isCaptured?: boolean;
  /** What takes the place of techniques that are turned off. */
  baseline?: Baseline | undefined;
  /** Default: the host's random bytes. */
  entropy?: EntropyPort;
  /** Use the descriptors that sandboxes of this snapshot share, and leave them open. */
  sharesIo?: boolean;
}

/** The configuration of machines for sandboxes of a snapshot. */
export function zygoteOptionsOf(snapshot: Snapshot, memory?: string | number): ZygoteOptions {
  return {
    memoryBytes: memory === undefined ? snapshot.limitBytes : parseMemory(memory),
    baseBytes: baseClassOf(baseBytesOf(snapshot)),
    baseline: snapshot.cpu.baseline,
  };
}

/** Who may use a machine after a sandbox of this snapshot, unless told otherwise: its like. */
export function tenantOf(snapshot: Snapshot, options: SnapshotOptions): string {
  return options.tenant ?? `snapshot ${snapshot.identity}`;
}

/** Makes a sandbox of a snapshot; nothing of it has run yet. */
export function launchSnapshot(
  snapshot: Snapshot,
  options: SnapshotOptions,
  console: WaitableConsole,
  phases: Phases,
): Instance {
  const instance = makeOfSnapshot(snapshot, options, console, phases);
  try {
    grantLogs(instance.k, options.logs);
    return instance;
  } catch (error) {
    closeInstance(instance);
    throw error;
  }
}

function makeOfSnapshot(
  snapshot: Snapshot,
  options: SnapshotOptions,
  console: WaitableConsole,
  phases: Phases,
): Instance {
  const release = holdSnapshot(snapshot);
  const held: Holdings = { k: null, roots: [], zygote: null, release };
  try {
    requireUnchanged(snapshot);
    const rootfs = options.rootfs ?? snapshot.rootfs.path;
    const io = options.sharesIo === true
      ? ioCacheOf(snapshot, rootfs) : new IoCache(snapshot, rootfs);
    if (options.sharesIo !== true) held.roots = io.roots;
    const tenant = tenantOf(snapshot, options);
    const isOff = (name: Technique): boolean => options.baseline?.without.includes(name) === true;
    const machine = zygoteOptionsOf(snapshot, options.memory);
    const zygote = isOff('zygote')
      ? makeZygote(machine) : takeZygote(machine, tenant, snapshot.identity);
    held.zygote = zygote;
    phases.mark('zygote');
    checkCpu(snapshot.cpu, zygote.machine);
    return restoreSandbox({
      snapshot, zygote, console, io,
      roots: held.roots, release,
      writeSet: writeSetOf(snapshot),
      preCopies: options.isCaptured !== true && !isOff('write-set'),
      baseline: options.baseline ?? null,
      isCaptured: options.isCaptured === true,
      entropy: options.entropy,
      onEvent: options.onEvent ?? ignore,
    }, phases);
  } catch (error) {
    giveBack(held);
    throw error;
  }
}

function ignore(): void {
  // Nobody asked to hear of events.
}

/** A string as bytes; byte strings pass unchanged. */
export function toBytes(value: string | Uint8Array): Uint8Array {
  return typeof value === 'string' ? encoder.encode(value) : value;
}
