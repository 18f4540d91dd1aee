// Volumes (-v SRC:DST): host directories or files shown at other places of the guest's tree. They
// are part of the lower layer, so the guest's writes stay in the sandbox like all others.
import { ENOENT, ENOTDIR } from '../abi/errno.ts';
import { DT_DIR } from '../abi/fcntl.ts';
import { S_IFDIR } from '../abi/stat.ts';
import type { LowerEntry, LowerFs, LowerStat } from '../kernel/ports.ts';

/**
 * A volume with its own root. `target` is relative to the guest's root, without slashes at its
 * ends.
 */
export interface MountedVolume {
  target: string;
  lower: LowerFs;
  /** For a single file: its name below `lower`'s root; '' for a directory. */
  file: string;
}

/** Handles are numbered per volume: handle * slots + index. */
const SLOTS = 64;
const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** Puts volumes over a lower file system. At most 63. */
export function overlayVolumes(root: LowerFs, volumes: readonly MountedVolume[]): LowerFs {
  if (volumes.length === 0) return root;
  if (volumes.length >= SLOTS) throw new RangeError('at most 63 volumes');
  return new VolumeFs(root, volumes);
}

interface Route {
  fs: LowerFs;
  index: number;
  path: Uint8Array;
}

class VolumeFs implements LowerFs {
  readonly #parts: readonly LowerFs[];
  readonly #volumes: readonly MountedVolume[];

  constructor(root: LowerFs, volumes: readonly MountedVolume[]) {
    this.#parts = [root, ...volumes.map((volume) => volume.lower)];
    this.#volumes = volumes;
  }

  stat(path: Uint8Array): LowerStat | number {
    const { fs, path: rest, index } = this.#route(path);
    const result = fs.stat(rest);
    if (index > 0 || typeof result !== 'number') return result;
    return this.#below(decoder.decode(path)).length > 0 ? syntheticDirectory() : result;
  }

  open(path: Uint8Array): number {
    const { fs, path: rest, index } = this.#route(path);
    const handle = fs.open(rest);
    return handle < 0 ? handle : handle * SLOTS + index;
  }

  fstat(handle: number): LowerStat | number {
    return this.#part(handle).fstat(Math.floor(handle / SLOTS));
  }

  read(handle: number, offset: number, target: Uint8Array): number {
    return this.#part(handle).read(Math.floor(handle / SLOTS), offset, target);
  }

  readlink(path: Uint8Array): Uint8Array | number {
    const { fs, path: rest } = this.#route(path);
    return fs.readlink(rest);
  }

  list(path: Uint8Array): LowerEntry[] | number {
    const { fs, path: rest, index } = this.#route(path);
    const listed = fs.list(rest);
    const extra = index > 0 ? [] : this.#below(decoder.decode(path));
    if (typeof listed === 'number') {
      return extra.length > 0 && (listed === -ENOENT || listed === -ENOTDIR)
        ? extra.map(entryOf) : listed;
    }
    const known = new Set(listed.map((entry) => decoder.decode(entry.name)));
    return [...listed, ...extra.filter((name) => !known.has(name)).map(entryOf)];
  }

  close(handle: number): void {
    this.#part(handle).close(Math.floor(handle / SLOTS));
  }

  #part(handle: number): LowerFs {
    return this.#parts[handle % SLOTS] as LowerFs;
  }

  /** The volume with the longest target that holds `path`, or the root. */
  #route(path: Uint8Array): Route {
    const text = decoder.decode(path);
    let best: Route = { fs: this.#parts[0] as LowerFs, index: 0, path };
    let length = -1;
    this.#volumes.forEach(({ target, lower, file }, position) => {
      const inside = text === target || text.startsWith(`${target}/`);
      if (!inside || target.length <= length) return;
      length = target.length;
      const rest = file === '' ? text.slice(target.length + 1) : file;
      best = { fs: lower, index: position + 1, path: encoder.encode(rest) };
    });
    return best;
  }

  /** Names directly below `path` on the way to a volume. */
  #below(path: string): string[] {
    const prefix = path === '' ? '' : `${path}/`;
    const names = this.#volumes
      .filter(({ target }) => target.startsWith(prefix) && target.length > prefix.length)
      .map(({ target }) => target.slice(prefix.length).split('/')[0] as string);
    return [...new Set(names)];
  }
}

function entryOf(name: string): LowerEntry {
  return { name: encoder.encode(name), ino: 1, type: DT_DIR };
}

function syntheticDirectory(): LowerStat {
  return {
    dev: 0, ino: 1, mode: S_IFDIR | 0o755, nlink: 2, uid: 0, gid: 0, rdev: 0, bytes: 4096,
    atimeSec: 0, atimeNsec: 0, mtimeSec: 0, mtimeNsec: 0, ctimeSec: 0, ctimeNsec: 0,
  };
}
