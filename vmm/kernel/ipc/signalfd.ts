// Signal descriptors. (Signatures; the body follows.)
import type { Kernel } from '../kernel.ts';
import type { Process } from '../records/task.ts';

/** A signal became pending in `process` or one of its tasks: wakes readers of signal descriptors. */
export function notifySignalFds(_k: Kernel, _process: Process): void {}
