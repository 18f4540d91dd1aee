// What this process holds of the host: open descriptors, mappings, memory. Linux only.

import { readdirSync, readFileSync } from 'node:fs';

/** Open descriptors, the one that lists them included. */
export function countDescriptors(): number {
  return readdirSync('/proc/self/fd').length;
}

/** Lines of /proc/self/maps. */
export function countMappings(): number {
  return readFileSync('/proc/self/maps', 'latin1').split('\n').length;
}

/** The lowest descriptor numbers that are free, `count` of them, ascending. */
export function listFreeDescriptors(count: number): number[] {
  const open = new Set(readdirSync('/proc/self/fd').map(Number));
  const free: number[] = [];
  for (let fd = 0; free.length < count; fd++) if (!open.has(fd)) free.push(fd);
  return free;
}

/** Memory of this process that is in use, in bytes. */
export function residentBytes(): number {
  const line = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync('/proc/self/status', 'latin1'));
  if (line === null) throw new Error('/proc/self/status has no VmRSS');
  return Number(line[1]) * 1024;
}
