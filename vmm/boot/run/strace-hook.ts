// --strace: one line per call, through the runner's hooks.
import { Strace } from '../../kernel/syscalls/strace.ts';
import type { Instance } from './instance.ts';

/** Traces the calls of a sandbox. */
export function traceCalls(instance: Instance, write: (line: string) => void): void {
  const strace = new Strace(instance.k, write);
  instance.runner.hooks.beforeCall = (task) => strace.before(task);
  instance.runner.hooks.afterCall = (task) => strace.after(task);
}
