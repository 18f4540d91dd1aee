// Makes the kernel object of a sandbox over an arena that is empty (run) or restored (boot).
import { Arena } from './state/arena.ts';
import { DEFAULT_LIMITS, type Kernel, type KernelLimits } from './kernel.ts';
import type { Ports } from './ports.ts';
import { Sandbox } from './records/index.ts';
import { FrameAllocator } from './mm/frames.ts';
import { TableAllocator } from './mm/tables.ts';
import { VfsCache } from './vfs/cache.ts';
import { SyscallCounter } from './syscalls/counter.ts';

/** Bytes of kernel state that a program may use. */
export const ARENA_BYTES: number = 64 * 1024 * 1024;
/** The least that a restored sandbox may use: 128 of them fit into a thread's state memory. */
const RESTORED_ARENA_BYTES: number = 8 * 1024 * 1024;

/** Bytes of kernel state that a restored sandbox may use, in which its objects take up so many. */
export function arenaBytesFor(objectsBytes: number): number {
  const wanted = Math.max(RESTORED_ARENA_BYTES, objectsBytes * 8);
  return Math.max(Math.min(wanted, ARENA_BYTES), objectsBytes * 2);
}

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
    tables: new TableAllocator(ports.tables, () => ports.translations.forgetAll()),
    vfs: new VfsCache(),
    counters: new SyscallCounter(),
    current: null,
    isTrial: false,
  };
}
