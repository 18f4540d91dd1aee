// Where guest memory lies, as boot code uses it.
import { TABLES_GPA } from '../../machine/layout.ts';

export { PAGE_BYTES } from '../../kernel/ports.ts';
export const TABLES_GPA_BASE: number = TABLES_GPA;
