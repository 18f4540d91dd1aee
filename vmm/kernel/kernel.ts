// The guest kernel of one sandbox: the arena with its records, the ports to the outside, and caches
// that can be dropped at any moment. All behaviour is in functions that take a Kernel.
import { Arena } from './state/arena.ts';
import type { Ports } from './ports.ts';
import { Sandbox, type Process, type Task } from './records/index.ts';
import type { FrameAllocator } from './mm/frames.ts';
import type { TableAllocator } from './mm/tables.ts';
import type { VfsCache } from './vfs/cache.ts';
import type { SyscallCounter } from './syscalls/counter.ts';

/** Limits of one sandbox, fixed when it is made. */
export interface KernelLimits {
  /** Most bytes of guest memory (frames). */
  memoryBytes: number;
  /** Most threads. */
  threads: number;
  /** Most open descriptors (hard limit of RLIMIT_NOFILE). */
  descriptors: number;
}

export const DEFAULT_LIMITS: KernelLimits = {
  memoryBytes: 512 * 1024 * 1024,
  threads: 4096,
  descriptors: 65536,
};

export interface Kernel {
  readonly arena: Arena;
  readonly ports: Ports;
  readonly limits: KernelLimits;
  readonly root: Sandbox;
  /** Caches over the records: free frames, free tables, open lower files. */
  readonly frames: FrameAllocator;
  readonly tables: TableAllocator;
  readonly vfs: VfsCache;
  readonly counters: SyscallCounter;
  /** The thread whose registers are on the vCPU, or null. */
  current: Task | null;
  /** A boot that finds out which pages are touched: only the guest sets A and D bits. */
  isTrial: boolean;
}

/** The process whose thread is on the vCPU, else the first one. */
export function currentProcess(k: Kernel): Process {
  return k.current?.process ?? processOf(k);
}

/** The sandbox's first process. Preconditions: exec has run. */
export function processOf(k: Kernel): Process {
  const { process } = k.root;
  if (process === null) throw new Error('the sandbox has no process yet');
  return process;
}
