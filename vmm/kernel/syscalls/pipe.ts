// pipe(2) and its relatives. (The rows follow.)
import type { Family } from './define.ts';

export const pipeCalls: Family = {};
