// Page tables as an image holds them: a compact tree whose root is table 0 and whose entries count
// from FIRST_GUEST_TABLE. Preconditions of all functions: the tree was made here or accepted by
// check().
import { pfnAt, PTE_P } from '../../kernel/mm/pte.ts';
import { u32 } from '../../kernel/state/memory.ts';
import { FIRST_GUEST_TABLE, TABLES_GPA } from '../../machine/layout.ts';
import { PAGE_BYTES } from '../../kernel/ports.ts';

/** Guest page number of an image's root table. */
export const FIRST_TABLE_PFN: number = TABLES_GPA / PAGE_BYTES + FIRST_GUEST_TABLE;
const USER_ENTRIES = 256;
const ENTRIES = 512;

/** Word index of entry `index` of table `table` of the tree at `tables`. */
export function entryWord(tables: number, table: number, index: number): number {
  return (tables + table * PAGE_BYTES + index * 8) >> 2;
}

/** Word index of the present leaf entry of virtual page `vpn`, or 0. */
export function findImageLeaf(tables: number, vpn: number): number {
  let table = 0;
  for (let level = 3; ; level--) {
    const at = entryWord(tables, table, Math.floor(vpn / ENTRIES ** level) % ENTRIES);
    if (((u32[at] as number) & PTE_P) === 0) return 0;
    if (level === 0) return at;
    table = pfnAt(at) - FIRST_TABLE_PFN;
  }
}
