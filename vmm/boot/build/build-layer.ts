// Layers: an image that goes on from another one (paper, 4.3: language runtime templates). The
// parent is booted at its func-entry point and fed what specialises it; what it then has in its
// bank becomes the frames of the child, which names the parent's frames for all that it did not
// change:
//
//   parent.cfi   | runtime, libraries …                 |  ◄── by digest ──┐
//   child.cfi                        | what differs | header.parent ──────┘
import * as fs from 'node:fs';
import * as path from 'node:path';
import { CatavmmError } from '../../errors.ts';
import { parseMemory } from '../../memory-size.ts';
import type { BuildOptions } from '../../options.ts';
import type { QueueConsole } from '../stdio/console.ts';
import { type OpenImage, openImage } from '../image/image-open.ts';
import { findParent } from '../image/image-parent.ts';
import type { ImageDescription } from '../image/image-write.ts';
import type { Instance } from '../run/instance.ts';
import { launchSnapshot, toBytes } from '../run/launch.ts';
import type { Phases } from '../run/phases.ts';

const NEWLINE = 0x0a;
/** What a child has from its parent. */
const INHERITED = ['command', 'env', 'cwd', 'volumes', 'tmpfs', 'cpu', 'deterministic'] as const;

/**
 * Opens the image to go on from. @throws CatavmmError when the child could not find it,
 * ImageError, CfiError
 */
export function openParent(options: BuildOptions): OpenImage {
  const given = INHERITED.find((name) => options[name] !== undefined);
  if (given !== undefined) {
    throw new CatavmmError('CATAVMM_OPTION', `A layer has "${given}" from its parent image.`);
  }
  const parent = openImage(path.resolve(options.from as string));
  requireBeside(options.output, parent);
  return parent;
}

/** Children find their parents by digest in their own directory. @throws CatavmmError */
export function requireBeside(output: string, { path: file, digest }: ImageSource): void {
  if (isSameFile(output, file)) {
    throw new CatavmmError(
      'CATAVMM_OPTION', `${output} would replace the image that it is based on.`,
      'Write it to another file beside that one.',
    );
  }
  try {
    findParent(output, digest);
  } catch {
    throw new CatavmmError(
      'CATAVMM_OPTION',
      `${output} would not find its parent: it has to be beside ${file}.`,
      `Write it to ${path.dirname(file)}, and name both *.cfi.`,
    );
  }
}

function isSameFile(one: string, other: string): boolean {
  const [a, b] = [one, other].map((file) => fs.statSync(file, { throwIfNoEntry: false }));
  return a !== undefined && b !== undefined && a.dev === b.dev && a.ino === b.ino;
}

/** A file that is an image, and what it is named by. */
export type ImageSource = Pick<OpenImage, 'path' | 'digest'>;

/** Boots the parent, its stdin holding the lines that specialise it. */
export function launchLayer(
  parent: OpenImage, options: BuildOptions, console: QueueConsole, phases: Phases,
): Instance {
  for (const line of options.handler ?? []) console.push(endLine(toBytes(line)));
  return launchSnapshot(parent, options, console, phases);
}

/** A line with the newline that ends it. */
export function endLine(line: Uint8Array): Uint8Array {
  return line[line.length - 1] === NEWLINE ? line : Uint8Array.from([...line, NEWLINE]);
}

/** What a child's header says of its program. */
export function describeLayer(
  parent: OpenImage, options: BuildOptions,
): Pick<ImageDescription, 'memoryLimitBytes' | 'cpu' | 'rootfs' | 'program' | 'parent'> {
  const { rootfs } = parent;
  return {
    memoryLimitBytes: options.memory === undefined
      ? parent.limitBytes : parseMemory(options.memory),
    cpu: parent.cpu,
    rootfs: {
      ...rootfs,
      path: options.rootfs ?? rootfs.path,
      selfContained: options.selfContained === true,
    },
    program: parent.header.program,
    parent: parent.digest,
  };
}
