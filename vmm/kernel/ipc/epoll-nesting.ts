// Epoll instances that watch each other: no cycles, at most five in a chain, and not too many
// chains, because a wake-up climbs all of them.
//
//   links below `target` + 1 + links above the watching instance <= 4
import type { Kernel } from '../kernel.ts';
import { Epoll, EpollItem } from '../records/ipc.ts';
import { type File, FILE_EPOLL } from '../records/vfs.ts';

/** Linux: EP_MAX_NESTS, links in a chain of instances. */
const LINKS_MOST = 4;
/** Linux: path_limits, how many chains of each length may lead upwards from one file. */
const PATHS_MOST: readonly number[] = [Infinity, 500, 100, 50, 10];

function epollOf(k: Kernel, file: File): Epoll {
  return k.arena.at(Epoll, file.object?.address ?? 0);
}

/** The first interest in `file`; the others follow through nextOfFile. */
export function firstItemOf(k: Kernel, file: File): EpollItem | null {
  const { epollItems } = file;
  return epollItems === null ? null : k.arena.at(EpollItem, epollItems.address);
}

/** Whether watching `target` from the instance `file` makes a cycle or too long a chain (ELOOP). */
export function nestsTooDeep(k: Kernel, file: File, target: File): boolean {
  if (target.kind !== FILE_EPOLL) return false;
  const below = depthBelow(k, target, file, new Map());
  return below + 1 + depthAbove(k, file, 0) > LINKS_MOST;
}

/** Links below an instance; Infinity when `inserting` is among them. */
function depthBelow(
  k: Kernel,
  file: File,
  inserting: File,
  known: Map<File, number>,
): number {
  if (file === inserting) return Infinity;
  const seen = known.get(file);
  if (seen !== undefined) return seen;
  let depth = 0;
  const { items } = epollOf(k, file);
  for (let index = 0; index < items.length && depth <= LINKS_MOST; index++) {
    const inner = items.get(index)?.file;
    if (inner === undefined || inner.kind !== FILE_EPOLL) continue;
    depth = Math.max(depth, depthBelow(k, inner, inserting, known) + 1);
  }
  known.set(file, depth);
  return depth;
}

/** Links above an instance: who watches it, who watches those, … */
function depthAbove(k: Kernel, file: File, links: number): number {
  let depth = links;
  if (links > LINKS_MOST) return depth;
  for (let item = firstItemOf(k, file); item !== null; item = item.nextOfFile) {
    const { owner } = item.epoll;
    if (owner !== null) depth = Math.max(depth, depthAbove(k, owner, links + 1));
    if (depth > LINKS_MOST) break;
  }
  return depth;
}

/**
 * Whether a file below `target` wakes its watchers in more ways than Linux allows (EINVAL), now
 * that the instance `file` watches `target`. Linux: reverse_path_check, for nested instances only.
 */
export function hasTooManyPaths(k: Kernel, file: File, target: File): boolean {
  if (target.kind !== FILE_EPOLL) return file.epollItems !== null && countPaths(k, target);
  return checkLeaves(k, target, new Set());
}

function checkLeaves(k: Kernel, file: File, seen: Set<File>): boolean {
  if (seen.has(file)) return false;
  seen.add(file);
  if (file.kind !== FILE_EPOLL) return countPaths(k, file);
  const { items } = epollOf(k, file);
  for (let index = 0; index < items.length; index++) {
    const inner = items.get(index)?.file;
    if (inner !== undefined && checkLeaves(k, inner, seen)) return true;
  }
  return false;
}

function countPaths(k: Kernel, leaf: File): boolean {
  const counts: number[] = PATHS_MOST.map(() => 0);
  const climb = (at: File, links: number): boolean => {
    if (links > LINKS_MOST) return true;
    for (let item = firstItemOf(k, at); item !== null; item = item.nextOfFile) {
      const { owner } = item.epoll;
      if (owner === null) continue;
      if (owner.epollItems !== null) {
        if (climb(owner, links + 1)) return true;
        continue;
      }
      const count = (counts[links] ?? 0) + 1;
      counts[links] = count;
      if (count > (PATHS_MOST[links] ?? 0)) return true;
    }
    return false;
  };
  return climb(leaf, 0);
}
