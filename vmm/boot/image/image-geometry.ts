// How the page numbers in an image's tables are to be read: where a boot puts tables and frames.
import type { CfiTableGeometry } from '../../../formats/cfi/diff.ts';
import { BASE_GPA, FIRST_GUEST_TABLE, TABLES_GPA } from '../../machine/layout.ts';
import { PAGE_BYTES } from '../../machine/paging.ts';

export const imageGeometry: CfiTableGeometry = {
  tablesPfn: TABLES_GPA / PAGE_BYTES,
  firstIndex: FIRST_GUEST_TABLE,
  basePfn: BASE_GPA / PAGE_BYTES,
};
