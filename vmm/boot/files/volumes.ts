// Volumes (-v SRC:DST[:ro]): directories or files of the host shown at other places of the guest's
// tree. Their content is lower content, so the guest's writes stay in the sandbox like all others.
// An image names its volumes, and a boot finds them where the build did.
import * as fs from 'node:fs';
import * as path from 'node:path';
import { ENOENT } from '../../abi/errno.ts';
import { CatavmmError } from '../../errors.ts';
import type { HostRoot } from '../../host/files.ts';
import type { LowerAttribute, LowerEntry, LowerFs, LowerStat } from '../../kernel/ports.ts';
import { TMPFS_MOST } from '../../kernel/vfs/mount-tmpfs.ts';
import { splitVolumePath } from '../../kernel/vfs/volume-path.ts';
import type { Volume } from '../../options.ts';
import { makeLowerFs } from '../run/host-ports.ts';

/** A volume with its own root. */
export interface OpenVolume {
  lower: LowerFs;
  /** For a single file: its name below `lower`'s root; '' for a directory. */
  file: string;
}

/** Handles are numbered per volume: handle * slots + index. */
const SLOTS = 64;
const VOLUMES_MOST: number = SLOTS - 1;
const encoder = new TextEncoder();

/** The volumes with absolute paths in their plainest form. @throws CatavmmError */
export function checkVolumes(volumes: readonly Volume[]): Volume[] {
  if (volumes.length > VOLUMES_MOST) {
    throw new CatavmmError('CATAVMM_OPTION', `At most ${VOLUMES_MOST} volumes can be given.`);
  }
  const taken = new Set<string>();
  return volumes.map((volume) => {
    const target = path.posix.normalize(volume.target).replace(/\/+$/, '');
    if (!target.startsWith('/')) {
      throw new CatavmmError(
        'CATAVMM_OPTION',
        `The volume's target ${volume.target} is no place below /.`,
      );
    }
    if (taken.has(target)) {
      throw new CatavmmError('CATAVMM_OPTION', `Two volumes have the target ${target}.`);
    }
    taken.add(target);
    return { source: path.resolve(volume.source), target, readOnly: volume.readOnly === true };
  });
}

/** The targets of tmpfs in their plainest form. @throws CatavmmError */
export function checkTmpfs(targets: readonly string[], volumes: readonly Volume[]): string[] {
  if (targets.length > TMPFS_MOST) {
    throw new CatavmmError('CATAVMM_OPTION', `At most ${TMPFS_MOST} tmpfs can be mounted.`);
  }
  const taken = new Set(volumes.map(({ target }) => target));
  return targets.map((given) => {
    const target = path.posix.normalize(given).replace(/\/+$/, '');
    if (!target.startsWith('/')) {
      throw new CatavmmError('CATAVMM_OPTION', `The tmpfs ${given} is no place below /.`);
    }
    if (taken.has(target)) {
      throw new CatavmmError('CATAVMM_OPTION', `Two things are to be mounted on ${target}.`);
    }
    taken.add(target);
    return target;
  });
}

/**
 * Opens a volume's source.
 * @param openRoot opens a directory; it is closed by whoever gave this
 * @returns null when there is no such file
 */
export function openVolume(
  source: string,
  openRoot: (directory: string) => HostRoot,
): OpenVolume | null {
  const stat = fs.statSync(source, { throwIfNoEntry: false });
  if (stat === undefined) return null;
  // A link would be one in the guest, too, and lead nowhere.
  const real = fs.realpathSync(source);
  const isFile = !stat.isDirectory();
  const root = openRoot(isFile ? path.dirname(real) : real);
  return { lower: makeLowerFs(root), file: isFile ? path.basename(real) : '' };
}

/** Puts volumes beside a lower file system; null stands for one that is missing. */
export function addVolumes(root: LowerFs, volumes: readonly (OpenVolume | null)[]): LowerFs {
  return volumes.length === 0 ? root : new VolumeFs(root, volumes);
}

interface Route {
  fs: LowerFs;
  slot: number;
  path: Uint8Array;
}

class VolumeFs implements LowerFs {
  readonly #root: LowerFs;
  readonly #volumes: readonly (OpenVolume | null)[];

  constructor(root: LowerFs, volumes: readonly (OpenVolume | null)[]) {
    this.#root = root;
    this.#volumes = volumes;
  }

  stat(path: Uint8Array): LowerStat | number {
    const route = this.#route(path);
    return route === null ? -ENOENT : route.fs.stat(route.path);
  }

  open(path: Uint8Array): number {
    const route = this.#route(path);
    if (route === null) return -ENOENT;
    const handle = route.fs.open(route.path);
    return handle < 0 ? handle : handle * SLOTS + route.slot;
  }

  fstat(handle: number): LowerStat | number {
    return this.#owner(handle).fstat(Math.floor(handle / SLOTS));
  }

  read(handle: number, offset: number, target: Uint8Array): number {
    return this.#owner(handle).read(Math.floor(handle / SLOTS), offset, target);
  }

  readlink(path: Uint8Array): Uint8Array | number {
    const route = this.#route(path);
    return route === null ? -ENOENT : route.fs.readlink(route.path);
  }

  list(path: Uint8Array): LowerEntry[] | number {
    const route = this.#route(path);
    return route === null ? -ENOENT : route.fs.list(route.path);
  }

  attributes(path: Uint8Array): LowerAttribute[] | number {
    const route = this.#route(path);
    return route === null ? -ENOENT : route.fs.attributes(route.path);
  }

  close(handle: number): void {
    this.#owner(handle).close(Math.floor(handle / SLOTS));
  }

  /** Slot 0 is the rootfs, slot i + 1 volume i. */
  #owner(handle: number): LowerFs {
    return this.#volumes[handle % SLOTS - 1]?.lower ?? this.#root;
  }

  /** Whose path it is; null for a volume that there is not. */
  #route(path: Uint8Array): Route | null {
    const found = splitVolumePath(path);
    if (found === null) return { fs: this.#root, slot: 0, path };
    const volume = this.#volumes[found.index] ?? null;
    if (volume === null) return null;
    const inside = volume.file === '' ? found.rest : encoder.encode(volume.file);
    return { fs: volume.lower, slot: found.index + 1, path: inside };
  }
}
