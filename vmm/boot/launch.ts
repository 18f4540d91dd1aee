// The three ways a sandbox comes to life, up to the point where it can be driven: run, build, boot.
import { HostRoot } from '../host/files.ts';
import type { CfiRootfs } from '../../formats/cfi/header.ts';
import type { BootOptions, ProgramOptions, Volume } from '../options.ts';
import type { LowerFs } from '../kernel/ports.ts';
import { parseMemory } from '../memory-size.ts';
import { CatavmmError } from '../errors.ts';
import { makeKernel } from '../kernel/make-kernel.ts';
import type { WaitableConsole } from './console.ts';
import { checkCpu } from './cpu-check.ts';
import { bootCold } from './cold.ts';
import { makeLowerFs } from './host-ports.ts';
import { ImageError } from './image-error.ts';
import { openImage, type OpenImage } from './image-open.ts';
import {
  giveBack, type Holdings, type Instance, limitsFor, makeInstance, makePorts,
} from './instance.ts';
import type { Phases } from './phases.ts';
import { startProgram } from './start.ts';
import { addVolumes, checkVolumes, openVolume, type OpenVolume } from './volumes.ts';
import { writeSetOf } from './write-sets.ts';
import { baseClassOf, takeZygote } from './zygote.ts';

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
    });
    phases.mark('load');
    return makeInstance(k, zygote, console, roots);
  } catch (error) {
    giveBack(held);
    throw error;
  }
}

/** Opens an image and makes a sandbox of it; nothing of it has run yet. */
export function launchImage(
  file: string,
  options: BootOptions,
  console: WaitableConsole,
  phases: Phases,
): { instance: Instance; image: OpenImage } {
  const image = openImage(file);
  phases.mark('open');
  const { header } = image;
  const memoryBytes = options.memory === undefined
    ? header.memory.limitBytes : parseMemory(options.memory);
  const roots: HostRoot[] = [];
  const held: Holdings = { k: null, roots, zygote: null };
  try {
    const { rootfs } = header;
    const lower = openLower(
      roots, options.rootfs ?? rootfs.path, rootfs.volumes ?? [], missingVolume(rootfs),
    );
    const zygote = takeZygote({
      memoryBytes,
      baseBytes: baseClassOf(image.frames.bytes),
      baseline: header.cpu.baseline,
    });
    held.zygote = zygote;
    phases.mark('zygote');
    checkCpu(header.cpu, zygote.machine);
    const instance = bootCold({
      image, zygote, console, lower, roots,
      writeSet: writeSetOf(image),
      onEvent: options.onEvent ?? ignore,
    }, phases);
    return { instance, image };
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

/**
 * Opens the rootfs and the volumes, and adds what it opens to `roots`, which are to be closed.
 * @param onMissing throws, or leaves the volume empty
 */
function openLower(
  roots: HostRoot[],
  rootfs: string,
  volumes: readonly Volume[],
  onMissing: (volume: Volume) => void,
): LowerFs {
  const open = (directory: string): HostRoot => {
    const root = new HostRoot(directory);
    roots.push(root);
    return root;
  };
  const root = makeLowerFs(open(rootfs));
  return addVolumes(root, volumes.map((volume): OpenVolume | null => {
    const opened = openVolume(volume.source, open);
    if (opened === null) onMissing(volume);
    return opened;
  }));
}

function missingSource({ source }: Volume): never {
  throw new CatavmmError('CATAVMM_OPTION', `The volume's source ${source} does not exist.`);
}

/** A self-contained image needs no volume either. */
function missingVolume({ selfContained }: CfiRootfs): (volume: Volume) => void {
  return ({ source, target }) => {
    if (selfContained) return;
    throw new ImageError(
      'volume', `The func-image shows ${source} as ${target}, and there is no ${source} here.`,
    );
  };
}
