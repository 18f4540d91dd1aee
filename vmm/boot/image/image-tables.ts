// Page tables as an image holds them: a compact tree for each address space, one behind the other,
// whose entries count from FIRST_GUEST_TABLE.
//
//   | root of the first | its tables … | root of the second | its tables … | …
//   0                                  Mm.rootTable of the second
//
// Preconditions of all functions: the trees were made here or accepted by check().
import { pfnAt, PTE_P } from '../../kernel/mm/pte.ts';
import { Mm } from '../../kernel/records/mm.ts';
import { KIND } from '../../kernel/state/kinds.ts';
import { u32 } from '../../kernel/state/memory.ts';
import { bytesAt, kindIdAt } from '../../kernel/state/record.ts';
import { FIRST_GUEST_TABLE, TABLES_GPA } from '../../machine/layout.ts';
import { PAGE_BYTES } from '../../kernel/ports.ts';
import type { Piece } from './image-records.ts';

/** Guest page number of an image's root table. */
export const FIRST_TABLE_PFN: number = TABLES_GPA / PAGE_BYTES + FIRST_GUEST_TABLE;
const USER_ENTRIES = 256;
const ENTRIES = 512;

/** Word index of entry `index` of table `table` of the tree at `tables`. */
export function entryWord(tables: number, table: number, index: number): number {
  return (tables + table * PAGE_BYTES + index * 8) >> 2;
}

/**
 * Word index of the present leaf entry of virtual page `vpn`, or 0.
 * @param root table that the address space's tree begins with
 */
export function findImageLeaf(tables: number, vpn: number, root: number = 0): number {
  let table = root;
  for (let level = 3; ; level--) {
    const at = entryWord(tables, table, Math.floor(vpn / ENTRIES ** level) % ENTRIES);
    if (((u32[at] as number) & PTE_P) === 0) return 0;
    if (level === 0) return at;
    table = pfnAt(at) - FIRST_TABLE_PFN;
  }
}

/** Places of the roots of all address spaces among the tables, ascending. */
export function listRoots(objects: Piece): number[] {
  const roots: number[] = [];
  for (let at = objects.address; at < objects.address + objects.bytes; at += bytesAt(at)) {
    if (kindIdAt(at) === KIND.mm) roots.push(u32[(at + Mm.offset('rootTable')) >> 2] as number);
  }
  return roots.sort((a, b) => a - b);
}
