// The three ways a sandbox comes to life, up to the point where it can be driven: run, build, boot.
import { HostRoot } from '../host/files.ts';
import type { BootOptions, ProgramOptions, Volume } from '../options.ts';
import { parseMemory } from '../memory-size.ts';
import { CatavmmError } from '../errors.ts';
import { makeKernel } from '../kernel/make-kernel.ts';
import type { WaitableConsole } from './console.ts';
import { checkCpu } from './cpu-check.ts';
import { bootCold } from './cold.ts';
import { makeLowerFs } from './host-ports.ts';
import { ImageError } from './image-error.ts';
import { openImage, type OpenImage } from './image-open.ts';
import { type Instance, limitsFor, makeInstance, makePorts } from './instance.ts';
import type { Phases } from './phases.ts';
import { startProgram } from './start.ts';
import { type MountedVolume, overlayVolumes } from './volumes.ts';
import { writeSetOf } from './write-sets.ts';
import { baseClassOf, closeZygote, takeZygote } from './zygote.ts';
import * as fs from 'node:fs';
import * as path from 'node:path';

/** How much of an image's path stands in an error. */
const SHOWN_CHARS = 100;
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
  const root = new HostRoot(options.rootfs ?? '/');
  const zygote = takeZygote({ memoryBytes, baseBytes: 0, baseline: options.cpu ?? 'host' });
  phases.mark('zygote');
  try {
    const ports = makePorts({
      zygote, console, root, onEvent: options.onEvent ?? ignore, baseFrames: 0, readFrames: null,
    });
    ports.lower = overlayVolumes(ports.lower, (options.volumes ?? []).map(openVolume));
    const k = makeKernel(ports, limitsFor(memoryBytes));
    k.root.deterministic = options.deterministic === true;
    if (k.root.deterministic) k.root.seed = new Uint8Array(32).fill(DETERMINISTIC_SEED);
    ports.entropy.fill(k.root.bootId);
    startProgram(k, {
      argv: options.command.map(toBytes),
      env: Object.entries(options.env ?? DEFAULT_ENV).map(([key, value]) => toBytes(`${key}=${value}`)),
      cwd: toBytes(options.cwd ?? '/'),
    });
    phases.mark('load');
    return makeInstance(k, zygote, console, root);
  } catch (error) {
    closeZygote(zygote);
    root.close(root.fd);
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
  const root = options.rootfs === undefined
    ? openNamedRoot(header.rootfs.path) : new HostRoot(options.rootfs);
  const zygote = takeZygote({
    memoryBytes,
    baseBytes: baseClassOf(image.frames.bytes),
    baseline: header.cpu.baseline,
  });
  phases.mark('zygote');
  try {
    checkCpu(header.cpu, zygote.machine);
    const instance = bootCold({
      image, zygote, console, root,
      writeSet: writeSetOf(image),
      onEvent: options.onEvent ?? ignore,
    }, phases);
    return { instance, image };
  } catch (error) {
    closeZygote(zygote);
    root.close(root.fd);
    throw error;
  }
}

/** The rootfs that an image names; the name is not the user's, so it is shown with care. */
function openNamedRoot(path: string): HostRoot {
  try {
    return new HostRoot(path);
  } catch {
    const shown = path.replaceAll(/\p{C}/gu, '?').slice(0, SHOWN_CHARS);
    throw new ImageError('root',
      `The func-image's rootfs ${shown} cannot be opened: give another one with --rootfs.`);
  }
}

function ignore(): void {
  // Nobody asked to hear of events.
}

/** A string as bytes; byte strings pass unchanged. */
export function toBytes(value: string | Uint8Array): Uint8Array {
  return typeof value === 'string' ? encoder.encode(value) : value;
}

function openVolume(volume: Volume): MountedVolume {
  const target = path.posix.normalize(volume.target).replace(/^\/+|\/+$/g, '');
  if (!volume.target.startsWith('/') || target === '') {
    throw new CatavmmError('CATAVMM_OPTION', `The volume's target ${volume.target} is no place below /.`);
  }
  const stat = fs.statSync(volume.source, { throwIfNoEntry: false });
  if (stat === undefined) {
    throw new CatavmmError('CATAVMM_OPTION', `The volume's source ${volume.source} does not exist.`);
  }
  const isFile = !stat.isDirectory();
  const source = path.resolve(volume.source);
  const root = new HostRoot(isFile ? path.dirname(source) : source);
  return { target, lower: makeLowerFs(root), file: isFile ? path.basename(source) : '' };
}
