// How a family of system calls declares its rows. The table (table.ts) joins the families.
import type { Kernel } from '../kernel.ts';
import type { Task } from '../records/task.ts';
import type { Args } from './args.ts';

/** Result ≥ 0, -errno, or BLOCKED. Handlers are executed again from the start after BLOCKED. */
export type Handler = (k: Kernel, task: Task, a: Args) => number;

/** The call waits: `block()` has registered why. The task's registers stay as they are. */
export const BLOCKED = -0x10000;
/** The call replaced the registers itself (rt_sigreturn, execve): no result is stored. */
export const NO_RESULT = -0x10001;

// Linux: kernel-internal restart codes, <linux/errno.h>. block() returns them when a signal is
// pending.
/** Restart if the handler has SA_RESTART (or there is no handler), else EINTR. */
export const ERESTARTSYS = 512;
/** Restart if no handler runs, else EINTR. */
export const ERESTARTNOHAND = 514;
/** Like ERESTARTNOHAND; kept apart because the remaining time was written (nanosleep). */
export const ERESTART_RESTARTBLOCK = 516;

export interface Row {
  readonly support: 'full' | 'partial' | 'missing';
  readonly handler: Handler;
  /** What a partial call leaves out, or why a missing one answers as it does. */
  readonly note: string;
  /** For missing calls: the errno they return. */
  readonly errno: number;
}

/** Rows of one family by Linux name; every name must be in abi/syscall-numbers.ts. */
export type Family = Readonly<Record<string, Row>>;

export function full(handler: Handler): Row {
  return { support: 'full', handler, note: '', errno: 0 };
}

export function partial(handler: Handler, note: string): Row {
  return { support: 'partial', handler, note, errno: 0 };
}

/** A call that always fails with `errno` (positive). */
export function missing(errno: number, note: string = ''): Row {
  return { support: 'missing', handler: () => -errno, note, errno };
}
