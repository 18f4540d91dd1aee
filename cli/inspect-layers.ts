// Which frames an image has itself and which it shares: with its parents, and through them with
// other images. Counted are frames that page tables name; what is only in a page cache is not.

import { findSection } from '../formats/cfi/read.ts';
import { ImageChain } from '../vmm/boot/image/image-chain.ts';
import { ImageError } from '../vmm/boot/image/image-error.ts';
import type { ImageFile } from '../vmm/boot/image/image-file.ts';
import { imageGeometry } from '../vmm/boot/image/image-geometry.ts';

const entryCount = 512;
const userEntries = 256;
const PRESENT = 1;
const rootLevel = 4;

export interface Layers {
  /** File of the image that it is based on; null without one, or when it is not beside it. */
  parent: string | null;
  /** Frames in the file. */
  own: number;
  /** Frames of its parents that it uses; null when they are not there. */
  shared: number | null;
  /** Frames of its parents. */
  below: number | null;
}

/** What several images have in common. */
export interface Sharing {
  images: (Layers & { image: string })[];
  /** Frames that all of them use and that are in memory once, for all of them. */
  common: number;
}

/** The frames that an image's page tables name, by their place in the base window. */
export function listNamedFrames(file: ImageFile): Set<number> {
  const bytes = file.readSection('tables');
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const { tablesPfn, firstIndex, basePfn } = imageGeometry;
  const count = bytes.length / (entryCount * 8);
  const frames = new Set<number>();
  const visited = new Set<number>();
  const walk = (table: number, level: number): void => {
    // A forged tree ends here; `verify` says what is wrong with it.
    if (table < 0 || table >= count || visited.has(table)) return;
    visited.add(table);
    const slots = level === rootLevel ? userEntries : entryCount;
    for (let slot = 0; slot < slots; slot++) {
      const at = (table * entryCount + slot) * 8;
      const low = view.getUint32(at, true);
      if ((low & PRESENT) === 0) continue;
      const pfn = (view.getUint32(at + 4, true) & 0xfffff) * 2 ** 20 + (low >>> 12);
      if (level === 1) frames.add(pfn - basePfn);
      else walk(pfn - tablesPfn - firstIndex, level - 1);
    }
  };
  walk(0, rootLevel);
  return frames;
}

function describeChain(chain: ImageChain): Layers {
  const own = chain.image.header.memory.frames;
  const below = chain.frames - own;
  const named = [...listNamedFrames(chain.image)];
  return {
    parent: chain.parent?.path ?? null,
    own, below,
    shared: named.filter((frame) => frame < below).length,
  };
}

/** The layers of the image at `path`, whether or not its parents are there. @throws CfiError */
export function inspectLayers(path: string, own: number): Layers {
  let chain: ImageChain;
  try {
    chain = new ImageChain(path);
  } catch (error) {
    if (!(error instanceof ImageError) || error.what !== 'parent') throw error;
    return { parent: null, own, shared: null, below: null };
  }
  try {
    return describeChain(chain);
  } finally {
    chain.close();
  }
}

/** Names a frame by the file it lies in. */
function listKeys(chain: ImageChain): Set<string> {
  const keys = new Set<string>();
  for (const frame of listNamedFrames(chain.image)) {
    let place = frame;
    for (const { header } of chain.files) {
      if (place < header.memory.frames) {
        keys.add(`${Buffer.from(findSection(header, 'frames').sha256).toString('hex')} ${place}`);
        break;
      }
      place -= header.memory.frames;
    }
  }
  return keys;
}

/** What images share. @throws ImageError when a parent is missing, CfiError */
export function inspectSharing(paths: readonly string[]): Sharing {
  const images: Sharing['images'] = [];
  const keySets: Set<string>[] = [];
  for (const path of paths) {
    const chain = new ImageChain(path);
    try {
      images.push({ image: path, ...describeChain(chain) });
      keySets.push(listKeys(chain));
    } finally {
      chain.close();
    }
  }
  const [first = new Set<string>(), ...rest] = keySets;
  const common = [...first].filter((key) => rest.every((keys) => keys.has(key)));
  return { images, common: common.length };
}
