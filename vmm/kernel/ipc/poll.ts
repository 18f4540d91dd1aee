// The common part of poll(2) and select(2): look at many files, and wait on all of their queues.
import { POLLERR, POLLHUP, POLLNVAL } from '../../abi/poll.ts';
import type { Kernel } from '../kernel.ts';
import type { Task, WaitQueue } from '../records/task.ts';
import { getFile } from '../vfs/file.ts';
import { opsOf } from '../vfs/file-ops.ts';

/**
 * What holds now of `events` (POLL* bits) for a descriptor; errors and hang-up always count.
 * @returns POLL* bits; POLLNVAL when `fd` is not open, 0 for a negative one
 */
export function pollFd(k: Kernel, task: Task, fd: number, events: number): number {
  if (fd < 0) return 0;
  const file = getFile(task, fd);
  if (file === null) return POLLNVAL;
  return opsOf(file).poll(k, file) & (events | POLLERR | POLLHUP);
}

/** Collects the queues of descriptors, each once: a queue may stand behind thousands of them. */
export class QueueSet {
  readonly #queues: Set<WaitQueue> = new Set();

  add(k: Kernel, task: Task, fd: number): void {
    const file = fd < 0 ? null : getFile(task, fd);
    const queue = file === null ? null : opsOf(file).queue(k, file);
    if (queue !== null) this.#queues.add(queue);
  }

  list(): readonly WaitQueue[] {
    return [...this.#queues];
  }
}
