// The func-entry point: where a program says "initialised" (design: Func-entry). Explicitly by
// catavmm_entry(2) or by reading /dev/catavmm/entry; boot/ also watches for unmodified programs
// (stdin, listen, a printed line). Reaching it makes the run loop stop, so that the image can be
// saved; the calling thread stays blocked in the call, and each boot of the image wakes it with the
// generation.
import type { Kernel } from './kernel.ts';
import type { Task } from './records/task.ts';
import { FILE_ENTRY, type File } from './records/vfs.ts';
import { ERESTARTSYS, full, type Family } from './syscalls/define.ts';
import { block, makeWaitQueue, wake } from './task/block.ts';
import { defineFileOps } from './vfs/file-ops.ts';
import type { WaitQueue } from './records/task.ts';
import { EAGAIN } from '../abi/errno.ts';
import { POLLIN } from '../abi/poll.ts';

/** Sandbox.entryWanted and entryKind. */
export const ENTRY_NONE = 0;
export const ENTRY_EXPLICIT = 1;
export const ENTRY_LISTEN = 2;
export const ENTRY_STDIN = 3;
export const ENTRY_LINE = 4;
/** Explicit if it comes, else listen, else stdin. */
export const ENTRY_DEFAULT = 5;

const RESUMED = 2;

function entryQueue(k: Kernel): WaitQueue {
  k.root.entryQueue ??= makeWaitQueue(k);
  return k.root.entryQueue;
}

function wantsExplicit(k: Kernel): boolean {
  const { entryWanted } = k.root;
  return entryWanted === ENTRY_EXPLICIT || entryWanted === ENTRY_DEFAULT;
}

/**
 * catavmm_entry(2): the func-entry point. Blocks while an image is being built, and returns the
 * boot's generation in each boot of it; in a plain run it returns 0 at once. No arguments, no
 * errors.
 */
function entry(k: Kernel, task: Task): number {
  if (task.waitState === RESUMED || !wantsExplicit(k)) return k.root.generation;
  if (k.root.trainLeft > 0 && k.root.entryKind === ENTRY_NONE) return k.root.generation;
  k.root.entryKind = ENTRY_EXPLICIT;
  return block(k, task, [entryQueue(k)], ERESTARTSYS);
}

/**
 * Wakes the threads that reached the entry; called once by each boot (and by a build that goes on).
 */
export function resumeEntry(k: Kernel): void {
  const queue = k.root.entryQueue;
  k.root.entryKind = ENTRY_NONE;
  k.root.entryWanted = ENTRY_NONE;
  if (queue === null) return;
  for (let waiter = queue.first; waiter !== null; waiter = waiter.next) {
    if (waiter.task !== null) waiter.task.waitState = RESUMED;
  }
  wake(k, queue);
}

export const entryCalls: Family = {
  catavmm_entry: full(entry),
  catavmm_generation: full((k) => k.root.generation),
};

const encoder = new TextEncoder();

/** File.variant of /dev/catavmm/generation. */
export const READS_GENERATION = 1;

/**
 * /dev/catavmm/entry: the first read is the entry, and gives the generation in decimal.
 * /dev/catavmm/generation: the same, but never the entry.
 */
defineFileOps(FILE_ENTRY, {
  seekable: false,
  read: (k: Kernel, file: File, to) => {
    if (file.position > 0) return 0;
    // A boot has woken this very read: where it was the entry, it is not a second one.
    const isResumed = k.current?.waitState === RESUMED;
    const isEntry = file.variant !== READS_GENERATION && !isResumed;
    if (isEntry && wantsExplicit(k) && k.root.trainLeft === 0) {
      k.root.entryKind = ENTRY_EXPLICIT;
      return -EAGAIN;
    }
    file.position = 1;
    return to.put(encoder.encode(`${k.root.generation}\n`));
  },
  poll: () => POLLIN,
  queue: (k: Kernel) => entryQueue(k),
});
