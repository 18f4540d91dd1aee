// Pages that an image does not have because nobody had touched them, and that its boots write at
// once: given a zero frame, they can be copied beforehand like the others.
import type { Kernel } from '../../kernel/kernel.ts';
import { frameAt } from '../../kernel/mm/pages.ts';
import { findEntry } from '../../kernel/mm/tables.ts';
import { TOUCH_OK, touchPage } from '../../kernel/mm/touch.ts';
import { findVma } from '../../kernel/mm/vma.ts';
import type { Mm } from '../../kernel/records/mm.ts';

/** The zero frame of a page that boots write at once, made if there is none. */
export function makePresent(k: Kernel, mm: Mm, gva: number): number[] {
  const vma = findVma(mm, gva);
  if (vma === null || vma.inode !== null) return [];
  if (touchPage(k, vma, gva, true, false) !== TOUCH_OK) return [];
  return [frameAt(k, findEntry(k.tables, mm.rootTable, gva))];
}
