// Puts an image's frames in the order in which its boots touch them: [written | read | the rest],
// as a build does after one trial, but after several, with the requests that are given. Records,
// page contents and everything the header says of the program stay; only the order changes.
import * as path from 'node:path';
import { CatavmmError } from '../../errors.ts';
import type { TuneOptions, TuneResult } from '../../options.ts';
import { endLine } from './build-layer.ts';
import { takeCheckpoint } from './checkpoint.ts';
import { QueueConsole } from '../stdio/console.ts';
import { makePresent } from './fresh-pages.ts';
import { ImageFile } from '../image/image-file.ts';
import { closeImage, openImage, type OpenImage, useImage } from '../image/image-open.ts';
import { listImages } from '../image/image-parent.ts';
import { type WrittenImage, writeImage } from '../image/image-write.ts';
import { closeInstance } from '../run/instance.ts';
import { launchSnapshot, toBytes } from '../run/launch.ts';
import { beginPhases } from '../run/phases.ts';
import { profileImage, type Profile, type SpaceProfile } from './profile.ts';
import { NOTHING_BELOW } from './same-frames.ts';
import type { Mm } from '../../kernel/records/mm.ts';
import { listSpaces } from '../../kernel/task/family.ts';
import { firstOwnFrame } from '../restore/snapshot.ts';

const BOOTS_DEFAULT = 3;
const BOOTS_MAX = 1000;

/**
 * Boots an image a few times and rewrites it. @throws ImageError, CfiError, HostError, CatavmmError
 * when other images are based on it; the file is then as it was
 */
export async function tuneImage(file: string, options: TuneOptions = {}): Promise<TuneResult> {
  const boots = options.boots ?? BOOTS_DEFAULT;
  if (!(Number.isSafeInteger(boots) && boots >= 1 && boots <= BOOTS_MAX)) {
    const sentence = `${boots} is not a number of boots, 1 to ${BOOTS_MAX}.`;
    throw new CatavmmError('CATAVMM_OPTION', sentence);
  }
  const before = useImage(file, ({ digest, header: { memory } }) => {
    requireNoChildren(file, digest);
    return memory;
  });
  const requests = (options.requests ?? []).map((line) => endLine(toBytes(line)));
  const profiles: Profile[] = [];
  for (let boot = 0; boot < boots; boot++) {
    profiles.push(await profileFile(file, requests[boot % requests.length]));
  }
  const hot = usualOf(profiles);
  if (hot.every(({ written, read }) => written.length + read.length === 0)) {
    const sentence = `The boots of ${file} touched nothing: it stays as it is.`;
    throw new CatavmmError('CATAVMM_OPTION', sentence);
  }
  const { bytes, frames } = useImage(file, (image) => rewrite(image, hot));
  const after = useImage(file, ({ header: { memory } }) => memory);
  return {
    output: file, bytes, frames, boots,
    hotFrames: [before.hotFrames, after.hotFrames],
    writeFrames: [before.writeFrames, after.writeFrames],
  };
}

async function profileFile(file: string, request: Uint8Array | undefined): Promise<Profile> {
  const image = openImage(file);
  try {
    return await profileImage(image, request);
  } finally {
    closeImage(image);
  }
}

/** A rewritten image has another digest, by which its children would not find it. */
function requireNoChildren(file: string, digest: Uint8Array): void {
  for (const other of listImages(path.dirname(path.resolve(file)))) {
    if (!isChild(other, digest)) continue;
    throw new CatavmmError(
      'CATAVMM_OPTION', `${other} is based on ${file}, which therefore has to stay as it is.`,
      'Tune the images that are based on it, or build them again afterwards.',
    );
  }
}

function isChild(file: string, digest: Uint8Array): boolean {
  let image: ImageFile;
  try {
    image = new ImageFile(file);
  } catch {
    return false;
  }
  image.close();
  return image.header.parent?.every((byte, index) => byte === digest[index]) === true;
}

/** What at least half of the boots touched of each address space. */
function usualOf(profiles: readonly Profile[]): Profile {
  const spaces = Math.max(...profiles.map((profile) => profile.length));
  return Array.from({ length: spaces }, (_unused, i) =>
    usualOfSpace(profiles.map((profile) => profile[i] ?? { written: [], read: [], fresh: [] })));
}

function usualOfSpace(profiles: readonly SpaceProfile[]): SpaceProfile {
  const usual = (lists: number[][]): number[] => {
    const counts = new Map<number, number>();
    for (const item of lists.flat()) counts.set(item, (counts.get(item) ?? 0) + 1);
    return [...counts].flatMap(([item, count]) => count * 2 >= profiles.length ? item : []);
  };
  const written = usual(profiles.map((profile) => profile.written));
  const wasWritten = new Set(written);
  // A page that one boot wrote and another read was touched by both.
  const touched = usual(profiles.map((profile) => [...profile.written, ...profile.read]));
  return {
    written,
    read: touched.filter((frame) => !wasWritten.has(frame)),
    fresh: usual(profiles.map(({ fresh }) => fresh)),
  };
}

/** Restores the image, lets nothing run, and saves it in the new order. */
function rewrite(image: OpenImage, profile: Profile): WrittenImage {
  const console = new QueueConsole(() => true);
  const instance = launchSnapshot(image, { isCaptured: true }, console, beginPhases());
  try {
    const { k } = instance;
    const below = firstOwnFrame(image);
    const { bankFrames } = k.ports.frames;
    const combined = (frames: number[]): number[] =>
      frames.flatMap((frame) => frame < below ? [] : bankFrames + frame);
    const spaces = listSpaces(k);
    const hot = profile.map(({ written, read, fresh }, i) => {
      const made = fresh.flatMap((gva) => makePresent(k, spaces[i] as Mm, gva));
      return { written: [...combined(written), ...made], read: combined(read) };
    });
    const checkpoint = takeCheckpoint(k, hot, { ...NOTHING_BELOW, frames: below });
    const { memory, objects: _objects, sections: _sections, ...description } = image.header;
    return writeImage(image.path, checkpoint, {
      ...description, memoryLimitBytes: memory.limitBytes,
    }, image.io);
  } finally {
    closeInstance(instance);
  }
}
