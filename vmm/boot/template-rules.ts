// Whether an image or a template may be made of a sandbox: not of one that made a call which the
// table denies in templates (kernel/syscalls/template-classes.ts).
import { CatavmmError } from '../errors.ts';
import type { Kernel } from '../kernel/kernel.ts';
import { syscallTable } from '../kernel/syscalls/table.ts';

/** Whether it made a denied call; cheap enough for each exit of a build. */
export function hasDeniedCall(k: Kernel): boolean {
  return k.root.deniedCall !== 0;
}

/** @throws CatavmmError CATAVMM_TEMPLATE_DENIED when it made a denied call */
export function requireTemplatable(k: Kernel): void {
  if (!hasDeniedCall(k)) return;
  const { name, templateNote } = syscallTable.rowOf(k.root.deniedCall - 1);
  throw new CatavmmError(
    'CATAVMM_TEMPLATE_DENIED',
    `The program called ${name}(), after which it cannot be saved or forked. ${templateNote}`,
    'Let it make that call after its func-entry point, for example after catavmm_entry().',
  );
}
