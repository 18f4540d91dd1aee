// Makes the kernel object of a sandbox over an arena that is empty (run) or restored (boot).
import { Arena } from './state/arena.ts';
import { DEFAULT_LIMITS, type Kernel, type KernelLimits } from './kernel.ts';
import type { Ports } from './ports.ts';
import { Sandbox } from './records/index.ts';
import { FrameAllocator } from './mm/frames.ts';
import { TableAllocator } from './mm/tables.ts';
import { VfsCache } from './vfs/cache.ts';
import { SyscallCounter } from './syscalls/counter.ts';

/** Bytes of kernel state a sandbox may use unless told otherwise. */
export const ARENA_BYTES: number = 64 * 1024 * 1024;

/** A kernel with an empty root record; the caller mounts the root and loads a program. */
export function makeKernel(ports: Ports, limits: KernelLimits = DEFAULT_LIMITS): Kernel {
  const arena = new Arena(ARENA_BYTES);
  const root = arena.make(Sandbox);
  root.nextInodeSerial = 1;
  root.nextObjectSerial = 1;
  root.nextTid = 1;
  return assembleKernel(arena, root, ports, limits);
}

/** A kernel over records that are already there. */
export function assembleKernel(
  arena: Arena,
  root: Sandbox,
  ports: Ports,
  limits: KernelLimits,
): Kernel {
  return {
    arena,
    root,
    ports,
    limits,
    frames: new FrameAllocator(ports.frames, limits),
    tables: new TableAllocator(ports.tables),
    vfs: new VfsCache(),
    counters: new SyscallCounter(),
    current: null,
    isTrial: false,
  };
}
